"""Lines of Prometheus text: byte for byte what prometheus-client writes."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter import text

VALUES = (0, 1, -2.5, 1e-7, 0.1 + 0.2, 999_999, 1e6, 1_735_691_400.25, 1e21, 2.0**63, inf, -inf, nan)
LABELS = ("plain", 'a "quoted" \\ word', "two\nlines", "ünïcödé 漢字 🙂", "%s {} %", "")


def registry() -> CollectorRegistry:
    """Make one family of each kind, with values and labels of every form."""
    made = CollectorRegistry()
    gauge = Gauge("a_gauge", "What it means.", ["place"], registry=made)
    for place, value in enumerate(VALUES):
        gauge.labels(str(place)).set(value)
    counter = Counter("a_counter", "How often.", ["second", "first"], registry=made)
    histogram = Histogram("a_histogram_seconds", "How long.", ["handler"], registry=made, buckets=(0.001, 1, 2.5e7))
    for label in LABELS:
        counter.labels(label, "x").inc(3)
        histogram.labels(label).observe(0.5)
    Gauge("bare", "Without labels.", registry=made).set(7)
    Gauge("unused", "Without samples.", ["label"], registry=made)
    return made


def without_created(document: str) -> str:
    """Leave out the families and samples that tell when a counter began."""
    return "".join(line for line in document.splitlines(keepends=True) if "_created" not in line)


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "OpenMetrics"])
def test_families_are_written_as_prometheus_client_writes_them(openmetrics: bool) -> None:  # noqa: FBT001 - a column of the table above
    """Names, types, help, labels and numbers are the same bytes, in both formats."""
    made = registry()
    theirs = generate_openmetrics(made) if openmetrics else generate_latest(made)  # type: ignore[no-untyped-call]  # prometheus-client has no types here

    ours = "".join(text.family(family, openmetrics=openmetrics) for family in made.collect())

    assert without_created(ours) + ("# EOF\n" if openmetrics else "") == without_created(theirs.decode())


@given(st.text(st.characters(exclude_characters=[text.CUT, text.LABELS], exclude_categories=["Cs"])))
def test_a_label_value_is_escaped_as_the_format_asks(value: str) -> None:
    """Backslash, quote and line break are escaped, all else is as it was."""
    assert text.escape(value) == value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def test_what_stands_for_something_else_is_replaced() -> None:
    """No label value holds the marks of a template, whatever somebody stored."""
    assert text.escape(f"a{text.CUT}b{text.LABELS}c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
