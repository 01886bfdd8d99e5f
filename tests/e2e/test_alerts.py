"""From ratings to notifications: who is told of what, and what is not worth a message. ``watch.py`` says how."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import pytest

from alerts.alert import Alert as Rule
from alerts.exporter import STORE_DOWN, VIEW_STALE
from alerts.links import GRAFANA, RUNBOOK
from alerts.quality import CRITICALLY_LOW, DECLINING, LOW
from tests.e2e.watch import watched
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.redis_server import RedisServer
from tests.support.webhook import Alert, Notification

JOB = "llm-feedback-exporter"
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "backlog"}

Phases = list[Counter[Notification]]
Story = Callable[[Path], Phases]


class Series(NamedTuple):
    """Whose ratings they are."""

    workflow: str
    stage: str
    tier: str

    def rated(self, *scores: float) -> list[dict[str, Any]]:
        """One rating for each score, as it is posted; they come in this order."""
        names = {"workflow_name": self.workflow, "stage_name": self.stage, "tier": self.tier}
        return [{**names, "quality_score": score} for score in scores]


ANSWER = Series("checkout & co", "answer", "cheap")
STEADY = Series("checkout & co", "plan", "capable")
GREETING = Series("support", "greeting", "cheap")
FAREWELL = Series("support", "farewell", "capable")
INVOICE = Series("billing", "invoice", "premium")
NOISY = Series("search", "rank", "cheap")
FEW = Series("search", "explain", "cheap")

FALLING = (ANSWER, GREETING, FAREWELL)
# A fall by a quarter, to what is still above the threshold of 0.7.
GOOD, WORSE = [0.95] * 50, [0.72] * 50


def post(exporter: ExporterProcess, *ratings: list[dict[str, Any]]) -> None:
    """Post ratings, all at once."""
    entries = [entry for each in ratings for entry in each]
    with exporter.client() as client:
        answer = client.post(entries)
    assert (answer.status, answer.json["accepted"]) == (202, len(entries)), answer.text


def quality_falls(directory: Path) -> Phases:
    """Stages get worse in several ways, the exporter is restarted and replaced, and most stages recover."""
    one, two = (ExporterProcess(directory / name, sqlite_url(directory)) for name in ("one", "two"))
    with one, watched(directory, one) as watch:
        post(
            one,
            *(series.rated(*GOOD) for series in (*FALLING, STEADY)),
            INVOICE.rated(*[0.4] * 30),
            # The newest half averages a quarter less than the older half, but so few 0 and 1 may do so by chance.
            NOISY.rated(*[1, 1, 1, 1, 0] * 3, *[1, 0, 1, 0, 1] * 3),
            FEW.rated(*[0.95] * 10),
        )
        watch.await_series(7)
        worse = [series.rated(*WORSE) for series in FALLING]
        post(one, *worse, STEADY.rated(*GOOD), INVOICE.rated(*[0.4] * 20), FEW.rated(*[0.3] * 9))
        watch.await_told(3)

        one.kill()
        watch.await_result("up == 0")
        one.start()
        watch.await_exporters(1)
        with two:
            watch.prometheus.scrape(one.port, two.port)
            watch.await_exporters(2)
            one.stop()
            watch.prometheus.scrape(two.port)
            watch.await_exporters(1)
            post(two, INVOICE.rated(*[0.2] * 50))
            watch.await_firing(DECLINING, f'workflow="{INVOICE.workflow}"')
            fallen = watch.settle()

            post(two, *(series.rated(*GOOD * 2) for series in FALLING), INVOICE.rated(*[0.9] * 110))
            watch.await_told(4)
            return [fallen, watch.settle()]


def store_goes_away(directory: Path) -> Phases:
    """A stage gets worse, two replicas lose their store and are restarted, the store returns, all is well."""
    redis = RedisServer(directory / "redis", "--appendonly", "yes", "--appendfsync", "always")
    one, two = (ExporterProcess(directory / name, redis.url) for name in ("one", "two"))
    with redis, one, two, watched(directory, one, two) as watch:
        post(one, ANSWER.rated(*GOOD), STEADY.rated(*GOOD))
        watch.await_series(2)
        watch.await_exporters(2)
        post(one, ANSWER.rated(*WORSE))
        watch.await_told(1)

        redis.kill()
        watch.await_told(2)
        watch.await_firing(VIEW_STALE)
        for replica in (one, two):
            replica.kill()
            watch.await_result("up == 0")
            replica.launch()
            watch.await_exporters(2)
        away = watch.settle()

        redis.start()
        watch.await_told(1)
        back = watch.settle()

        post(one, ANSWER.rated(*GOOD * 2))
        watch.await_told(1)
        return [away, back, watch.settle()]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Story, Future[Phases]]]:
    """Live through both stories at the same time, since most of each is waiting."""
    with ThreadPoolExecutor() as pool:
        yield {
            story: pool.submit(story, tmp_path_factory.mktemp("story")) for story in (quality_falls, store_goes_away)
        }


def told(status: str, rule: Rule, about: dict[Series | None, str]) -> Notification:
    """One notification, of one workflow or of none, with each series that it is about and the description of that."""
    alerts = set()
    group = {"alertname": rule.name, "job": JOB}
    for series, description in about.items():
        names = series._asdict() if series else {}
        query = "".join(f"&var-{name}={quote_plus(names[name])}" for name in ("workflow", "stage") if names)
        annotations = {
            "summary": rule.summary,
            "description": description,
            "runbook_url": f"{RUNBOOK}#{rule.name.lower()}",
            "dashboard_url": f"{GRAFANA}/d/{rule.dashboard}?var-job={JOB}{query}",
        }
        labels = {"alertname": rule.name, "job": JOB, "severity": rule.severity, **names}
        alerts.add(Alert(status, frozenset(labels.items()), frozenset(annotations.items())))
        group |= {"workflow": series.workflow} if series else {}
    return Notification(RECEIVERS[rule.severity], status, frozenset(group.items()), frozenset(alerts))


def declining(status: str, *fallen: Series) -> Notification:
    """These fell from GOOD to WORSE."""
    end = "fell: the newest half of its newest 100 scores averages -24.21% against the older half."
    about: dict[Series | None, str] = {
        each: f"Ratings of {each.workflow}/{each.stage} on tier {each.tier} {end}" for each in fallen
    }
    return told(status, DECLINING, about)


def low(status: str, rule: Rule, average: str) -> Notification:
    """INVOICE is low, or critically low."""
    below = "below" if rule is LOW else "more than 0.2 below"
    begin = "Ratings of the last day of billing/invoice on tier premium average"
    return told(status, rule, {INVOICE: f"{begin} {average}, {below} the stage's quality_threshold."})


def store_down(status: str, number: int) -> Notification:
    """So many replicas have lost their store."""
    text = (
        f"{number} exporter(s) of job {JOB} cannot read or write the store: ratings are answered with 503, "
        "and what is shown is the last known view."
    )
    return told(status, STORE_DOWN, {None: text})


def test_who_is_told_of_quality_that_falls(stories: dict[Story, Future[Phases]]) -> None:
    """Each trouble is told once, to the right receiver, grouped by workflow; the lesser is silent; all else is quiet.

    Neither a restart of the exporter nor its replacement by another is told, or ends what fires. Recovery is told
    once, and what is left then of a trouble is told as the lesser one.
    """
    fallen, recovered = stories[quality_falls].result()
    # Prometheus tells Alertmanager of a new number once a minute: this is the first average, or a later one.
    left = {low("firing", LOW, average) for average in ("0.400", "0.257", "0.650")} & recovered.keys()

    assert fallen == Counter(
        [
            declining("firing", ANSWER),
            declining("firing", GREETING, FAREWELL),
            low("firing", CRITICALLY_LOW, "0.400"),
        ]
    )
    assert recovered == Counter(
        [
            declining("resolved", ANSWER),
            declining("resolved", GREETING, FAREWELL),
            low("resolved", CRITICALLY_LOW, "0.257"),
            *left,
        ]
    )
    assert len(left) == 1


def test_who_is_told_of_a_store_that_is_away(stories: dict[Story, Future[Phases]]) -> None:
    """Of two replicas without their store one message comes, and none of old views; it ends when the store is back.

    What fired before goes on firing, though no exporter that is left has ever seen it, until the quality has recovered.
    """
    away, back, recovered = stories[store_goes_away].result()

    assert away == Counter([declining("firing", ANSWER), store_down("firing", 2)])
    # Whichever comes back first, the number is the last one that was true.
    assert back in (Counter([store_down("resolved", number)]) for number in (1, 2))
    assert recovered == Counter([declining("resolved", ANSWER)])
