"""The text of ``/metrics`` says what the view says, in both formats, and costs only what changed."""

import math
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import names
from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.exposition import Exposition
from exporter.fold import HOUR_MICROSECONDS
from exporter.rules import WEEK, Rules, StageRules
from exporter.store import open_store
from exporter.store.base import Store
from exporter.view import View
from tests.bench import rival
from tests.golden.documents import FOLDER, documents

NOW = 1_735_691_400 * MILLION
LADDER = Rules().tiers
EOF = b"# EOF\n"
AWKWARD = ("a:b", "a|b", "{}", 'quote"d', "back\\slash", "\\", '\\"', "*", "日本語", "%s %d", "a,b=c", "\\n")
FAMILIES = (*names.PER_SERIES, *names.PER_STAGE, names.TIER_RANK)


@pytest.fixture
def store() -> Iterator[Store]:
    """Hold an empty store in memory."""
    with closing(open_store("sqlite://")) as opened:
        yield opened


def rating(key: SeriesKey, score: float, timestamp: int = NOW) -> Feedback:
    """Make a rating that arrives when it is given."""
    return Feedback(key, f"{timestamp}", round(score * MILLION), timestamp, timestamp)


def rate(store: Store, key: SeriesKey, *scores: float, now: int = NOW) -> None:
    """Store one rating a microsecond, the newest at ``now``."""
    begin = now - len(scores) + 1
    store.append([rating(key, score, begin + place) for place, score in enumerate(scores)], now)


def refreshed(store: Store, rules: Rules | None = None, now: int = NOW) -> View:
    """Make a view of all that ``store`` holds."""
    view = View(store, rules or Rules())
    view.refresh(now)
    return view


def awkward_view(store: Store) -> View:
    """Make a view in which every awkward name stands as workflow and as stage."""
    for place, name in enumerate(AWKWARD):
        rate(store, SeriesKey(name, AWKWARD[place - 1], LADDER[place % 3]), *[place / 12] * (place + 1))
    return refreshed(store)


@pytest.mark.parametrize("name", ["metrics.txt", "metrics.openmetrics.txt"])
def test_golden(name: str) -> None:
    """The whole document of a small view reads as agreed, in both formats."""
    expected = (FOLDER / name).read_text(encoding="utf-8")

    assert documents()[name].decode() == expected


def test_text_says_what_the_view_says(store: Store) -> None:
    """Every sample equals a straight read of the view, and awkward names come back as they went in."""
    view = awkward_view(store)

    text = Exposition(view).render()

    assert rival.parsed(text) == rival.samples(rival.families(view))


def test_both_parsers_agree(store: Store) -> None:
    """The same text is valid OpenMetrics, once ended, and holds the same samples there."""
    text = Exposition(awkward_view(store)).render()

    assert rival.samples(rival.openmetrics_families_of(text + EOF)) == rival.parsed(text)


def test_headers_are_those_of_prometheus_client(store: Store) -> None:
    """HELP and TYPE of every family, with or without samples, are what prometheus-client would write."""
    for view in (refreshed(store), awkward_view(store)):
        ours = [line for line in Exposition(view).render().splitlines() if line.startswith(b"# ")]
        theirs = [line for line in rival.render(rival.families(view)).splitlines() if line.startswith(b"# ")]

        assert sorted(ours) == sorted(theirs)


def test_families_are_those_of_the_table(store: Store) -> None:
    """Names, types, labels and help of the families are those of ``names``."""
    families = rival.families_of(Exposition(awkward_view(store)).render())

    assert {family.name: (family.type, family.documentation) for family in families} == {
        metric.name: (metric.type, metric.help) for metric in FAMILIES
    }
    for metric in FAMILIES:
        (family,) = [family for family in families if family.name == metric.name]
        assert {tuple(label for label in sample.labels if label != "le") for sample in family.samples} == {
            metric.labels
        }


def test_help_needs_no_escaping() -> None:
    """No help holds what one of the formats escapes: they could not share their text."""
    assert not [metric.name for metric in names.METRICS if set(metric.help) & set('\\"\n')]


@pytest.mark.parametrize("name", ["metrics.txt"])
def test_promtool_finds_nothing(name: str) -> None:
    """Promtool accepts and does not lint the document."""
    checked = subprocess.run(
        ["/usr/bin/promtool", "check", "metrics"], input=documents()[name], capture_output=True, check=False
    )

    assert (checked.returncode, checked.stderr.decode(), checked.stdout.decode()) == (0, "", "")


def test_label_values_are_escaped(store: Store) -> None:
    """Backslash and quote are escaped in label values, everything else stands as it is."""
    rate(store, SeriesKey('quote"d', "back\\slash 日本語", "cheap"), 0.5)

    text = Exposition(refreshed(store)).render().decode()

    labels = r'{workflow="quote\"d",stage="back\\slash 日本語",tier="cheap"}'
    assert f"llm_feedback_quality_avg{labels} 0.5\n" in text


def test_no_name_breaks_the_text(store: Store) -> None:
    """Even names that no client may send, should a store hold them, leave every other series as it is."""
    rate(store, SeriesKey("new\nline", "nul\0", "cheap"), 0.5)
    rate(store, SeriesKey("w", "s", "cheap"), 0.25)

    read = rival.parsed(Exposition(refreshed(store)).render())

    forbidden = (("stage", "nul\N{REPLACEMENT CHARACTER}"), ("tier", "cheap"), ("workflow", "new\nline"))
    assert read["llm_feedback_quality_avg", forbidden] == 0.5
    assert read["llm_feedback_min_samples", (("stage", "s"), ("workflow", "w"))] == 10


@pytest.mark.parametrize("score", [0.1 + 0.2, 1 / 3, 1e-6, 0.999999, 0.0, 1.0])
def test_numbers_round_trip(store: Store, score: float) -> None:
    """A number comes back as the very float that the view holds."""
    key = SeriesKey("w", "s", "cheap")
    rate(store, key, score, 2 / 3, 0.1)
    view = refreshed(store)

    read = rival.parsed(Exposition(view).render())

    labels = (("stage", "s"), ("tier", "cheap"), ("workflow", "w"))
    assert read["llm_feedback_quality_avg", labels] == view.stage("w", "s").stats["cheap"].avg_quality
    assert all(math.isfinite(value) for value in read.values())


def test_histogram_counts_since_the_record_was_made(store: Store) -> None:
    """The histogram keeps scores that have left the window; an edge belongs to the bucket below it."""
    key = SeriesKey("w", "s", "cheap")
    hour_ago = NOW - HOUR_MICROSECONDS
    rate(store, key, 0.05, 0.1, 0.100001, 0.9, now=hour_ago)
    rate(store, key, 1.0)
    short = Rules(defaults=StageRules(window_seconds=3600))
    view = refreshed(store, short, NOW + HOUR_MICROSECONDS // 2)

    text = Exposition(view).render(frozenset({"llm_feedback_score"})).decode()

    labels = 'workflow="w",stage="s",tier="cheap"'
    assert view.stage("w", "s").stats["cheap"].sample_count == 1
    assert text == (
        "# HELP llm_feedback_score Scores since the record of the series was made.\n"
        "# TYPE llm_feedback_score histogram\n"
        f'llm_feedback_score_bucket{{{labels},le="0.1"}} 2.0\n'
        f'llm_feedback_score_bucket{{{labels},le="0.3"}} 3.0\n'
        f'llm_feedback_score_bucket{{{labels},le="0.5"}} 3.0\n'
        f'llm_feedback_score_bucket{{{labels},le="0.7"}} 3.0\n'
        f'llm_feedback_score_bucket{{{labels},le="0.85"}} 3.0\n'
        f'llm_feedback_score_bucket{{{labels},le="0.9"}} 4.0\n'
        f'llm_feedback_score_bucket{{{labels},le="1.0"}} 5.0\n'
        f'llm_feedback_score_bucket{{{labels},le="+Inf"}} 5.0\n'
        f"llm_feedback_score_sum{{{labels}}} 2.150001\n"
        f"llm_feedback_score_count{{{labels}}} 5.0\n"
    )


def test_without_ratings_only_the_ladder_has_samples(store: Store) -> None:
    """A series without live ratings is absent: no invented 0. The ladder's ranks are always there."""
    read = rival.parsed(Exposition(refreshed(store)).render())

    assert read == {("llm_feedback_tier_rank", (("tier", tier),)): float(rank) for rank, tier in enumerate(LADDER)}


@pytest.mark.parametrize(
    ("wanted", "families"),
    [
        ({"llm_feedback_recommended_tier"}, {"llm_feedback_recommended_tier"}),
        ({"llm_feedback_score"}, {"llm_feedback_score"}),
        ({"llm_feedback_score_bucket"}, {"llm_feedback_score"}),
        ({"llm_feedback_score_sum"}, {"llm_feedback_score"}),
        ({"llm_feedback_score_count", "llm_feedback_tier_rank"}, {"llm_feedback_score", "llm_feedback_tier_rank"}),
        ({"llm_feedback_quality_avg_count"}, set()),
        ({"unknown", ""}, set()),
        (set(), set()),
    ],
)
def test_wanted_families(store: Store, wanted: set[str], families: set[str]) -> None:
    """A family comes whole where its name or one of its samples' names is wanted, no other comes."""
    exposition = Exposition(awkward_view(store))

    read = rival.families_of(exposition.render(frozenset(wanted)))

    whole = {family.name: family for family in rival.families_of(exposition.render())}
    assert {family.name: family for family in read} == {name: whole[name] for name in families}


def test_nothing_changed_costs_nothing(store: Store) -> None:
    """While no text changes, the very same bytes are handed out; a refresh that finds the same changes none."""
    rate(store, SeriesKey("w", "s", "cheap"), 0.5)
    view = refreshed(store)
    exposition = Exposition(view)
    before = exposition.render()

    view.set_rules(Rules())
    view.refresh(NOW)

    assert exposition.render() is before


def test_a_change_shows(store: Store) -> None:
    """A new rating, a cleared stage and a new ladder are each in the next text."""
    rate(store, SeriesKey("w", "s", "cheap"), 0.5)
    view = refreshed(store)
    exposition = Exposition(view)
    assert b'llm_feedback_window_samples{workflow="w",stage="s",tier="cheap"} 1.0' in exposition.render()

    rate(store, SeriesKey("w", "s", "cheap"), 0.5, now=NOW + 1)
    view.refresh(NOW + 1)
    assert b'llm_feedback_window_samples{workflow="w",stage="s",tier="cheap"} 2.0' in exposition.render()

    view.set_rules(Rules(tiers=("small", "cheap")))
    view.refresh(NOW + 1)
    assert b'llm_feedback_current_tier{workflow="w",stage="s",tier="small"} 0.0' in exposition.render()
    assert (
        b'llm_feedback_tier_rank{tier="small"} 0.0\nllm_feedback_tier_rank{tier="cheap"} 1.0\n' in exposition.render()
    )

    store.clear("w", None, NOW + 1)
    view.refresh(NOW + 1)
    assert b'workflow="w"' not in exposition.render()


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("rate"),
            st.sampled_from(["a", "b", 'c"']),
            st.sampled_from(LADDER),
            st.floats(0, 1),
            st.integers(0, 200),
        ),
        st.tuples(st.just("pass"), st.integers(0, 100)),
        st.tuples(st.just("clear"), st.sampled_from(["a", "b", 'c"'])),
        st.tuples(st.just("rules"), st.sampled_from([LADDER, LADDER[1:]]), st.sampled_from([3600, WEEK])),
    ),
    max_size=12,
)


@given(steps=STEPS)
def test_incremental_equals_from_scratch(steps: list[tuple[object, ...]]) -> None:
    """Whatever happens in whatever order, the text equals that of an exporter that has just started."""
    with closing(open_store("sqlite://")) as store:
        rules, now = Rules(), NOW
        view = View(store, rules)
        exposition = Exposition(view)
        for step in steps:
            match step:
                case ("rate", str(workflow), str(tier), float(score), int(hours)):
                    store.append([rating(SeriesKey(workflow, "s", tier), score, now - hours * HOUR_MICROSECONDS)], now)
                case ("pass", int(hours)):
                    now += hours * HOUR_MICROSECONDS
                case ("clear", str(workflow)):
                    store.clear(workflow, None, now)
                case ("rules", tuple() as tiers, int(window)):
                    rules = Rules(tiers=tiers, defaults=StageRules(window_seconds=window))
                    view.set_rules(rules)
            now += 1
            view.refresh(now)

            assert exposition.render() == Exposition(refreshed(store, rules, now)).render()


def test_threads_see_whole_texts(store: Store) -> None:
    """Renderings by many threads while ratings come in: each is a whole text, the last one is up to date."""
    view = refreshed(store)
    exposition = Exposition(view)

    def step(number: int) -> set[str]:
        rate(store, SeriesKey(f"w{number % 7}", "s", LADDER[number % 3]), 0.5, now=NOW + number)
        view.refresh(NOW + number)
        return {family.name for family in rival.families_of(exposition.render())}

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(step, range(100)))

    assert seen == [{metric.name for metric in FAMILIES}] * 100
    view.refresh(NOW + 100)
    assert exposition.render() == Exposition(refreshed(store, now=NOW + 100)).render()
