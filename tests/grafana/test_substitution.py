"""What Grafana puts into a query: examples from its own tests and documentation, and what it is known to get wrong."""

import pytest

from tests.grafana.substitution import ALL, Period, Value, Variable, intervals, link, period, query

DAY = 86_400
NAMES = ("a.b", 'say "hi"', "it's", "back\\slash", r"v2/\d+ (EU)|x")


def variable(chosen: Value, *, multi: bool = True, all_value: str | None = None) -> Variable:
    """Return a variable that offers ``NAMES``."""
    return Variable(multi, multi, all_value, list(NAMES), chosen)


@pytest.mark.parametrize(
    ("chosen", "classic", "quotes"),
    [
        ("a.b", r"a\\.b", r"a\\.b"),
        (["a.b"], r"a\\.b", r"a\\.b"),
        (["a.b", "c"], r"(a\\.b|c)", r"(a\\.b|c)"),
        ('say "hi"', 'say "hi"', r"say \\\"hi\\\""),
        ("it's", "it's", r"it\\'s"),
        ("back\\slash", r"back\\\\slash", r"back\\\\slash"),
        (r"v2/\d+ (EU)|x", r"v2/\\\\d\\+ \\(EU\\)\\|x", r"v2/\\\\d\\+ \\(EU\\)\\|x"),
    ],
)
def test_several(chosen: Value, classic: str, quotes: str) -> None:
    """A variable of several values is made a regular expression for a text in double quotes."""
    variables = {"job": variable(chosen)}

    for text in ('x{job=~"$job"}', 'x{job=~"${job}"}', 'x{job=~"[[job]]"}'):
        assert query(text, variables, quotes=False) == f'x{{job=~"{classic}"}}'
        assert query(text, variables, quotes=True) == f'x{{job=~"{quotes}"}}'


@pytest.mark.parametrize(
    ("chosen", "classic", "quotes"),
    [
        ("a.b", "a.b", "a.b"),
        ('say "hi"', 'say "hi"', r"say \"hi\""),
        ("it's", r"it\\'s", "it's"),
        ("back\\slash", r"back\\slash", r"back\\slash"),
    ],
)
def test_one(chosen: str, classic: str, quotes: str) -> None:
    """A variable of one value is escaped for double quotes; by default wrongly, if it holds any."""
    variables = {"stage": variable(chosen, multi=False)}

    assert query('x{stage="$stage"}', variables, quotes=False) == f'x{{stage="{classic}"}}'
    assert query('x{stage="$stage"}', variables, quotes=True) == f'x{{stage="{quotes}"}}'


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quotes", [False, True])
def test_raw(name: str, *, quotes: bool) -> None:
    """What is asked for raw comes raw."""
    variables = {"stage": variable(name, multi=False)}

    assert query("x{stage=`${stage:raw}`}", variables, quotes=quotes) == f"x{{stage=`{name}`}}"


def test_all() -> None:
    """All is the text that stands for it, or every option."""
    assert query("$job", {"job": variable(ALL, all_value=".+")}, quotes=False) == ".+"
    assert query("$job", {"job": variable([ALL])._replace(options=["a", "b.c"])}, quotes=False) == r"(a|b\\.c)"


def test_what_nobody_knows() -> None:
    """A variable that there is not, and a format that is not known here, are errors; groups of PromQL are not."""
    with pytest.raises(KeyError, match="tier"):
        query('x{tier="$tier"}', {}, quotes=False)
    with pytest.raises(KeyError, match="glob"):
        query("${job:glob}", {"job": variable("a")}, quotes=False)
    assert query('label_replace(x, "a", "$1", "b", "(.+)")[$__range]', {}, quotes=False).count("$") == 2


@pytest.mark.parametrize("name", NAMES)
def test_links(name: str) -> None:
    """A name goes into an address percent-encoded, parentheses and quotes included."""
    encoded = {"a.b": "a.b", 'say "hi"': "say%20%22hi%22", "it's": "it%27s", "back\\slash": "back%5Cslash"}
    made = link(
        "/d/x?${datasource:queryparam}&var-s=${__data.fields.stage:percentencode}&${__url_time_range}",
        {"datasource": variable("p q", multi=False)},
        {"stage": name},
        "from=now-7d&to=now",
    )

    expected = encoded.get(name, "v2%2F%5Cd%2B%20%28EU%29%7Cx")
    assert made == f"/d/x?var-datasource=p%20q&var-s={expected}&from=now-7d&to=now"


@pytest.mark.parametrize(
    ("begin", "points", "least", "step"),
    [
        ("now-1h", 1600, None, 15),
        ("now-6h", 800, None, 30),
        ("now-1d", 800, None, 120),
        ("now-7d", 800, None, 900),
        ("now-7d", 60, None, 10_800),
        ("12w", 800, "1w", 604_800),
    ],
)
def test_steps(begin: str, points: int, least: str | None, step: int) -> None:
    """A step is range over points, rounded, at least a scrape or what the panel says."""
    made = period(1_735_700_001, begin, points, least)

    assert made.step == step
    assert {made.aligned["start"] % step, made.aligned["end"] % step} == {0}
    assert 1_735_700_001 - step < made.aligned["end"] <= 1_735_700_001


def test_intervals() -> None:
    """A rate reads a step and a scrape more, and at least four scrapes."""
    text = "$__interval $__interval_ms $__range ${__range_s} $__rate_interval"

    assert intervals(text, Period(0, DAY, 120)) == "120s 120000 86400s 86400 135s"
    assert intervals(text, Period(0, 3600, 15)) == "15s 15000 3600s 3600 60s"
