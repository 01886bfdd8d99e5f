"""The exception tree."""

import pytest

from exporter import errors
from exporter.errors import ConfigError, ExporterError, InvalidFeedback, StoreError, StoreRefused, StoreUnavailable


def drawn_tree() -> dict[str, str]:
    """Read the tree in the module's docstring: base by name of the exception."""
    lines = str(errors.__doc__).splitlines()
    bases, path = {}, ["ExporterError"]
    for line in lines:
        if "── " in line:
            depth = line.index("── ") // 4
            name = line.split("── ")[1].split()[0]
            path = [*path[:depth], name]
            bases[name] = path[-2]
    return bases


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    """Every exception of the module is drawn below its base, and no other."""
    found = {
        name: error.__bases__[0].__name__
        for name, error in vars(errors).items()
        if isinstance(error, type) and error is not ExporterError
    }

    assert drawn_tree() == found
    assert ExporterError.__bases__ == (Exception,)


def test_what_callers_give_wrong_is_a_value_error() -> None:
    """Those who know nothing of this package catch bad values as ``ValueError``, store trouble not."""
    assert issubclass(InvalidFeedback, ValueError)
    assert issubclass(ConfigError, ValueError)
    assert not issubclass(StoreError, ValueError)


@pytest.mark.parametrize(
    ("field", "text"), [("rating.min", "rating.min: 'x' is not a number"), (None, "'x' is not a number")]
)
def test_invalid_feedback_names_the_field(field: str | None, text: str) -> None:
    """The text is field and reason, or the reason alone where the whole entry is at fault."""
    error = InvalidFeedback(field, "'x' is not a number", "invalid_score")

    assert str(error) == text
    assert (error.field, error.reason, error.code) == (field, "'x' is not a number", "invalid_score")


def test_a_configuration_error_lists_every_problem() -> None:
    """The text has a line for each problem, and the list is kept."""
    error = ConfigError(["listen: 'x' is no address", "store: must not be empty"])

    assert str(error) == "listen: 'x' is no address\nstore: must not be empty"
    assert error.problems == ["listen: 'x' is no address", "store: must not be empty"]


@pytest.mark.parametrize("error", [StoreUnavailable, StoreRefused])
def test_store_errors_carry_their_text(error: type[StoreError]) -> None:
    """Both kinds of store trouble are caught as one, and say what happened."""
    assert issubclass(error, StoreError)
    assert str(error("no space left")) == "no space left"
