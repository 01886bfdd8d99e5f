"""The check of mutation testing: what it reads, and when it fails."""

from tests.mutation.check import Mutant, compare, listed, mutant_of

SHOWN = """\
# exporter.stats.x__variance__mutmut_7: survived
--- exporter/stats.py
+++ exporter/stats.py
@@ -1,2 +1,2 @@
 def _variance(count: int) -> float:
-    return count - 1
+    return count + 1
"""
MUTANT = Mutant("exporter.stats._variance", "return count - 1", "return count + 1")


def test_a_mutant_is_read_from_what_mutmut_shows() -> None:
    """Function, line as it was and line as it becomes, whatever number mutmut gave it."""
    assert mutant_of("exporter.stats.x__variance__mutmut_7", SHOWN) == MUTANT


def test_a_survivor_without_a_reason_fails() -> None:
    """The problem is shown as it would stand in the list."""
    lines = (
        "No test notices this, and no reason is given:",
        "[[survivor]]",
        "function = '''exporter.stats._variance'''",
        "was = '''return count - 1'''",
        "becomes = '''return count + 1'''",
    )

    assert compare({}, [MUTANT]) == ["\n".join(lines)]


def test_a_listed_mutant_that_does_not_survive_fails() -> None:
    """The list does not outlive the code."""
    assert compare({MUTANT: "equal"}, []) == [f"This is listed, but does not survive:\n{MUTANT}"]


def test_an_empty_reason_fails() -> None:
    """A mutant is not excused by being listed, but by a reason."""
    assert compare({MUTANT: " "}, [MUTANT]) == [f"This is listed without a reason:\n{MUTANT}"]


def test_the_list_is_read_as_it_is_shown() -> None:
    """What the check shows can be put into the list, with a reason."""
    known = listed(f"{MUTANT}\nreason = 'equal'\n")

    assert known == {MUTANT: "equal"}
    assert compare(known, [MUTANT]) == []
