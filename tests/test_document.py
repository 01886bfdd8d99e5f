"""The document of ready lines: in order, whole, and compressed only where it changed."""

import gzip
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporter.deflate import gzip_stream
from exporter.document import BLOCK, Document
from exporter.view import StageKey

FAMILIES = 2


def text(document: Document, family: int) -> bytes:
    """Lines of one family, of all blocks."""
    return b"".join(document.lines(family))


def unpacked(document: Document, family: int) -> bytes:
    """Lines of one family, out of one gzip stream."""
    return gzip.decompress(b"".join(gzip_stream(document.pieces(family))))


def lines(key: StageKey, *values: int) -> Sequence[bytes]:
    """Lines of a stage, one a family."""
    return [f"{'/'.join(key)} {value}\n".encode() for value in values]


keys = st.tuples(st.sampled_from("abcdef"), st.integers(0, 200).map(str))
changes = st.lists(st.tuples(keys, st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3))), max_size=60)


class TestOrder:
    """However it came about, the text is that of all stages in the order of their names."""

    @given(changes)
    def test_any_changes(self, made: list[tuple[StageKey, tuple[int, int] | None]]) -> None:
        """Text and pieces are what a document made at once would hold."""
        document = Document(FAMILIES)
        expected: dict[StageKey, Sequence[bytes]] = {}
        for key, values in made:
            new = lines(key, *values) if values else []
            assert document.put(key, new) == (new != expected.get(key, []))
            expected[key] = new
        for family in range(FAMILIES):
            whole = b"".join(expected[key][family] for key in sorted(expected) if expected[key])

            assert text(document, family) == whole
            assert unpacked(document, family) == whole

    def test_many_stages(self) -> None:
        """Stages beyond a block are cut into more, none of which is empty or too large."""
        document = Document(FAMILIES)
        names = [("w", f"{number * 7919 % 1000:03}") for number in range(1000)]
        for key in names:
            document.put(key, lines(key, 1, 2))

        assert text(document, 0) == b"".join(lines(key, 1)[0] for key in sorted(names))
        assert {0 < len(block.keys) <= BLOCK for block in document.blocks} == {True}

        for key in names:
            document.put(key, [])

        assert document.blocks == []


class TestPieces:
    """What did not change is not compressed again."""

    def test_changed_family(self) -> None:
        """A family whose lines stay keeps its piece while another is compressed anew."""
        document = Document(FAMILIES)
        document.put(("w", "s"), lines(("w", "s"), 1, 2))
        before = [document.blocks[0].piece(family) for family in range(FAMILIES)]
        document.put(("w", "s"), lines(("w", "s"), 1, 3))
        after = [document.blocks[0].piece(family) for family in range(FAMILIES)]

        assert after[0] is before[0]
        assert unpacked(document, 1) == b"w/s 3\n"

    def test_other_block(self) -> None:
        """A change in one block leaves the pieces of the others."""
        document = Document(FAMILIES)
        for number in range(2 * BLOCK):
            key = ("w", f"{number:04}")
            document.put(key, lines(key, 1, 2))
        before = [block.piece(0) for block in document.blocks]
        document.put(("w", "0000"), lines(("w", "0000"), 9, 2))
        after = [block.piece(0) for block in document.blocks]

        assert after[0] != before[0]
        assert all(new is old for new, old in zip(after[1:], before[1:], strict=True))
