"""From ratings to notifications: exporters, Prometheus with the shipped rules, Alertmanager, and who is told.

Everything is as shipped, but for what would take too long:

- scrapes and evaluations come every second, and Alertmanager waits seconds for what belongs into one message;
- of the alerts in HURRIED, ``for`` is 2 s and ``keep_firing_for`` 3 s; all others wait as long as they are shipped to,
  so that a restart is as long for them as it is in life;
- a day's average reads the last ten minutes in steps of a second, in place of a day in steps of five minutes: it sees
  a rating at once, and nothing here is ten minutes old;
- a view is stale after 3 s in place of 600 s.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import yaml

from alerts import exporter as exporter_alerts
from alerts import quality
from alerts.alert import Alert as Rule
from alerts.links import GRAFANA, RUNBOOK
from tests.support.alertmanager_process import AlertmanagerProcess
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client
from tests.support.prometheus_process import PrometheusProcess, shipped_rules
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually
from tests.support.webhook import Alert, Notification, Webhook

JOB = "llm-feedback-exporter"
LIMIT_SECONDS = 40
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "backlog"}

HURRIED = {
    rule.name
    for rule in (
        quality.DECLINING,
        quality.LOW,
        quality.CRITICALLY_LOW,
        exporter_alerts.STORE_DOWN,
        exporter_alerts.VIEW_STALE,
    )
}


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
PLAN = Series("checkout & co", "plan", "capable")
GREETING = Series("support", "greeting", "cheap")
FAREWELL = Series("support", "farewell", "capable")
INVOICE = Series("billing", "invoice", "premium")
NOISY = Series("search", "rank", "cheap")
FEW = Series("search", "explain", "cheap")

GOOD, WORSE = 0.95, 0.72
FELL = "the newest half of its newest 100 scores averages -24.21% against the older half."


def hurried_rules() -> dict[str, str]:
    """Return the shipped rules, changed as this module says."""
    texts = shipped_rules()
    groups = yaml.safe_load(texts["alerts.yml"])
    for rule in (rule for group in groups["groups"] for rule in group["rules"] if rule["alert"] in HURRIED):
        rule["for"] = "2s"
        if "keep_firing_for" in rule:
            rule["keep_firing_for"] = "3s"
        rule["expr"] = rule["expr"].replace("> 600", "> 3")
    recording = texts["recording.yml"]
    assert recording.count("[1d:5m]") == 4
    return {"alerts.yml": yaml.safe_dump(groups), "recording.yml": recording.replace("[1d:5m]", "[10m:1s]")}


class Watch(NamedTuple):
    """Prometheus, Alertmanager, and who is told."""

    prometheus: PrometheusProcess
    alertmanager: AlertmanagerProcess
    webhook: Webhook

    def await_result(self, expression: str) -> None:
        """Return as soon as an expression has a result."""
        eventually(lambda: self.prometheus.query(expression), expression, LIMIT_SECONDS)

    def await_series(self, number: int) -> None:
        """Return as soon as so many series are known for long enough that what comes now increases them."""
        self.await_result(f"count(series:llm_feedback_score_count:increase1d) == {number}")

    def await_firing(self, rule: Rule, labels: str = "") -> None:
        """Return as soon as Prometheus says that an alert fires."""
        self.await_result(f'ALERTS{{alertname="{rule.name}", alertstate="firing", {labels}}}')

    def await_notifications(self, number: int) -> None:
        """Return as soon as so many have arrived since the start."""
        eventually(lambda: len(self.webhook.notifications) >= number, f"{number} notifications", LIMIT_SECONDS)

    def settle(self, marker: str) -> Notification:
        """Let everything that is on its way arrive, and after it a notification of ``marker``, which is returned.

        Rules are evaluated some times more. Then the marker waits for two seconds, in which Alertmanager looks at
        every other group once a second.
        """
        begun = self._evaluations()
        eventually(lambda: self._evaluations() >= begun + 3, "3 evaluations more", LIMIT_SECONDS)
        self.alertmanager.send({"alertname": marker})
        labels = frozenset({("alertname", marker)})
        expected = Notification("team", "firing", labels, frozenset({Alert("firing", labels, frozenset())}))
        eventually(lambda: expected in self.webhook.notifications, marker, LIMIT_SECONDS)
        return expected

    def _evaluations(self) -> int:
        """How often every group of rules has been evaluated."""
        with Client(self.prometheus.port) as client:
            lines = client.get("/metrics").text.splitlines()
        return min(int(line.split()[-1]) for line in lines if line.startswith("prometheus_rule_group_iterations_total{"))


@contextmanager
def watched(directory: Path, *exporters: ExporterProcess) -> Iterator[Watch]:
    """Watch some exporters."""
    ports = [exporter.port for exporter in exporters]
    with (
        Webhook() as webhook,
        AlertmanagerProcess(directory / "alertmanager", webhook.url) as alertmanager,
        PrometheusProcess(
            directory / "prometheus", *ports, alertmanager=alertmanager.port, rules=hurried_rules()
        ) as prometheus,
    ):
        yield Watch(prometheus, alertmanager, webhook)


def told(status: str, rule: Rule, *about: tuple[Series | None, str]) -> Notification:
    """One notification of ``rule``, of all that it is ``about``, each with its description."""
    own = {"alertname": rule.name, "job": JOB}
    alerts = set()
    for series, description in about:
        names = series._asdict() if series else {}
        query = "".join(f"&var-{name}={quote_plus(names[name])}" for name in ("workflow", "stage") if series)
        annotations = {
            "summary": rule.summary,
            "description": description,
            "runbook_url": f"{RUNBOOK}#{rule.name.lower()}",
            "dashboard_url": f"{GRAFANA}/d/{rule.dashboard}?var-job={JOB}{query}",
        }
        labels = {**own, "severity": rule.severity, **names}
        alerts.add(Alert(status, frozenset(labels.items()), frozenset(annotations.items())))
        own |= {"workflow": names["workflow"]} if series else {}
    return Notification(RECEIVERS[rule.severity], status, frozenset(own.items()), frozenset(alerts))


def declining(status: str, *all_series: Series) -> Notification:
    """All of these fell from GOOD to WORSE."""
    about = [(each, f"Ratings of {each.workflow}/{each.stage} on tier {each.tier} fell: {FELL}") for each in all_series]
    return told(status, quality.DECLINING, *about)


def low(status: str, rule: Rule, average: str) -> Notification:
    """INVOICE is low, or critically low."""
    end = "below" if rule is quality.LOW else "more than 0.2 below"
    text = f"Ratings of the last day of billing/invoice on tier premium average {average}, {end} the stage's quality_threshold."
    return told(status, rule, (INVOICE, text))


def store_down(status: str) -> Notification:
    """Both replicas have lost their store."""
    text = f"2 exporter(s) of job {JOB} cannot read or write the store: ratings are answered with 503, and what is shown is the last known view."
    return told(status, exporter_alerts.STORE_DOWN, (None, text))


def post(exporter: ExporterProcess, *ratings: list[dict[str, Any]]) -> None:
    """Post ratings at once."""
    entries = [entry for each in ratings for entry in each]
    with exporter.client() as client:
        answer = client.post(entries)
    assert (answer.status, answer.json["accepted"]) == (202, len(entries)), answer.text


def test_who_is_told_of_quality_that_falls(tmp_path: Path) -> None:
    """Each trouble is told once, to the right receiver, grouped by workflow; the lesser is silent; all else is quiet.

    Neither a restart of the exporter nor its replacement by another one is told, or ends what fires.
    """
    url = sqlite_url(tmp_path)
    one, two = ExporterProcess(tmp_path / "one", url), ExporterProcess(tmp_path / "two", url)
    falling = (ANSWER, GREETING, FAREWELL)
    with one, watched(tmp_path, one) as watch:
        post(
            one,
            *(series.rated(*[GOOD] * 50) for series in (*falling, PLAN)),
            INVOICE.rated(*[0.4] * 30),
            NOISY.rated(*[1, 1, 1, 1, 0] * 3, *[1, 0, 1, 0, 1] * 3),
            FEW.rated(*[GOOD] * 10),
        )
        watch.await_series(7)

        post(
            one,
            *(series.rated(*[WORSE] * 50) for series in falling),
            PLAN.rated(*[GOOD] * 50),
            INVOICE.rated(*[0.4] * 20),
            FEW.rated(*[0.3] * 9),
        )
        watch.await_notifications(3)
        one.restart()
        with two:
            watch.prometheus.scrape(one.port, two.port)
            watch.await_result("count(up == 1) == 2")
            post(two, INVOICE.rated(*[0.2] * 50))
            one.stop()
            watch.prometheus.scrape(two.port)
            watch.await_result("count(up) == 1")
            watch.await_firing(quality.DECLINING, 'workflow="billing"')
            meanwhile = watch.settle("Replaced")

            post(two, *(series.rated(*[GOOD] * 100) for series in falling), INVOICE.rated(*[0.9] * 110))
            watch.await_notifications(8)
            end = watch.settle("End")

    # Prometheus tells Alertmanager of the number anew once a minute.
    (left_over,) = {low("firing", quality.LOW, each) for each in ("0.400", "0.257", "0.650")} & {
        *watch.webhook.notifications
    }
    assert Counter(watch.webhook.notifications) == Counter(
        [
            declining("firing", ANSWER),
            declining("firing", GREETING, FAREWELL),
            low("firing", quality.CRITICALLY_LOW, "0.400"),
            meanwhile,
            declining("resolved", ANSWER),
            declining("resolved", GREETING, FAREWELL),
            low("resolved", quality.CRITICALLY_LOW, "0.257"),
            left_over,
            end,
        ]
    )


def test_who_is_told_of_a_store_that_is_away(tmp_path: Path) -> None:
    """Of two replicas that lose their store one message comes, none of old views, and what fires goes on firing.

    Nor does it end when an exporter restarts meanwhile; it ends when quality has recovered.
    """
    redis = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    replicas = [ExporterProcess(tmp_path / name, redis.url) for name in ("one", "two")]
    with redis, replicas[0] as one, replicas[1] as two, watched(tmp_path, one, two) as watch:
        post(one, ANSWER.rated(*[GOOD] * 50), PLAN.rated(*[GOOD] * 50))
        watch.await_series(2)
        watch.await_result("count(up == 1) == 2")
        post(one, ANSWER.rated(*[WORSE] * 50))
        watch.await_notifications(1)

        redis.kill()
        watch.await_notifications(2)
        watch.await_firing(exporter_alerts.VIEW_STALE)
        one.kill()
        one.launch()
        one.wait_status("/-/healthy", 200)
        watch.await_result("count(up == 1) == 2")
        away = watch.settle("Away")

        redis.start()
        watch.await_notifications(4)
        back = watch.settle("Back")

        post(one, ANSWER.rated(*[GOOD] * 100))
        watch.await_notifications(6)
        end = watch.settle("End")

    assert watch.webhook.notifications == [
        declining("firing", ANSWER),
        store_down("firing"),
        away,
        store_down("resolved"),
        back,
        declining("resolved", ANSWER),
        end,
    ]
