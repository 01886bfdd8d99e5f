"""The shipped Alertmanager configuration: which alert is silent while which other one fires."""

from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from alerts import exporter, quality
from alerts.alert import Alert
from alerts.exporter import EXPORTER_DOWN, REPLICA_DOWN, STORE_DOWN, VIEW_STALE
from alerts.quality import CRITICALLY_LOW, DECLINING, DOWNGRADE_POSSIBLE, DROPPED, LOW, STOPPED
from tests.support.alertmanager_process import AlertmanagerProcess
from tests.support.waiting import eventually

Labels = dict[str, str]

SERIES = {"workflow": "chat", "stage": "answer", "tier": "cheap"}

# The greater, the lesser, and the labels in which the lesser may differ; in any other it is somebody else's trouble.
SILENCED: dict[tuple[Alert, Alert], set[str]] = {
    (CRITICALLY_LOW, LOW): set(),
    (CRITICALLY_LOW, DECLINING): set(),
    (CRITICALLY_LOW, DROPPED): set(),
    (CRITICALLY_LOW, DOWNGRADE_POSSIBLE): {"tier"},
    (LOW, DOWNGRADE_POSSIBLE): {"tier"},
    (DECLINING, DOWNGRADE_POSSIBLE): {"tier"},
    (DROPPED, DOWNGRADE_POSSIBLE): {"tier"},
    (EXPORTER_DOWN, REPLICA_DOWN): set(),
    (EXPORTER_DOWN, STORE_DOWN): set(),
    (EXPORTER_DOWN, VIEW_STALE): set(),
    (EXPORTER_DOWN, STOPPED): {"workflow", "stage"},
    (STORE_DOWN, VIEW_STALE): set(),
    (STORE_DOWN, STOPPED): {"workflow", "stage"},
}


class Pair(NamedTuple):
    """Two alerts that fire at the same time, and the label in which they differ beside name and severity, if any."""

    greater: str
    lesser: str
    difference: str | None


def labels(alert: Alert) -> Labels:
    """Return the labels that an alert has, but for its job."""
    names = {} if alert in exporter.ALERTS else SERIES
    lacking = {"tier"} if alert is STOPPED else set()
    return {"alertname": alert.name, "severity": alert.severity} | {
        name: value for name, value in names.items() if name not in lacking
    }


def worlds() -> dict[Pair, tuple[Labels, Labels]]:
    """Every two alerts, alike and with each difference there may be; each two have a job of their own."""
    found: dict[Pair, tuple[Labels, Labels]] = {}
    for greater, lesser in permutations((*quality.ALERTS, *exporter.ALERTS), 2):
        one = labels(greater)
        for difference in (None, "job", "cluster", "namespace", *(name for name in labels(lesser) if name in SERIES)):
            job = {"job": f"{len(found)}"}
            other = labels(lesser) | job | ({difference: f"{len(found)} other"} if difference else {})
            found[Pair(greater.name, lesser.name, difference)] = (one | job, other)
    return found


def silenced(alertmanager: AlertmanagerProcess) -> set[tuple[str, str]]:
    """Return the job and the name of each alert that is silent because of another."""
    return {
        (alert["labels"]["job"], alert["labels"]["alertname"])
        for alert in alertmanager.alerts()
        if alert["status"]["inhibitedBy"]
    }


def test_the_lesser_is_silent_while_the_greater_fires(tmp_path: Path) -> None:
    """Of all pairs of alerts those in SILENCED are one message, not two; and never because of another's trouble."""
    found = worlds()
    last = labels(CRITICALLY_LOW) | {"job": "last"}, labels(LOW) | {"job": "last"}
    with AlertmanagerProcess(tmp_path) as alertmanager:
        alertmanager.fire(*(alert for both in found.values() for alert in both))
        # It takes them in this order: when it knows of these, it knows of all.
        alertmanager.fire(*last)
        eventually(lambda: ("last", LOW.name) in silenced(alertmanager), "the last pair")
        silent = silenced(alertmanager)

    assert {pair for pair, (_, lesser) in found.items() if (lesser["job"], lesser["alertname"]) in silent} == {
        Pair(greater.name, lesser.name, difference)
        for (greater, lesser), differences in SILENCED.items()
        for difference in (None, *differences)
    }
