"""Weeks of what Prometheus would have seen, made in seconds: blocks of raw and of recorded series.

An exporter without a server lives through the ratings on a clock of the test's own, and is scraped on the way. What
it showed goes into blocks by ``promtool tsdb create-blocks-from openmetrics``, and the recording rules are evaluated
over them by ``promtool tsdb create-blocks-from rules``, as whoever adds rules to a Prometheus with a past does.
"""

import json
import math
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

from exporter.domain import MILLION, Feedback
from exporter.exposition import Exposition
from exporter.names import REJECT_REASONS
from exporter.rules import Rules
from exporter.store import open_store
from exporter.store.base import Store
from exporter.telemetry import Telemetry
from exporter.view import View
from tests.grafana.panels import FOLDER
from tests.grafana.rated import DAY, DAYS, HOUR, ratings
from tests.support.http import Client

Rule = dict[str, Any]

ALERTS = Path(__file__).parents[2] / "alerts"
# Samples in place of some hundred blocks of two hours.
BLOCKS = ("promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h")
RECORDED = re.compile(r"\b\w+:llm_feedback_\w+:\w+")
STARTED = re.compile(rb"^process_start_time_seconds .*", re.MULTILINE)
# While this is 1, as it always was, it is as if no rule read it.
STORE_UP = "job:llm_feedback_exporter_store_up:max"
# Rules are evaluated as often: a look-up finds what is 5 minutes old, and a rate over 5 minutes needs two samples.
EVERY, EVERY_RATE = 280, 120
RATED = re.compile(r":rate5m$|^series:llm_feedback_score_(count|sum|bucket):max$")
# What an exporter counts of its own traffic is known of so many seconds, and a second one runs as long.
RECENT, SECOND = DAY, 6 * HOUR
LONG_AGO = b"llm_feedback_exporter_store_up 1\n"


def scrapes(end: int) -> Iterator[int]:
    """Seconds at which the exporter is scraped: seldom long ago, so that an hour on the hour finds a sample."""
    for hour in range(end - DAYS * DAY, end - 8 * DAY, HOUR):
        on_the_hour = hour - hour % HOUR
        yield from (on_the_hour - 480, on_the_hour - 240)
    yield from range(end - 8 * DAY, end - RECENT, EVERY)
    yield from range(end - RECENT, end + 1, 60)


def write_raw(path: Path, end: int, job: str, instances: Sequence[str]) -> None:
    """Write what an exporter showed until ``end`` as OpenMetrics, and a second one from ``SECOND`` on."""
    with path.open("wb") as file:
        for second, texts in _shown(ratings(end), end):
            for text, instance in zip(texts, instances, strict=False):
                labels = f'instance="{instance}",job="{job}"'.encode()
                file.write(b"".join(_stamped(text + b"up 1\n", labels, b" %d\n" % second)))
        file.write(b"# EOF\n")


def _stamped(text: bytes, labels: bytes, stamp: bytes) -> Iterator[bytes]:
    for line in text.splitlines():
        if line and not line.startswith(b"#"):
            name, brace, rest = line.partition(b"{")
            if not brace:
                name, _, rest = line.partition(b" ")
                rest = b"} " + rest
            yield b"%b{%b%b%b%b" % (name, labels, b"," if brace else b"", rest, stamp)


def _shown(rated: Sequence[Feedback], end: int) -> Iterator[tuple[int, list[bytes]]]:
    """Live through the ratings: what each exporter shows at each scrape."""
    with closing(open_store("sqlite://")) as store:
        view = View(store, Rules())
        exposition, replicas = Exposition(view), [Replica(view, store, end, age) for age in (RECENT, SECOND)]
        place = 0
        for second in scrapes(end):
            begin = place
            while place < len(rated) and rated[place].timestamp <= second * MILLION:
                place += 1
            store.append(rated[begin:place], second * MILLION)
            view.refresh(second * MILLION)
            running = [replica for replica in replicas if second > replica.started]
            for replica in running:
                replica.serve((end - second) / HOUR, len(running))
            own = [replica.render() for replica in running] or [LONG_AGO]
            yield second, [exposition.render() + each for each in own]


class Replica:
    """What one exporter counts of its own traffic, from its start on."""

    def __init__(self, view: View, store: Store, end: int, age: int) -> None:
        """Start ``age`` seconds before the end."""
        self.started = end - age
        self._telemetry = Telemetry(view, store, self.started * MILLION)
        self._chance = Random(age)

    def serve(self, hours_ago: float, among: int) -> None:
        """Requests between two scrapes, fewer by night; lately a client sends rubbish."""
        chance, telemetry = self._chance, self._telemetry
        busy = (1 + 0.7 * math.cos(hours_ago / 24 * math.tau)) / among
        accepted, asked = (round(chance.gauss(mean * busy, mean / 10)) for mean in (30, 20))
        rejected = {reason: 1 for reason in REJECT_REASONS[:3] if chance.random() < 0.05}
        if hours_ago < 3.5:
            rejected["unknown_tier"] = chance.randint(2, 5)
        telemetry.rated(accepted, int(chance.random() < 0.3), rejected)
        for _ in range(asked):
            telemetry.read_succeeded(chance.lognormvariate(-6.2, 0.3))
        for handler, code, number in (
            ("/api/v1/feedback", 202, accepted // 3),
            ("/api/v1/feedback", 400, sum(rejected.values())),
            ("/api/v1/recommendation", 200, asked),
            ("/metrics", 200, 1),
        ):
            for _ in range(number):
                telemetry.answered(handler, code, chance.lognormvariate(-6, 0.4))

    def render(self) -> bytes:
        """Return its part of a document; the process itself is ours, and much younger."""
        started = b"process_start_time_seconds %d" % self.started
        return STARTED.sub(started, self._telemetry.render(openmetrics=False))


def add_raw(path: Path, data: Path) -> None:
    """Add blocks of what is written in OpenMetrics to the database ``data``."""
    _run(*BLOCKS, "openmetrics", "--quiet", path, data)


def add_recorded(data: Path, end: int, directory: Path, served: Callable[[], AbstractContextManager[int]]) -> None:
    """Add blocks of recorded series and of alerts that fired to the database ``data``.

    Each pass reads what the ones before have recorded. ``served`` gives the port of a Prometheus over the
    database, which sees new blocks when it starts.
    """
    for number, rules in enumerate(passes()):
        files = list(_files(directory, number, rules))
        with served() as port, ThreadPoolExecutor() as threads:
            options = (
                "--quiet",
                f"--url=http://127.0.0.1:{port}",
                f"--start={end - DAYS * DAY + HOUR}",
                f"--end={end}",
                f"--output-dir={data}",
            )
            list(threads.map(partial(_run, *BLOCKS, "rules", *options), files))


def add_active(data: Path, end: int, directory: Path, served: Callable[[], AbstractContextManager[int]]) -> None:
    """Add a block that says since when each alert fires, for Prometheus to go on from when it starts."""
    query = f"count_over_time(ALERTS[{DAYS}d]) and ALERTS"
    with served() as port, Client(port) as client:
        firing = client.get("/api/v1/query", {"query": query, "time": end}).json["data"]["result"]
    path = directory / "active.om"
    with path.open("w", encoding="utf-8") as file:
        for alert in firing:
            del alert["metric"]["alertstate"]
            labels = ",".join(f"{name}={json.dumps(value)}" for name, value in alert["metric"].items())
            since = end - EVERY * int(alert["value"][1])
            file.writelines(f"ALERTS_FOR_STATE{{{labels}}} {since} {second}\n" for second in (end - HOUR // 2, end))
        file.write("# EOF\n")
    add_raw(path, data)


def _files(directory: Path, number: int, rules: list[Rule]) -> Iterator[Path]:
    """Write the rules of a pass into several files, which are evaluated at the same time."""
    often = [rule for rule in rules if RATED.search(rule["record"])]
    seldom = [rule for rule in rules if rule not in often]
    for part, (interval, group) in enumerate(((EVERY_RATE, often), (EVERY, seldom[::2]), (EVERY, seldom[1::2]))):
        if group:
            path = directory / f"pass{number}-{part}.yml"
            groups = [{"name": "history", "interval": f"{interval}s", "rules": group}]
            path.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
            yield path


def passes() -> list[list[Rule]]:
    """The recording rules in the order in which they read each other, and the alerts as rules at the end."""
    waiting = _needed(_rules("recording.yml"))
    done: set[str] = {STORE_UP}
    ordered = []
    while waiting:
        ready = [rule for rule in waiting if _reads(rule) <= done]
        if not ready:
            raise AssertionError(f"these rules read each other, or what nobody records: {waiting}")
        ordered.append(ready)
        done |= {rule["record"] for rule in ready}
        waiting = [rule for rule in waiting if rule not in ready]
    return [*ordered, [_fired(alert) for alert in _rules("alerts.yml")]]


def _needed(rules: list[Rule]) -> list[Rule]:
    """Leave out the rules that no alert and no dashboard reads, directly or by others."""
    texts = [rule["expr"] for rule in _rules("alerts.yml")]
    texts += [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")]
    read = set(RECORDED.findall("\n".join(texts)))
    while more := {name for rule in rules if rule["record"] in read for name in _reads(rule)} - read:
        read |= more
    return [rule for rule in rules if rule["record"] in read]


def _rules(name: str) -> list[Rule]:
    groups = yaml.safe_load((ALERTS / name).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _reads(rule: Rule) -> set[str]:
    return set(RECORDED.findall(rule["expr"])) - {rule["record"]}


def _fired(alert: Rule) -> Rule:
    """Return an alert as the series that Prometheus makes of it when it fires."""
    labels = {**alert["labels"], "alertname": alert["alert"], "alertstate": "firing"}
    return {"record": "ALERTS", "expr": f"({alert['expr']}) * 0 + 1", "labels": labels}


def _run(*command: str | Path) -> None:
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stdout
