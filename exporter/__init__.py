"""LLM Feedback Exporter: ratings of LLM answers in, quality and recommended model tier out.

What applications use is imported from here, lazily: neither Flask nor Redis is pulled in by it.
"""

from typing import TYPE_CHECKING, Any

from exporter.version import VERSION

if TYPE_CHECKING:
    from exporter.domain import ModelTier
    from exporter.loop import FeedbackEntry, FeedbackLoop
    from exporter.policy import TierRecommendation
    from exporter.stats import QualityStats

__version__ = VERSION

__all__ = ["FeedbackEntry", "FeedbackLoop", "ModelTier", "QualityStats", "TierRecommendation", "__version__"]

_HOMES = {
    "FeedbackEntry": "exporter.loop",
    "FeedbackLoop": "exporter.loop",
    "ModelTier": "exporter.domain",
    "QualityStats": "exporter.stats",
    "TierRecommendation": "exporter.policy",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the attribute's, and TYPE_CHECKING says it
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - not needed before somebody asks

    return getattr(import_module(_HOMES[name]), name)
