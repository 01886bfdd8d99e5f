"""What the exporter says of itself."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from exporter import names
from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.rules import Rules
from exporter.store import open_store
from exporter.telemetry import DURATIONS, Telemetry
from exporter.version import VERSION
from exporter.view import View
from tests.bench import rival

NOW = 1_735_691_400 * MILLION
OF_THE_PROCESS = {
    "process_cpu_seconds",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "python_info",
}


class Parts:
    """A telemetry with the view and the store that it reads."""

    def __init__(self) -> None:
        """Begin empty."""
        self.store = open_store("sqlite://", series_limit=7)
        self.view = View(self.store, Rules())
        self.telemetry = Telemetry(self.view, self.store, NOW)

    def value(self, name: str, **labels: str) -> float | None:
        """Value of one sample of the text, ``None`` where it is absent."""
        read = rival.parsed(self.telemetry.render(openmetrics=False))
        return read.get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def parts() -> Iterator[Parts]:
    """Telemetry of an exporter that has just started."""
    made = Parts()
    with closing(made.store):
        yield made


def test_everything_is_there_from_the_start(parts: Parts) -> None:
    """Every family of the table and of the process is there before anything happened, with type and help."""
    families = {family.name: family for family in rival.families_of(parts.telemetry.render(openmetrics=False))}

    own = {metric.name.removesuffix("_total"): metric for metric in names.EXPORTER}
    assert families.keys() == own.keys() | OF_THE_PROCESS
    for name, metric in own.items():
        assert (families[name].type, families[name].documentation) == (metric.type, metric.help)


def test_labels_are_those_of_the_table(parts: Parts) -> None:
    """Each sample carries the labels of the table, in both formats."""
    parts.telemetry.answered("/metrics", 200, 0.001)
    labels = {metric.name.removesuffix("_total"): set(metric.labels) for metric in names.EXPORTER}

    text = parts.telemetry.render(openmetrics=False)
    openmetrics = parts.telemetry.render(openmetrics=True)

    for family in (*rival.families_of(text), *rival.openmetrics_families_of(openmetrics)):
        for sample in family.samples:
            assert family.name in OF_THE_PROCESS or sample.labels.keys() - {"le"} == labels[family.name]


def test_start_values(parts: Parts) -> None:
    """An exporter that has just started: store up, no series, view never updated, configuration just loaded."""
    assert parts.value("llm_feedback_exporter_store_up") == 1
    assert parts.value("llm_feedback_exporter_series") == 0
    assert parts.value("llm_feedback_exporter_series_limit") == 7
    assert parts.value("llm_feedback_exporter_view_timestamp_seconds") == 0
    assert parts.value("llm_feedback_exporter_config_last_reload_successful") == 1
    assert parts.value("llm_feedback_exporter_config_last_reload_success_timestamp_seconds") == NOW / MILLION
    assert (
        parts.value("llm_feedback_exporter_build_info", version=VERSION, pythonversion=platform.python_version()) == 1
    )
    assert parts.value("llm_feedback_exporter_ratings_accepted_total") == 0
    assert parts.value("llm_feedback_exporter_ratings_duplicate_total") == 0


@pytest.mark.parametrize("reason", names.REJECT_REASONS)
def test_every_reason_is_present_from_the_start(parts: Parts, reason: str) -> None:
    """A reason for which nothing was rejected yet counts 0, so that its first increase is seen."""
    assert parts.value("llm_feedback_exporter_ratings_rejected_total", reason=reason) == 0


def test_ratings_are_counted(parts: Parts) -> None:
    """Verdicts of batches add up, rejected ones by reason."""
    parts.telemetry.rated(3, 1, {"too_old": 2, "malformed": 1})
    parts.telemetry.rated(4, 0, {"too_old": 1})

    assert parts.value("llm_feedback_exporter_ratings_accepted_total") == 7
    assert parts.value("llm_feedback_exporter_ratings_duplicate_total") == 1
    assert parts.value("llm_feedback_exporter_ratings_rejected_total", reason="too_old") == 3
    assert parts.value("llm_feedback_exporter_ratings_rejected_total", reason="malformed") == 1
    assert parts.value("llm_feedback_exporter_ratings_rejected_total", reason="series_limit") == 0


@pytest.mark.parametrize(
    ("read_ok", "write_ok", "up"), [(True, True, 1), (False, True, 0), (True, False, 0), (False, False, 0)]
)
def test_store_is_up_when_last_read_and_last_write_succeeded(
    parts: Parts,
    read_ok: bool,  # noqa: FBT001 - a column of the table above
    write_ok: bool,  # noqa: FBT001 - a column of the table above
    up: int,
) -> None:
    """A read that succeeds does not hide a write that failed, nor the other way round."""
    telemetry = parts.telemetry
    for _ in range(2):
        telemetry.read_failed()
        telemetry.write_failed()
        if read_ok:
            telemetry.read_succeeded(0.001)
        if write_ok:
            telemetry.write_succeeded()

        assert parts.value("llm_feedback_exporter_store_up") == up


def test_series_and_age_are_those_of_the_view(parts: Parts) -> None:
    """Series, limit and the view's time follow view and store without being told."""
    keys = [SeriesKey("w", "s", "cheap"), SeriesKey("w", "s", "premium"), SeriesKey("w", "t", "cheap")]
    parts.store.append([Feedback(key, "1", 500_000, NOW, NOW) for key in keys], NOW)
    parts.store.series_limit = 5

    parts.view.refresh(NOW + 1)

    assert parts.value("llm_feedback_exporter_series") == 3
    assert parts.value("llm_feedback_exporter_series_limit") == 5
    assert parts.value("llm_feedback_exporter_view_timestamp_seconds") == (NOW + 1) / MILLION


def test_durations(parts: Parts) -> None:
    """Refreshes and requests are timed, requests by route and code; a duration on an edge is within it."""
    parts.telemetry.read_succeeded(0.005)
    parts.telemetry.answered("/metrics", 200, 0.02)
    parts.telemetry.answered("/metrics", 200, 0.03)
    parts.telemetry.answered("unmatched", 404, 0.001)

    assert parts.value("llm_feedback_exporter_refresh_duration_seconds_count") == 1
    assert parts.value("llm_feedback_exporter_refresh_duration_seconds_bucket", le="0.0025") == 0
    assert parts.value("llm_feedback_exporter_refresh_duration_seconds_bucket", le="0.005") == 1
    request = "llm_feedback_exporter_http_request_duration_seconds"
    assert parts.value(f"{request}_count", handler="/metrics", code="200") == 2
    assert parts.value(f"{request}_sum", handler="/metrics", code="200") == pytest.approx(0.05)
    assert parts.value(f"{request}_count", handler="unmatched", code="404") == 1


def test_durations_reach_from_a_millisecond_to_ten_seconds() -> None:
    """The edges ascend, so that both an idle request and one that gives up are told apart."""
    assert list(DURATIONS) == sorted(set(DURATIONS))
    assert (DURATIONS[0], DURATIONS[-1]) == (0.001, 10)


def test_reload(parts: Parts) -> None:
    """A failed reload is shown until one succeeds, and leaves the time of the last success as it was."""
    parts.telemetry.reloaded(NOW + MILLION, successful=False)
    assert parts.value("llm_feedback_exporter_config_last_reload_successful") == 0
    assert parts.value("llm_feedback_exporter_config_last_reload_success_timestamp_seconds") == NOW / MILLION

    parts.telemetry.reloaded(NOW + 2 * MILLION, successful=True)
    assert parts.value("llm_feedback_exporter_config_last_reload_successful") == 1
    assert parts.value("llm_feedback_exporter_config_last_reload_success_timestamp_seconds") == NOW / MILLION + 2


@pytest.mark.parametrize("openmetrics", [False, True])
def test_no_created_samples(parts: Parts, openmetrics: bool) -> None:  # noqa: FBT001 - a column of the table above
    """Counters and histograms carry no ``_created``, in either format."""
    parts.telemetry.answered("/metrics", 200, 0.001)

    assert b"_created" not in parts.telemetry.render(openmetrics=openmetrics)


def test_both_formats_say_the_same(parts: Parts) -> None:
    """Text and OpenMetrics hold the same samples of the exporter's own; only OpenMetrics ends with EOF."""
    parts.telemetry.rated(3, 1, {"too_old": 2})
    parts.telemetry.answered("/metrics", 200, 0.001)
    own = frozenset(metric.name for metric in names.EXPORTER)

    text = parts.telemetry.render(openmetrics=False, wanted=own)
    openmetrics = parts.telemetry.render(openmetrics=True, wanted=own)

    assert rival.samples(rival.openmetrics_families_of(openmetrics)) == rival.parsed(text)
    assert openmetrics.endswith(b"# EOF\n")
    assert b"# EOF" not in text


@pytest.mark.parametrize(
    ("wanted", "families"),
    [
        ({"llm_feedback_exporter_store_up"}, {"llm_feedback_exporter_store_up"}),
        ({"llm_feedback_exporter_ratings_rejected"}, {"llm_feedback_exporter_ratings_rejected"}),
        ({"llm_feedback_exporter_ratings_rejected_total"}, {"llm_feedback_exporter_ratings_rejected"}),
        ({"llm_feedback_exporter_refresh_duration_seconds_bucket"}, {"llm_feedback_exporter_refresh_duration_seconds"}),
        ({"llm_feedback_exporter_refresh_duration_seconds"}, {"llm_feedback_exporter_refresh_duration_seconds"}),
        ({"process_cpu_seconds_total", "python_info"}, {"process_cpu_seconds", "python_info"}),
        ({"llm_feedback_exporter_ratings_accepted_created"}, set()),
        ({"llm_feedback_quality_avg"}, set()),
    ],
)
def test_wanted_families(parts: Parts, wanted: set[str], families: set[str]) -> None:
    """A family comes whole where its name or one of its samples' names is wanted, no other comes."""
    text = parts.telemetry.render(openmetrics=False, wanted=frozenset(wanted))

    assert {family.name for family in rival.families_of(text)} == families


def test_promtool_finds_nothing(parts: Parts) -> None:
    """Promtool accepts and does not lint what the exporter says of itself, the process included."""
    parts.telemetry.answered("/metrics", 200, 0.001)

    checked = subprocess.run(
        ["/usr/bin/promtool", "check", "metrics"],
        input=parts.telemetry.render(openmetrics=False),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr.decode(), checked.stdout.decode()) == (0, "", "")


def test_two_exporters_do_not_share_a_registry(parts: Parts) -> None:
    """What one telemetry counts, another in the same process does not see."""
    other = Telemetry(parts.view, parts.store, NOW)

    other.rated(5, 0, {})

    assert parts.value("llm_feedback_exporter_ratings_accepted_total") == 0
