"""Query parameters, read strictly: each at most once, none unknown, every fault a 400 that says what to send."""

from urllib.parse import parse_qsl

from exporter import domain
from exporter.domain import Ladder
from exporter.entry import parse_time
from exporter.errors import InvalidFeedback

MAX_LIMIT = 1000


class Parameters:
    """The parameters of one request. Every method raises ``InvalidFeedback`` where the value is not usable."""

    def __init__(self, query: bytes) -> None:
        """Refuse what is not UTF-8, and what is given twice."""
        try:
            pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise InvalidFeedback(None, "the query is not percent-encoded UTF-8") from None
        self._left: dict[str, str] = {}
        self._known: list[str] = []
        for field, value in pairs:
            if field in self._left:
                raise InvalidFeedback(field, "is given more than once")
            self._left[field] = value

    def _take(self, field: str) -> str | None:
        self._known.append(field)
        return self._left.pop(field, None)

    def name(self, field: str) -> str | None:
        """Return a name, ``None`` where it is absent."""
        value = self._take(field)
        return None if value is None else domain.name(value, field)

    def required_name(self, field: str) -> str:
        """Return a name that must be there."""
        value = self.name(field)
        if value is None:
            raise InvalidFeedback(field, "is missing")
        return value

    def tier(self, field: str, ladder: Ladder) -> str | None:
        """Return a tier of ``ladder``, ``None`` where it is absent."""
        value = self._take(field)
        if value is not None and value not in ladder:
            raise InvalidFeedback(field, f"{domain.shown(value)} is none of {', '.join(ladder)}")
        return value

    def fraction(self, field: str, default: float) -> float:
        """Return a number from 0 to 1."""
        value = self._take(field)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            raise InvalidFeedback(field, f"{domain.shown(value)} is not a number from 0 to 1")
        return number

    def count(self, field: str, default: int) -> int:
        """Return a whole number from 1 to 1,000."""
        value = self._take(field)
        if value is None:
            return default
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= len(str(MAX_LIMIT)) else 0
        if not 1 <= number <= MAX_LIMIT:
            raise InvalidFeedback(field, f"{domain.shown(value)} is not a whole number from 1 to {MAX_LIMIT}")
        return number

    def time(self, field: str) -> int | None:
        """Return microseconds of an RFC 3339 text or of Unix seconds, ``None`` where it is absent."""
        value = self._take(field)
        if value is None:
            return None
        try:
            return parse_time(float(value), field)
        except ValueError:
            return parse_time(value, field)

    def done(self) -> None:
        """Refuse what nobody asked for; called when all parameters were taken."""
        for field in self._left:
            raise InvalidFeedback(field, f"is not a parameter of this call; known are {', '.join(self._known)}")
