"""Every query of every dashboard, asked as Grafana asks it, of a Prometheus that has watched for weeks."""

import re
import sys
from collections.abc import Iterator
from itertools import chain
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.grafana.boards import Board, Shown, opened
from tests.grafana.faults import faults, of_annotation
from tests.grafana.panels import DASHBOARDS, Row, panels, table
from tests.grafana.rated import NEAR_STAGE, NEAR_WORKFLOWS, ODD_STAGE, ODD_WORKFLOW, RATED
from tests.grafana.substitution import link
from tests.grafana.watched import INSTANCES, JOB, Watched

DECLINING = {"workflow": "code-review", "stage": "analysis"}
STAGES = sorted({(series.workflow, series.stage) for series in RATED})
SELECTOR = re.compile(r'[\w:]+\{(?:[^{}"`]|"(?:\\.|[^"\\])*"|`[^`]*`)*\}')


def _open(watched: Watched, name: str) -> Board:
    return opened(watched, name, DECLINING if name == "stage" else None)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_brings_what_its_panel_shows(watched: Watched, name: str) -> None:
    """No query fails, warns, or brings nothing, a NaN, or the same twice; and every field that is named is there."""
    board = _open(watched, name)

    assert list(chain.from_iterable(map(faults, board.panels))) == []
    assert len(board.panels) >= len(list(panels(board.dashboard))) > 0


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_annotation_marks_an_alert(watched: Watched, name: str) -> None:
    """Each annotation finds when alerts began to fire, once each, however long they did; each has a title."""
    board = _open(watched, name)

    assert board.annotations
    assert list(chain.from_iterable(map(of_annotation, board.annotations))) == []
    assert all(shown.series for shown in board.annotations)
    assert {len(series.points) for shown in board.annotations for series in shown.series} == {1}


def test_report(watched: Watched) -> None:
    """What was asked, and how much came back; `-s` shows it."""
    lines = list(_report(watched))
    sys.stdout.write("\n".join(("", *lines, "")))

    assert len(lines) > len(DASHBOARDS)


def _report(watched: Watched) -> Iterator[str]:
    yield f"{'dashboard':12}{'panels':>8}{'queries':>9}{'series':>8}{'points':>9}{'annotations':>13}{'variables':>11}"
    totals = [0] * 6
    for name in DASHBOARDS:
        board = _open(watched, name)
        series = [each for shown in (*board.panels, *board.annotations) for each in shown.series]
        counts = [
            len(board.panels),
            sum(len(shown.asked) for shown in board.panels),
            len(series),
            sum(len(each.points) for each in series),
            len(board.annotations),
            len(board.variables) - 1,
        ]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        yield _line(name, counts)
    yield _line("all", totals)


def _line(name: str, counts: list[int]) -> str:
    widths = (8, 9, 8, 9, 13, 11)
    return f"{name:12}" + "".join(f"{count:>{width}}" for count, width in zip(counts, widths, strict=True))


class TestVariables:
    """What the variables offer, and what choosing does."""

    def test_offers(self, watched: Watched) -> None:
        """Jobs, instances and workflows are all that there are; stages those of the workflow, tiers of the stage."""
        offered = {name: variable.options for name, variable in _open(watched, "stage").variables.items()}

        assert offered == {
            "datasource": ["prometheus"],
            "job": [JOB],
            "instance": list(INSTANCES),
            "workflow": sorted({workflow for workflow, _ in STAGES}),
            "stage": ["analysis", "summary"],
            "tier": ["capable", "cheap"],
        }

    @pytest.mark.parametrize("quotes", [False, True], ids=["classic", "special_chars_in_label_values"])
    @pytest.mark.parametrize(("workflow", "stage"), STAGES)
    def test_a_stage_alone(self, watched: Watched, workflow: str, stage: str, *, quotes: bool) -> None:
        """A stage chosen by name is the only one that any query reads, whatever the name holds."""
        board = opened(watched, "stage", {"workflow": workflow, "stage": stage}, quotes=quotes)
        tiers = sorted(series.tier for series in RATED if (series.workflow, series.stage) == (workflow, stage))

        assert list(board.variables["tier"].options) == tiers
        assert list(chain.from_iterable(map(faults, board.panels))) == []
        assert _selected(watched, [*board.panels, *board.annotations]) == {(workflow, stage)}

    @pytest.mark.parametrize(
        ("label", "name", "near"), [("workflow", ODD_WORKFLOW, NEAR_WORKFLOWS), ("stage", ODD_STAGE, (NEAR_STAGE,))]
    )
    def test_near_names_are_near(self, watched: Watched, label: str, name: str, near: tuple[str, ...]) -> None:
        """An odd name, read as a regular expression, selects others: what is proved above could fail."""
        found = watched.get("/api/v1/series", {"match[]": f"llm_feedback_window_samples{{{label}=~`{name}`}}"})

        assert {series[label] for series in found} == set(near)

    @pytest.mark.parametrize("quotes", [False, True], ids=["classic", "special_chars_in_label_values"])
    @pytest.mark.parametrize("instance", [[INSTANCES[1]], list(INSTANCES)], ids=["one", "both"])
    def test_instances(self, watched: Watched, instance: list[str], *, quotes: bool) -> None:
        """Instances chosen by name are the ones that are shown; quality is the same from either."""
        boards = [
            opened(watched, name, {**DECLINING, "job": [JOB], "instance": instance}, quotes=quotes)
            for name in DASHBOARDS
        ]
        shown = [each for board in boards for panel in board.panels for each in panel.series]

        assert list(chain.from_iterable(faults(panel) for board in boards for panel in board.panels)) == []
        assert {each.labels["instance"] for each in shown if "instance" in each.labels} == set(instance)


def _selected(watched: Watched, shown: list[Shown]) -> set[tuple[str, str]]:
    """Workflow and stage of everything that the queries select by workflow."""
    found = set()
    for selector in {each for panel in shown for query in panel.asked.values() for each in SELECTOR.findall(query)}:
        if "workflow=" in selector:
            series = watched.get("/api/v1/series", {"match[]": selector})
            found |= {(each["workflow"], each["stage"]) for each in series}
    return found


class TestLinks:
    """Where a row of a table leads."""

    def test_a_row_leads_to_its_stage(self, watched: Watched) -> None:
        """The address of a cell chooses the row's job, workflow and stage, whatever their names hold."""
        board = _open(watched, "overview")
        rows = [
            (row, url)
            for shown in board.panels
            if shown.panel["type"] == "table"
            for url in _links(shown)
            for row in table(shown.panel, shown.series).rows
            if "stage" in row
        ]

        assert {(row["workflow"], row["stage"]) for row, _ in rows} == set(STAGES)
        for row, url in rows:
            assert _target(board, row, url) == {
                "var-datasource": ["prometheus"],
                "var-job": [JOB],
                "var-workflow": [row["workflow"]],
                "var-stage": [row["stage"]],
                "from": ["now-7d"],
                "to": ["now"],
            }


def _links(shown: Shown) -> set[str]:
    overrides = shown.panel["fieldConfig"]["overrides"]
    properties = chain.from_iterable(override["properties"] for override in overrides)
    return {each["url"] for given in properties if given["id"] == "links" for each in given["value"]}


def _target(board: Board, row: Row, url: str) -> dict[str, list[str]]:
    time_range = f"from={board.dashboard['time']['from']}&to=now"
    return parse_qs(urlsplit(link(url, board.variables, row, time_range)).query, strict_parsing=True)


def test_the_past_and_the_present_are_one(watched: Watched) -> None:
    """What was backfilled is what the exporters go on from: no count falls, and every series has both."""
    resets = watched.get("/api/v1/query", {"query": "sum(resets(llm_feedback_score_count[14d]))"})["result"]
    past = watched.get("/api/v1/query", {"query": "count(llm_feedback_score_count offset 7d)"})["result"]
    present = watched.get("/api/v1/query", {"query": "count(llm_feedback_score_count)"})["result"]

    assert [float(result[0]["value"][1]) for result in (resets, past, present)] == [
        0,
        len(RATED) - 1,
        len(RATED) * len(INSTANCES),
    ]
