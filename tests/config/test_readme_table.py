"""The README's configuration table is the one that the types make."""

from pathlib import Path

from tests.support.config_table import config_table

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- configuration -->\n", "<!-- /configuration -->\n"


def test_the_readme_holds_the_table_of_every_key() -> None:
    """Between its two markers stands what ``python -m tests.support.config_table`` prints, and nothing else."""
    _before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    table, _, _after = rest.partition(END)

    assert table.strip() == config_table()
