"""The runbook as tests read it, and the servers on which its queries and commands are tried."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from tests.support.alertmanager_process import AlertmanagerProcess
from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client
from tests.support.prometheus_process import PrometheusProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "alerts" / "runbook.md").read_text("utf-8")

# Names that need every escape there is: of PromQL and amtool, of the shell, of a URL.
WORKFLOW, STAGE, TIER = 'say "hi"\\now', "it's 50 % {日本語}", "cheap"
JOB = "llm-feedback-exporter"
LIMIT_SECONDS = 30
HOUR = 3600


class Block(NamedTuple):
    """A fenced block, and the section that it stands in."""

    section: str
    text: str


def sections(text: str) -> dict[str, str]:
    """Return what stands under each heading of the second level."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(language: str) -> list[Block]:
    """Return every fenced block of a language, without its indentation."""
    fence = re.compile(rf"^( *)```{language}\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    return [
        Block(heading, dedent(match[2]))
        for heading, body in sections(RUNBOOK).items()
        for match in fence.finditer(body)
    ]


class Stack(NamedTuple):
    """A Redis, an exporter over it, the Prometheus that scrapes it and an Alertmanager; and a SQLite store."""

    directory: Path
    redis: str
    exporter: int
    prometheus: int
    alertmanager: int

    def environment(self, **more: str) -> dict[str, str]:
        """Return what the runbook's first block sets, with the ports and names of here; HTTP errors end curl."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CURL_HOME": str(self.directory),
            "EXPORTER": f"http://127.0.0.1:{self.exporter}",
            "PROMETHEUS": f"http://127.0.0.1:{self.prometheus}",
            "ALERTMANAGER": f"http://127.0.0.1:{self.alertmanager}",
            "FEEDBACK_EXPORTER_CONFIG": str(self.directory / "exporter.yml"),
            "FEEDBACK_EXPORTER_STORE": self.redis,
            "WORKFLOW": WORKFLOW,
            "STAGE": STAGE,
            "TIER": TIER,
            "JOB": JOB,
            **more,
        }


@contextmanager
def running(directory: Path) -> Iterator[Stack]:
    """Run everything, with a day of history and a stage whose quality falls."""
    (directory / ".curlrc").write_text("fail\n")
    shutil.copy(ROOT / "config" / "exporter.yml", directory)
    _history(directory / "prometheus")
    with (
        RedisServer(directory / "redis") as redis,
        ExporterProcess(directory, redis.url, "--config", "exporter.yml") as exporter,
        AlertmanagerProcess(directory / "alertmanager") as alertmanager,
        PrometheusProcess(directory / "prometheus", exporter.port) as prometheus,
    ):
        _rate(exporter.port, prometheus)
        yield Stack(directory, redis.url, exporter.port, prometheus.port, alertmanager.port)


def _history(directory: Path) -> None:
    """Write what Prometheus knows of the last day: a good rating an hour."""
    labels = f'job="{JOB}",workflow="{escaped(WORKFLOW)}",stage="{escaped(STAGE)}",tier="{TIER}"'
    now = int(time.time())
    times = range(now - 26 * HOUR, now - 2 * 60, 4 * 60)
    lines = [
        f"series:llm_feedback_score_{part}:max{{{labels}}} {(moment - times[0]) // HOUR} {moment}"
        for part in ("count", "sum")
        for moment in times
    ]
    directory.mkdir()
    text = directory / "history.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", f"{text}", f"{directory / 'data'}"]
    subprocess.run(command, check=True, capture_output=True)


def _rate(port: int, prometheus: PrometheusProcess) -> None:
    """Post good ratings, and bad ones once Prometheus has seen these; some of no use; and ask as a router does."""
    entry = {"workflow_name": WORKFLOW, "stage_name": STAGE, "tier": TIER, "source": "judge"}
    with Client(port) as client:
        for seen_at_least, entries in (
            (60, [entry | {"quality_score": 1}] * 60 + [entry | {"tier": "free", "stars": 1}]),
            (120, [entry | {"quality_score": 0.3}] * 60),
        ):
            assert client.post(entries).status == 202
            client.get("/api/v1/recommendation", {"workflow_name": WORKFLOW, "stage_name": STAGE})
            seen = partial(prometheus.query, f"series:llm_feedback_window_samples:max >= {seen_at_least}")
            eventually(seen, "Prometheus seeing the ratings", LIMIT_SECONDS)


def escaped(name: str) -> str:
    """Escape a name as the runbook says."""
    return re.sub(r'(["\\])', r"\\\1", name)
