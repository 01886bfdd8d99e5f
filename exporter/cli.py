"""The commands. Each reads its arguments, asks, and shows; none computes anything."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from exporter import demo, scores, tables
from exporter.clock import new_feedback_id
from exporter.config import load
from exporter.domain import Feedback, SeriesKey, metadata_json, millionths, name, shown
from exporter.errors import InvalidFeedback
from exporter.reading import DayStats, by_day, known_tier, read_stage, stage_key
from exporter.session import (
    NO_RATINGS,
    Commands,
    Failure,
    Misuse,
    Session,
    config_option,
    on_store,
    store_option,
)
from exporter.stats import QualityStats
from exporter.version import VERSION
from exporter.view import Stage

tier_option = click.option("--tier", metavar="TIER", help="Only this tier.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="feedback-exporter")
def main() -> None:
    """Ratings of LLM answers in; quality, trend and recommended model tier out."""


@main.command()
@config_option
@store_option
@click.option("--listen", metavar="HOST:PORT", help="Address to serve on. [env: FEEDBACK_EXPORTER_LISTEN]")
@click.option("--workers", metavar="N", help="Processes that answer. [env: FEEDBACK_EXPORTER_WORKERS]")
@click.option("--role", metavar="ROLE", help="all, ingest or export. [env: FEEDBACK_EXPORTER_ROLE]")
@click.option("--access-log/--no-access-log", default=None, help="Log every request.")
def serve(config: Path | None, **flags: object) -> None:
    """Serve ingest, JSON API and /metrics."""
    from exporter.web.server import serve as run  # noqa: PLC0415 - Flask and Granian are loaded only to serve

    run(partial(load, config, dict(os.environ), flags))


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check_config(file: Path | None) -> None:
    """Check the configuration FILE, and say all that is wrong with it."""
    load(file, os.environ, {})
    tables.show("The configuration can be used.")


@main.command()
@click.argument("workflow")
@click.argument("stage")
@click.argument("tier")
@click.option("--score", type=float, help="0.0 bad to 1.0 excellent.")
@click.option("--stars", type=float, help="1 to 5; counts as (stars - 1) / 4.")
@click.option("--outcome", help=f"How the task ended: {', '.join(scores.OUTCOMES)}.")
@click.option("--metadata", metavar="JSON", help="Anything else, as a JSON object.")
@click.option("--source", help="Who rated.")
@click.option("--id", "feedback_id", help="Makes a repeat count once.")
@on_store(creates=True)
def record(  # noqa: PLR0913 - one argument an option
    session: Session,
    *,
    workflow: str,
    stage: str,
    tier: str,
    metadata: str | None,
    source: str | None,
    feedback_id: str | None,
    **given: Any,  # noqa: ANN401 - the ways to rate
) -> None:
    """Record how good an answer was."""
    rating = Feedback(
        SeriesKey(*stage_key(workflow, stage), known_tier(session.rules, tier)),
        name(feedback_id, "feedback_id") if feedback_id else new_feedback_id(),
        _score(**given),
        session.now,
        session.now,
        name(source, "source") if source is not None else None,
        _metadata(metadata),
    )
    verdict = session.store.append([rating], session.now)[0]
    if verdict == "series_limit":
        limit = session.store.series_limit
        raise Failure(f"{shown('/'.join(rating.key))} would begin a series beyond the limit of {limit}")
    answer = {"feedback_id": rating.feedback_id, "duplicate": verdict == "duplicate"}
    sentence = "Recorded before, not counted again" if answer["duplicate"] else "Recorded"
    session.answer(answer, f"{sentence}: {tables.printable(rating.feedback_id)}")


def _score(score: float | None, stars: float | None, outcome: str | None) -> int:
    if [score, stars, outcome].count(None) != 2:  # noqa: PLR2004 - two of three are absent
        raise Misuse("give exactly one of --score, --stars and --outcome")
    if stars is not None:
        return millionths(scores.stars(stars))
    return millionths(score if outcome is None else scores.task_outcome(outcome))


def _metadata(text: str | None) -> bytes:
    try:
        return metadata_json(None if text is None else msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise InvalidFeedback("metadata", f"{shown(text)} is not JSON", "invalid_metadata") from None


@main.command()
@click.argument("workflow", required=False)
@click.argument("stage", required=False)
@tier_option
@click.option("--by", type=click.Choice(["day"]), help="One row a UTC day of the window.")
@on_store()
def stats(session: Session, workflow: str | None, stage: str | None, tier: str | None, by: str | None) -> None:
    """Show the quality of everything, a WORKFLOW, or one STAGE.

    A stage with several tiers has a row for all of them together; its tier is "all", in JSON null.
    """
    chosen = None if tier is None else known_tier(session.rules, tier)
    stages = _stages(session, workflow, stage)
    if by is None:
        rows = [row for each in stages for row in _stats_rows(each, chosen)]
        session.answer(rows, tables.stats_table(rows) if rows else NO_RATINGS)
    else:
        days = [row for each in stages for row in _day_rows(each, chosen, session.now)]
        session.answer(days, tables.days_table(days) if days else NO_RATINGS)


def _stages(session: Session, workflow: str | None, stage: str | None) -> list[Stage]:
    """Return the stages asked for, by name."""
    if workflow is not None and stage is not None:
        return [read_stage(session.store, session.rules, stage_key(workflow, stage), session.now)]
    wanted = None if workflow is None else name(workflow, "workflow_name")
    stages = [each for each in session.view.stages if wanted in (None, each.key[0])]
    return sorted(stages, key=lambda each: each.key)


def _rows(stage: Stage, tier: str | None) -> list[str | None]:
    """Tiers of ``stage`` to show, ``None`` for all together."""
    tiers = [each for each in stage.stats if tier in (None, each)]
    return [*tiers, None] if len(tiers) > 1 else [*tiers]


def _stats_rows(stage: Stage, tier: str | None) -> list[QualityStats]:
    found = [stage.all_tiers if row is None else stage.stats[row] for row in _rows(stage, tier)]
    return [row for row in found if row]


def _day_rows(stage: Stage, tier: str | None, now: int) -> list[DayStats]:
    return [day for row in _rows(stage, tier) for day in by_day(stage, row, now)]


@main.command()
@click.argument("workflow")
@click.argument("stage")
@click.option("--current-tier", metavar="TIER", help="Tier in use; without it, the one that most ratings carry.")
@on_store()
def recommend(session: Session, workflow: str, stage: str, current_tier: str | None) -> None:
    """Say which tier a STAGE should use, and why."""
    recommendation = session.loop.recommend_tier(workflow, stage, current_tier)
    session.answer(recommendation, tables.recommendation_text(recommendation))


@main.command()
@click.argument("workflow")
@click.argument("stage")
@tier_option
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most ratings shown.")
@on_store()
def history(session: Session, workflow: str, stage: str, tier: str | None, limit: int) -> None:
    """Show the newest ratings of a STAGE, newest first."""
    entries = session.loop.get_feedback_history(workflow, stage, tier, limit)
    session.answer(entries, tables.history_table(entries) if entries else NO_RATINGS)


@main.command()
@click.argument("workflow", required=False)
@click.option("--threshold", type=float, default=0.7, show_default=True, help="Show what averages below it.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Most rows shown.")
@on_store()
def underperforming(session: Session, workflow: str | None, threshold: float, top: int) -> None:
    """Show the worst stages, of all workflows or of one WORKFLOW."""
    wanted = None if workflow is None else name(workflow, "workflow_name")
    millionths(threshold, "threshold")
    worst = session.view.underperforming(wanted, threshold)[:top]
    session.answer(worst, tables.stats_table(worst) if worst else f"Nothing averages below {threshold}.")


@main.command()
@click.argument("workflow")
@click.option("--stage", help="Only this stage.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_store()
def clear(session: Session, workflow: str, stage: str | None, *, yes: bool) -> None:
    """Delete the ratings of a WORKFLOW, or of one stage of it."""
    whose = f"workflow {shown(workflow)}" if stage is None else f"stage {shown(stage)} of workflow {shown(workflow)}"
    if not yes:
        click.confirm(f"Delete every rating of {whose}?", abort=True, err=True)
    cleared = session.loop.clear_feedback(workflow, stage)
    session.answer({"cleared": cleared}, f"Cleared {cleared} live ratings of {whose}.")


@main.command("demo")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed prints the same.")
def demonstrate(seed: int) -> None:
    """Show what the loop does, on simulated work in memory."""
    demo.run(tables.make_console(), seed)
