"""The variables at the top of the dashboards."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from grafana.common import DATASOURCE, Variable
from grafana.queries import EXPORTERS, JOB, STAGE_OF_EXPORTERS

ALL = models.VariableOption(selected=True, text="All", value="$__all")


def shared() -> list[Variable]:
    """Return what every dashboard has: data source, job, instance."""
    return [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _many("job", "Job", "label_values(llm_feedback_exporter_build_info, job)").all_value(".+"),
        _many("instance", "Instance", f"label_values(llm_feedback_exporter_build_info{{{JOB}}}, instance)").all_value(
            ".+"
        ),
    ]


def stage() -> list[Variable]:
    """Return workflow and stage, exactly one of each, and the tiers of that stage, for the panels that repeat."""
    metric = "llm_feedback_window_samples"
    workflow = f"{EXPORTERS}, workflow=`${{workflow:raw}}`"
    return [
        _one("workflow", "Workflow", f"label_values({metric}{{{EXPORTERS}}}, workflow)"),
        _one("stage", "Stage", f"label_values({metric}{{{workflow}}}, stage)"),
        _many("tier", "Tier", f"label_values({metric}{{{STAGE_OF_EXPORTERS}}}, tier)").hide(
            models.VariableHide.HIDE_VARIABLE
        ),
    ]


def _one(name: str, label: str, query: str) -> builders.QueryVariable:
    """Return a variable of one value, found anew whenever the time range changes."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        # The number says that it asks for the values of a label.
        .query({"qryType": 1, "query": query, "refId": f"{label}Variable"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=False)
        .include_all(include_all=False)
    )


def _many(name: str, label: str, query: str) -> builders.QueryVariable:
    """Return a variable of one or more values, at first all."""
    return _one(name, label, query).multi(multi=True).include_all(include_all=True).current(ALL)
