"""Roles: who takes ratings and who shows them, apart."""

from pathlib import Path

from exporter import names
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.samples import sample

RATING = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5}


def test_ingest_and_export_apart(tmp_path: Path) -> None:
    """What an exporter of role ingest takes is shown by one of role export, and by that alone."""
    url = sqlite_url(tmp_path)
    with (
        ExporterProcess(tmp_path / "ingest", url, "--role", "ingest") as ingest,
        ExporterProcess(tmp_path / "export", url, "--role", "export") as export,
        ingest.client() as to_ingest,
        export.client() as to_export,
    ):
        assert to_ingest.post([RATING, RATING]).status == 202
        shown = to_export.get("/metrics").text
        own = to_ingest.get("/metrics").text
        refused = to_export.post(RATING)
        absent = to_ingest.get("/api/v1/recommendations")

    assert sample(shown, names.WINDOW_SAMPLES.name, workflow="w", stage="s", tier="cheap") == 2
    assert sample(shown, names.RATINGS_ACCEPTED.name) == 0
    assert sample(own, names.RATINGS_ACCEPTED.name) == 2
    assert f"{names.WINDOW_SAMPLES.name}{{" not in own
    assert (refused.status, refused.headers["allow"]) == (405, "DELETE, OPTIONS")
    assert absent.status == 404


def test_each_lists_what_it_serves(tmp_path: Path) -> None:
    """The landing page and the specification name the paths of the role, and no other."""
    url = sqlite_url(tmp_path)
    with (
        ExporterProcess(tmp_path / "ingest", url, "--role", "ingest") as ingest,
        ExporterProcess(tmp_path / "export", url, "--role", "export") as export,
        ingest.client() as to_ingest,
        export.client() as to_export,
    ):
        pages = [client.get("/").text for client in (to_ingest, to_export)]
        paths = [client.get("/api/v1/openapi.json").json["paths"] for client in (to_ingest, to_export)]
        every = [
            client.get(path).status
            for client, offered in zip((to_ingest, to_export), paths, strict=True)
            for path in offered
            if "get" in offered[path]
        ]

    assert ["/api/v1/recommendations" in page for page in pages] == [False, True]
    assert [list(offered.get("/api/v1/feedback", {})) for offered in paths] == [["post"], ["delete"]]
    assert ["/api/v1/stats" in offered for offered in paths] == [False, True]
    assert set(every) <= {200, 400}
