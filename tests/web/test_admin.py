"""Health, readiness, the landing page, and reloading over HTTP."""

from collections.abc import Callable

import pytest

from exporter.config import Config
from exporter.errors import ConfigError
from exporter.rules import StageRules
from exporter.store.base import Store
from exporter.version import VERSION
from tests.web.edge import Edge, problem


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/-/healthy", "llm-feedback-exporter is healthy.\n"),
        ("/-/ready", "llm-feedback-exporter is ready.\n"),
    ],
)
def test_a_process_that_works_says_so(any_edge: Edge, path: str, text: str) -> None:
    """As Prometheus and its exporters do, in plain text."""
    answer = any_edge.get(path)

    assert (answer.status_code, answer.text, answer.content_type) == (200, text, "text/plain; charset=utf-8")


def test_the_landing_page_says_what_this_is(edge: Edge) -> None:
    """Name, version, the store, and a link to everything that can be looked at; each link works."""
    answer = edge.get("/")

    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert "<h1>LLM Feedback Exporter</h1>" in answer.text
    assert f"Version {VERSION}." in answer.text
    assert "<code>sqlite://</code>" in answer.text
    links = [part.partition('"')[0] for part in answer.text.split('<a href="')[1:]]
    assert len(links) == 6
    assert {edge.get(link).status_code for link in links} == {200}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:s3cret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:s3cret@host", "redis://:***@host"),
        ("rediss://host/0?password=s3cret", "rediss://host/0?***"),
        ("sqlite:///a<b>&c.db", "sqlite:///a&lt;b&gt;&amp;c.db"),
    ],
)
def test_the_landing_page_shows_no_password(opened: Callable[..., Store], url: str, shown: str) -> None:
    """The store's URL is shown without its password, and as text."""
    page = Edge(opened("sqlite://"), Config(store=url)).get("/").text

    assert f"<code>{shown}</code>" in page
    assert "s3cret" not in page


class TestReload:
    """``POST /-/reload``."""

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_a_good_configuration_is_swapped_in(self, opened: Callable[..., Store], method: str) -> None:
        """It holds from the next request on."""
        new = Config(rules=StageRules(min_samples=5))
        edge = Edge(opened("sqlite://"), load=lambda: new)

        answer = edge.client.open("/-/reload", method=method)

        assert (answer.status_code, answer.text) == (200, "The configuration was reloaded.\n")
        assert edge.api("recommendation", workflow_name="w", stage_name="s")["reason"] == (
            "Stay on cheap: it has 0 ratings in the window, a recommendation needs 5."
        )

    def test_a_bad_configuration_changes_nothing(self, opened: Callable[..., Store]) -> None:
        """The answer is 500, as Prometheus gives it, with every problem."""

        def load() -> Config:
            raise ConfigError(["a.yml: x: unknown key", "a.yml: y: unknown key"])

        edge = Edge(opened("sqlite://"), load=load)

        answer = edge.client.post("/-/reload")

        assert problem(answer, 500) == {
            "detail": "The configuration was not reloaded, the old one stays.",
            "problems": ["a.yml: x: unknown key", "a.yml: y: unknown key"],
        }
        assert edge.samples("llm_feedback_exporter_config_last_reload_successful").popitem()[1] == 0
