"""The project itself: configuration, locks, layers, sizes, documents and packaging hold together."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

import exporter
from exporter.version import VERSION
from tests.support import sizes

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(PYPROJECT)
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TREES = (".ci", "alerts", "config", "docs", "exporter", "grafana", "tests")
BIN = Path(sys.executable).parent

# A rule that is switched off stands in a list of its own line: "CODE", # reason
SWITCHED_OFF = re.compile(r'^\s+"(?:[A-Z]+\d*|(?:ignore|once|default)\b[^"]*)",?(?P<rest>.*)$', re.MULTILINE)
EXCEPTION_IN_CODE = re.compile(
    r"#\s*(?P<what>noqa|type:\s*ignore|pragma:\s*no\s*(?:cover|branch|mutate))(?P<rest>.*)$", re.MULTILINE
)
REASONED = {
    "noqa": re.compile(r": [A-Z]+\d+(, ?[A-Z]+\d+)* - \w.{9,}"),
    "type": re.compile(r"\[[a-z, -]+\] +# \w.{9,}"),
    "pragma": re.compile(r"(: \w+)? - \w.{9,}"),
}
PERSONAL_PATH = re.compile(r"(^|[^\w.])/(home|root|Users|work|farm)/", re.MULTILINE)


def files() -> list[Path]:
    """Every text file of the project, without what tools left in the tree."""
    found = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".coverage")]
    found += [path for tree in TREES for path in (ROOT / tree).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts and b"\0" not in path.read_bytes()]


def relative(path: Path) -> str:
    """Path of a file as it is written in the project."""
    return path.relative_to(ROOT).as_posix()


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said, output and errors in one text without colours."""
    said = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60
    )
    said.stdout = re.sub(r"\x1b\[[\d;]*m", "", said.stdout)
    return said


def normal(name: str) -> str:
    """Return a distribution's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(*groups: str) -> dict[str, str]:
    """Lowest version of every direct dependency, of the project and of dependency groups, by name."""
    listed = list(PROJECT["project"]["dependencies"])
    for group in groups:
        listed += [entry for entry in PROJECT["dependency-groups"][group] if isinstance(entry, str)]
    return {normal(name): version for name, version in (re.split("[>=]=", entry) for entry in listed)}


def pins(lock: str) -> dict[str, str]:
    """Version of every package that a lock holds for this interpreter, by name."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))? \\$", text, re.MULTILINE)
    return {normal(name): version for name, version, marker in found if "python_full_version >=" not in marker}


LOCKS = {
    "requirements.lock": ("build",),
    "requirements-dev.lock": ("build", "test", "dev"),
    "requirements-lowest.lock": ("build", "test"),
}


class TestReasons:
    """Rules are strict, and each exception says why."""

    def test_configuration(self) -> None:
        """Each rule that pyproject.toml switches off carries its reason on its line."""
        lines = list(SWITCHED_OFF.finditer(PYPROJECT))

        assert len(lines) > 10
        assert [line.group().strip() for line in lines if not re.match(r"\s*# \w.{9,}", line["rest"])] == []

    def test_code(self) -> None:
        """Each exception in the code names its rule and carries its reason on its line."""
        code = [path for path in files() if path.suffix == ".py" and path != Path(__file__)]
        exceptions = [
            (f"{relative(path)}: {match.group()}", match)
            for path in code
            for match in EXCEPTION_IN_CODE.finditer(path.read_text(encoding="utf-8"))
        ]

        assert [
            where for where, match in exceptions if not REASONED[re.split(r"\W", match["what"])[0]].match(match["rest"])
        ] == []

    @pytest.mark.parametrize(
        ("what", "rest"),
        [("noqa", ""), ("noqa", ": S101"), ("type", ""), ("type", "[arg-type]"), ("pragma", "")],
    )
    def test_no_reason(self, what: str, rest: str) -> None:
        """An exception without a rule or a reason is seen as such."""
        assert REASONED[what].match(rest) is None


class TestLocks:
    """The locks hold what pyproject.toml asks for, by hash, wherever they are installed from."""

    @pytest.mark.parametrize("lock", LOCKS)
    def test_complete(self, lock: str) -> None:
        """A lock pins every direct dependency of the project and of its groups."""
        assert requirements(*LOCKS[lock]).keys() - pins(lock).keys() == set()

    @pytest.mark.parametrize("lock", LOCKS)
    def test_portable(self, lock: str) -> None:
        """A lock names no index, no path and no URL, and holds hashes for every package."""
        text = (ROOT / lock).read_text(encoding="utf-8")

        assert re.findall(r"^-.*|\S*://\S*|^\S+ @ .*", text, re.MULTILINE) == []
        assert re.findall(r"^[\w.-]+==.*(?<!\\)\n|\\\n(?!    --hash=sha256:).*", text, re.MULTILINE) == []

    def test_same_versions(self) -> None:
        """What is tested is what is run: both locks agree on every package."""
        tested = pins("requirements-dev.lock")

        assert {name: tested.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")

    def test_lowest(self) -> None:
        """The lowest versions that are tested are the ones that pyproject.toml allows."""
        lowest, tested = requirements(), pins("requirements-lowest.lock")

        assert {name: (tested[name] + ".0")[: len(version)] for name, version in lowest.items()} == lowest

    def test_build(self) -> None:
        """The build requirements that the locks hold are those of the build system."""
        assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


class TestSizes:
    """A module fits on a few screens and a function on one."""

    def test_modules(self) -> None:
        """No module of the package has more than 400 lines."""
        assert {name: lines for name, lines in sizes.modules().items() if lines > 400} == {}

    def test_functions(self) -> None:
        """No function of the package has more than 40 lines."""
        assert {name: lines for name, lines in sizes.functions().items() if lines > 40} == {}


def append(name: str, line: str) -> Callable[[Path], None]:
    """Return a change that adds a line to a module."""

    def change(package: Path) -> None:
        with (package / name).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")

    return change


class TestLayers:
    """Each layer imports only lower ones."""

    def test_kept(self) -> None:
        """The package keeps every contract of import-linter."""
        said = run(BIN / "lint-imports", "--no-cache")

        assert said.returncode == 0, said.stdout

    @pytest.mark.parametrize(
        ("change", "contract"),
        [
            (append("fold.py", "import time"), "The arithmetic is pure"),
            (append("policy.py", "from exporter.config import Config"), "The arithmetic is pure"),
            (append("stats.py", "from exporter.policy import recommend"), "The data's way"),
            (append("store/sqlite.py", "from exporter.stats import live"), "A store folds and hands back"),
            (append("web/ingest.py", "from exporter.policy import recommend"), "Writing never waits for computing"),
            (append("unplaced.py", ""), "The data's way"),
        ],
        ids=["clock", "configuration", "upwards", "store", "ingest", "unplaced"],
    )
    def test_broken(self, tmp_path: Path, change: Callable[[Path], None], contract: str) -> None:
        """A module that breaks a contract, or has no place in it, is found."""
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        shutil.copytree(ROOT / "exporter", tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
        change(tmp_path / "exporter")

        said = run(BIN / "lint-imports", "--no-cache", cwd=tmp_path)

        assert said.returncode == 1, said.stdout
        assert re.search(rf"^{contract}.* BROKEN", said.stdout, re.MULTILINE), said.stdout


class TestDocuments:
    """What is written about the tree is true of it."""

    def test_modules(self) -> None:
        """The table of docs/architecture.md names every file of the package, and no other."""
        named = re.findall(r"^\| `([\w./]+\.(?:py|lua))` \|", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
        lua = [path.relative_to(sizes.PACKAGE).as_posix() for path in sizes.PACKAGE.rglob("*.lua")]

        assert set(named) ^ {*sizes.modules(), *lua} == set()
        assert len(named) == len(set(named))

    def test_guards(self) -> None:
        """Each test that docs/architecture.md names exists."""
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:::(\w+))?`", ARCHITECTURE.read_text(encoding="utf-8"))
        found = {path: (ROOT / path).read_text(encoding="utf-8") for path, *_ in named if (ROOT / path).exists()}

        assert named
        assert [
            "::".join((path, *names))
            for path, *names in named
            if not all(re.search(rf"(class|def) {name}\b", found.get(path, "")) for name in names if name)
            or path not in found
        ] == []

    def test_version(self) -> None:
        """The newest version in CHANGELOG.md is the package's."""
        versions = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

        assert versions[0] == VERSION == exporter.__version__

    def test_no_personal_path(self) -> None:
        """No file names a path that exists only on the machine of the one who wrote it."""
        tracked = [path for path in files() if path != Path(__file__)]

        assert [
            relative(path)
            for path in tracked
            if PERSONAL_PATH.search(path.read_text(encoding="utf-8", errors="replace"))
        ] == []

    def test_makefile(self) -> None:
        """Make lists every target that the documents promise, and can resolve each."""
        promised = ["run", "demo", "stack", "test", "check", "test-long", "bench"]
        promised += ["bench-compare", "generate", "pictures", "lock", "clean"]

        listed = re.findall(r"^make (\S+)", run("make", "help").stdout, re.MULTILINE)
        said = run("make", "--dry-run", *promised)

        assert listed == ["help", *promised]
        assert said.returncode == 0, said.stdout


def test_prometheus_configuration() -> None:
    """Prometheus accepts the configuration as shipped."""
    said = run("promtool", "check", "config", ROOT / "config" / "prometheus.yml")

    assert said.returncode == 0, said.stdout


def test_wheel(tmp_path: Path) -> None:
    """The distribution holds every file of the package that is not made by Python, and the console script."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "exporter", source / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    build = "import setuptools.build_meta as build, sys; build.build_wheel(sys.argv[1])"

    said = run(sys.executable, "-c", build, tmp_path, cwd=source)

    assert said.returncode == 0, said.stdout
    package = {path.relative_to(source).as_posix() for path in (source / "exporter").rglob("*") if path.is_file()}
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert {name for name in wheel.namelist() if ".dist-info/" not in name} == package
        scripts = wheel.read(f"llm_feedback_exporter-{VERSION}.dist-info/entry_points.txt").decode()
        assert scripts == "[console_scripts]\nfeedback-exporter = exporter.cli:main\n"
