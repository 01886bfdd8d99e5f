"""One alert rule, and how it becomes an entry of a rule file."""

from typing import Literal, NamedTuple

from alerts.links import Links

Severity = Literal["critical", "warning", "info"]
Entry = dict[str, str | dict[str, str]]


class Alert(NamedTuple):
    """An alert rule. ``summary`` is a fixed sentence; ``description`` holds names and numbers."""

    name: str
    severity: Severity
    expression: str
    # How long it must be true before it fires.
    wait: str
    summary: str
    description: str
    dashboard: str
    # How long it goes on firing when it is no longer true: a value that wavers about its limit, or a gap in what is
    # scraped, must not resolve it and fire it anew. None: ends at once.
    hold: str | None = None

    def entry(self, links: Links) -> Entry:
        """Return the rule as Prometheus loads it."""
        held = {"keep_firing_for": self.hold} if self.hold else {}
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            **held,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                **links.annotations(self.name, self.dashboard),
            },
        }
