"""One Prometheus with a past of weeks, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.grafana.watched import Watched, watched


@pytest.fixture(scope="session", name="watched")
def session_of_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Return the Prometheus."""
    with watched(tmp_path_factory.mktemp("watched")) as prometheus:
        yield prometheus
