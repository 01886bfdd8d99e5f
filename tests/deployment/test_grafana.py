"""Grafana finds data source and dashboards where config/compose.yml mounts them."""

import json

import yaml

from tests.deployment.compose_file import ROOT, SERVICES, Document, in_container, mounts


class TestGrafana:
    """Grafana finds data source and dashboards where the stack mounts them."""

    def test_data_source(self) -> None:
        """There is one data source, of the uid that dashboards name, asked by the interval of the scrapes."""
        (source,) = provisioned("datasources/prometheus.yml")["datasources"]
        scrape = yaml.safe_load((ROOT / "config" / "prometheus.yml").read_text())["global"]["scrape_interval"]

        assert (source["uid"], source["type"], source["isDefault"]) == ("prometheus", "prometheus", True)
        assert source["jsonData"]["timeInterval"] == scrape

    def test_dashboards(self) -> None:
        """The path of the dashboards is where they are mounted, and the home is one of them."""
        (provider,) = provisioned("dashboards/dashboards.yml")["providers"]
        home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

        assert in_container(SERVICES["grafana"], provider["options"]["path"]) == ROOT / "grafana" / "dashboards"
        assert in_container(SERVICES["grafana"], home) == ROOT / "grafana" / "dashboards" / "overview.json"

    def test_nothing_else_is_mounted(self) -> None:
        """It sees what is provisioned and the dashboards, and nothing of the code that makes them."""
        seen = {mount.path for mount in mounts(SERVICES["grafana"]) if mount.path}

        assert seen == {ROOT / "grafana" / "provisioning", ROOT / "grafana" / "dashboards"}

    def test_source_of_dashboards(self) -> None:
        """Each dashboard lets its reader choose among sources of one type, which is that of the one that is there."""
        (source,) = provisioned("datasources/prometheus.yml")["datasources"]
        boards = [json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")]
        chosen = [
            (each["name"], each["query"])
            for board in boards
            for each in board["templating"]["list"]
            if each["type"] == "datasource"
        ]

        assert chosen == [("datasource", source["type"])] * 3

    def test_health(self) -> None:
        """Its health check asks the path that Grafana has for it, at its own port."""
        assert SERVICES["grafana"]["healthcheck"]["test"][-1] == "http://127.0.0.1:3000/api/health"


def provisioned(name: str) -> Document:
    """Read a file where Grafana looks for it."""
    path = in_container(SERVICES["grafana"], f"/etc/grafana/provisioning/{name}")
    assert path
    document: Document = yaml.safe_load(path.read_text())
    assert document["apiVersion"] == 1
    return document
