"""The picture of all series: brought up to date by what changed, and always the one that a fresh look would give."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from types import TracebackType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import MILLION, SeriesKey
from exporter.errors import StoreError, StoreRefused, StoreUnavailable
from exporter.fold import unpack_totals
from exporter.rules import WEEK, Rules, StageRules, WorkflowOverrides
from exporter.store import open_store
from exporter.store.base import Changes, Cursor, Store
from exporter.view import Stage, StageKey, View, assess, live_samples
from tests.support import reference
from tests.support.ratings import HOUR, KEY, NOW, feedback, record_of, spread
from tests.support.reference import Rating
from tests.support.waiting import eventually

LADDER = Rules().ladder
STAGE = KEY[:2]


@pytest.fixture
def store() -> Iterator[Store]:
    """Hold an empty store in memory."""
    with closing(open_store("sqlite://")) as opened:
        yield opened


def rate(store: Store, ratings: Sequence[Rating], key: SeriesKey = KEY, now: int = NOW) -> None:
    """Store ``ratings``, each in the series of its tier."""
    verdicts = store.append([feedback(rating, key) for rating in ratings], now)
    assert set(verdicts) <= {"new"}


def view_of(store: Store, rules: Rules | None = None, now: int = NOW) -> View:
    """Make a view of all that ``store`` holds."""
    view = View(store, rules or Rules())
    view.refresh(now)
    return view


def picture(view: View) -> dict[StageKey, tuple[object, ...]]:
    """All that a view says, by stage."""
    return {
        stage.key: (stage.rules, stage.series, stage.all_tiers, stage.current_tier, stage.recommendation)
        for stage in view.stages
    }


def samples(view: View) -> dict[StageKey, int]:
    """Live ratings by stage."""
    return {stage.key: stage.all_tiers.sample_count for stage in view.stages if stage.all_tiers}


class TestStage:
    """What a stage says of itself."""

    def test_a_stage_with_ratings(self, store: Store) -> None:
        """Statistics by tier in the order of the ladder, over all tiers, current tier and recommendation."""
        premium, cheap = spread([0.9] * 10, end=NOW - 100, tier="premium"), spread([0.5] * 12)
        rate(store, premium + cheap)
        stage = view_of(store).stage(*STAGE)

        assert list(stage.stats) == ["cheap", "premium"]
        assert [stats.avg_quality for stats in stage.stats.values()] == [0.5, 0.9]
        assert stage.all_tiers is not None
        fields = msgspec.structs.asdict(stage.all_tiers)
        assert {field: fields[field] for field in reference.statistics(premium)} == pytest.approx(
            reference.statistics(sorted(premium + cheap))
        )
        assert (fields["workflow_name"], fields["stage_name"], fields["tier"]) == (*STAGE, None)
        assert stage.series["cheap"].totals == unpack_totals(record_of(cheap).totals)
        assert stage.current_tier == "cheap"
        assert stage.recommendation.recommended_tier == "capable"
        assert stage.recommendation.stats == stage.stats
        assert stage.recommend("premium").reason == (
            "Stay on premium: premium averages 0.9 over 10 ratings, between 0.7 and 0.9."
        )
        assert [stage.advise(tier) for tier in LADDER] == [("capable", 0.6), ("capable", 0.0), ("premium", 0.5)]

    @pytest.mark.parametrize(("start_tier", "current"), [(None, "cheap"), ("premium", "premium")])
    def test_a_stage_without_ratings(self, store: Store, start_tier: str | None, current: str) -> None:
        """A stage that nobody rated has no statistics and stands on its start tier."""
        stage = view_of(store, Rules(defaults=StageRules(start_tier=start_tier))).stage("nobody", "rated")

        assert stage.key == ("nobody", "rated")
        assert (stage.stats, stage.all_tiers, stage.current_tier) == ({}, None, current)
        assert stage.recommendation.confidence == 0
        assert stage.recommendation.reason == (
            f"Stay on {current}: it has 0 ratings in the window, a recommendation needs 10."
        )

    def test_a_tier_that_has_left_the_ladder_is_not_shown(self, store: Store) -> None:
        """Series of tiers that the configuration no longer names are kept in the store and left out of the view."""
        rate(store, spread([0.5] * 3, tier="cheap"))
        rate(store, spread([0.5] * 3, tier="ancient"), KEY)
        rate(store, spread([0.5] * 3, tier="ancient"), SeriesKey("w", "s", ""))
        view = view_of(store)

        assert [stage.key for stage in view.stages] == [STAGE]
        assert list(view.stage(*STAGE).stats) == ["cheap"]
        rate(store, spread([0.5], end=NOW + HOUR, tier="ancient"), now=NOW + HOUR)
        view.refresh(NOW + HOUR)
        assert list(view.stage(*STAGE).stats) == ["cheap"]

    def test_assess(self) -> None:
        """A stage is assessed from records alone; dead ones are left out."""
        records = {
            "cheap": record_of(spread([0.5])),
            "premium": record_of(spread([0.5], end=NOW - WEEK * MILLION), now=NOW - WEEK * MILLION),
        }

        assert list(assess(STAGE, records, StageRules(), LADDER, NOW).stats) == ["cheap"]


class TestRefresh:
    """What a refresh sees."""

    def test_a_view_begins_empty(self, store: Store) -> None:
        """Before the first refresh nothing is known, and no time of update."""
        rate(store, spread([0.5]))
        view = View(store, Rules())

        assert (view.stages, view.updated_at) == ([], None)

    def test_appends_and_clears_are_seen(self, store: Store) -> None:
        """Each refresh shows what was appended or cleared before it."""
        view = view_of(store)
        rate(store, spread([0.5] * 3))
        view.refresh(NOW)
        assert samples(view) == {STAGE: 3}

        rate(store, spread([0.5] * 2, tier="premium"))
        rate(store, spread([0.5]), SeriesKey("other", "stage", "cheap"))
        view.refresh(NOW)
        assert samples(view) == {STAGE: 5, ("other", "stage"): 1}

        store.clear("code-review", None, NOW)
        view.refresh(NOW + 1)
        assert samples(view) == {("other", "stage"): 1}
        assert view.updated_at == NOW + 1

    def test_untouched_stages_are_not_assessed_again(self, store: Store) -> None:
        """A refresh leaves the very objects of stages in which nothing changed."""
        rate(store, spread([0.5]))
        rate(store, spread([0.5]), SeriesKey("other", "stage", "cheap"))
        view = view_of(store)
        before = view.stage(*STAGE), view.stage("other", "stage")
        rate(store, spread([0.6], end=NOW + 9), SeriesKey("other", "stage", "cheap"))
        view.refresh(NOW)

        assert view.stage(*STAGE) is before[0]
        assert view.stage("other", "stage") is not before[1]

    def test_hours_pass_without_a_rating(self, store: Store) -> None:
        """Each hour leaves the window at its own microsecond, the stage with the last of them."""
        rate(store, spread([0.1] * 2, end=NOW) + spread([0.9] * 3, end=NOW + HOUR, tier="premium"), now=NOW + HOUR)
        view = view_of(store, now=NOW + HOUR)
        dies = NOW + WEEK * MILLION

        seen = []
        for now in (dies - 1, dies, dies + HOUR - 1, dies + HOUR):
            view.refresh(now)
            seen.append(samples(view))

        assert seen == [{STAGE: 5}, {STAGE: 3}, {STAGE: 3}, {}]

    def test_each_stage_has_its_own_window(self, store: Store) -> None:
        """Of two stages with equal ratings, the one with the shorter window forgets first."""
        rules = Rules(workflows={"short": WorkflowOverrides(window_seconds=3600)})
        for workflow in ("short", "long"):
            rate(store, spread([0.5]), SeriesKey(workflow, "s", "cheap"))
        view = view_of(store, rules)
        view.refresh(NOW + HOUR)

        assert samples(view) == {("long", "s"): 1}

    def test_a_complete_reread_forgets(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the store says that its answer is all there is, everything else is gone."""
        rate(store, spread([0.5]))
        rate(store, spread([0.5]), SeriesKey("other", "stage", "cheap"))
        view = view_of(store)
        view.take_changed()
        kept = SeriesKey("other", "stage", "capable")
        answer = Changes("cursor", [(kept, record_of(spread([0.7])))], complete=True)
        monkeypatch.setattr(store, "changes", lambda _cursor: answer)
        view.refresh(NOW)

        assert list(view.stage("other", "stage").stats) == ["capable"]
        assert set(view.take_changed()) == {STAGE, ("other", "stage")}
        assert [stage.key for stage in view.stages] == [("other", "stage")]

    def test_the_cursor_is_handed_back(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every refresh asks from where the last successful one ended; new rules ask from the beginning."""
        asked: list[Cursor | None] = []

        def changes(cursor: Cursor | None) -> Changes:
            asked.append(cursor)
            if len(asked) == 3:
                raise StoreUnavailable("away")
            return Changes(len(asked), [], complete=cursor is None)

        monkeypatch.setattr(store, "changes", changes)
        view = View(store, Rules())
        for _ in range(5):
            refresh_or_not(view)
        view.set_rules(Rules())
        refresh_or_not(view)

        assert asked == [None, 1, 2, 2, 4, None]

    def test_a_clock_that_was_set_back_brings_hours_back(self, store: Store) -> None:
        """After a clock that ran ahead is set right, all is assessed anew, though no rating came."""
        rate(store, spread([0.2, 0.9], end=NOW))
        view = view_of(store, now=NOW + 30 * 24 * HOUR)
        assert picture(view) == {}
        view.refresh(NOW)

        assert picture(view) == picture(view_of(store))
        assert samples(view) == {STAGE: 2}
        assert (view.updated_at, view.series_count) == (NOW, 1)

    def test_a_clock_that_ran_ahead_while_the_store_was_away(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What left the window in an outage, by a clock that was wrong, comes back when clock and store do."""
        rate(store, spread([0.2, 0.9], end=NOW))
        view = view_of(store)

        def away(_: Cursor | None) -> Changes:
            raise StoreUnavailable("away")

        with monkeypatch.context() as outage:
            outage.setattr(store, "changes", away)
            assert refresh_or_not(view, NOW + 30 * 24 * HOUR) is not None
        assert picture(view) == {}
        view.refresh(NOW)

        assert picture(view) == picture(view_of(store))
        assert samples(view) == {STAGE: 2}

    @pytest.mark.parametrize("back", [0, 60 * MILLION])
    def test_callers_whose_moments_cross(self, store: Store, back: int) -> None:
        """A moment that lies a little before the last refresh, as that of one who waited, does not turn time back."""
        rate(store, spread([0.2], end=NOW))
        view = view_of(store)
        view.refresh(NOW - back)

        assert view.updated_at == NOW
        assert list(view.take_changed()) == [STAGE]
        view.refresh(NOW - 60 * MILLION - 1)
        assert view.updated_at == NOW - 60 * MILLION - 1

    def test_many_ratings_one_by_one(self, store: Store) -> None:
        """What is carried from refresh to refresh, hour by hour and beyond a hundred ratings, is as if read at once."""
        view = View(store, Rules(defaults=StageRules(window_seconds=3600)))
        for turn in range(60):
            now = NOW + turn * HOUR // 20
            scores = [(turn * 7 + place) % 11 / 10 for place in range(0 if turn % 9 == 8 else turn % 5 * 9)]
            rate(store, spread(scores, end=now, step=1, tier=LADDER[turn // 12 % 3]), now=now)
            view.refresh(now)

            assert picture(view) == picture(view_of(store, view.rules, now))


def refresh_or_not(view: View, now: int = NOW) -> StoreError | None:
    """Refresh, and return the error that stood in the way."""
    try:
        view.refresh(now)
    except StoreError as error:
        return error
    return None


class TestFailure:
    """A store that cannot be read."""

    @pytest.mark.parametrize("kind", [StoreUnavailable, StoreRefused])
    def test_the_last_view_stands(self, store: Store, monkeypatch: pytest.MonkeyPatch, kind: type[StoreError]) -> None:
        """A refresh that fails raises what the store raised, and leaves the view and its age as they were."""
        rate(store, spread([0.5] * 3))
        view = view_of(store)
        before = picture(view)
        rate(store, spread([0.9], tier="premium"))
        with monkeypatch.context() as patch:
            patch.setattr(store, "changes", failing(kind("no such host")))
            error = refresh_or_not(view, NOW + 5)

            assert type(error) is kind
            assert str(error) == "no such host"
            assert isinstance(error.__cause__, kind)
            assert picture(view) == before
            assert view.updated_at == NOW

        view.refresh(NOW + 6)
        assert samples(view) == {STAGE: 4}
        assert view.updated_at == NOW + 6

    def test_what_leaves_the_window_leaves_the_view_meanwhile(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Hours pass while the store is away: old ratings do not stay for ever."""
        rate(store, spread([0.1], end=NOW) + spread([0.9] * 3, end=NOW + HOUR), now=NOW + HOUR)
        view = view_of(store, now=NOW + HOUR)
        monkeypatch.setattr(store, "changes", failing(StoreUnavailable("away")))

        assert refresh_or_not(view, NOW + WEEK * MILLION)
        assert samples(view) == {STAGE: 3}
        assert refresh_or_not(view, NOW + WEEK * MILLION + HOUR)
        assert samples(view) == {}
        assert view.updated_at == NOW + HOUR

    @pytest.mark.parametrize("complete", [False, True])
    def test_a_record_of_a_newer_version_is_a_refusal(
        self,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        complete: bool,  # noqa: FBT001 - pytest passes it by name
    ) -> None:
        """A record that cannot be read fails the refresh in words, not later the rendering; the view stands."""
        rate(store, spread([0.5]))
        view = view_of(store)
        newer = record_of(spread([0.5]))._replace(totals=b"\2" + b"\0" * 90)
        answer = Changes("cursor", [(KEY, newer)], complete)
        with monkeypatch.context() as patch:
            patch.setattr(store, "changes", lambda _cursor: answer)

            with pytest.raises(StoreRefused) as caught:
                view.refresh(NOW)
            assert str(caught.value) == (
                "a record in the store has a format that this version does not know; "
                "it was written by a newer llm-feedback-exporter: upgrade this one"
            )
            assert samples(view) == {STAGE: 1}

        rate(store, spread([0.5], tier="premium"))
        view.refresh(NOW)
        assert samples(view) == {STAGE: 2}


def failing(error: StoreError) -> Callable[[Cursor | None], Changes]:
    """Return a ``changes`` that raises ``error``."""

    def changes(_cursor: Cursor | None) -> Changes:
        raise error

    return changes


class TestRules:
    """Rules that change while the view lives."""

    def test_new_rules_hold_from_the_next_refresh(self, store: Store) -> None:
        """Thresholds, windows and ladder are those of the rules in force at the last refresh."""
        rate(store, spread([0.5] * 10, end=NOW - 2 * HOUR) + spread([0.95] * 20))
        view = view_of(store)
        rules = Rules(
            tiers=("small", "cheap"), defaults=StageRules(window_seconds=3600, quality_threshold=0.99), workflows={}
        )
        view.set_rules(rules)

        assert samples(view) == {STAGE: 30}
        view.refresh(NOW)
        assert samples(view) == {STAGE: 20}
        assert view.stage(*STAGE).recommendation.reason == (
            "Stay on cheap: cheap averages 0.95 over 20 ratings, below 0.99, but there is no higher tier."
        )
        assert picture(view) == picture(view_of(store, rules))

    def test_a_stage_that_loses_all_its_tiers_goes(self, store: Store) -> None:
        """When no tier of a stage is on the new ladder, the stage is gone, and is back with the old ladder."""
        rate(store, spread([0.5]))
        view = view_of(store)
        for tiers, expected in ((("small", "large"), {}), (Rules().tiers, {STAGE: 1})):
            view.set_rules(Rules(tiers=tiers))
            view.refresh(NOW)

            assert samples(view) == expected

    def test_the_old_rules_hold_while_the_store_is_away(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """With new rules but nothing to read, hours go on passing by the rules that made the view."""
        rate(store, spread([0.5]))
        view = view_of(store)
        view.set_rules(Rules(defaults=StageRules(window_seconds=3600)))
        monkeypatch.setattr(store, "changes", failing(StoreUnavailable("away")))

        assert refresh_or_not(view, NOW + WEEK * MILLION - 1)
        assert samples(view) == {STAGE: 1}
        assert refresh_or_not(view, NOW + WEEK * MILLION)
        assert samples(view) == {}


class TestChanged:
    """What the one reader that caches is told."""

    def test_changed_stages_are_handed_out_once(self, store: Store) -> None:
        """A stage is handed out after it changed, ``None`` after it went, and not again."""
        rate(store, spread([0.5]))
        rate(store, spread([0.5]), SeriesKey("other", "stage", "cheap"))
        view = view_of(store)

        assert view.take_changed() == {stage.key: stage for stage in view.stages}
        assert view.take_changed() == {}
        store.clear("other", None, NOW)
        view.refresh(NOW)
        assert view.take_changed() == {("other", "stage"): None}
        view.refresh(NOW + WEEK * MILLION)
        assert view.take_changed() == {STAGE: None}

    def test_a_refresh_that_finds_nothing_changes_nothing(self, store: Store) -> None:
        """Without new ratings and before an hour dies, no stage is handed out."""
        rate(store, spread([0.5]))
        view = view_of(store)
        view.take_changed()
        view.refresh(NOW + HOUR)

        assert view.take_changed() == {}


class TestMemory:
    """What a view keeps is bounded by the live stages."""

    def test_clearing_and_rating_again_and_again(self, store: Store) -> None:
        """However often a stage comes and goes, the list of stale moments stays short."""
        view = View(store, Rules())
        for turn in range(1000):
            key = SeriesKey("w", f"stage {turn % 7}", "cheap")
            rate(store, spread([0.5], end=NOW + turn), key)
            view.refresh(NOW)
            store.clear("w", None, NOW)
            view.refresh(NOW)
            assert len(view._stale) <= 103

        rate(store, spread([0.5]))
        view.refresh(NOW)
        view.refresh(NOW + WEEK * MILLION)
        assert samples(view) == {}
        assert view._stale == []

    def test_late_ratings_again_and_again(self) -> None:
        """Ratings that arrive later and later for their hour do not pile up moments either."""
        rules = Rules(defaults=StageRules(window_seconds=90 * 86_400))
        with closing(open_store("sqlite://", retention=rules.longest_window)) as store:
            view = View(store, rules)
            for hour in range(400):
                rate(store, spread([0.5], end=NOW - hour * HOUR))
                view.refresh(NOW)

            assert len(view._stale) <= 103
            view.refresh(NOW + 90 * 86_400 * MILLION - 200 * HOUR)
            assert samples(view) == {STAGE: 200}


class CountingLock:
    """A lock that says how many have come to it."""

    def __init__(self) -> None:
        """Begin open."""
        self._lock = threading.Lock()
        self._count = threading.Lock()
        self.arrived = 0

    def __enter__(self) -> None:
        """Be counted, then wait."""
        with self._count:
            self.arrived += 1
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._lock.release()


class Gate:
    """A store's ``changes`` whose first call, having read, waits until it is let go."""

    def __init__(self, changes: Callable[[Cursor | None], Changes], failure: StoreError | None = None) -> None:
        """Begin closed; where a ``failure`` is given, the first call then raises it."""
        self._changes = changes
        self._failure = failure
        self.calls = 0
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, cursor: Cursor | None) -> Changes:
        """Read; the first time, wait before handing out what was read."""
        self.calls += 1
        changes = self._changes(cursor)
        if self.calls == 1:
            self.reached.set()
            assert self.opened.wait(timeout=30)
            if self._failure is not None:
                raise self._failure
        return changes


class Crowd:
    """One thread whose refresh hangs in the store, and others that ask for one meanwhile."""

    def __init__(self, view: View, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
        """Start the first, and wait until it hangs."""
        self.view = view
        self.gate = gate
        self.lock = CountingLock()
        self.found: dict[int, str] = {}
        monkeypatch.setattr(view, "_lock", self.lock)
        self.threads: list[threading.Thread] = []
        self._start()
        assert gate.reached.wait(timeout=30)

    def _start(self) -> None:
        self.threads.append(threading.Thread(target=self._ask, args=(len(self.threads),)))
        self.threads[-1].start()

    def _ask(self, place: int) -> None:
        self.found[place] = str(refresh_or_not(self.view) or samples(self.view))

    def come(self, count: int) -> None:
        """Let others ask, and wait until all of them wait for the first."""
        for _ in range(count):
            self._start()
        eventually(lambda: self.lock.arrived == 1 + count, "all have come")

    def go_on(self) -> list[str]:
        """Let the first go on; return what each found, the first one first."""
        self.gate.opened.set()
        for thread in self.threads:
            thread.join(timeout=30)
        return [self.found[place] for place in range(len(self.threads))]


class TestThreads:
    """Several threads that want the view brought up to date."""

    def test_those_who_wait_share_one_refresh(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """While one refresh runs, all who ask are served by one more, and see what was there when they asked."""
        gate = Gate(store.changes)
        monkeypatch.setattr(store, "changes", gate)
        crowd = Crowd(View(store, Rules()), gate, monkeypatch)
        # The first has read already: only a refresh that begins from now on sees this.
        rate(store, spread([0.5] * 3))
        crowd.come(5)

        assert crowd.go_on()[1:] == [str({STAGE: 3})] * 5
        assert gate.calls == 2

    def test_those_who_wait_share_the_failure_of_one_more(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """When that one more fails, it fails for all of them, once."""
        gate = Gate(store.changes)
        monkeypatch.setattr(store, "changes", gate)
        crowd = Crowd(View(store, Rules()), gate, monkeypatch)
        asked: list[Cursor | None] = []

        def away(cursor: Cursor | None) -> Changes:
            asked.append(cursor)
            raise StoreUnavailable("away")

        monkeypatch.setattr(store, "changes", away)
        crowd.come(5)

        assert crowd.go_on() == ["{}", *["away"] * 5]
        assert len(asked) == 1

    def test_a_failure_is_shared_with_those_who_waited_for_it(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody who waited while a refresh failed asks the failing store again; whoever comes later does."""
        gate = Gate(store.changes, StoreUnavailable("timed out"))
        view = View(store, Rules())
        monkeypatch.setattr(store, "changes", failing(StoreUnavailable("away")))
        assert str(refresh_or_not(view)) == "away"
        monkeypatch.setattr(store, "changes", gate)
        crowd = Crowd(view, gate, monkeypatch)
        crowd.come(5)

        assert crowd.go_on() == ["timed out"] * 6
        assert gate.calls == 1
        assert refresh_or_not(view) is None
        assert gate.calls == 2

    def test_a_reader_does_not_wait_for_a_store_that_hangs(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """While a refresh hangs in the store, the last view can be read, and what changed be taken."""
        rate(store, spread([0.5]))
        view = view_of(store)
        gate = Gate(store.changes)
        monkeypatch.setattr(store, "changes", gate)
        crowd = Crowd(view, gate, monkeypatch)

        assert set(view.take_changed()) == {STAGE}
        assert samples(view) == {STAGE: 1}
        assert crowd.go_on() == [str({STAGE: 1})]

    def test_readers_and_writers_at_the_same_time(self, store: Store) -> None:
        """Whoever rated and then refreshes finds his rating, whatever others do."""
        view = View(store, Rules())
        faults: list[str] = []

        def use(place: int) -> None:
            key = SeriesKey("w", f"stage {place}", "cheap")
            for turn in range(50):
                rate(store, [Rating(NOW, place * 1000 + turn, 500_000)], key)
                view.refresh(NOW)
                stats = view.stage("w", f"stage {place}").all_tiers
                if stats is None or stats.sample_count != turn + 1:
                    faults.append(f"{key} after {turn + 1}: {stats}")
                view.take_changed()

        threads = [threading.Thread(target=use, args=(place,)) for place in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert faults == []
        assert picture(view) == picture(view_of(store))


WORKFLOWS = ("a", "b:c", "*")
STAGES = ("one", "two")
RULES = Rules(
    workflows={
        "a": WorkflowOverrides(window_seconds=3600, stages={}),
        "*": WorkflowOverrides(window_seconds=5400, min_samples=1),
    }
)

keys = st.builds(SeriesKey, st.sampled_from(WORKFLOWS), st.sampled_from(STAGES), st.sampled_from(LADDER))
rate_step = st.tuples(
    st.just("rate"), keys, st.lists(st.tuples(st.integers(0, MILLION), st.integers(0, MILLION)), min_size=1, max_size=9)
)
clear_step = st.tuples(st.just("clear"), st.sampled_from(WORKFLOWS), st.sampled_from([*STAGES, None]))
wait_step = st.tuples(st.just("wait"), st.sampled_from([1, 60, 3600, 86_400, WEEK]), st.integers(0, MILLION))
hour_step = st.tuples(st.just("hour"), st.none(), st.none())
steps = st.lists(st.one_of(rate_step, rate_step, clear_step, wait_step, hour_step), max_size=25)


class History:
    """A store, a view of it that is refreshed after every step, and all that was ever rated, as a plain list."""

    def __init__(self, store: Store) -> None:
        """Begin empty."""
        self.store = store
        self.view = View(store, RULES)
        self.now = NOW
        self.rated: dict[SeriesKey, list[Rating]] = {}
        self.arrivals = 0

    def rate(self, key: SeriesKey, entries: list[tuple[int, int]]) -> None:
        """Append ratings that are late by a share, in millionths, of their stage's window."""
        window = RULES.stage(*key[:2]).window_seconds
        ratings = []
        for lateness, score in entries:
            self.arrivals += 1
            ratings.append(Rating(self.now - lateness * window, self.arrivals, score, key.tier))
        rate(self.store, ratings, key, self.now)
        self.rated.setdefault(key, []).extend(ratings)

    def clear(self, workflow: str, stage: str | None) -> None:
        """Clear a workflow or a stage; what was cleared are the ratings that the list has live."""
        cleared = self.store.clear(workflow, stage, self.now)
        gone = [key for key in self.rated if key.workflow == workflow and stage in (None, key.stage)]
        assert live_samples(cleared, RULES, self.now) == sum(len(self.live(key)) for key in gone)
        for key in gone:
            del self.rated[key]

    def live(self, key: SeriesKey) -> list[Rating]:
        """Live ratings of one series."""
        return reference.live(self.rated[key], self.now, RULES.stage(*key[:2]).window_seconds)

    def check(self) -> None:
        """Compare the view with a fresh one, and with the straight computation."""
        self.view.refresh(self.now)
        assert picture(self.view) == picture(view_of(self.store, RULES, self.now))
        counts = {key: len(alive) for key in self.rated if (alive := self.live(key))}
        assert counts == {
            SeriesKey(*stage.key, tier): stats.sample_count
            for stage in self.view.stages
            for tier, stats in stage.stats.items()
        }
        assert self.view.series_count == len(counts)
        for stage in self.view.stages:
            self.check_stage(stage)

    def check_stage(self, stage: Stage) -> None:
        """Compare current tier and recommendation."""
        alive = {tier: self.live(SeriesKey(*stage.key, tier)) for tier in stage.stats}
        together = sorted(rating for ratings in alive.values() for rating in ratings)
        assert stage.current_tier == reference.current_tier(together, "cheap")
        if stage.rules.min_samples == 10:
            stats = {tier: reference.statistics(ratings) for tier, ratings in alive.items()}
            recommended = reference.recommended_tier(stats, stage.current_tier, LADDER)
            assert stage.recommendation.recommended_tier == recommended


@given(steps)
def test_a_view_kept_up_to_date_equals_a_fresh_one(steps: list[tuple[str, object, object]]) -> None:
    """After any appends, clears and passing time, refreshing step by step gives what reading it all at once gives."""
    with closing(open_store("sqlite://", retention=RULES.longest_window)) as store:
        history = History(store)
        for action, one, two in steps:
            match action, one, two:
                case "rate", SeriesKey() as key, list() as entries:
                    history.rate(key, entries)
                case "clear", str() as workflow, (str() | None) as stage:
                    history.clear(workflow, stage)
                case "wait", int() as unit, int() as share:
                    history.now += unit * share
                case _:
                    history.now += -history.now % HOUR
            history.check()


class TestUnderperforming:
    """The series below a threshold."""

    def test_worst_first(self, store: Store) -> None:
        """Series of one workflow or of all, below the threshold, the worst first, equals by name."""
        for workflow, stage, tier, score in (
            ("a", "x", "cheap", 0.6),
            ("a", "x", "premium", 0.2),
            ("a", "y", "cheap", 0.7),
            ("b", "x", "cheap", 0.2),
            ("a", "w", "cheap", 0.2),
        ):
            rate(store, spread([score], tier=tier), SeriesKey(workflow, stage, tier))
        view = view_of(store)

        def found(workflow: str | None, threshold: float) -> list[tuple[str, str, str | None]]:
            below = view.underperforming(workflow, threshold)
            return [(stats.workflow_name, stats.stage_name, stats.tier) for stats in below]

        assert found("a", 0.7) == [("a", "w", "cheap"), ("a", "x", "premium"), ("a", "x", "cheap")]
        assert found(None, 0.6) == [("a", "w", "cheap"), ("a", "x", "premium"), ("b", "x", "cheap")]
        assert found("a", 0.7000001)[-1] == ("a", "y", "cheap")
        assert found("nobody", 1) == []


def test_live_samples_counts_by_the_window_of_each_stage() -> None:
    """Of deleted records, only ratings that were live by their own stage's rules count."""
    ratings = [*spread([0.5] * 2, end=NOW - 2 * HOUR), *spread([0.5])]
    deleted = [(SeriesKey(workflow, "one", "cheap"), record_of(ratings)) for workflow in ("a", "b:c")]

    assert live_samples(deleted, RULES, NOW) == 1 + 3
    assert live_samples([], RULES, NOW) == 0
