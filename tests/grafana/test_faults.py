"""Each fault that test_queries.py looks for in a panel's results is seen when it is there."""

from typing import Any

import pytest

from tests.grafana.boards import Shown
from tests.grafana.faults import faults, of_annotation
from tests.grafana.panels import Panel, Series
from tests.grafana.substitution import Period

LINE = [(60.0, 0.5), (120.0, 0.6)]


def panel(kind: str, legend: str = "{{tier}}", **more: Any) -> Panel:  # noqa: ANN401 - parts of a panel
    """Return a panel with one query."""
    return {
        "type": kind,
        "targets": [{"refId": "A", "legendFormat": legend}],
        "fieldConfig": {"defaults": {"mappings": [{"options": {"0": {}, "1": {}}}]}, "overrides": []},
        "options": {},
        **more,
    }


def shown(made: Panel, *series: Series) -> Shown:
    """Return a panel with results of query A."""
    return Shown(made, "T", Period(0, 600, 60), list(series), {"A": "x"})


def line(name: str, points: list[tuple[float, float]] | None = None, **labels: str) -> Series:
    """Return a series."""
    return Series("A", name, labels, LINE if points is None else points)


def override(matcher: str, name: str, **properties: object) -> dict[str, Any]:
    """Return what is set for the fields that a matcher finds."""
    return {
        "defaults": {},
        "overrides": [
            {
                "matcher": {"id": matcher, "options": name},
                "properties": [{"id": key, "value": value} for key, value in properties.items()],
            }
        ],
    }


def organized(**options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the transformation that arranges columns."""
    return [{"id": "organize", "options": {"renameByName": {}, "indexByName": {}, "excludeByName": {}} | options}]


NAMED = organized(renameByName={"stage": "Stage", "Value": "Average"}, excludeByName={"Time": True})

GOOD = {
    "lines": shown(panel("timeseries"), line("cheap"), line("capable")),
    "numbers": shown(panel("stat"), line("cheap", [(60, 1)]), line("capable", [(60, 1)])),
    "a number": shown(panel("stat", ""), line("{}", [(60, 1)])),
    "states": shown(panel("state-timeline"), line("cheap", [(60, 0), (120, 1)])),
    "buckets": shown(panel("heatmap"), line("0.5", [(60, 1), (120, 2)]), line("+Inf", [(60, 1), (120, 3)])),
    "rows": shown(
        panel("table", transformations=NAMED), line("", [(60, 1)], stage="a"), line("", [(60, 1)], stage="b")
    ),
}
BAD = {
    "nothing": (shown(panel("timeseries")), "query A found nothing: x"),
    "not a number": (
        shown(panel("timeseries"), line("a", [(60, 1), (120, float("nan"))])),
        "values that are no numbers",
    ),
    "twice": (shown(panel("timeseries"), line("a", instance="1"), line("a", instance="2")), "'a' is there 2 times"),
    "no name": (shown(panel("timeseries"), line("", le="1")), "a series without a name"),
    "points": (shown(panel("timeseries"), line("a", [(60, 1)])), "there is no line, only points"),
    "no such name": (
        shown(panel("timeseries", fieldConfig=override("byName", "Threshold", color="red")), line("a")),
        "no field is called Threshold, there is ['a']",
    ),
    "no such pattern": (
        shown(panel("timeseries", fieldConfig=override("byRegexp", "/^b/", color="red")), line("a")),
        "no field is called /^b/",
    ),
    "no such query": (
        shown(panel("timeseries", fieldConfig=override("byFrameRefID", "B", color="red")), line("a")),
        "no query is called B",
    ),
    "nothing to fill to": (
        shown(panel("timeseries", fieldConfig=override("byName", "a", **{"custom.fillBelowTo": "b"})), line("a")),
        "no field is called b",
    ),
    "which number": (shown(panel("stat", ""), line("{a}", [(60, 1)]), line("{b}", [(60, 1)])), "2 numbers"),
    "no such state": (shown(panel("state-timeline"), line("a", [(60, 2.0)])), "a has states without a text: [2.0]"),
    "one bucket": (shown(panel("heatmap"), line("+Inf")), "1 buckets"),
    "other times": (shown(panel("heatmap"), line("1"), line("2", [(60, 1)])), "buckets 1 and 2 have different times"),
    "not cumulative": (shown(panel("heatmap"), line("1"), line("2", [(60, 0), (120, 1)])), "2 holds less than 1"),
    "no such column": (
        shown(panel("table", transformations=organized(renameByName={"stege": "Stage"})), line("", stage="a")),
        "organize names ['stege']",
    ),
    "no heading": (
        shown(panel("table", transformations=NAMED), line("", [(60, 1)], stage="a", pod="b")),
        "column pod is shown, and nobody gave it a heading",
    ),
    "empty column": (
        shown(panel("table", transformations=NAMED), line("", [(60, 1)], stage="")),
        "column Stage is empty",
    ),
    "same row": (
        shown(panel("table", transformations=NAMED), line("", [(60, 1)], stage="a"), line("", [(60, 1)], stage="a")),
        "is there 2 times",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_none(name: str) -> None:
    """What a panel shows as it should has no fault."""
    assert faults(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_seen(name: str) -> None:
    """What a panel cannot show as it should is told, with the panel's title."""
    result, fault = BAD[name]

    assert [told for told in faults(result) if told.startswith("T: ") and fault in told]


def test_annotations() -> None:
    """An event without a title, or with a value that is no number, is told."""
    mark = {"name": "Alerts"}

    assert of_annotation(shown(mark, line("Low"))) == []
    assert of_annotation(shown(mark, line(""))) == ["T: an event has no title"]
    assert len(of_annotation(shown(mark, line("Low", [(60, float("inf"))])))) == 1
