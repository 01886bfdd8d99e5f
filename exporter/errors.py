"""Every error that this package raises on purpose.

::

    ExporterError
    ├── InvalidFeedback   (ValueError)  one field of what a caller gave
    ├── MalformedBody     (ValueError)  a request body that is not JSON at all
    ├── ConfigError       (ValueError)  everything wrong with a configuration
    └── StoreError
        ├── StoreUnavailable            may mend by itself: ask again later
        └── StoreRefused                waiting cannot mend it: somebody must act

The module imports nothing, so that every layer may import it.
A message says what was given, what is wrong with it and what to do; it never holds a password.
"""


class ExporterError(Exception):
    """Base of every error of this package."""


class InvalidFeedback(ExporterError, ValueError):
    """A caller gave a value that is not usable.

    ``field`` is the path of the offending value (``rating.min``), or ``None`` where the whole
    entry is at fault; ``reason`` says what is wrong; ``code`` is the member of
    ``names.REJECT_REASONS`` under which a rejection is counted.
    """

    def __init__(self, field: str | None, reason: str, code: str = "invalid") -> None:
        """Keep the parts; the text is ``field: reason``."""
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.code = code


class MalformedBody(ExporterError, ValueError):
    """A request body is not JSON by the grammar; the text says where."""


class ConfigError(ExporterError, ValueError):
    """A configuration cannot be used; ``problems`` names every fault, one line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the list; the text is its lines."""
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(ExporterError):
    """A store could not do what it was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or cannot write right now; a later try may succeed."""


class StoreRefused(StoreError):
    """The store will go on refusing until somebody acts: wrong password, unusable path, other format."""
