"""Panels with the defaults of these dashboards: each begins with title, description, unit and queries."""

from string import ascii_uppercase
from typing import Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.common import DATASOURCE, TO_STAGE

Target = prometheus.Dataquery
Step = tuple[float | None, str]
Panel = TypeVar("Panel", timeseries.Panel, stat.Panel, table.Panel, statetimeline.Panel, heatmap.Panel)

NEUTRAL: Final = ((None, "blue"),)
# The threshold of a stage unless it is configured, and where LLMFeedbackQualityCriticallyLow begins.
SCORE_STEPS: Final = ((None, "red"), (0.5, "orange"), (0.7, "green"))
# Where LLMFeedbackQualityDeclining begins; rising is good.
TREND_STEPS: Final = ((None, "red"), (-0.2, "orange"), (0, "green"))
MARGIN_STEPS: Final = ((None, "red"), (0, "green"))
NONE_IS_GOOD: Final = ((None, "green"), (1, "red"))
# Routers follow a recommendation above this.
GATE: Final = ((None, "orange"), (0.7, "green"))


def over_time(expression: str, legend: str) -> Target:
    """Return a query whose result is drawn over time."""
    return Target().expr(expression).legend_format(legend).range()


def now(expression: str, legend: str = "") -> Target:
    """Return a query of the present."""
    return Target().expr(expression).legend_format(legend).instant()


def rows(expression: str) -> Target:
    """Return a query of the present whose labels become columns."""
    return now(expression).format(PromQueryFormat.TABLE)


def _begun(panel: Panel, title: str, description: str, unit: str, targets: tuple[Target, ...]) -> Panel:
    for letter, target in zip(ascii_uppercase, targets, strict=False):
        panel.with_target(target.ref_id(letter).datasource(DATASOURCE))
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).height(8).span(12)


def lines(title: str, description: str, unit: str, *targets: Target) -> timeseries.Panel:
    """Lines over time."""
    legend = (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    panel = timeseries.Panel().line_width(1).fill_opacity(0).show_points(shapes.VisibilityMode.AUTO)
    return _begun(panel, title, description, unit, targets).legend(legend).tooltip(tooltip)


def stacked(title: str, description: str, unit: str, *targets: Target) -> timeseries.Panel:
    """Areas on top of each other: their sum means something."""
    stacking = common.StackingConfig().mode(shapes.StackingMode.NORMAL)
    return lines(title, description, unit, *targets).fill_opacity(30).stacking(stacking).min(0)


def tile(title: str, description: str, unit: str, target: Target, steps: tuple[Step, ...]) -> stat.Panel:
    """One number, coloured by thresholds."""
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().reduce_options(reduced).graph_mode(shapes.BigValueGraphMode.NONE)
    return _begun(panel, title, description, unit, (target,)).height(4).span(4).thresholds(thresholds(*steps))


def tile_of_name(title: str, description: str, target: Target) -> stat.Panel:
    """Return the name of a series instead of its value."""
    return tile(title, description, "none", target, NEUTRAL).text_mode(shapes.BigValueTextMode.NAME)


def states(title: str, description: str, texts: dict[str, tuple[str, str]], *targets: Target) -> statetimeline.Panel:
    """When each series was in which state: value -> text and colour."""
    panel = (
        statetimeline.Panel().merge_values(merge_values=True).show_value(shapes.VisibilityMode.NEVER).row_height(0.8)
    )
    return _begun(panel, title, description, "none", targets).mappings([mapping(texts)])


def buckets(title: str, description: str, expression: str) -> heatmap.Panel:
    """How the observations of a histogram spread over its buckets, over time."""
    target = over_time(expression, "{{le}}").format(PromQueryFormat.HEATMAP)
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32)
    panel = heatmap.Panel().calculate(calculate=False).color(colours).cell_gap(1).max_data_points(60)
    panel.y_axis(heatmap.YAxisConfig().unit("none")).cell_values(heatmap.CellValues().unit("none").decimals(1))
    return _begun(panel, title, description, "none", (target,))


class Column(NamedTuple):
    """A column of a table: the field of the result, its heading, and how its values are written."""

    field: str
    heading: str
    unit: str = "string"
    decimals: int | None = None
    # Thresholds that colour its values.
    steps: tuple[Step, ...] = ()
    # Whether a click leads to the stage of the row.
    leads: bool = False

    def properties(self) -> list[models.DynamicConfigValue]:
        """Return what differs from a plain column."""
        given: dict[str, object] = {"displayName": self.heading, "unit": self.unit}
        if self.decimals is not None:
            given["decimals"] = self.decimals
        if self.steps:
            given["thresholds"] = thresholds(*self.steps).build()
            given["custom.cellOptions"] = {"type": "color-text"}
        if self.leads:
            given["links"] = [{"title": "Look at this stage", "url": TO_STAGE}]
        return [models.DynamicConfigValue(name, value) for name, value in given.items()]


def listing(
    title: str,
    description: str,
    columns: tuple[Column, ...],
    *targets: Target,
    empty: str,
    hidden: tuple[str, ...] = (),
) -> table.Panel:
    """Return a table of what is now; fields that are neither a column nor hidden follow the columns."""
    panel = _begun(table.Panel(), title, description, "none", targets).no_value(empty)
    if len(targets) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    arranged = {
        "excludeByName": dict.fromkeys(("Time", *hidden), True),
        "indexByName": {column.field: place for place, column in enumerate(columns)},
        "renameByName": {},
    }
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=arranged))
    for column in columns:
        panel.override_by_name(column.field, column.properties())
    return panel


def thresholds(*steps: Step) -> builders.ThresholdsConfig:
    """Return thresholds, from the lowest: the first colour has no lower end."""
    made = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def limit(panel: timeseries.Panel, *steps: Step) -> timeseries.Panel:
    """Draw thresholds as dashed lines, and tint what lies between."""
    style = common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED_AND_AREA)
    return panel.thresholds(thresholds(*steps)).thresholds_style(style)


def dashed(panel: timeseries.Panel, name: str, colour: str | None = None) -> timeseries.Panel:
    """Draw a series as a dashed line; in a colour of its own, if one is given."""
    properties = [models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]})]
    if colour:
        properties.append(models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}))
    return panel.override_by_name(name, properties)


def mapping(texts: dict[str, tuple[str, str]]) -> models.ValueMap:
    """Return texts and colours for values."""
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(texts.items())
        }
    )
