"""docs/scaling.md says what was measured, and the simulation behind it does what queues do."""

import re
from math import exp, factorial
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.store import SERIES_LIMIT
from tests.bench import results, scaling
from tests.bench.capacity import BUSY, Costs, Deployment, Load, plan, simulate
from tests.bench.harness import Outcome
from tests.bench.results import NoResults
from tests.bench.scaling import DOCUMENT, KEPT, LINES, LOADS, Constants, written

COSTS = Costs(sqlite=1e-3, exporter=4e-4, redis=1e-4)


class TestDocument:
    """The tables, and the words around them."""

    def test_tables_are_those_of_the_kept_figures(self) -> None:
        """Every table of the document is the one that the kept figures make."""
        document = DOCUMENT.read_text(encoding="utf-8")

        assert written(document, Constants(KEPT)) == document

    def test_no_measured_number_stands_outside_of_the_tables(self) -> None:
        """Between the tables there is no duration, size or rate, which could drift."""
        words = re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", "", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)

        assert re.findall(r"[\d.,]+ ?(?:µs|ms|B|kB|MB|GB|x|/s)\b", words) == []

    def test_other_numbers_are_those_of_the_code(self) -> None:
        """The share that is planned for, the default limit of series and the example are the code's."""
        document = DOCUMENT.read_text(encoding="utf-8")

        assert f"busier than {BUSY:.0%}".replace("%", " %") in document
        assert f"`series_limit`** is {SERIES_LIMIT:,} by default" in document
        assert f"{scaling.RATE:,} ratings a second, sent singly, in {scaling.SERIES:,} series" in document

    def test_a_mark_that_is_missing_is_said(self) -> None:
        """A document without one of the marks is not written."""
        with pytest.raises(AssertionError, match=r"^docs/scaling.md has the mark run 0 times, once is expected$"):
            written("", Constants(KEPT))

    def test_figures_of_a_partial_run_are_refused(self, tmp_path: Path) -> None:
        """A result file without all the lines that the document needs changes nothing, and the first is named."""
        path = results.save({"Ingest, SQLite": Outcome([])}, tmp_path)

        with pytest.raises(
            NoResults,
            match=rf"^{re.escape(str(path))} lacks {len(LINES)} lines, as "
            r"'Ingest, SQLite: single ratings: taken over HTTP': give the file of a full run$",
        ):
            Constants(path)

    def test_figures_of_another_run_are_kept_and_written(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The command keeps the figures that it is given, and writes the tables from them."""
        document, kept = tmp_path / "scaling.md", tmp_path / "results.json"
        document.write_text("".join(f"<!-- {name} -->\n<!-- end -->\n" for name in scaling.TABLES))
        monkeypatch.setattr(scaling, "DOCUMENT", document)
        monkeypatch.setattr(scaling, "KEPT", kept)

        CliRunner().invoke(scaling.main, [str(KEPT)], catch_exceptions=False)

        assert kept.read_bytes() == KEPT.read_bytes()
        assert f"| {LINES['redis id'].words} |" in document.read_text(encoding="utf-8")


class TestPlan:
    """As few parts as will do."""

    def test_the_smallest_that_is_not_too_busy(self) -> None:
        """One file as long as it can, then as many exporters and primaries as each needs."""
        assert plan(Load(600, 1), COSTS) == Deployment("SQLite")
        assert plan(Load(601, 1), COSTS) == Deployment("Redis", 1, 1)
        assert plan(Load(6_001, 1), COSTS) == Deployment("Redis", 5, 2)

    def test_words(self) -> None:
        """A deployment is said in words."""
        assert str(Deployment("SQLite")) == "one exporter, SQLite"
        assert str(Deployment("Redis", 1, 1)) == "one exporter, one Redis"
        assert str(Deployment("Redis", 5, 2)) == "5 workers or `ingest` replicas, Cluster of 2 primaries"


class TestSimulation:
    """Queues, as they are known to behave."""

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_a_part_is_as_busy_as_arithmetic_says(self, share: float) -> None:
        """How busy a part is, is what comes times what that costs."""
        seen = simulate(Load(share / COSTS.sqlite, 1), Deployment("SQLite"), COSTS)

        assert seen.exporters == pytest.approx(share, rel=0.03)

    def test_waiting_is_that_of_the_theory(self) -> None:
        """Requests at random, each as long as the other: 99 % wait no longer than Erlang's formula of 1909 says."""
        busy = 0.5
        seen = simulate(Load(busy / COSTS.sqlite, 1), Deployment("SQLite"), COSTS)

        wait = seen.slowest / COSTS.sqlite - 1
        terms = ((-busy * (wait - k)) ** k / factorial(k) * exp(busy * (wait - k)) for k in range(int(wait) + 1))
        assert (1 - busy) * sum(terms) == pytest.approx(0.99, abs=0.002)

    def test_too_much_is_never_answered_in_time(self) -> None:
        """Beyond what a part can do its queue has no end."""
        seen = simulate(Load(1.2 / COSTS.sqlite, 1), Deployment("SQLite"), COSTS)

        assert seen.median > 1000 * COSTS.sqlite

    def test_a_request_waits_for_its_slowest_primary(self) -> None:
        """Primaries share the work of a batch, so it is done sooner; each does its part."""
        one, four = (simulate(Load(1000, 500), Deployment("Redis", 1, number), COSTS) for number in (1, 4))

        assert four.redis == pytest.approx(one.redis / 4, rel=0.01)
        assert four.median < one.median

    def test_the_same_seed_gives_the_same_numbers(self) -> None:
        """Another seed gives others, a little."""
        load, deployment = Load(500, 1), Deployment("Redis", 1, 1)

        assert simulate(load, deployment, COSTS) == simulate(load, deployment, COSTS)
        assert simulate(load, deployment, COSTS, seed=2) != simulate(load, deployment, COSTS)

    def test_what_is_planned_holds(self) -> None:
        """Of every deployment in the document no part is busier than planned, but for what chance adds."""
        constants = Constants(KEPT)
        for load in LOADS:
            costs = constants.costs(load.batch)
            seen = simulate(load, plan(load, costs), costs)
            assert max(seen.exporters, seen.redis) < BUSY * 1.03, load
