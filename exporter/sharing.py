"""What the worker processes of one exporter share, so that whichever answers a scrape speaks for all of them.

Made by the parent before it forks. One worker alone needs neither files nor a sum over processes.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_bool, c_double
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# Kinds of metrics that workers add up, as prometheus-client names their files, and the length of an empty one.
_KINDS = ("counter", "histogram")
_EMPTY = bytes(1 << 16)
_TRIES = 5
_TICKS = os.sysconf("SC_CLK_TCK")
_CPU = "process_cpu_seconds"
# What holds for each process alike, or tells when the exporter began: the parent's is shown.
_PARENTS_OWN = {"process_max_fds", "process_start_time_seconds"}


class Shared:
    """How the last read, write and reload ended, in memory that forked workers share; and where their counters are."""

    def __init__(self, directory: Path | None = None) -> None:
        """Begin well; ``directory`` takes the counters of several workers, and keeps those of dead ones."""
        self.directory = directory
        # Who passes a reload on to the workers, where there are several.
        self.parent = os.getpid() if directory else None
        self.read_ok = RawValue(c_bool, True)  # noqa: FBT003 - an initial value
        self.write_ok = RawValue(c_bool, True)  # noqa: FBT003 - an initial value
        self.reload_ok = RawValue(c_bool, True)  # noqa: FBT003 - an initial value
        self.reloaded_at = RawValue(c_double, 0.0)

    def collect_in(self, registry: CollectorRegistry) -> CollectorRegistry | None:
        """Say where counters are registered, with what the process is said to be; called once, before any is made.

        With several workers they are registered nowhere: this process's are written to its own files, and the
        files of all are read at each scrape.
        """
        if self.directory is None or self.parent is None:
            ProcessCollector(registry=registry)
            return registry
        for kind in _KINDS:
            _create(self.directory / f"{kind}_{os.getpid()}.db")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.directory)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # prometheus-client has no types here
        MultiProcessCollector(registry, str(self.directory))  # type: ignore[no-untyped-call]  # prometheus-client has no types here
        registry.register(Workers(self.parent))
        return None


def _create(file: Path) -> None:
    """Make an empty file of counters at once: another worker may read it at any moment."""
    unfinished = file.with_suffix(".new")
    unfinished.write_bytes(_EMPTY)
    unfinished.rename(file)


@contextmanager
def shared(workers: int) -> Iterator[Shared]:
    """Give what ``workers`` processes share; its files are gone afterwards."""
    if workers == 1:
        yield Shared()
        return
    directory = Path(tempfile.mkdtemp(prefix="llm-feedback-exporter-"))
    try:
        yield Shared(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Workers(Collector):
    """``process_*`` of a parent and its workers together; what dead workers used of the processor stays counted."""

    def __init__(self, parent: int) -> None:
        """Watch the processes of ``parent``."""
        self._parent = parent

    def collect(self) -> Iterator[Metric]:
        """Read all of them, again if one came or went meanwhile."""
        for _ in range(_TRIES):
            workers = self._workers()
            families = [_families_of(pid) for pid in (self._parent, *workers)]
            dead = self._dead_seconds()
            if workers == self._workers():
                break
        total: dict[str, float] = defaultdict(float, {_CPU: dead})
        for name, family in ((name, family) for each in families[1:] for name, family in each.items()):
            total[name] += 0 if name in _PARENTS_OWN else family.samples[0].value
        for name, family in families[0].items():
            (sample,) = family.samples
            family.samples = [sample._replace(value=sample.value + total[name])]
            yield family

    def _workers(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self._parent}/task/{self._parent}/children").read_text().split()]

    def _dead_seconds(self) -> float:
        """Processor time of the children that the parent has waited for: cutime and cstime of proc(5)."""
        fields = Path(f"/proc/{self._parent}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / _TICKS


def _families_of(pid: int) -> dict[str, Metric]:
    """What prometheus-client says of a process, nothing once it is gone."""
    return {family.name: family for family in ProcessCollector(pid=lambda: pid, registry=None).collect()}
