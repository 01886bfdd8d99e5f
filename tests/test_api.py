"""What ``import exporter`` gives, and what it does not pull in."""

import subprocess
import sys

import pytest

import exporter

HEAVY = ("flask", "granian", "redis", "yaml", "prometheus_client", "click", "rich")


def loaded_by(program: str) -> set[str]:
    """Which of the heavy packages are loaded after ``program`` ran in a process of its own."""
    check = f"import sys\n{program}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.split())


def test_names() -> None:
    """The package exports exactly what applications use, and each name leads to the thing itself."""
    assert exporter.__all__ == [
        "FeedbackEntry",
        "FeedbackLoop",
        "ModelTier",
        "QualityStats",
        "TierRecommendation",
        "__version__",
    ]
    assert [getattr(exporter, name).__name__ for name in exporter.__all__[:-1]] == exporter.__all__[:-1]


def test_unknown_name() -> None:
    """A name that is not exported is an attribute error that names it."""
    with pytest.raises(AttributeError, match=r"\Amodule 'exporter' has no attribute 'Feedback_Loop'\Z"):
        exporter.Feedback_Loop  # noqa: B018 - the access itself is the test


def test_import_alone() -> None:
    """Importing the package loads none of its dependencies."""
    assert loaded_by("import exporter\nexporter.__version__") == set()


def test_loop_in_memory() -> None:
    """An application that records and asks over memory or a file loads no server, client or parser."""
    program = """
from exporter import FeedbackEntry, FeedbackLoop, ModelTier, QualityStats, TierRecommendation
with FeedbackLoop("sqlite://") as loop:
    loop.record_feedback("workflow", "stage", ModelTier.CHEAP, 0.5)
    loop.recommend_tier("workflow", "stage")
    loop.get_underperforming_stages("workflow")
"""
    assert loaded_by(program) == set()


def test_loop_over_redis() -> None:
    """An application that names a Redis store loads the client, and still no server."""
    assert loaded_by('from exporter import FeedbackLoop\nFeedbackLoop("redis://127.0.0.1:1").close()') == {"redis"}


def test_client_commands() -> None:
    """The command line loads Flask and Granian only to serve."""
    assert loaded_by("import exporter.cli") == {"click", "rich", "yaml"}
