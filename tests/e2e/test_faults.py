"""Kill -9 at random moments: nothing acknowledged is lost, and nothing is counted twice."""

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.names import WINDOW_SAMPLES
from exporter.store import open_store
from exporter.store.base import LOG_LENGTH, Store, Verdict
from exporter.store.sqlite import SQLiteStore
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client, Unanswered
from tests.support.journal import Sent, differences
from tests.support.ratings import NOW
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

CLIENTS = 4
BATCH = 10
# 4 clients, 10 ratings every 0.04 s: 1,000 a second while all is up, well over 200 with the outages counted in.
PAUSE_SECONDS = 0.04
# So that no log, of 1,000 ratings, loses one: a stage has two series, and gets this many.
RATINGS_A_STAGE = 1000
# Share of the answers that clients take as lost on the way: all is stored, and sent again.
LOST_ANSWERS = 0.05
CYCLES = [10, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(900)])]


class Rater:
    """A client that sends ids and keeps a journal; after an error it sends the same again, or gives up on it."""

    def __init__(self, name: int, port: int) -> None:
        """Send nothing yet."""
        self._name = name
        self._client = Client(port)
        self._chance = random.Random(name)
        self._numbers = 0
        self.sent: list[Sent] = []
        self.acknowledged: list[Sent] = []

    def run(self, enough: threading.Event) -> None:
        """Rate until it is ``enough``; what is under way then is finished."""
        with self._client:
            while not enough.is_set():
                batch = [self._rating() for _ in range(BATCH)]
                self.sent += batch
                while not self._is_taken(batch) and self._chance.random() < 0.9:
                    time.sleep(PAUSE_SECONDS)
                time.sleep(PAUSE_SECONDS)

    def _rating(self) -> Sent:
        self._numbers += 1
        stage = f"rater-{self._name}-{self._numbers // RATINGS_A_STAGE}"
        tier = ("cheap", "capable")[self._numbers % 2]
        return Sent(SeriesKey("faults", stage, tier), f"{self._name}-{self._numbers}", self._chance.randint(0, MILLION))

    def _is_taken(self, batch: list[Sent]) -> bool:
        try:
            answer = self._client.post([_entry(rating) for rating in batch])
        except Unanswered:
            return False
        if answer.status == 503:
            return False
        receipt = answer.json
        assert (answer.status, receipt["accepted"] + receipt["duplicates"]) == (202, len(batch)), answer.text
        if self._chance.random() < LOST_ANSWERS:
            return False
        self.acknowledged += batch
        return True


def _entry(rating: Sent) -> dict[str, Any]:
    return {
        "workflow_name": rating.key.workflow,
        "stage_name": rating.key.stage,
        "tier": rating.key.tier,
        "quality_score": rating.score / MILLION,
        "feedback_id": rating.feedback_id,
    }


@pytest.mark.parametrize("cycles", CYCLES)
def test_sqlite_keeps_what_it_acknowledged_when_the_exporter_is_killed(tmp_path: Path, cycles: int) -> None:
    """The exporter is killed at a random moment, whole or its parent alone, and started again, many times."""
    url = sqlite_url(tmp_path)
    with ExporterProcess(tmp_path, url) as exporter:
        raters = _rate_while(exporter, [exporter.restart, exporter.restart_parent], cycles)
        shown = _shown(exporter)

    assert _compared(url, raters, shown) == []


@pytest.mark.parametrize("cycles", CYCLES)
def test_redis_keeps_what_it_acknowledged_when_either_is_killed(tmp_path: Path, cycles: int) -> None:
    """With appendfsync always, the exporter and Redis are killed at random moments by turns, many times."""
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        with ExporterProcess(tmp_path, server.url) as exporter:

            def restart_redis() -> None:
                server.kill()
                server.start()
                _mend_log(server)
                exporter.wait_ready()

            raters = _rate_while(exporter, [exporter.restart, restart_redis], cycles)
            shown = _shown(exporter)

        assert _compared(server.url, raters, shown) == []


def _mend_log(server: RedisServer) -> None:
    """Do what ``docs/redis.md`` asks for where an AOF was cut off in the middle of what was not acknowledged."""
    if "loaded anyway because aof-load-truncated" in server.output:
        with redis.Redis(port=server.port) as client:
            client.bgrewriteaof()
            eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the AOF being rewritten")


def _rate_while(exporter: ExporterProcess, blows: Sequence[Callable[[], None]], cycles: int) -> list[Rater]:
    """Let the clients rate while one blow after the other falls, each at a random moment; return them done."""
    raters = [Rater(name, exporter.port) for name in range(CLIENTS)]
    chance = random.Random(cycles)
    enough = threading.Event()
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(rater.run, enough) for rater in raters]
        try:
            for cycle in range(cycles):
                _wait_for_more(raters, running)
                time.sleep(chance.uniform(0, 0.5))
                blows[cycle % len(blows)]()
            _wait_for_more(raters, running)
        finally:
            enough.set()
    acknowledged = sum(len(rater.acknowledged) for rater in raters)
    rate = acknowledged / (time.monotonic() - began)
    sys.stdout.write(f"{cycles} cycles, {acknowledged} ratings acknowledged, {rate:.0f} a second, outages included\n")
    return raters


def _shown(exporter: ExporterProcess) -> int:
    """How many ratings /metrics shows, of all series together."""
    with exporter.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
    return int(sum(each.value for family in families if family.name == WINDOW_SAMPLES.name for each in family.samples))


def _wait_for_more(raters: list[Rater], running: list[Future[None]]) -> None:
    """Return when every client is served (again); fail with the first that failed."""
    before = [len(rater.acknowledged) for rater in raters]

    def all_are_served() -> bool:
        for run in running:
            if run.done():
                run.result()
        return all(len(rater.acknowledged) > count for rater, count in zip(raters, before, strict=True))

    eventually(all_are_served, "every client being served")


def _compared(url: str, raters: list[Rater], shown: int) -> list[str]:
    """Compare the store with the clients' journals, and with how many ratings were shown."""
    sent = [rating for rater in raters for rating in rater.sent]
    acknowledged = [rating for rater in raters for rating in rater.acknowledged]
    store = open_store(url)
    try:
        held = sum(len(store.history([key], LOG_LENGTH)) for key in {rating.key for rating in sent})
        wrong = [] if shown == held else [f"shown are {shown} ratings, stored are {held}"]
        return wrong + differences(store, sent, acknowledged)
    finally:
        store.close()


class DropsOne(SQLiteStore):
    """A store that acknowledges a rating and does not keep it."""

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Store all but the last."""
        return [*super().append(batch[:-1], now), "new"]


class DoublesOne(SQLiteStore):
    """A store that has forgotten an id when it comes again."""

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Store all, and the last once more, when its id is no longer known."""
        super().append(batch, now)
        return super().append(batch[-1:], now + 48 * 3600 * MILLION) * len(batch)


KEY = SeriesKey("faults", "stage", "cheap")
SENT = [Sent(KEY, f"id-{number}", 100_000 * number) for number in range(1, 4)]


def _store(kind: type[SQLiteStore]) -> Store:
    store = kind("", retention=7 * 24 * 3600, series_limit=10)
    batch = [
        Feedback(rating.key, rating.feedback_id, rating.score, NOW + place, NOW + place)
        for place, rating in enumerate(SENT)
    ]
    assert store.append(batch, NOW) == ["new"] * len(batch)
    return store


@pytest.mark.parametrize(
    ("kind", "sent", "acknowledged", "faults"),
    [
        pytest.param(SQLiteStore, SENT, SENT, [], id="nothing"),
        pytest.param(SQLiteStore, SENT, SENT[:1], [], id="unacknowledged but stored"),
        pytest.param(DropsOne, SENT, SENT[:2], [], id="unacknowledged and lost"),
        pytest.param(DropsOne, SENT, SENT, ["faults/stage/cheap: lost: id-3"], id="acknowledged and lost"),
        pytest.param(
            DoublesOne,
            SENT,
            SENT,
            [
                "faults/stage/cheap: stored twice: id-3",
                "faults/stage/cheap: ratings in hours and their sum are (4, 900000), stored are (3, 600000)",
                "faults/stage/cheap: ratings in totals and their sum are (4, 900000), stored are (3, 600000)",
            ],
            id="counted twice",
        ),
        pytest.param(SQLiteStore, SENT[:2], SENT[:2], ["faults/stage/cheap: never sent: id-3"], id="never sent"),
    ],
)
def test_the_comparison_finds(
    kind: type[SQLiteStore], sent: list[Sent], acknowledged: list[Sent], faults: list[str]
) -> None:
    """A store that drops a rating, counts one twice or invents one is found out; one that does not is not."""
    store = _store(kind)
    try:
        assert differences(store, sent, acknowledged) == faults
    finally:
        store.close()


def test_the_comparison_refuses_what_it_cannot_tell() -> None:
    """More ratings in a series than the log holds are no basis: some would seem lost."""
    sent = [Sent(KEY, f"{number}", 0) for number in range(1001)]
    store = _store(SQLiteStore)
    try:
        with pytest.raises(
            AssertionError, match=r"\Aa series was sent over 1000 ratings, so its log no longer holds them all\Z"
        ):
            differences(store, sent, [])
    finally:
        store.close()
