"""What all dashboards share: their data source, identity, links and annotations."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import DataSourceRef

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="$datasource")

UIDS: Final = {
    "Overview": "llm-feedback-overview",
    "Stage": "llm-feedback-stage",
    "Exporter": "llm-feedback-exporter",
}

# A row of a table leads to its stage: names go into the address percent-encoded, whatever they hold.
TO_STAGE: Final = (
    f"/d/{UIDS['Stage']}?${{datasource:queryparam}}"
    "&var-job=${__data.fields.job:percentencode}"
    "&var-workflow=${__data.fields.workflow:percentencode}"
    "&var-stage=${__data.fields.stage:percentencode}"
    "&${__url_time_range}"
)

Annotation = builders.AnnotationQuery
Variable = Builder[models.VariableModel]


def dashboard(name: str, description: str, period: str, variables: list[Variable]) -> builders.Dashboard:
    """Begin a dashboard that shows the last ``period``, with links to the others."""
    board = (
        builders.Dashboard(f"LLM Feedback / {name}")
        .uid(UIDS[name])
        .description(description)
        .tags(["llm-feedback"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time(f"now-{period}", "now")
        .refresh("1m")
        .timezone("browser")
        .variables(variables)
    )
    for other, uid in UIDS.items():
        if other != name:
            board.link(_link(other, uid))
    return board


def _link(name: str, uid: str) -> builders.DashboardLink:
    return (
        builders.DashboardLink(name)
        .type(models.DashboardLinkType.LINK)
        .icon("dashboard")
        .tooltip(f"Go to {name} with the same time and the same variables")
        .url(f"/d/{uid}")
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
    )


def alerts(name: str, expression: str, text: str) -> Annotation:
    """Mark on every panel when alerts began to fire."""
    return (
        Annotation()
        .name(name)
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color("red")
        .expr(expression)
        .target(prometheus.Dataquery().ref_id("Alerts").expr(expression).range().interval("1m"))
        .title_format("{{alertname}}")
        .text_format(text)
        .tag_keys("severity")
        .step("60s")
    )
