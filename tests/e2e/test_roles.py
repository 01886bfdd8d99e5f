"""Roles: who takes ratings and who shows them, apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import names
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client
from tests.support.samples import sample

RATING = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5}


class Apart(NamedTuple):
    """Clients of two exporters over one store, by role."""

    ingest: Client
    export: Client


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    """Return an exporter of each role over one store."""
    url = sqlite_url(tmp_path)
    with (
        ExporterProcess(tmp_path / "ingest", url, "--role", "ingest") as ingest,
        ExporterProcess(tmp_path / "export", url, "--role", "export") as export,
        ingest.client() as to_ingest,
        export.client() as to_export,
    ):
        yield Apart(to_ingest, to_export)


def test_ingest_and_export_apart(apart: Apart) -> None:
    """What an exporter of role ingest takes is shown by one of role export, and by that alone."""
    assert apart.ingest.post([RATING, RATING]).status == 202
    shown = apart.export.get("/metrics").text
    own = apart.ingest.get("/metrics").text
    refused = apart.export.post(RATING)

    assert sample(shown, names.WINDOW_SAMPLES.name, workflow="w", stage="s", tier="cheap") == 2
    assert sample(shown, names.RATINGS_ACCEPTED.name) == 0
    assert sample(own, names.RATINGS_ACCEPTED.name) == 2
    assert f"{names.WINDOW_SAMPLES.name}{{" not in own
    assert (refused.status, refused.headers["allow"]) == (405, "DELETE, OPTIONS")
    assert apart.ingest.get("/api/v1/recommendations").status == 404


def test_each_lists_what_it_serves(apart: Apart) -> None:
    """The landing page and the specification name the paths of the role, and no other."""
    pages = [client.get("/").text for client in apart]
    paths = [client.get("/api/v1/openapi.json").json["paths"] for client in apart]
    answers = {
        client.get(path).status
        for client, offered in zip(apart, paths, strict=True)
        for path in offered
        if "get" in offered[path]
    }

    assert ["/api/v1/recommendations" in page for page in pages] == [False, True]
    assert [list(offered["/api/v1/feedback"]) for offered in paths] == [["post"], ["delete"]]
    assert ["/api/v1/stats" in offered for offered in paths] == [False, True]
    assert answers <= {200, 400}
