"""The JSON endpoints that read, and ``DELETE``: whole documents, order, parameters, what is no longer live."""

from collections.abc import Callable
from typing import Any

import pytest

from exporter.config import Config
from exporter.rules import StageRules, WorkflowOverrides
from exporter.store.base import Store
from tests.support.reference import Rating, statistics
from tests.web.edge import NOW, Edge, problem, rating

NOW_SECONDS = NOW // 1_000_000
STAGE = {"workflow_name": "w", "stage_name": "s"}


def batch(count: int, **fields: object) -> list[dict[str, Any]]:
    """Return so many equal ratings."""
    return [rating(**fields)] * count


def expected(tier: str | None, *ratings: Rating) -> dict[str, Any]:
    """Return the statistics of a tier by definition, with the names that come with them."""
    return {"workflow_name": "w", "stage_name": "s", "tier": tier, **statistics(ratings)}


# The three that ``rated`` holds: those of a request arrive one microsecond after another.
LOW = Rating(NOW, NOW, 250_000)
HIGH = Rating(NOW + 1, NOW + 1, 750_000)
DEAR = Rating(NOW + 2, NOW + 2, 1_000_000, "premium")


@pytest.fixture
def rated(any_edge: Edge) -> Edge:
    """Return an exporter that holds three ratings of two tiers."""
    any_edge.post([rating(quality_score=0.25), rating(quality_score=0.75), rating(quality_score=1, tier="premium")])
    return any_edge


class TestStats:
    """``GET /api/v1/stats``."""

    def test_one_tier(self, rated: Edge) -> None:
        """The fields are those of ``QualityStats``."""
        stats = rated.api("stats", **STAGE, tier="cheap")

        assert stats == pytest.approx(expected("cheap", LOW, HIGH))
        assert stats["avg_quality"] == 0.5

    def test_all_tiers(self, rated: Edge) -> None:
        """Without a tier, the numbers run over all tiers of the stage together."""
        assert rated.api("stats", **STAGE) == pytest.approx(expected(None, LOW, HIGH, DEAR))

    @pytest.mark.parametrize("other", [{"tier": "capable"}, {"stage_name": "S"}, {"workflow_name": "w2"}])
    def test_no_live_rating_is_null(self, rated: Edge, other: dict[str, str]) -> None:
        """Where there is nothing, the answer is 200 and null."""
        assert rated.get("/api/v1/stats", STAGE | other).text == "null"

    def test_what_left_the_window_is_gone(self, rated: Edge) -> None:
        """Nothing has to happen for it but time."""
        rated.clock.advance(604_800 + 3600)

        assert rated.api("stats", **STAGE) is None


class TestRecommendation:
    """``GET /api/v1/recommendation`` and ``/recommendations``."""

    def test_without_data_the_start_tier_is_kept(self, edge: Edge) -> None:
        """Confidence is 0, and the sentence says why."""
        assert edge.api("recommendation", **STAGE) == {
            "current_tier": "cheap",
            "recommended_tier": "cheap",
            "confidence": 0.0,
            "reason": "Stay on cheap: it has 0 ratings in the window, a recommendation needs 10.",
            "stats": {},
            "workflow_name": "w",
            "stage_name": "s",
        }
        assert edge.api("recommendations") == []

    def test_the_traffic_says_which_tier_is_current(self, any_edge: Edge) -> None:
        """A failing tier is left for the next, and the statistics it rests on come along."""
        any_edge.post(batch(12, quality_score=0.25))

        recommendation = any_edge.api("recommendation", **STAGE)

        stats = recommendation.pop("stats")
        assert recommendation == {
            "current_tier": "cheap",
            "recommended_tier": "capable",
            "confidence": 0.6,
            "reason": "Move up to capable: cheap averages 0.25 over 12 ratings, below 0.7.",
            "workflow_name": "w",
            "stage_name": "s",
        }
        assert stats == {"cheap": any_edge.api("stats", **STAGE, tier="cheap")}

    def test_the_asker_may_name_the_current_tier(self, edge: Edge) -> None:
        """What the traffic does is then beside the point."""
        edge.post([*batch(12, quality_score=0.25), *batch(10, quality_score=1, tier="premium")])

        assert edge.api("recommendation", **STAGE, current_tier="premium")["reason"] == (
            "Stay on premium: premium averages 1 over 10 ratings, above 0.9, "
            "but capable has 0 ratings in the window, going down needs 10."
        )
        assert edge.api("recommendation", **STAGE, current_tier="capable")["reason"] == (
            "Stay on capable: it has 0 ratings in the window, a recommendation needs 10."
        )

    def test_every_stage_has_one(self, any_edge: Edge) -> None:
        """They come in the order of their names; one workflow's can be asked for alone."""
        names = [("b", "y"), ("a", "x"), ("b", "x"), ("日本", "x")]
        any_edge.post([rating(workflow_name=workflow, stage_name=stage) for workflow, stage in names])

        def listed(**parameters: str) -> list[tuple[str, str]]:
            found = any_edge.api("recommendations", **parameters)
            return [(each["workflow_name"], each["stage_name"]) for each in found]

        assert listed() == sorted(names)
        assert listed(workflow_name="b") == [("b", "x"), ("b", "y")]
        assert listed(workflow_name="c") == []
        assert any_edge.api("recommendations")[0] == any_edge.api("recommendation", workflow_name="a", stage_name="x")

    @pytest.mark.parametrize("call", ["recommendation", "recommendations"])
    def test_what_has_not_changed_is_304(self, edge: Edge, call: str) -> None:
        """A router that sends the ETag back is spared the body, until something changes."""
        parameters = STAGE if call == "recommendation" else {}
        edge.post(rating())
        first = edge.get(f"/api/v1/{call}", parameters)
        tag = first.headers["ETag"]

        again = edge.get(f"/api/v1/{call}", parameters, If_None_Match=tag)
        weak = edge.get(f"/api/v1/{call}", parameters, If_None_Match=f'"x", W/{tag}')
        edge.post(rating())
        changed = edge.get(f"/api/v1/{call}", parameters, If_None_Match=tag)

        assert (first.status_code, again.status_code, weak.status_code, changed.status_code) == (200, 304, 304, 200)
        assert (again.data, again.headers["ETag"], again.headers.get("Content-Type")) == (b"", tag, None)
        assert changed.headers["ETag"] != tag

    @pytest.mark.parametrize("header", [{"If-None-Match": '"x"'}, {"If-None-Match": "x\xff,,"}, {"If-Match": '"x"'}])
    def test_other_conditions_are_passed_over(self, edge: Edge, header: dict[str, str]) -> None:
        """Only a tag that matches makes a difference."""
        assert edge.client.get("/api/v1/recommendations", headers=header).status_code == 200

    def test_stats_have_no_tag(self, edge: Edge) -> None:
        """Only the recommendations are asked again and again."""
        assert "ETag" not in edge.get("/api/v1/stats", STAGE).headers


class TestUnderperforming:
    """``GET /api/v1/underperforming``."""

    @pytest.fixture
    def varied(self, any_edge: Edge) -> Edge:
        """Return an exporter with series of several averages."""
        any_edge.post(
            [
                rating(stage_name="a", quality_score=0.5),
                rating(stage_name="b", quality_score=0.2),
                rating(stage_name="b", quality_score=0.5, tier="premium"),
                rating(stage_name="c", quality_score=0.7),
                rating(workflow_name="v", quality_score=0.1),
            ]
        )
        return any_edge

    def listed(self, edge: Edge, **parameters: object) -> list[str]:
        """Names of the series that are listed, and their averages."""
        found = edge.api("underperforming", **parameters)
        return ["{workflow_name}/{stage_name}/{tier} {avg_quality}".format(**each) for each in found]

    def test_the_worst_come_first(self, varied: Edge) -> None:
        """An average of exactly the threshold is not below it; equals are in order of their names."""
        assert self.listed(varied) == ["v/s/cheap 0.1", "w/b/cheap 0.2", "w/a/cheap 0.5", "w/b/premium 0.5"]

    def test_it_can_be_narrowed(self, varied: Edge) -> None:
        """By workflow, by threshold, and to the first few."""
        assert self.listed(varied, workflow_name="w", limit=1) == ["w/b/cheap 0.2"]
        assert self.listed(varied, quality_threshold=0.2) == ["v/s/cheap 0.1"]
        assert self.listed(varied, quality_threshold=1, limit=5)[-1] == "w/c/cheap 0.7"
        assert self.listed(varied, quality_threshold=0) == []
        assert self.listed(varied, workflow_name="x") == []

    def test_its_items_are_stats(self, varied: Edge) -> None:
        """Each is the same document as ``stats`` gives."""
        stats = varied.api("stats", workflow_name="v", stage_name="s", tier="cheap")

        assert varied.api("underperforming", limit=1) == [stats]


class TestHistory:
    """``GET /api/v1/history``."""

    def test_all_that_is_kept_of_a_rating(self, any_edge: Edge) -> None:
        """The fields are those of ``FeedbackEntry``, and who rated."""
        time = "2024-12-31T23:59:00.5+02:00"
        any_edge.post(rating(feedback_id="a", timestamp=time, metadata={"cost": 1.0}, source="judge"))

        assert any_edge.api("history", **STAGE) == [
            {
                "feedback_id": "a",
                "workflow_name": "w",
                "stage_name": "s",
                "tier": "cheap",
                "quality_score": 0.5,
                "timestamp": "2024-12-31T21:59:00.500000Z",
                "source": "judge",
                "metadata": {"cost": 1.0},
            }
        ]

    def test_newest_first(self, any_edge: Edge) -> None:
        """By the time of rating, whatever the order of arrival; of equals the later arrival first; all tiers mixed."""
        times = {"old": -60, "new": 60, "a": 0, "b": 0, "c": 0}
        any_edge.post(
            [
                rating(feedback_id=name, timestamp=NOW_SECONDS + time, tier="premium" if name == "b" else "cheap")
                for name, time in times.items()
            ]
        )

        def listed(**parameters: object) -> list[str]:
            return [entry["feedback_id"] for entry in any_edge.api("history", **STAGE, **parameters)]

        assert listed() == ["new", "c", "b", "a", "old"]
        assert listed(limit=2) == ["new", "c"]
        assert listed(tier="premium") == ["b"]
        assert listed(before="2025-01-01T00:00:00Z") == ["old"]
        assert listed(before=NOW_SECONDS + 0.000001) == ["c", "b", "a", "old"]
        assert listed(before=f"{NOW_SECONDS + 60}", limit=3) == ["c", "b", "a"]
        assert listed(before=0) == []
        assert any_edge.api("history", workflow_name="w", stage_name="other") == []

    def test_the_default_limit_is_100(self, edge: Edge) -> None:
        """Up to 1,000 can be asked for."""
        edge.post(batch(300))

        assert len(edge.api("history", **STAGE)) == 100
        assert len(edge.api("history", **STAGE, limit=1000)) == 300

    def test_only_live_ratings_are_shown(self, opened: Callable[..., Store]) -> None:
        """By the window of the stage, in whole hours, as everywhere else."""
        config = Config(workflows={"w": WorkflowOverrides(window_seconds=7200)})
        edge = Edge(opened("sqlite://"), config)
        edge.post([rating(timestamp=NOW_SECONDS - age, feedback_id=f"{age}") for age in (0, 3600, 7200)])
        edge.clock.advance(3599)

        assert [entry["feedback_id"] for entry in edge.api("history", **STAGE)] == ["0", "3600", "7200"]
        edge.clock.advance(1)
        assert [entry["feedback_id"] for entry in edge.api("history", **STAGE)] == ["0", "3600"]


class TestClear:
    """``DELETE /api/v1/feedback``."""

    def test_exactly_the_name_that_is_given(self, any_edge: Edge) -> None:
        """No character of it is a pattern."""
        names = ["*", "a", "a*", "%", "?", "[a]", "a:b", "_"]
        any_edge.post([rating(workflow_name=name) for name in names])

        assert any_edge.clear(workflow_name="*").json == {"cleared": 1}
        left = [each["workflow_name"] for each in any_edge.api("recommendations")]
        assert left == sorted(set(names) - {"*"})
        assert any_edge.clear(workflow_name="b").json == {"cleared": 0}

    def test_a_whole_workflow_or_one_stage(self, any_edge: Edge) -> None:
        """All tiers of it go, and count; the rest stays."""
        any_edge.post(
            [*batch(3, stage_name="a"), *batch(2, stage_name="a", tier="premium"), *batch(4, stage_name="b"), rating()]
        )

        assert any_edge.clear(workflow_name="w", stage_name="a").json == {"cleared": 5}
        assert any_edge.api("stats", workflow_name="w", stage_name="a") is None
        assert any_edge.api("history", workflow_name="w", stage_name="a") == []
        assert any_edge.api("stats", workflow_name="w", stage_name="b")["sample_count"] == 4
        assert any_edge.clear(workflow_name="w").json == {"cleared": 5}
        assert any_edge.api("recommendations") == []

    def test_its_ids_are_forgotten(self, any_edge: Edge) -> None:
        """A rating that was cleared can be sent again."""
        any_edge.post(rating(feedback_id="a"))
        any_edge.clear(workflow_name="w")

        assert any_edge.post(rating(feedback_id="a")).get_json()["accepted"] == 1

    def test_only_live_ratings_are_counted(self, opened: Callable[..., Store]) -> None:
        """What had left the window of its stage goes too, uncounted."""
        config = Config(
            rules=StageRules(window_seconds=7200), workflows={"v": WorkflowOverrides(window_seconds=86_400)}
        )
        edge = Edge(opened("sqlite://"), config)
        for workflow in ("w", "v"):
            edge.post([rating(workflow_name=workflow), rating(workflow_name=workflow, timestamp=NOW_SECONDS - 3600)])
        edge.clock.advance(7200)

        assert edge.clear(workflow_name="w").json == {"cleared": 1}
        assert edge.clear(workflow_name="v").json == {"cleared": 2}

    def test_the_scores_histogram_starts_anew(self, edge: Edge) -> None:
        """A series that is cleared and rated again has a record of its own."""
        edge.post(batch(3))
        edge.clear(workflow_name="w")
        edge.post(rating())

        assert edge.samples("llm_feedback_score")["llm_feedback_score_count", "w", "s", "cheap"] == 1


STATS, HISTORY, UNDER = "/api/v1/stats", "/api/v1/history", "/api/v1/underperforming"
ONE, ALL, CLEAR = "/api/v1/recommendation", "/api/v1/recommendations", "/api/v1/feedback"
WS = "workflow_name=w&stage_name=s"
TIERS = "cheap, capable, premium"
TIME = "is neither RFC 3339 with an offset nor Unix seconds"

BAD_PARAMETERS = [
    (STATS, "", "workflow_name", "is missing"),
    (STATS, "workflow_name=w", "stage_name", "is missing"),
    (HISTORY, "stage_name=s", "workflow_name", "is missing"),
    (ONE, "workflow_name=w", "stage_name", "is missing"),
    (CLEAR, "", "workflow_name", "is missing"),
    (CLEAR, "stage_name=s", "workflow_name", "is missing"),
    (STATS, "workflow_name=&stage_name=s", "workflow_name", "must not be empty"),
    (CLEAR, "workflow_name=w&stage_name=", "stage_name", "must not be empty"),
    (ALL, "workflow_name=", "workflow_name", "must not be empty"),
    (STATS, "workflow_name=w+&stage_name=s", "workflow_name", "'w ' has white space at an end"),
    (
        STATS,
        "workflow_name=w%0Ax&stage_name=s",
        "workflow_name",
        r"'w\nx' holds a control character or half a surrogate pair",
    ),
    (UNDER, f"workflow_name={'x' * 129}", "workflow_name", "has 129 characters, at most 128 are allowed"),
    (STATS, f"{WS}&workflow_name=w", "workflow_name", "is given more than once"),
    (CLEAR, "workflow_name=v&workflow_name=w", "workflow_name", "is given more than once"),
    (STATS, f"{WS}&x=1&x=2", "x", "is given more than once"),
    (STATS, f"{WS}&x=1", "x", "is not a parameter of this call; known are workflow_name, stage_name, tier"),
    (STATS, f"{WS}&limit=1", "limit", "is not a parameter of this call; known are workflow_name, stage_name, tier"),
    (
        ONE,
        f"{WS}&tier=cheap",
        "tier",
        "is not a parameter of this call; known are workflow_name, stage_name, current_tier",
    ),
    (ALL, WS, "stage_name", "is not a parameter of this call; known are workflow_name"),
    (
        UNDER,
        "threshold=1",
        "threshold",
        "is not a parameter of this call; known are workflow_name, quality_threshold, limit",
    ),
    (
        HISTORY,
        f"{WS}&after=1",
        "after",
        "is not a parameter of this call; known are workflow_name, stage_name, tier, limit, before",
    ),
    (
        CLEAR,
        "workflow_name=w&tier=cheap",
        "tier",
        "is not a parameter of this call; known are workflow_name, stage_name",
    ),
    (STATS, f"{WS}&tier=gpt", "tier", f"'gpt' is none of {TIERS}"),
    (STATS, f"{WS}&tier=", "tier", f"'' is none of {TIERS}"),
    (HISTORY, f"{WS}&tier=Cheap", "tier", f"'Cheap' is none of {TIERS}"),
    (ONE, f"{WS}&current_tier=0", "current_tier", f"'0' is none of {TIERS}"),
    *[
        (UNDER, f"quality_threshold={text}", "quality_threshold", f"{text!r} is not a number from 0 to 1")
        for text in ("x", "", "-0.1", "1.1", "nan", "inf", "70")
    ],
    *[
        (HISTORY, f"{WS}&limit={text}", "limit", f"{text!r} is not a whole number from 1 to 1000")
        for text in ("0", "1001", "-1", "1.0", "", "x", "٣", "1e2", "1_0")
    ],
    (HISTORY, f"{WS}&limit={'9' * 5000}", "limit", f"'{'9' * 76}... is not a whole number from 1 to 1000"),
    *[
        (HISTORY, f"{WS}&before={text}", "before", f"{text!r} {TIME}")
        for text in ("x", "", "2025-01-01", "nan", "inf", "1e13", "2025-01-01T00:00:00")
    ],
]


@pytest.mark.parametrize(("path", "query", "field", "reason"), BAD_PARAMETERS)
def test_a_bad_parameter_is_400(edge: Edge, path: str, query: str, field: str, reason: str) -> None:
    """The parameter at fault is named, with what is wrong; nothing else happens."""
    edge.post(rating())
    method = "DELETE" if path == CLEAR else "GET"

    answer = edge.client.open(path, method=method, query_string=query)

    assert problem(answer, 400) == {"detail": f"{field}: {reason}.", "field": field}
    assert len(edge.api("recommendations")) == 1


@pytest.mark.parametrize("name", ["%ff", "%ed%a0%80", "a%c3"])
def test_a_query_is_utf_8(edge: Edge, name: str) -> None:
    """What is not UTF-8 names nothing: it is not taken for the name that it looks like."""
    edge.post(rating(workflow_name=name.upper().replace("A%", "a%")))

    answer = edge.client.delete(CLEAR, query_string=f"workflow_name={name}")

    assert problem(answer, 400) == {"detail": "the query is not percent-encoded UTF-8.", "field": None}
    assert len(edge.api("recommendations")) == 1


def test_a_query_of_raw_bytes_is_400(edge: Edge) -> None:
    """Bytes that no client should send unencoded are no crash."""
    answer = edge.client.get(STATS, environ_overrides={"QUERY_STRING": "workflow_name=\xff&stage_name=s"})

    assert problem(answer, 400) == {"detail": "the query is not percent-encoded UTF-8.", "field": None}


@pytest.mark.parametrize("name", ["a:b", "a|b", 'quote"d', "back\\slash", "*", "日本語", "a&b=c", "a+b", "%41", "#"])
def test_names_stay_apart_and_come_back(any_edge: Edge, name: str) -> None:
    """Each name is itself in statistics, recommendations, history and metrics, and is no other's."""
    others = ["a", "b", "A", "quoted", "backslash", "日本", ":", "|", "a b"]
    any_edge.post([rating(workflow_name=name, stage_name=name, quality_score=0.875)])
    any_edge.post([rating(workflow_name=other, stage_name=each) for other in others for each in (name, other)])
    stage = {"workflow_name": name, "stage_name": name}

    assert any_edge.api("stats", **stage)["avg_quality"] == 0.875
    assert any_edge.api("recommendation", **stage)["stats"]["cheap"] == any_edge.api("stats", **stage, tier="cheap")
    assert [(entry["workflow_name"], entry["stage_name"]) for entry in any_edge.api("history", **stage)] == [
        (name, name)
    ]
    averages = any_edge.samples("llm_feedback_quality_avg")
    assert averages["llm_feedback_quality_avg", name, name, "cheap"] == 0.875
    assert len(averages) == 1 + 2 * len(others)
    assert any_edge.clear(**stage).json == {"cleared": 1}
    assert len(any_edge.samples("llm_feedback_quality_avg")) == 2 * len(others)
