"""The rules, the dashboards and what the exporter serves fit together, as far as that can be told without running."""

import re
from collections import Counter
from collections.abc import Mapping

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import Expr, VectorSelector

from exporter import names
from tests.alerts.pint import TARGET, Pint, Vector
from tests.alerts.rule_files import ALERTS, FOLDER, RECORDINGS, Document
from tests.golden.documents import documents

READERS = [*(FOLDER.parent / "grafana" / "dashboards").glob("*.json"), FOLDER / "alerts.yml", FOLDER / "runbook.md"]
# Edges of the histogram and reasons are closed lists: a matcher on one must name a member.
CLOSED = {"le": "llm_feedback_score_bucket", "reason": "llm_feedback_exporter_ratings_rejected_total"}


def served() -> tuple[dict[str, Vector], dict[str, set[str]]]:
    """Return what stands in a real ``/metrics``, and the values of closed labels; Prometheus adds ``up``."""
    vectors = {"up": Vector(TARGET)}
    values: dict[str, set[str]] = {label: set() for label in CLOSED}
    for family in text_string_to_metric_families(documents()["metrics.txt"].decode()):
        for sample in family.samples:
            vectors[sample.name] = Vector(TARGET | sample.labels.keys(), family.type in {"counter", "histogram"})
            for label in CLOSED.keys() & sample.labels.keys():
                values[label].add(sample.labels[label])
    return vectors, values


SERVED, VALUES = served()


def pint(recorded: Mapping[str, str] = RECORDINGS) -> Pint:
    """Return a judge of these rules."""
    return Pint(SERVED, recorded)


def selectors(expression: str) -> list[VectorSelector]:
    """Return every selector of an expression."""
    found: list[VectorSelector] = []

    def visit(node: Expr) -> None:
        if isinstance(node, VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


ALL = {**RECORDINGS, **{name: rule["expr"] for name, rule in ALERTS.items()}}
SELECTORS = [selector for expression in ALL.values() for selector in selectors(expression)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_rule_has_no_fault(name: str) -> None:
    """Everything that it reads is there, its sides match, and it has the labels that its name says."""
    assert pint().recording(name) == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_rule_has_no_fault(name: str) -> None:
    """It compares, its sides match, and its text shows only labels that it has."""
    assert pint().alert(ALERTS[name]) == []


TREND = "series:llm_feedback_quality_trend:max"
COUNT = "series:llm_feedback_score_count:max"
THRESHOLD = "stage:llm_feedback_quality_threshold:max"
ALWAYS = "no comparison: it fires on whatever there is"
ADDED = "drops the labels that a site has added"
NO_TIER = "sides never match: tier stands on one alone"

# What a rule must not be, and how it is told.
BAD_EXPRESSIONS = [
    (TREND, ALWAYS),
    ("vector(1)", ALWAYS),
    (f"{TREND} < bool 0", ALWAYS),
    (f"{TREND} or {TREND} < 0", ALWAYS),
    ('llm_feedback_quality_trends{job="x"} < 0', "llm_feedback_quality_trends is neither served nor recorded"),
    ("series:llm_feedback_x:max < 0", "series:llm_feedback_x:max is neither served nor recorded"),
    ('{job="x"} < 0', '{job="x"} is neither served nor recorded'),
    ("llm_feedback_quality_trend < 0", "llm_feedback_quality_trend of every job"),
    ('llm_feedback_quality_trend{job="x", reason="y"} < 0', "llm_feedback_quality_trend has no label reason"),
    ('llm_feedback_quality_trend{job=~"x"} < 0', "job is matched as a regular expression that is none"),
    (f"sum by (workflow) ({TREND}) < 0", f"sum {ADDED}"),
    (f"sum({TREND}) < 0", f"sum {ADDED}"),
    (f"topk without (tier) (1, {TREND}) < 0", "topk takes other series at every evaluation"),
    ('rate(llm_feedback_quality_avg{job="x"}[5m]) < 0', "rate of what is no counter"),
    (f"increase({TREND}[1d:5m]) < 0", "increase of what is no counter"),
    ("rate(series:llm_feedback_score_count:increase1h[5m]) < 0", "rate of what is no counter"),
    (f"rate(count without (tier) ({COUNT})[5m:15s]) < 0", "rate of what is no counter"),
    (f"delta({COUNT}[1h]) < 0", "delta of a counter"),
    (f"rate({COUNT}[30s]) > 0", "rate over fewer than four scrapes"),
    (f"{TREND} < {THRESHOLD}", NO_TIER),
    (f"{TREND} < ignoring (tier) {THRESHOLD}", "many on the left, by tier"),
    (f"{THRESHOLD} > ignoring (tier) group_left () {TREND}", "many on the right, by tier"),
    (f"{TREND} < on (workflow, stage) group_left () {THRESHOLD}", f"on (...) {ADDED}"),
    (f"{TREND} < 0 and {THRESHOLD}", NO_TIER),
    (f"{TREND} < 0 and on (workflow) {THRESHOLD}", f"on (...) {ADDED}"),
    (f"{TREND} < 0 or {THRESHOLD} < 0", NO_TIER),
    (f'{TREND} < 0 unless llm_feedback_quality_trend{{job="x"}}', "sides never match: instance stands on one alone"),
]


@pytest.mark.parametrize(("expression", "fault"), BAD_EXPRESSIONS)
def test_a_bad_expression_is_told(expression: str, fault: str) -> None:
    """Each check can fail, and does so for its own reason alone."""
    rule: Document = {"expr": expression, "labels": {"severity": "info"}, "annotations": {}}

    assert pint().alert(rule) == [fault]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (
            {"annotations": {"description": "{{ $labels.tier }}"}},
            "a template shows tier, which the result does not have",
        ),
        ({"labels": {"stage": "x"}}, "a label of the result is overwritten"),
    ],
)
def test_a_bad_alert_is_told(more: Document, fault: str) -> None:
    """A template shows only what is there, and no label takes the place of another."""
    rule: Document = {"expr": "stage:llm_feedback_min_samples:max > 0", "labels": {}, "annotations": {}}

    assert pint().alert(rule | more) == [fault]


BAD_RECORDINGS = [
    ("llm_feedback_x", TREND, "llm_feedback_x is not named level:metric:operation"),
    (
        "stage:llm_feedback_x:max",
        'max without (tier) (llm_feedback_quality_trend{job="x"})',
        "stage:llm_feedback_x:max has the labels cluster, instance, job, stage, workflow",
    ),
    (
        "workflow:llm_feedback_x:max",
        TREND,
        "workflow:llm_feedback_x:max has the labels cluster, job, stage, tier, workflow",
    ),
    (
        "series:llm_feedback_x:max",
        f"series:llm_feedback_x:max and ignoring (tier) job:llm_feedback_exporter_store_up:max or {TREND}",
        "sides never match: stage, workflow stands on one alone",
    ),
]


@pytest.mark.parametrize(("name", "expression", "fault"), BAD_RECORDINGS)
def test_a_bad_recording_rule_is_told(name: str, expression: str, fault: str) -> None:
    """The name says the labels, and what a rule reads of itself is checked too."""
    assert pint({**RECORDINGS, name: expression}).recording(name) == [fault]


def test_every_raw_metric_is_one_of_the_exporters() -> None:
    """What rules select and nobody records has a name of ``names.py``, or is a part of a histogram there."""
    published = {
        metric.name + suffix
        for metric in names.METRICS
        for suffix in (("_bucket", "_sum", "_count") if metric.type == "histogram" else ("",))
    }

    assert {f"{selector.name}" for selector in SELECTORS} - RECORDINGS.keys() - {"up"} <= published


def test_a_matcher_on_a_closed_label_names_a_member() -> None:
    """A bucket or a reason that the exporter does not have would never match."""
    wanted = {(each.name, each.value) for selector in SELECTORS for each in selector.matchers.matchers}

    assert {value for name, value in wanted if name == "le"} == {"0.7"} <= VALUES["le"]
    assert {value for name, value in wanted if name == "reason"} <= VALUES["reason"]


def test_no_rule_stands_there_twice() -> None:
    """No two rules have the same name, and no two say the same under different names."""
    doubled = [text for text, number in Counter(ALL.values()).items() if number > 1]

    assert doubled == []
    assert RECORDINGS.keys().isdisjoint(ALERTS)


def test_what_is_recorded_is_read() -> None:
    """Each kind of recorded value, at whatever level and over whatever range, is read by something else."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in READERS)
    unread = {
        name
        for name in RECORDINGS
        if name not in text and not any(name in expression for other, expression in ALL.items() if other != name)
    }

    assert {_kind(name) for name in unread} <= {_kind(name) for name in RECORDINGS.keys() - unread}


def _kind(name: str) -> str:
    """Return a name without its level and its range."""
    return re.sub(r"(1h|1d|7d)$", "", name.partition(":")[2])


def test_what_reads_rules_reads_what_is_recorded() -> None:
    """Dashboards and runbook name no recorded series that there is not."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in READERS)

    assert set(re.findall(r"\b(?:series|stage|workflow|job):llm_feedback_\w+:\w+", text)) <= RECORDINGS.keys()
