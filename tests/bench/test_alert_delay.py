"""What the measurement of notifications counts and shows; how long they take, no test says."""

from rich.console import Console

from tests.bench.alert_delay import KINDS, Delay, needed, summary


def test_a_fall_needs_some_bad_ratings() -> None:
    """From good to useless the rule is true after a few of them, and never when nothing changes."""
    assert 3 <= (needed(1, 0) or 0) <= 12
    assert needed(0.9, 0.9) is None


def test_what_was_not_told_is_shown() -> None:
    """A kind of decline that was told only sometimes, or never, has its row, and counts no time for what was not."""
    often, never = KINDS[:2]
    found = [Delay("15s", often, 30.0, 5), Delay("15s", often, 50.0, 9), Delay("15s", often, None, 300)]
    console = Console(width=200)
    with console.capture() as captured:
        console.print(summary([*found, Delay("15s", never, None, 60)]))

    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert rows == [
        ["15s", often.name, "2 of 3", "30 s", "40 s", "50 s", "7"],
        ["15s", never.name, "0 of 1", "", "", "", ""],
    ]
