"""``POST /api/v1/feedback``: what becomes of each entry, what the client is told, and what is counted."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest

from exporter.config import Config
from exporter.rules import StageRules, WorkflowOverrides
from exporter.store.base import Store
from tests.web.edge import NDJSON, NOW, Edge, problem, rating

KNOWN = (
    "workflow_name, stage_name, tier, quality_score, rating, stars, outcome, timestamp, feedback_id, source, metadata"
)


def samples(edge: Edge, **key: str) -> int:
    """Ratings of a stage that are shown, of all tiers."""
    stats = edge.api("stats", **{"workflow_name": "w", "stage_name": "s", **key})
    return int(stats["sample_count"]) if stats else 0


def test_one_object_is_acknowledged(any_edge: Edge) -> None:
    """The answer is 202 with what became of the one entry, and it is shown at once."""
    answer = any_edge.post(rating(feedback_id="a"))

    assert (answer.status_code, answer.content_type) == (202, "application/json")
    assert answer.text == '{"accepted":1,"duplicates":0,"rejected":[],"feedback_ids":["a"]}'
    assert samples(any_edge) == 1


def test_each_entry_of_a_batch_is_judged_by_itself(any_edge: Edge) -> None:
    """Ids stand in input order with null where rejected; each rejection names its place, its field and its reason."""
    entries = [
        rating(feedback_id="a"),
        rating(feedback_id="b", quality_score=2),
        rating(feedback_id="a"),
        7,
        rating(feedback_id="c", stage_name="other"),
    ]

    answer = any_edge.post(entries)

    assert answer.status_code == 202
    assert answer.json == {
        "accepted": 2,
        "duplicates": 1,
        "rejected": [
            {"index": 1, "field": "quality_score", "reason": "2 is outside 0 to 1"},
            {"index": 3, "field": None, "reason": "the entry is not a JSON object"},
        ],
        "feedback_ids": ["a", None, "a", None, "c"],
    }
    assert any_edge.counts() == {"accepted": 2, "duplicate": 1, "invalid_score": 1, "malformed": 1}
    assert (samples(any_edge), samples(any_edge, stage_name="other")) == (1, 1)


def test_a_whole_batch_of_duplicates_is_acknowledged(any_edge: Edge) -> None:
    """A retry is 202 like the first try, and counts nothing twice."""
    batch = [rating(feedback_id="a"), rating(feedback_id="b")]
    any_edge.post(batch)

    answer = any_edge.post(batch)

    assert answer.status_code == 202
    assert answer.json == {"accepted": 0, "duplicates": 2, "rejected": [], "feedback_ids": ["a", "b"]}
    assert samples(any_edge) == 2
    assert any_edge.counts() == {"accepted": 2, "duplicate": 2}


def test_the_first_of_an_id_stands(any_edge: Edge) -> None:
    """Whatever else an entry with a known id says, it is a duplicate: in its batch, and between requests."""
    answer = any_edge.post([rating(feedback_id="a", quality_score=0.25), rating(feedback_id="a", quality_score=1)])
    again = any_edge.post(rating(feedback_id="a", quality_score=1, source="x", timestamp=NOW // 1_000_000 - 60))

    assert answer.json == {"accepted": 1, "duplicates": 1, "rejected": [], "feedback_ids": ["a", "a"]}
    assert again.json == {"accepted": 0, "duplicates": 1, "rejected": [], "feedback_ids": ["a"]}
    assert any_edge.api("stats", workflow_name="w", stage_name="s")["avg_quality"] == 0.25


def test_an_id_is_unique_within_its_series_only(any_edge: Edge) -> None:
    """The same id in another stage or tier is another rating."""
    entries = [
        rating(feedback_id="a"),
        rating(feedback_id="a", tier="premium"),
        rating(feedback_id="a", stage_name="t"),
    ]

    assert any_edge.post(entries).json == {"accepted": 3, "duplicates": 0, "rejected": [], "feedback_ids": ["a"] * 3}


def test_a_rating_that_is_not_usable_is_no_duplicate(edge: Edge) -> None:
    """An entry is judged before its id is looked up: a known id does not make a bad score good."""
    edge.post(rating(feedback_id="a"))

    answer = edge.post([rating(feedback_id="a", quality_score=2), rating()])

    assert (answer.status_code, answer.get_json()["duplicates"]) == (202, 0)
    assert answer.get_json()["feedback_ids"][0] is None


@pytest.mark.parametrize("given", [{}, {"feedback_id": None}, {"feedback_id": ""}])
def test_ratings_without_an_id_all_count(edge: Edge, given: dict[str, object]) -> None:
    """An absent, null or empty id is replaced by a new one, which the client is told."""
    answer = edge.post([rating(**given)] * 3)

    ids = answer.get_json()["feedback_ids"]
    assert answer.get_json()["accepted"] == len(set(ids)) == 3
    assert [UUID(each).hex for each in ids] == ids
    assert [entry["feedback_id"] for entry in edge.api("history", workflow_name="w", stage_name="s")] == ids[::-1]


def test_every_way_to_rate_is_accepted(edge: Edge) -> None:
    """``quality_score``, ``rating``, ``stars`` and ``outcome`` each give their score."""
    ways: list[dict[str, object]] = [
        {"quality_score": 0.5},
        {"rating": {"value": 7, "min": 0, "max": 10}},
        {"stars": 4},
        {"outcome": "success"},
        {"outcome": "failure"},
        {"outcome": "failure_on_first_retry"},
        {"quality_score": 0},
    ]

    answer = edge.post([rating(**({"quality_score": ...} | way)) for way in ways])

    assert answer.get_json()["accepted"] == len(ways)
    history = edge.api("history", workflow_name="w", stage_name="s")
    assert [entry["quality_score"] for entry in history][::-1] == [0.5, 0.7, 0.75, 0.9, 0.3, 0.5, 0]


def test_every_entry_rejected_is_400(any_edge: Edge) -> None:
    """The problem document carries the same list as a 202 would, and nothing is stored."""
    answer = any_edge.post([rating(tier="gpt"), rating(score=1), rating(workflow_name=" w"), "x"])

    assert problem(answer, 400) == {
        "detail": "No entry is usable; rejected says why.",
        "rejected": [
            {"index": 0, "field": "tier", "reason": "'gpt' is none of cheap, capable, premium"},
            {"index": 1, "field": "score", "reason": f"is not a field of a rating; known are {KNOWN}"},
            {"index": 2, "field": "workflow_name", "reason": "' w' has white space at an end"},
            {"index": 3, "field": None, "reason": "the entry is not a JSON object"},
        ],
    }
    assert any_edge.counts() == {"unknown_tier": 1, "unknown_field": 1, "invalid_name": 1, "malformed": 1}
    assert any_edge.api("recommendations") == []


def test_one_bad_object_is_400(edge: Edge) -> None:
    """A single entry is a batch of one."""
    assert problem(edge.post({}), 400) == {
        "detail": "No entry is usable; rejected says why.",
        "rejected": [{"index": 0, "field": "workflow_name", "reason": "is missing"}],
    }


@pytest.mark.parametrize(("body", "media_type"), [("[]", "application/json"), ("", NDJSON), ("\n \r\n\n", NDJSON)])
def test_an_empty_batch_is_400(edge: Edge, body: str, media_type: str) -> None:
    """No entry at all is an error of the client, and counts nothing."""
    answer = edge.send(body, media_type)

    assert problem(answer, 400) == {"detail": "The batch is empty; send one rating or more.", "rejected": []}
    assert not edge.counts()


REASONS = {
    "malformed": "7",
    "invalid_name": json.dumps(rating(workflow_name="")),
    "unknown_tier": json.dumps(rating(tier="gpt")),
    "invalid_score": json.dumps(rating(quality_score=2)),
    "invalid_timestamp": json.dumps(rating(timestamp="today")),
    "too_old": json.dumps(rating(timestamp=0)),
    "in_future": json.dumps(rating(timestamp=9e9)),
    "invalid_metadata": json.dumps(rating(metadata=[])),
    "unknown_field": json.dumps(rating(score=1)),
}


def test_rejections_are_counted_by_a_closed_list_of_reasons(edge: Edge) -> None:
    """Each kind of fault adds one to its reason; every reason is there from the start."""
    before = edge.samples("llm_feedback_exporter_ratings_rejected_total")

    edge.send("\n".join([*REASONS.values(), json.dumps(rating())]), NDJSON)

    after = edge.samples("llm_feedback_exporter_ratings_rejected_total")
    assert {key[-1]: value for key, value in before.items()} == {**dict.fromkeys(REASONS, 0), "series_limit": 0}
    assert {key[-1]: value for key, value in after.items()} == {**dict.fromkeys(REASONS, 1), "series_limit": 0}
    assert edge.counts()["accepted"] == 1


class TestGrammar:
    """What the JSON grammar refuses costs the request, what it allows and nobody can use costs its entry."""

    GOOD = json.dumps(rating(feedback_id="good"))

    @pytest.mark.parametrize(
        ("bad", "field", "reason"),
        [
            (GOOD.replace("0.5", "1e400"), "quality_score", "Number out of range"),
            (GOOD.replace('"w"', r'"\ud800"'), None, "the entry is not usable JSON: it holds half a surrogate pair"),
            (
                GOOD.replace("0.5", '0.5, "metadata": {"a": 1e400}'),
                "metadata",
                "is not usable JSON: Number out of range",
            ),
        ],
    )
    def test_an_unusable_value_costs_its_entry(self, edge: Edge, bad: str, field: str | None, reason: str) -> None:
        """The other entries of the array are stored."""
        answer = edge.send(f"[{bad}, {self.GOOD}]")

        assert answer.status_code == 202
        assert answer.json == {
            "accepted": 1,
            "duplicates": 0,
            "rejected": [{"index": 0, "field": field, "reason": reason}],
            "feedback_ids": [None, "good"],
        }

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            (f"[{GOOD.replace('0.5', 'NaN')}, {GOOD}]", "invalid character (byte 77)"),
            (f"[{GOOD},]", "trailing comma in array (byte 105)"),
            (f"[{GOOD}", "Input data was truncated"),
            ("", "Input data was truncated"),
            ('{"a":' * 100_000, "it is nested too deeply"),
            (f"[{GOOD}, {'[' * 100_000}{']' * 100_000}]", "it is nested too deeply"),
            (f"{GOOD}\n{GOOD}", "trailing characters (byte 105)"),
        ],
    )
    def test_what_is_not_json_costs_the_request(self, edge: Edge, body: str, fault: str) -> None:
        """Nothing is stored and nothing is counted; the problem document says where the fault is."""
        assert problem(edge.send(body), 400) == {
            "detail": f"The body is not JSON: {fault}; nothing of it was stored.",
            "rejected": [],
        }
        assert not edge.counts()

    def test_bytes_that_are_not_utf_8_cost_the_request(self, edge: Edge) -> None:
        """JSON is UTF-8, whatever charset the client names."""
        answer = edge.send(b'["\xe9"]', "application/json; charset=iso-8859-1")

        assert problem(answer, 400) == {
            "detail": "The body is not JSON: it is not UTF-8 at byte 2; nothing of it was stored.",
            "rejected": [],
        }

    def test_a_line_of_ndjson_stands_for_itself(self, edge: Edge) -> None:
        """Even what is not JSON costs its line only; blank lines are not counted in ``index``."""
        lines = [
            "",
            self.GOOD,
            " \t\r",
            self.GOOD.replace("0.5", "NaN"),
            "{",
            json.dumps(rating(feedback_id="a\u2028b"), ensure_ascii=False) + "\r",
            "[]",
        ]

        answer = edge.send("\n".join(lines), NDJSON)

        assert answer.status_code == 202
        assert answer.json == {
            "accepted": 2,
            "duplicates": 0,
            "rejected": [
                {"index": 1, "field": None, "reason": "the entry is not usable JSON: invalid character (byte 76)"},
                {"index": 2, "field": None, "reason": "the entry is not usable JSON: Input data was truncated"},
                {"index": 4, "field": None, "reason": "the entry is not a JSON object"},
            ],
            "feedback_ids": ["good", None, None, "a\u2028b", None],
        }


class TestTimes:
    """When a rating was given."""

    def test_the_window_is_that_of_the_stage(self, opened: Callable[..., Store]) -> None:
        """A stage with a window of an hour refuses what a stage with the default takes."""
        config = Config(workflows={"w": WorkflowOverrides(window_seconds=3600)})
        edge = Edge(opened("sqlite://"), config)
        old = NOW // 1_000_000 - 3601

        answer = edge.post([rating(timestamp=old), rating(timestamp=old, workflow_name="v", feedback_id="a")])

        assert answer.json == {
            "accepted": 1,
            "duplicates": 0,
            "rejected": [
                {"index": 0, "field": "timestamp", "reason": "is 3601 s old, older than the window of 3600 s"}
            ],
            "feedback_ids": [None, "a"],
        }
        assert edge.counts() == {"accepted": 1, "too_old": 1}

    def test_a_rating_five_minutes_ahead_counts_at_once(self, edge: Edge) -> None:
        """The edge is 300 s; beyond it the reason says how far it is."""
        answer = edge.post([rating(timestamp=NOW // 1_000_000 + 300), rating(timestamp=NOW // 1_000_000 + 301)])

        assert answer.get_json()["rejected"] == [
            {
                "index": 1,
                "field": "timestamp",
                "reason": "is 301 s ahead, at most 300 s are allowed; numbers are Unix seconds",
            }
        ]
        assert samples(edge) == 1

    def test_a_rating_as_old_as_the_window_is_accepted(self, edge: Edge) -> None:
        """Its hour is live until the hour ends beyond the window."""
        edge.post(rating(timestamp=NOW // 1_000_000 - 604_800))

        assert samples(edge) == 1
        edge.clock.advance(3599)
        assert samples(edge) == 1
        edge.clock.advance(1)
        assert samples(edge) == 0

    def test_without_a_time_the_order_of_the_batch_is_kept(self, edge: Edge) -> None:
        """Entries of one request arrive one after another, in the order in which they stand."""
        edge.post([rating(feedback_id=f"{place}") for place in range(20)])

        history = edge.api("history", workflow_name="w", stage_name="s")
        assert [entry["feedback_id"] for entry in history] == [f"{place}" for place in reversed(range(20))]
        assert history[-1]["timestamp"] == "2025-01-01T00:00:00Z"


class TestLimits:
    """How much a request may hold."""

    def test_ten_thousand_entries_are_allowed(self, edge: Edge) -> None:
        """The most that a request may hold is stored."""
        answer = edge.post([rating()] * 10_000)

        assert answer.status_code == 202
        assert answer.get_json()["accepted"] == samples(edge) == 10_000

    @pytest.mark.parametrize("separator", [",", "\n"])
    def test_one_more_is_413(self, edge: Edge, separator: str) -> None:
        """Nothing of it is stored; the client is told to send it in several requests."""
        body = separator.join([json.dumps(rating())] * 10_001)

        answer = edge.send(f"[{body}]") if separator == "," else edge.send(body, NDJSON)

        assert problem(answer, 413) == {"detail": "The body has more than 10000 entries; send it in several requests."}
        assert samples(edge) == 0
        assert not edge.counts()

    def test_blank_lines_do_not_count(self, edge: Edge) -> None:
        """Ten thousand entries among any number of blank lines are allowed."""
        answer = edge.send(("\n\r\n" + json.dumps(rating())) * 10_000 + "\n", NDJSON)

        assert answer.get_json()["accepted"] == 10_000

    def test_metadata_over_4_kib_cost_their_entry(self, edge: Edge) -> None:
        """4,096 bytes of JSON text are allowed, one more is not."""
        entries = [rating(metadata={"a": "x" * size}) for size in (4096 - 8, 4096 - 7)]

        answer = edge.send(json.dumps(entries, separators=(",", ":")).encode())

        assert answer.get_json()["rejected"] == [
            {"index": 1, "field": "metadata", "reason": "takes 4097 bytes, at most 4096 are allowed"}
        ]


class TestSeriesLimit:
    """The most live series that may be."""

    @pytest.fixture
    def limited(self, store_url: str, opened: Callable[..., Store]) -> Edge:
        """Return an exporter over each kind of store that takes two series."""
        return Edge(opened(store_url, series_limit=2))

    def test_a_series_beyond_the_limit_is_rejected(self, limited: Edge) -> None:
        """Existing series go on; what would begin one more is rejected with its own reason, and is not shown."""
        limited.post([rating(stage_name="a"), rating(stage_name="b")])

        answer = limited.post(
            [
                rating(stage_name="c", feedback_id="1"),
                rating(stage_name="a", feedback_id="2"),
                rating(stage_name="b", quality_score=2),
                rating(stage_name="b", tier="premium", feedback_id="3"),
            ]
        )

        assert answer.status_code == 202
        assert answer.json == {
            "accepted": 1,
            "duplicates": 0,
            "rejected": [
                {"index": 0, "field": "workflow_name", "reason": "series_limit"},
                {"index": 2, "field": "quality_score", "reason": "2 is outside 0 to 1"},
                {"index": 3, "field": "workflow_name", "reason": "series_limit"},
            ],
            "feedback_ids": [None, "2", None, None],
        }
        assert limited.counts() == {"accepted": 3, "series_limit": 2, "invalid_score": 1}
        assert samples(limited, stage_name="c") == 0

    def test_the_log_names_it_once(self, limited: Edge, caplog: pytest.LogCaptureFixture) -> None:
        """However many ratings are refused, the log says once that the limit is reached, and again for another."""
        limited.post([rating(stage_name="a"), rating(stage_name="b")])
        for stage in "cde":
            limited.post([rating(stage_name=stage)] * 2)
        limited.services.store.series_limit = 1
        limited.post(rating(stage_name="f"))

        assert [record.getMessage() for record in caplog.records] == [
            "series_limit 2 is reached: a rating that would begin 'w/c/cheap' was rejected; raise it",
            "series_limit 1 is reached: a rating that would begin 'w/f/cheap' was rejected; raise it",
        ]
        assert limited.counts()["series_limit"] == 7

    def test_nothing_but_new_series_is_400(self, limited: Edge) -> None:
        """Every entry rejected is 400, for whatever reason."""
        limited.post([rating(stage_name="a"), rating(stage_name="b")])

        assert problem(limited.post(rating(stage_name="c")), 400) == {
            "detail": "No entry is usable; rejected says why.",
            "rejected": [{"index": 0, "field": "workflow_name", "reason": "series_limit"}],
        }

    def test_a_cleared_series_makes_room(self, limited: Edge) -> None:
        """Only live series count."""
        limited.post([rating(stage_name="a"), rating(stage_name="b")])
        limited.clear(workflow_name="w", stage_name="a")

        assert limited.post(rating(stage_name="c")).status_code == 202

    def test_an_expired_series_makes_room(self, limited: Edge) -> None:
        """A series whose last hour left the retention does not count."""
        limited.post([rating(stage_name="a"), rating(stage_name="b")])
        limited.clock.advance(StageRules().window_seconds + 3600)

        assert limited.post(rating(stage_name="c")).status_code == 202


METADATA = [
    '{"a":1.0,"b":1,"c":-0.0,"d":1e2}',
    '{"a":123456789012345678901234567890}',
    '{"a":{"b":[null,true,false,{"c":""}]}}',
    '{ "a" :\t1 }',
    r'{"a":"\u00e9\ud83d\ude00\/"}',
    '{"日本語":"\u2028"}',
    '{"a":1,"a":2}',
]


def test_metadata_and_source_come_back_as_they_went_in(any_edge: Edge) -> None:
    """Byte for byte, in the history of every store."""
    entries = [json.dumps(rating(source="日本")).replace("}", f', "metadata": {text}}}') for text in METADATA]
    any_edge.send("\n".join(entries), NDJSON)

    answer = any_edge.get("/api/v1/history", {"workflow_name": "w", "stage_name": "s"})

    assert [f'"source":"日本","metadata":{text}}}' in answer.text for text in METADATA] == [True] * len(METADATA)
    assert [json.dumps(entry["metadata"]) for entry in answer.get_json()][::-1] == [
        json.dumps(json.loads(text)) for text in METADATA
    ]
