"""Ready lines of every stage, in the order of their names, joined and compressed block by block.

A scrape is asked for as gzip, again and again, of lines of which few have changed. So each block of stages keeps, for
each family, the piece of a gzip stream that its lines compress to.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import eq

from exporter.deflate import Piece, deflate
from exporter.view import StageKey

# Stages in a block, at most: one that changes costs no more to compress than so many, and all of them a tenth more.
BLOCK = 64


class Block:
    """Neighbours in the order of names: the lines of each, by family, and the pieces they compress to."""

    def __init__(self, families: int, keys: list[StageKey], rows: list[Sequence[bytes]]) -> None:
        """Take ``keys``, in order, and beside each its lines."""
        self.keys = keys
        self.rows = rows
        self._pieces: list[Piece | None] = [None] * families

    def put(self, key: StageKey, lines: Sequence[bytes]) -> bool:
        """Set the lines of one stage, none where it is gone, and tell whether anything changed."""
        place = bisect_left(self.keys, key)
        if place == len(self.keys) or self.keys[place] != key:
            if lines:
                self.keys.insert(place, key)
                self.rows.insert(place, lines)
                self._forget()
            return bool(lines)
        old = self.rows[place]
        if old == lines:
            return False
        if lines:
            self.rows[place] = lines
            self._forget_changed(old, lines)
        else:
            del self.keys[place], self.rows[place]
            self._forget()
        return True

    def _forget(self) -> None:
        self._pieces = [None] * len(self._pieces)

    def _forget_changed(self, old: Sequence[bytes], new: Sequence[bytes]) -> None:
        """Families whose lines are as they were stay compressed."""
        if any(self._pieces):
            unchanged = map(eq, old, new)
            self._pieces = [piece if same else None for piece, same in zip(self._pieces, unchanged, strict=True)]

    def piece(self, family: int) -> Piece:
        """Lines of one family as a piece of a gzip stream."""
        piece = self._pieces[family]
        if piece is None:
            piece = self._pieces[family] = deflate(b"".join([lines[family] for lines in self.rows]))
        return piece

    def halves(self) -> list["Block"]:
        """Cut in two."""
        middle = len(self.keys) // 2
        parts = (slice(middle), slice(middle, None))
        return [Block(len(self._pieces), self.keys[part], self.rows[part]) for part in parts]


class Document:
    """The lines of every stage. Not thread-safe."""

    def __init__(self, families: int) -> None:
        """Begin empty; each stage has the lines of so many ``families``."""
        self._families = families
        self.blocks: list[Block] = []
        # The first key of each block.
        self._firsts: list[StageKey] = []

    def put(self, key: StageKey, lines: Sequence[bytes]) -> bool:
        """Set the lines of a stage, none where it is gone, and tell whether anything changed."""
        place = max(bisect_right(self._firsts, key) - 1, 0)
        if not self.blocks:
            self.blocks.append(Block(self._families, [], []))
        block = self.blocks[place]
        changed = block.put(key, lines)
        kept = block.halves() if len(block.keys) > BLOCK else [block] if block.keys else []
        self.blocks[place : place + 1] = kept
        self._firsts[place : place + 1] = [each.keys[0] for each in kept]
        return changed

    def lines(self, family: int) -> list[bytes]:
        """Lines of one family, stage by stage."""
        return [lines[family] for block in self.blocks for lines in block.rows]

    def pieces(self, family: int) -> list[Piece]:
        """The same as pieces of a gzip stream."""
        return [block.piece(family) for block in self.blocks]
