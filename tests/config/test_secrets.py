"""A store URL's password is in no message, wherever the URL was put."""

from pathlib import Path

import pytest

from exporter.config import load
from exporter.errors import ConfigError
from exporter.store import without_password

SECRET = "s3cr/t:w?rd#1@x"  # noqa: S105 - the point of the test
URL = f"redis://user:{SECRET}@db.example.com:6379/0"


@pytest.mark.parametrize(
    "text",
    [
        f'store: "postgresql://user:{SECRET}@db/0"',
        f'store: "user:{SECRET}@db:6379"',
        f'store: "redis://:{SECRET}@db:no-port/0"',
        f'store: "redis://[::1:{SECRET}@db"',
        f'store: ["{URL}"]',
        f'store: {{url: "{URL}"}}',
        f'store: "{URL}"\nstore: "{URL}"\n',
        f"store: {URL}: x",
        f"store {URL}",
        f'"{URL}"',
        f'"{URL}": 1',
        f'listen: "{URL}"',
        f'access_log: "{URL}"',
        f'series_limit: "{URL}"',
        f'tiers: "{URL}"',
        f'tiers: ["{URL}", "{URL}"]',
        f'rules: "{URL}"',
        f'rules: {{start_tier: "{URL}"}}',
        f'rules: {{min_samples: "{URL}"}}',
        f'workflows: {{a: "{URL}"}}',
        f'workflows: {{"{URL}": {{min_samples: 0}}}}',
        f'store: "{URL}',
        f"store: '{URL}\\x'x",
        f'store: !env "{URL}"',
    ],
)
def test_a_password_in_the_file_is_in_no_message(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with a file, its message does not hold the password."""
    path = tmp_path / "exporter.yml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(path, {}, {})

    assert not _leaks(str(caught.value))


@pytest.mark.parametrize("key", ["STORE", "STROE", "LISTEN", "SERIES_LIMIT", "ACCESS_LOG", "TIERS", "START_TIER"])
def test_a_password_in_the_environment_is_in_no_message(key: str) -> None:
    """A URL in the wrong variable, or one that cannot be used in the right one, is shown without its password."""
    url = URL.replace("redis", "postgresql")

    with pytest.raises(ConfigError) as caught:
        load(None, {f"FEEDBACK_EXPORTER_{key}": url}, {})

    assert not _leaks(str(caught.value))


def test_a_password_in_a_flag_is_in_no_message() -> None:
    """A URL that cannot be used is shown without its password."""
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {"store": f"rediz://user:{SECRET}@db", "listen": URL})

    store, listen = caught.value.problems
    assert store.startswith("--store: store URL 'rediz://user:***@db' names no store; known are ")
    assert listen.startswith("--listen: 'redis://user:***@db.example.com:6379/0' is not HOST:PORT or ")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (URL, "redis://user:***@db.example.com:6379/0"),
        ("redis://:secret@db", "redis://:***@db"),
        ("redis://:secret", "redis://:***"),
        ("redis://user:secret/0", "redis://user:***/0"),
        ("redis://db:6379/0?password=secret", "redis://db:6379/0?***"),
        ("redis://db?password=sec@ret", "redis://db:***@ret"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://user:secret@[::1]:6379", "redis://user:***@[::1]:6379"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix://user:***@/run/redis.sock?***"),
        ("sqlite:////var/lib/a@b:c/x.db", "sqlite:////var/lib/a@b:c/x.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite://user:secret@db", "sqlite://user:***@db"),
        ("user:secret@db:6379", "***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, masked: str) -> None:
    """The password is masked wherever it may stand; host, port and path are shown."""
    assert without_password(url) == masked


def _leaks(message: str) -> bool:
    return any(part in message for part in ("s3cr", "w?rd", "#1"))
