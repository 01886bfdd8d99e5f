"""The documents of this folder: whole ``/metrics`` texts of one small view, in both formats.

``python -m tests.golden`` writes them anew; what changed is then to be read and agreed with.
"""

from contextlib import closing
from pathlib import Path

from exporter import names
from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.exposition import Exposition
from exporter.rules import Rules, StageOverrides, WorkflowOverrides
from exporter.store import open_store
from exporter.telemetry import Telemetry
from exporter.view import View

FOLDER = Path(__file__).parent
NOW = 1_735_691_400 * MILLION
RULES = Rules(workflows={"日本語": WorkflowOverrides(stages={"a:b|c": StageOverrides(quality_threshold=0.6)})})
SCORES = {
    SeriesKey("code-review", "analysis", "cheap"): [0.91, 0.95, 1.0] * 4,
    SeriesKey("code-review", "analysis", "capable"): [0.1, 0.7, 0.85, 0.9, 1.0, 0.3] * 4,
    SeriesKey('quote"d', "back\\slash", "premium"): [0.0],
    SeriesKey("日本語", "a:b|c", "cheap"): [0.333333, 0.5, 0.666667, 0.65],
}
# Everything of the exporter's own that is the same on every machine.
WANTED = frozenset(metric.name for metric in names.EXPORTER if metric is not names.BUILD_INFO)


def documents() -> dict[str, bytes]:
    """Render each document, by the name of its file."""
    with closing(open_store("sqlite://")) as store:
        store.append([rating for key, scores in SCORES.items() for rating in _ratings(key, scores)], NOW)
        view = View(store, RULES)
        telemetry = Telemetry(view, store, NOW)
        view.refresh(NOW)
        telemetry.read_succeeded(0.002)
        telemetry.rated(41, 1, {"too_old": 2})
        telemetry.answered("/api/v1/feedback", 202, 0.004)
        quality = Exposition(view).render()
        return {
            "metrics.txt": quality + telemetry.render(openmetrics=False, wanted=WANTED),
            "metrics.openmetrics.txt": quality + telemetry.render(openmetrics=True, wanted=WANTED),
        }


def _ratings(key: SeriesKey, scores: list[float]) -> list[Feedback]:
    begin = NOW - len(scores) * MILLION
    return [
        Feedback(key, f"{place}", round(score * MILLION), begin + place * MILLION, begin + place * MILLION)
        for place, score in enumerate(scores)
    ]
