"""The rules as promtool sees them: they load, they do what their unit tests say, and no alert lacks a case."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from promql_parser import parse_duration

from tests.alerts.rule_files import ALERTS, CASES, FOLDER, GROUPS, RECORDINGS, Document, read

KINDS = {"fires", "not yet", "must not"}
STOPPED = "LLMFeedbackRatingsStopped"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool, and return what it says."""
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_rules(*files: Path) -> subprocess.CompletedProcess[str]:
    """Load rule files; what promtool can only warn of is an error too."""
    return promtool("check", "rules", "--lint=all", "--lint-fatal", *files)


def test_promtool_loads_the_rules_and_finds_nothing_to_say() -> None:
    """Both files are valid, without a rule that stands there twice."""
    checked = check_rules(FOLDER / "recording.yml", FOLDER / "alerts.yml")

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("expressions", "complaint"), [(["up =="], "unexpected end of input"), (["up", "up"], "duplicate rule")]
)
def test_promtool_refuses_bad_rules(expressions: list[str], complaint: str, tmp_path: Path) -> None:
    """What cannot be parsed, and what stands there twice, is found."""
    rules = [{"record": "job:up:max", "expr": expression} for expression in expressions]
    checked = check_rules(_written(tmp_path / "rules.yml", {"groups": [{"name": "bad", "rules": rules}]}))

    assert checked.returncode != 0
    assert complaint in checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def verdicts() -> Mapping[Path, subprocess.CompletedProcess[str]]:
    """Run the unit tests of all files, as many at once as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(CASES, pool.map(lambda path: promtool("test", "rules", path), CASES), strict=True))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(
    path: Path, verdicts: Mapping[Path, subprocess.CompletedProcess[str]]
) -> None:
    """Every unit test of the file succeeds, and no rule has an error at any time."""
    verdict = verdicts[path]

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_unit_tests_are_named_and_evaluate_the_groups_in_order(path: Path) -> None:
    """Each test has a name; groups come in the order of the files, since promtool takes any order else."""
    document = read(path)

    assert all(len(test["name"].split()) >= 4 for test in document["tests"])
    assert document["group_eval_order"] == GROUPS


def kinds(tests: Iterable[Document]) -> set[tuple[str, str]]:
    """Return what is tested of which alert.

    ``fires``: with labels and annotations; ``not yet``: silent before it fires, in the same test; ``must not``: silent
    at every time that a test looks at.
    """
    found = set()
    for test in tests:
        for alert, times in _times(test).items():
            firing = [at for at, alerts in times if alerts]
            if not firing:
                found.add((alert, "must not"))
                continue
            found.add((alert, "fires"))
            if any(at < min(firing) for at, _ in times):
                found.add((alert, "not yet"))
    return found


def _times(test: Document) -> dict[str, list[tuple[timedelta, list[Document]]]]:
    times: dict[str, list[tuple[timedelta, list[Document]]]] = {}
    for case in test.get("alert_rule_test", ()):
        times.setdefault(case["alertname"], []).append((parse_duration(case["eval_time"]), case["exp_alerts"]))
    return times


def test_every_alert_is_tested_to_fire_not_yet_to_fire_and_not_to_fire() -> None:
    """Each alert has at least one case of each kind."""
    tests = [test for path in CASES for test in read(path)["tests"]]

    assert {(alert, kind) for alert in ALERTS for kind in KINDS} == kinds(tests)


def test_kinds_of_cases_are_told_apart() -> None:
    """An alert that is only seen firing has one kind, one seen before has two, one never seen firing a third."""

    def case(alert: str, at: str, *alerts: Document) -> Document:
        return {"alertname": alert, "eval_time": at, "exp_alerts": list(alerts)}

    one: Document = {"exp_labels": {}}
    first = {"alert_rule_test": [case("Later", "1h1m", one), case("Later", "2m"), case("Now", "1s", one)]}
    second = {
        "alert_rule_test": [case("Never", "1m"), case("Never", "2h"), case("After", "1m", one), case("After", "5m")]
    }

    assert kinds([first, second]) == {
        ("Later", "fires"),
        ("Later", "not yet"),
        ("Now", "fires"),
        ("Never", "must not"),
        ("After", "fires"),
    }


def test_a_mistake_in_a_rule_makes_its_unit_tests_fail(tmp_path: Path) -> None:
    """An alert on low quality that fires on high quality is seen by its tests."""
    case = "tests/quality_low_day.yml"
    (tmp_path / "tests").mkdir()
    for name in ("recording.yml", "alerts.yml", case):
        text = (FOLDER / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("score:avg1d <", "score:avg1d >"), encoding="utf-8")

    verdict = promtool("test", "rules", tmp_path / case)

    assert (verdict.returncode, "exp:[" in verdict.stderr) == (1, True), verdict.stdout + verdict.stderr


def test_ratings_that_stop_are_judged_as_they_were_while_the_store_is_away(tmp_path: Path) -> None:
    """An outage from four in the morning to noon lets the alert neither begin, whatever is usual then, nor end."""
    night, day, evening = 120, 180, 60
    before = 8 * (night + day + evening)
    start, end, after = before + 60, before + 180, 60
    usual, total = [], 0
    for _ in range(8):
        usual += [f"{total}x{night - 1}", f"{total + 1}+1x{day - 1}", f"{total + day}x{evening - 1}"]
        total += day
    counts = {
        "daily": " ".join(usual) + f" {total}x{end - before - 1} {total + 1}+1x{after}",
        "always": f"0+1x{start - 1} {start - 1}x{end - start - 1} {start}+1x{after}",
        # Its last rating came at 16 o'clock of the day before.
        "stopped": f"0+1x{before - 121} {before - 121}x{end - before + 120 + after}",
    }
    series = {"llm_feedback_exporter_store_up": f"1x{start - 1} 0x{end - start - 1} 1x{after}"}
    series |= {_of(stage, "llm_feedback_score_count"): values for stage, values in counts.items()}

    _assert_firing(tmp_path, ALERTS[STOPPED], series, "stopped", [start - 1, start, end - 1, end])


def test_low_quality_stays_low_while_the_store_is_away_for_more_than_a_day(tmp_path: Path) -> None:
    """Neither the average nor the number of ratings of the last day goes with the day."""
    start, end, after = 30, 420, 10
    series = {
        "llm_feedback_exporter_store_up": f"1x{start - 1} 0x{end - start - 1} 1x{after}",
        _of("low", "llm_feedback_score_count"): f"0+1x{start - 1} {start - 1}x{end - start + after}",
        _of("low", "llm_feedback_score_sum"): f"0+0.6x{start - 1} {0.6 * (start - 1)}x{end - start + after}",
        _of("low", "llm_feedback_quality_threshold"): f"0.7x{end + after}",
        _of("low", "llm_feedback_min_samples"): f"10x{end + after}",
    }

    _assert_firing(tmp_path, ALERTS["LLMFeedbackQualityLow"], series, "low", [start - 1, start, end - 1])


def _of(stage: str, metric: str) -> str:
    return f'{metric}{{workflow="chat", stage="{stage}", tier="cheap"}}'


def _assert_firing(
    directory: Path, alert: Document, series: Mapping[str, str], stage: str, moments: Iterable[int]
) -> None:
    """Assert that an alert fires for one stage alone at some steps.

    They are four minutes long, since a rule finds its last result within five; over days that costs too much for all
    rules, so only those that the alert needs are evaluated.
    """
    rules = [{"record": name, "expr": RECORDINGS[name]} for name in RECORDINGS if name in _needed(alert["expr"])]
    _written(directory / "rules.yml", {"groups": [{"name": "needed", "rules": [*rules, alert]}]})
    firing = f'count by (stage) (ALERTS{{alertname="{alert["alert"]}", alertstate="firing"}})'
    expected = [{"labels": f'{{stage="{stage}"}}', "value": 1}]
    test = {
        "interval": "4m",
        "input_series": [{"series": _labelled(name), "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{4 * moment}m", "exp_samples": expected} for moment in moments
        ],
    }
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "4m", "tests": [test]}
    verdict = promtool("test", "rules", _written(directory / "test.yml", document))

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def _labelled(series: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{job="llm-feedback-exporter", {labels or "}"}'


def _needed(expression: str) -> set[str]:
    """Return what an expression reads that is recorded, and what that reads."""
    found: set[str] = set()
    rest = [expression]
    while rest:
        text = rest.pop()
        new = {name for name in RECORDINGS if name in text} - found
        found |= new
        rest += [RECORDINGS[name] for name in new]
    return found


def _written(path: Path, document: Document) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
