"""The PromQL that several rules share, in one place: selectors, and how replicas and outages are bridged.

Two exporters over one store show the same series twice, apart by ``instance``. Every rule therefore starts from
``max without (instance)``. A series' own labels are left out of a match between series and exporters with
``ignoring``, never by naming what is left: target labels such as ``cluster`` then keep their meaning.
"""

JOB = 'job="llm-feedback-exporter"'

# The labels that a rating brings. `stage` and the others may be target labels too, so that even a metric of the
# exporter carries them; what is said of an exporter drops them.
OWN = "workflow, stage, tier"
SERIES = f"ignoring ({OWN})"
BUCKETS = f"ignoring ({OWN}, le)"

STORE_UP = "job:llm_feedback_exporter_store_up:max"
NOBODY_KNOWS = f"({STORE_UP} == 0)"


def exporters(aggregation: str, vector: str) -> str:
    """Aggregate over the replicas of a job what an exporter says of itself."""
    return f"{aggregation} without (instance, {OWN}) ({vector})"


def replicas(vector: str, *, without: str = "instance", matching: str = SERIES) -> str:
    """One value a series: the highest of the replicas that read their store, else of the others' last view."""
    return (
        f"max without ({without}) ({vector} unless {matching} (llm_feedback_exporter_store_up{{{JOB}}} == 0))\n"
        f"or\n"
        f"max without ({without}) ({vector})"
    )


def kept(record: str, expression: str, matching: str = SERIES) -> str:
    """``expression``; but what ``record`` was last, while no exporter of the job reads its store.

    The rule reads its own last result. An alert on it thus neither fires nor resolves because of an outage, and
    none of this outlives the job: without a target there is no ``STORE_UP``.
    """
    return f"({record} and {matching} {NOBODY_KNOWS})\nor\n{expression}"
