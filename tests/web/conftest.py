"""The application over an empty store: in memory, where the store does not matter, or over each kind in turn."""

from collections.abc import Callable

import pytest

from exporter.store.base import Store
from tests.web.edge import Edge


@pytest.fixture
def edge(opened: Callable[..., Store]) -> Edge:
    """Return an exporter over an empty store in memory."""
    return Edge(opened("sqlite://"))


@pytest.fixture
def any_edge(store: Store) -> Edge:
    """Return an exporter over an empty store of each kind in turn."""
    return Edge(store)
