"""Where an alert sends its reader; the one place that knows, so that no alert can lack a link.

Both bases can be changed for a site of one's own: ``python -m alerts --runbook URL --grafana URL``.
"""

from typing import NamedTuple

RUNBOOK = "https://github.com/llm-feedback-exporter/llm-feedback-exporter/blob/main/alerts/runbook.md"
GRAFANA = "http://127.0.0.1:3000"

SERIES = ("workflow", "stage")


class Links(NamedTuple):
    """The bases of all links."""

    runbook: str = RUNBOOK
    grafana: str = GRAFANA

    def annotations(self, alert: str, dashboard: str) -> dict[str, str]:
        """``runbook_url`` and ``dashboard_url`` of an alert; the board of a stage opens on the alert's own."""
        query = "?var-job={{ $labels.job | urlquery }}"
        if dashboard == "llm-feedback-stage":
            query += "".join(f"&var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in SERIES)
        return {
            "runbook_url": f"{self.runbook}#{alert.lower()}",
            "dashboard_url": f"{self.grafana}/d/{dashboard}{query}",
        }
