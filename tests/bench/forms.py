"""The requests that are sent: made from forms, so that each carries ids of its own and costs next to nothing."""

import json
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice

from exporter.domain import SeriesKey
from tests.bench import streams

PATH = "/api/v1/feedback"
SERIES = 50
BATCH = 500

# Ids are unique over a run of the benchmark.
_ids = count()


def ratings(size: int) -> Iterator[bytes]:
    """POST requests without end, of ``size`` ratings each, over 50 series in turn."""
    series = cycle(streams.keys(SERIES))
    forms = cycle([_form(list(islice(series, size))) for _ in range(max(1, SERIES // size))])
    for form in forms:
        yield form % tuple(islice(_ids, size))


def one_each(series: int, step: int = 1) -> Callable[[], Iterator[bytes]]:
    """Give what makes POST requests with one rating in every ``step``-th of ``series`` series, 500 a request."""
    keys = list(streams.keys(series))[::step]
    forms = [(part, _form(part)) for part in (keys[begin : begin + BATCH] for begin in range(0, len(keys), BATCH))]
    return lambda: (form % tuple(islice(_ids, len(part))) for part, form in forms)


def _form(keys: list[SeriesKey]) -> bytes:
    """Form of a request with a rating in each of ``keys``; of one rating, as an object, not as an array of one."""
    entries = [
        {
            "workflow_name": key.workflow,
            "stage_name": key.stage,
            "tier": key.tier,
            "quality_score": 0.8,
            "feedback_id": "%012d",
        }
        for key in keys
    ]
    form = json.dumps(entries if len(keys) > 1 else entries[0]).encode()
    length = len(form % ((0,) * len(keys)))
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + form


def get(path: str, *, compressed: bool = False) -> bytes:
    """GET request as Prometheus sends it, asking for gzip or not."""
    coding = "Accept-Encoding: gzip\r\n" if compressed else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{coding}\r\n".encode()
