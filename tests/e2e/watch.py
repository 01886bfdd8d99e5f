"""Exporters that are watched: Prometheus with the shipped rules, Alertmanager, and a webhook that is told.

Everything is as shipped, but for what would take too long:

- scrapes and evaluations come every second, and Alertmanager waits seconds for what belongs into one message;
- of the alerts in HURRIED, ``for`` is 2 s and ``keep_firing_for`` 3 s; all others wait as long as they are shipped to,
  so that a restart is as long for them as it is in life;
- a day's average reads the last ten minutes in steps of a second, in place of a day in steps of five minutes: it sees
  a rating at once, and nothing in a test is ten minutes old;
- a view is stale after 3 s in place of 600 s.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from alerts.alert import Alert as Rule
from alerts.exporter import STORE_DOWN, VIEW_STALE
from alerts.quality import CRITICALLY_LOW, DECLINING, LOW
from tests.support.alertmanager_process import AlertmanagerProcess
from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client
from tests.support.prometheus_process import PrometheusProcess, shipped_rules
from tests.support.waiting import eventually
from tests.support.webhook import Alert, Notification, Webhook

LIMIT_SECONDS = 40
HURRIED = {DECLINING, LOW, CRITICALLY_LOW, STORE_DOWN, VIEW_STALE}
DAY, STALE = "[1d:5m]", "> 600"
MARKER = "Marker"


def hurried_rules() -> dict[str, str]:
    """Return the shipped rules, changed as this module says."""
    texts = shipped_rules()
    alerts, recording = yaml.safe_load(texts["alerts.yml"]), texts["recording.yml"]
    names = {rule.name for rule in HURRIED}
    rules = [rule for group in alerts["groups"] for rule in group["rules"] if rule["alert"] in names]
    for rule in rules:
        rule.update({"for": "2s"}, **({"keep_firing_for": "3s"} if "keep_firing_for" in rule else {}))
        rule["expr"] = rule["expr"].replace(STALE, "> 3")
    if (len(rules), texts["alerts.yml"].count(STALE), recording.count(DAY)) != (len(HURRIED), 1, 4):
        raise AssertionError("the rules are not what they are taken for here")
    return {"alerts.yml": yaml.safe_dump(alerts), "recording.yml": recording.replace(DAY, "[10m:1s]")}


class Watch:
    """What watches, while it runs."""

    def __init__(self, prometheus: PrometheusProcess, alertmanager: AlertmanagerProcess, webhook: Webhook) -> None:
        """All of them run already."""
        self.prometheus = prometheus
        self._alertmanager = alertmanager
        self._webhook = webhook
        self._seen = 0

    def await_result(self, expression: str) -> None:
        """Return as soon as an expression has a result."""
        eventually(lambda: self.prometheus.query(expression), expression, LIMIT_SECONDS)

    def await_series(self, number: int) -> None:
        """Return as soon as so many series are known for long enough that what comes now increases them."""
        self.await_result(f"count(series:llm_feedback_score_count:increase1d) == {number}")

    def await_exporters(self, number: int) -> None:
        """Return as soon as so many exporters are scraped, no more and no less, and all answer."""
        self.await_result(f"count(up) == {number} and sum(up) == {number}")

    def await_firing(self, rule: Rule, labels: str = "") -> None:
        """Return as soon as Prometheus says that an alert fires, whether anybody is told or not."""
        self.await_result(f'ALERTS{{alertname="{rule.name}", alertstate="firing", {labels}}}')

    def await_told(self, number: int) -> None:
        """Return as soon as so many notifications have arrived since the last call of ``settle``."""
        wanted = self._seen + number
        eventually(lambda: len(self._webhook.notifications) >= wanted, f"{number} notifications", LIMIT_SECONDS)

    def settle(self) -> Counter[Notification]:
        """Let everything that is on its way arrive, and return what has arrived since the last call.

        Every rule is evaluated some times more, for longer than an alert in HURRIED waits or is kept. Then an alert
        of our own fires. It waits two seconds for others of its group, in which Alertmanager looks at every other
        group once a second: when it arrives, nothing else is under way.
        """
        begun = self._evaluations()
        eventually(lambda: self._evaluations() >= begun + 5, "5 evaluations more", LIMIT_SECONDS)
        marker = frozenset({("alertname", f"{MARKER} {self._seen}")})
        self._alertmanager.fire(dict(marker))
        told = Notification("team", "firing", marker, frozenset({Alert("firing", marker, frozenset())}))
        eventually(lambda: told in self._webhook.notifications, "the marker", LIMIT_SECONDS)
        begin, end = self._seen, self._webhook.notifications.index(told)
        self._seen = end + 1
        return Counter(self._webhook.notifications[begin:end])

    def _evaluations(self) -> int:
        """How often every group of rules has been evaluated."""
        with Client(self.prometheus.port) as client:
            lines = client.get("/metrics").text.splitlines()
        counts = [line.split()[-1] for line in lines if line.startswith("prometheus_rule_group_iterations_total{")]
        return min(map(int, counts))


@contextmanager
def watched(directory: Path, *exporters: ExporterProcess) -> Iterator[Watch]:
    """Watch exporters that run."""
    ports = [exporter.port for exporter in exporters]
    with (
        Webhook() as webhook,
        AlertmanagerProcess(directory / "alertmanager", webhook.url) as alertmanager,
        PrometheusProcess(
            directory / "prometheus", *ports, alertmanager=alertmanager.port, rules=hurried_rules()
        ) as prometheus,
    ):
        yield Watch(prometheus, alertmanager, webhook)
