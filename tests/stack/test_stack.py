"""`make stack` for real, on ports and times of the test's own: what it shows, how it fails, and that nothing stays."""

import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from config.stack import servers, web
from config.stack.__main__ import Clock, Demo
from config.stack.servers import Ports, Processes, Server
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.shipped import ROOT, shipped
from tests.support.waiting import eventually

# The decline is over in seconds.
TIMES = {
    "config/prometheus.yml": {
        "scrape_interval: 15s": "scrape_interval: 1s",
        "evaluation_interval: 15s": "evaluation_interval: 1s",
    },
    "alerts/alerts.yml": {"for: 1m\n": "for: 1s\n"},
}
HURRIED = "import config.stack.__main__ as stack; stack.LIVE_SECONDS = 0.2; stack.main()"


class Tree(NamedTuple):
    """A copy of what the stack reads, with free ports."""

    path: Path
    exporter: int
    prometheus: int
    alertmanager: int


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Copy the shipped files, and change ports and times."""
    copy = Tree(tmp_path / "tree", free_port(), free_port(), free_port())
    for name in ("config", "alerts"):
        shutil.copytree(ROOT / name, copy.path / name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    ports = {
        "config/targets/exporters.yml": {"127.0.0.1:10470": f"127.0.0.1:{copy.exporter}"},
        "config/targets/alertmanagers.yml": {"127.0.0.1:9093": f"127.0.0.1:{copy.alertmanager}"},
    }
    for name, changes in (TIMES | ports).items():
        (copy.path / name).write_text(shipped(name, changes), encoding="utf-8")
    return copy


class Stack(Process):
    """The runner in a process of its own, with a temporary directory of its own."""

    def __init__(self, tree: Tree, directory: Path, *options: str, path: str | None = None) -> None:
        """Start nothing yet; ``options`` are added, ``path`` is where programs are looked for."""
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        environment = {
            "PATH": path if path is not None else "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.temporary),
            # A user's own settings must not change the demo.
            "FEEDBACK_EXPORTER_TIERS": "small,large",
        }
        command = [sys.executable, "-c", HURRIED, "--tree", str(tree.path), "--calm", "1"]
        command += ["--prometheus", f"127.0.0.1:{tree.prometheus}", *options]
        super().__init__(command, directory / "stack", "output", environment)

    def left(self) -> list[str]:
        """Return what is left of it: files, and processes that run in its directories."""
        found = [str(path) for path in self.temporary.rglob("*")]
        for cwd in Path("/proc").glob("[0-9]*/cwd"):
            try:
                target = cwd.readlink()
            except OSError:
                continue
            if target.is_relative_to(self.temporary):
                found.append((cwd.parent / "cmdline").read_text())
        return found

    def shows(self, text: str, limit: float = 30) -> None:
        """Wait until ``text`` is printed; fail at once if the runner ends before."""

        def shown() -> bool:
            ended = self.process.poll() is not None
            if text not in self.output and ended:
                raise AssertionError(f"ended without {text!r}:\n{self.output}")
            return text in self.output

        eventually(shown, f"{text!r} being printed", limit)


@pytest.fixture
def occupied() -> Iterator[int]:
    """Return a port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_alert_arrives_and_nothing_stays(tree: Tree, tmp_path: Path) -> None:
    """The one stage that declines, and no other, has its alert at Alertmanager; Ctrl-C ends all without a trace."""
    with Stack(tree, tmp_path) as stack:
        stack.shows("HAS ARRIVED")
        running = stack.left()
        stack.shows("receiver team")
        code = stack.stop(signal.SIGINT)

    for port in tree[1:]:
        assert f"http://127.0.0.1:{port}/" in stack.output
    arrivals = re.findall(r"Alertmanager: (.*) HAS ARRIVED", stack.output)
    assert arrivals == ["LLMFeedbackQualityDeclining (warning) of checkout/answer/cheap"]
    assert len([line for line in running if "\0" in line]) >= 4, running
    assert (code, stack.left()) == (0, [])


def test_an_alert_is_told_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert whose description follows its value is told when it arrives, and not at every change."""
    values = ["-50%", "-40%"]

    def arrived(_: str) -> dict[tuple[str, str], web.Alert]:
        return {("Falling", "a/b/cheap"): web.Alert("warning", f"It fell by {values.pop(0)}.", "team")}

    monkeypatch.setattr(web, "rule_states", lambda _: {})
    monkeypatch.setattr(web, "arrived", arrived)
    demo = Demo(Ports("", "", ""), Clock(60), calm=0)

    demo._watch()
    demo._watch()

    assert capsys.readouterr().out == (
        " 0:00  Alertmanager: Falling (warning) of a/b/cheap HAS ARRIVED.\n"
        "       It fell by -50%.\n"
        "       It goes to receiver team.\n"
    )
    assert values == []


def test_it_ends_by_itself(tree: Tree, tmp_path: Path) -> None:
    """After its minutes it ends all; that no alert came is an error, in words."""
    with Stack(tree, tmp_path, "--minutes", "0.04", "--calm", "60") as stack:
        code = stack.wait()

    assert stack.output.endswith("Ending.\nError: no alert has arrived within 0.04 minutes\n")
    assert (code, stack.left()) == (1, [])


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_while_it_starts(tree: Tree, tmp_path: Path, signum: signal.Signals) -> None:
    """A signal before the programs answer ends what has been started."""
    with Stack(tree, tmp_path) as stack:
        stack.shows("Starting")
        code = stack.stop(signum)

    assert (code, stack.left()) == (0, [])


@pytest.mark.parametrize("name", ["exporter", "Prometheus", "Alertmanager"])
def test_a_port_is_taken(tree: Tree, tmp_path: Path, name: str, occupied: int) -> None:
    """A port that somebody has is named before anything starts, with what to do."""
    port = tree._asdict()[name.lower()]
    for path in (tree.path / "config" / "targets").iterdir():
        path.write_text(path.read_text().replace(f"{port}", f"{occupied}"))
    taken = tree._replace(prometheus=occupied) if name == "Prometheus" else tree

    with Stack(taken, tmp_path) as stack:
        code = stack.wait()

    assert stack.output == (
        f"Error: {name} cannot listen on 127.0.0.1:{occupied}: Address already in use. End what listens there; "
        f"`ss -ltnp 'sport = :{occupied}'` shows it. Debian's own services end with "
        "`sudo systemctl stop prometheus prometheus-alertmanager`.\n"
    )
    assert (code, stack.left()) == (1, [])


def test_a_program_is_not_installed(tree: Tree, tmp_path: Path) -> None:
    """A program that is missing is named, with the packages that bring it."""
    with Stack(tree, tmp_path, path="/nowhere") as stack:
        code = stack.wait()

    assert stack.output == (
        "Error: prometheus is not installed. On Debian: "
        "sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager\n"
    )
    assert code == 1


def test_a_program_ends(tree: Tree, tmp_path: Path) -> None:
    """A program that ends is told with the last that it said, and the others end too."""
    broken = shipped("config/prometheus.yml", {"scrape_configs:": "scrape_confogs:"})
    (tree.path / "config/prometheus.yml").write_text(broken, encoding="utf-8")

    with Stack(tree, tmp_path) as stack:
        code = stack.wait()

    assert "Error: Prometheus ended with exit code 2:\n" in stack.output
    assert "field scrape_confogs not found" in stack.output
    assert (code, stack.left()) == (1, [])


def test_a_program_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is deaf to SIGTERM is killed after a while."""
    monkeypatch.setattr(servers, "STOP_SECONDS", 0.1)
    deaf = Server("deaf", ["/bin/sh", "-c", "trap '' TERM; echo $$ >pid; while :; do sleep 0.02; done"], "")
    pid = tmp_path / "deaf" / "pid"

    with Processes(tmp_path) as processes:
        processes.start(deaf)
        eventually(lambda: pid.exists() and pid.read_text(), "the program being deaf")
        began = time.monotonic()

    assert time.monotonic() - began >= 0.1
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
