"""Ready lines of every stage, in the order of their names, joined and compressed block by block.

A scrape is asked for as gzip, again and again, of lines of which few have changed. So each block of stages keeps, for
each family, the piece of a gzip stream that its lines compress to.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from exporter.deflate import Piece, deflate
from exporter.view import StageKey

# Stages in a block, at most: some tens of kilobytes of one family compress as well as all of it.
BLOCK = 256


class Block:
    """Neighbours in the order of names: the lines of each, by family, and the pieces they compress to."""

    def __init__(self, families: int, keys: list[StageKey], lines: dict[StageKey, Sequence[bytes]]) -> None:
        """Take ``keys``, in order, with the ``lines`` of each."""
        self.keys = keys
        self.lines = lines
        self._pieces: list[Piece | None] = [None] * families

    def put(self, key: StageKey, lines: Sequence[bytes]) -> None:
        """Set the lines of one stage; families whose lines are as they were stay compressed."""
        old = self.lines.get(key)
        if old is None:
            self.keys.insert(bisect_left(self.keys, key), key)
        self.lines[key] = lines
        for family, text in enumerate(lines):
            if old is None or old[family] != text:
                self._pieces[family] = None

    def drop(self, key: StageKey) -> None:
        """Forget a stage."""
        self.keys.remove(key)
        del self.lines[key]
        self._pieces = [None] * len(self._pieces)

    def text(self, family: int) -> bytes:
        """Lines of one family."""
        return b"".join([self.lines[key][family] for key in self.keys])

    def piece(self, family: int) -> Piece:
        """The same as a piece of a gzip stream."""
        piece = self._pieces[family]
        if piece is None:
            piece = self._pieces[family] = deflate(self.text(family))
        return piece

    def halves(self) -> tuple["Block", "Block"]:
        """Cut in two."""
        middle = len(self.keys) // 2
        first, second = (
            Block(len(self._pieces), keys, {key: self.lines[key] for key in keys})
            for keys in (self.keys[:middle], self.keys[middle:])
        )
        return first, second


class Document:
    """The lines of every stage. Not thread-safe."""

    def __init__(self, families: int) -> None:
        """Begin empty; each stage has the lines of so many ``families``."""
        self._families = families
        self.blocks: list[Block] = []

    def put(self, key: StageKey, lines: Sequence[bytes]) -> bool:
        """Set the lines of a stage, none where it is gone, and tell whether anything changed."""
        if not self.blocks:
            if not lines:
                return False
            self.blocks.append(Block(self._families, [], {}))
        # An empty block is the only one.
        place = bisect_right(self.blocks, key, lo=1, key=lambda block: block.keys[0]) - 1
        block = self.blocks[place]
        if lines == block.lines.get(key, []):
            return False
        if lines:
            block.put(key, lines)
            if len(block.keys) > BLOCK:
                self.blocks[place : place + 1] = block.halves()
        else:
            block.drop(key)
            if not block.keys:
                del self.blocks[place]
        return True
