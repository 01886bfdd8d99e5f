"""Where a value comes from, what beats what, and what the rest of the program reads from the result."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.config import Config, load, restart_needed
from exporter.errors import ConfigError
from exporter.rules import StageOverrides, StageRules, WorkflowOverrides


def written(folder: Path, text: str) -> Path:
    """Write a configuration file and return its path."""
    path = folder / "exporter.yml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> list[str]:
    """Load what cannot be used and return what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ, flags)
    return caught.value.problems


def test_without_file_environment_and_flags_the_defaults_hold() -> None:
    """Nothing set is the same as the defaults of the types."""
    assert load(None, {}, {}) == Config()


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "---\n", "{}", "rules:\nworkflows:\n", "~", "\ufeff"]
)
def test_a_file_that_sets_nothing_equals_the_defaults(tmp_path: Path, text: str) -> None:
    """Empty files, comments and keys above nothing change nothing."""
    assert load(written(tmp_path, text), {}, {}) == Config()


def test_every_kind_of_value_is_read_from_the_file(tmp_path: Path) -> None:
    """Texts, booleans, integers, lists, fractions and overrides arrive as they were written."""
    path = written(
        tmp_path,
        """
        listen: "[::1]:8080"
        store: "sqlite://"
        access_log: on
        series_limit: 10_000
        tiers: [small, "4.1"]
        rules: {window_seconds: 86400, quality_threshold: 1e-1, downgrade_threshold: 1, start_tier: "4.1"}
        workflows:
          "2024":
            min_samples: 5
            stages:
              日本語: {quality_threshold: .5, start_tier: null}
          a.b:
        """,
    )

    assert load(path, {}, {}) == Config(
        listen="[::1]:8080",
        store="sqlite://",
        access_log=True,
        tiers=("small", "4.1"),
        rules=StageRules(window_seconds=86_400, quality_threshold=0.1, downgrade_threshold=1.0, start_tier="4.1"),
        workflows={
            "2024": WorkflowOverrides(
                min_samples=5, stages={"日本語": StageOverrides(quality_threshold=0.5, start_tier=None)}
            )
        },
    )


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    """Each source wins over the ones below it, key by key."""
    path = written(tmp_path, "listen: a:1\nstore: sqlite:///file.db\nseries_limit: 1\n")
    environ = {"FEEDBACK_EXPORTER_LISTEN": "b:2", "FEEDBACK_EXPORTER_STORE": "sqlite:///environment.db"}
    flags = {"listen": "c:3", "store": None}

    assert load(path, environ, flags) == Config(listen="c:3", store="sqlite:///environment.db", series_limit=1)


def test_every_key_outside_the_workflows_can_be_set_by_a_variable() -> None:
    """The variables reach every key of every type; commas divide the tiers, space around a name is dropped."""
    environ = {
        "FEEDBACK_EXPORTER_LISTEN": "localhost:80",
        "FEEDBACK_EXPORTER_STORE": "sqlite://",
        "FEEDBACK_EXPORTER_ACCESS_LOG": "True",
        "FEEDBACK_EXPORTER_SERIES_LIMIT": "7",
        "FEEDBACK_EXPORTER_TIERS": "1, two ,3.0",
        "FEEDBACK_EXPORTER_WINDOW_SECONDS": "3600",
        "FEEDBACK_EXPORTER_QUALITY_THRESHOLD": "0.1",
        "FEEDBACK_EXPORTER_DOWNGRADE_THRESHOLD": "0.2",
        "FEEDBACK_EXPORTER_LOWER_TIER_THRESHOLD": "0.3",
        "FEEDBACK_EXPORTER_MIN_SAMPLES": "4",
        "FEEDBACK_EXPORTER_FULL_CONFIDENCE_SAMPLES": "5",
        "FEEDBACK_EXPORTER_START_TIER": "1",
    }

    assert load(None, environ, {}) == Config(
        listen="localhost:80",
        store="sqlite://",
        access_log=True,
        series_limit=7,
        tiers=("1", "two", "3.0"),
        rules=StageRules(
            window_seconds=3600,
            quality_threshold=0.1,
            downgrade_threshold=0.2,
            lower_tier_threshold=0.3,
            min_samples=4,
            full_confidence_samples=5,
            start_tier="1",
        ),
    )


def test_a_variable_set_to_nothing_counts_as_not_set(tmp_path: Path) -> None:
    """An empty variable, as a template leaves it behind, hides neither the file nor the default."""
    path = written(tmp_path, "series_limit: 5")
    environ = {"FEEDBACK_EXPORTER_SERIES_LIMIT": "", "FEEDBACK_EXPORTER_STORE": "", "FEEDBACK_EXPORTER_CONFIG": ""}

    assert load(path, environ, {}) == Config(series_limit=5)


def test_the_environment_names_the_file_unless_the_caller_does(tmp_path: Path) -> None:
    """FEEDBACK_EXPORTER_CONFIG is read where no path is given, and only there."""
    environ = {"FEEDBACK_EXPORTER_CONFIG": str(written(tmp_path, "series_limit: 5"))}
    other = tmp_path / "other.yml"
    other.write_text("series_limit: 6")

    assert [load(None, environ, {}).series_limit, load(other, environ, {}).series_limit] == [5, 6]


def test_a_misspelt_variable_is_refused_with_the_known_ones() -> None:
    """A typo in a variable's name is not silent, and its value is not shown."""
    assert problems(None, {"FEEDBACK_EXPORTER_STROE": "redis://:secret@db"}, {}) == [
        (
            "FEEDBACK_EXPORTER_STROE: unknown variable (did you mean STORE?); known are CONFIG, LISTEN, STORE, "
            "WAIT_REPLICAS, WORKERS, ROLE, ACCESS_LOG, SERIES_LIMIT, TIERS, WINDOW_SECONDS, QUALITY_THRESHOLD, "
            "DOWNGRADE_THRESHOLD, LOWER_TIER_THRESHOLD, MIN_SAMPLES, FULL_CONFIDENCE_SAMPLES, START_TIER, "
            "each after FEEDBACK_EXPORTER_"
        )
    ]


def test_variables_that_kubernetes_sets_for_a_service_of_that_name_are_passed_over() -> None:
    """A service named feedback-exporter in the same namespace stops neither exporter nor application."""
    environ = {
        "FEEDBACK_EXPORTER_SERVICE_HOST": "10.0.0.1",
        "FEEDBACK_EXPORTER_SERVICE_PORT": "10470",
        "FEEDBACK_EXPORTER_SERVICE_PORT_HTTP": "10470",
        "FEEDBACK_EXPORTER_PORT": "tcp://10.0.0.1:10470",
        "FEEDBACK_EXPORTER_PORT_10470_TCP": "tcp://10.0.0.1:10470",
        "FEEDBACK_EXPORTER_PORT_10470_TCP_PROTO": "tcp",
    }

    assert load(None, environ, {}) == Config()


def test_a_port_that_somebody_sets_by_hand_is_an_unknown_variable() -> None:
    """FEEDBACK_EXPORTER_PORT is passed over only where it looks as Kubernetes makes it."""
    (problem,) = problems(None, {"FEEDBACK_EXPORTER_PORT": "8080"}, {})

    assert problem.startswith("FEEDBACK_EXPORTER_PORT: unknown variable; known are CONFIG, ")


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("QUALITY_THRESHOLD", "1.5", "1.5 is not a number from 0 to 1"),
        ("QUALITY_THRESHOLD", " 0.8", "' 0.8' is not a number from 0 to 1"),
        ("QUALITY_THRESHOLD", "0,8", "'0,8' is not a number from 0 to 1"),
        ("MIN_SAMPLES", "ten", "'ten' is not an integer from 1 to 1000000"),
        ("WINDOW_SECONDS", "7d", "'7d' is not an integer from 3600 to 7776000"),
        ("ACCESS_LOG", "1", "1 is not true or false"),
        ("TIERS", "cheap", "a list of 1 is not a list of 2 to 16 names"),
        ("TIERS", "cheap,,premium", "name must not be empty"),
        ("START_TIER", "large", "'large' is none of the tiers cheap, capable, premium"),
        ("LISTEN", "10470", "'10470' is not HOST:PORT or [IPV6]:PORT with a port from 1 to 65535"),
    ],
)
def test_a_bad_variable_is_named_with_its_value_and_the_rule(variable: str, value: str, problem: str) -> None:
    """A value of the environment that cannot be used is said in the same words as one of the file."""
    name = f"FEEDBACK_EXPORTER_{variable}"

    assert problems(None, {name: value}, {}) == [f"{name}: {problem}"]


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        ("listen", "", "--listen: '' is not HOST:PORT or [IPV6]:PORT with a port from 1 to 65535"),
        ("series_limit", 0, "--series-limit: 0 is not an integer from 1 to 1000000"),
        ("access_log", "maybe", "--access-log: 'maybe' is not true or false"),
    ],
)
def test_a_bad_flag_is_named_as_it_is_typed(flag: str, value: object, problem: str) -> None:
    """A flag that cannot be used is named with its dashes."""
    assert problems(None, {}, {flag: value}) == [problem]


def test_a_flag_may_be_of_its_own_type() -> None:
    """What the command line has parsed already is taken as it is."""
    assert load(None, {}, {"access_log": True, "series_limit": 5}) == Config(access_log=True, series_limit=5)


def test_every_problem_of_every_source_is_named_at_once(tmp_path: Path) -> None:
    """One run shows everything that is wrong, wherever it was set; also what a higher source would hide."""
    path = written(
        tmp_path,
        """
        lissten: a:1
        series_limit: 0
        tiers: [cheap, cheap]
        rules: {quality_threshold: 1.5, downgrade_threshold: 0.1}
        workflows:
          yes: {min_samples: -1}
          review: {quality_threshold: 0.95, stages: {summary: {start_tier: large, window: 1}}}
        """,
    )
    environ = {"FEEDBACK_EXPORTER_SERIES_LIMIT": "5", "FEEDBACK_EXPORTER_MIN_SAMPLES": "x", "FEEDBACK_EXPORTER_X": ""}
    stage_keys = (
        "window_seconds, quality_threshold, downgrade_threshold, lower_tier_threshold, min_samples, "
        "full_confidence_samples, start_tier"
    )

    found = problems(path, environ, {"listen": "nowhere"})

    assert [problem.partition("; known are ")[0] for problem in found] == [
        f"{path}: lissten: unknown key (did you mean listen?)",
        f"{path}: series_limit: 0 is not an integer from 1 to 1000000",
        f"{path}: tiers: name 'cheap' stands twice; give each its own",
        f"{path}: rules.quality_threshold: 1.5 is not a number from 0 to 1",
        f'{path}: workflows: yes is a boolean to YAML, not a text; put it in quotes: "yes"',
        f"{path}: workflows.yes.min_samples: -1 is not an integer from 1 to 1000000",
        f"{path}: workflows.review.stages.summary.window: unknown key (did you mean window_seconds?)",
        "FEEDBACK_EXPORTER_MIN_SAMPLES: 'x' is not an integer from 1 to 1000000",
        "FEEDBACK_EXPORTER_X: unknown variable",
        "--listen: 'nowhere' is not HOST:PORT or [IPV6]:PORT with a port from 1 to 65535",
        (
            f"{path}: workflows.review.quality_threshold: 0.95 is not below downgrade_threshold, 0.1 "
            f"({path}: rules.downgrade_threshold)"
        ),
        f"{path}: workflows.review.quality_threshold: 0.95 is above lower_tier_threshold, 0.85 (the default)",
    ]
    assert found[6].endswith(stage_keys)


def test_thresholds_of_different_sources_must_go_together(tmp_path: Path) -> None:
    """A contradiction between file and environment names both places."""
    path = written(tmp_path, "rules: {quality_threshold: 0.8}")

    assert problems(path, {"FEEDBACK_EXPORTER_DOWNGRADE_THRESHOLD": "0.8"}, {}) == [
        (
            f"{path}: rules.quality_threshold: 0.8 is not below downgrade_threshold, 0.8 "
            "(FEEDBACK_EXPORTER_DOWNGRADE_THRESHOLD)"
        )
    ]


def test_a_contradiction_that_a_higher_source_mends_is_none(tmp_path: Path) -> None:
    """Thresholds are compared as they are in force, not source by source."""
    path = written(tmp_path, "rules: {quality_threshold: 0.95, lower_tier_threshold: 0.95}")

    assert load(path, {"FEEDBACK_EXPORTER_DOWNGRADE_THRESHOLD": "0.96"}, {}).rules.quality_threshold == 0.95


def test_a_stage_that_mends_its_workflow_does_not_excuse_it(tmp_path: Path) -> None:
    """The workflow's own values hold for every other stage, so they must go together too."""
    path = written(tmp_path, "workflows: {a: {downgrade_threshold: 0.5, stages: {b: {quality_threshold: 0.4}}}}")

    assert problems(path, {}, {}) == [
        f"{path}: workflows.a.downgrade_threshold: 0.5 is not above quality_threshold, 0.7 (the default)"
    ]


def test_rules_of_a_stage_come_from_it_its_workflow_and_the_defaults(tmp_path: Path) -> None:
    """Each rule is the nearest one that is set."""
    path = written(
        tmp_path,
        """
        rules: {min_samples: 3}
        workflows:
          review: {quality_threshold: 0.6, start_tier: premium, stages: {summary: {quality_threshold: 0.5}}}
        """,
    )
    rules = load(path, {"FEEDBACK_EXPORTER_FULL_CONFIDENCE_SAMPLES": "9"}, {}).all_rules

    other = StageRules(min_samples=3, full_confidence_samples=9)
    review = replace(other, quality_threshold=0.6, start_tier="premium")
    assert rules.stage("other", "summary") == other
    assert rules.stage("review", "other") == review
    assert rules.stage("review", "summary") == replace(review, quality_threshold=0.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 604_800),
        ("rules: {window_seconds: 3600}", 3600),
        ("workflows: {a: {window_seconds: 3600}}", 604_800),
        ("workflows: {a: {window_seconds: 700000}}", 700_000),
        ("workflows: {a: {window_seconds: 3600, stages: {b: {window_seconds: 800000}}}}", 800_000),
    ],
)
def test_the_longest_window_is_found_wherever_it_is_set(tmp_path: Path, text: str, seconds: int) -> None:
    """What a store must retain is the longest window of all stages, in seconds."""
    assert load(written(tmp_path, text), {}, {}).all_rules.longest_window == seconds


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:10470", ("127.0.0.1", 10470)),
        ("[::1]:1", ("::1", 1)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
        ("exporter.example.com:80", ("exporter.example.com", 80)),
    ],
)
def test_the_address_is_host_and_port(listen: str, address: tuple[str, int]) -> None:
    """What is listened on comes apart into host, without brackets, and port."""
    assert load(None, {}, {"listen": listen}).address == address


def test_keys_that_need_a_restart_are_named() -> None:
    """A reload can say which changes it does not take up."""
    new = Config(
        listen="0.0.0.0:1",
        store="sqlite:///x",
        workers=2,
        role="export",
        access_log=True,
        series_limit=5,
        tiers=("a", "b"),
    )

    assert restart_needed(Config(), new) == ["listen", "store", "workers", "role"]
    assert restart_needed(new, new) == []


def test_a_file_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    """A missing file is a problem, never the defaults."""
    path = tmp_path / "missing.yml"

    assert problems(path, {"FEEDBACK_EXPORTER_MIN_SAMPLES": "0"}, {}) == [
        (
            f"{path}: cannot be read: No such file or directory; name another file with --config or "
            "FEEDBACK_EXPORTER_CONFIG"
        ),
        "FEEDBACK_EXPORTER_MIN_SAMPLES: 0 is not an integer from 1 to 1000000",
    ]


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """A directory in place of the file is said in words."""
    assert problems(None, {"FEEDBACK_EXPORTER_CONFIG": str(tmp_path)}, {}) == [
        f"{tmp_path}: cannot be read: Is a directory; name another file with --config or FEEDBACK_EXPORTER_CONFIG"
    ]
