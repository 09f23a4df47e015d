"""Sets of rows."""

from __future__ import annotations

import base64
import zlib
from typing import Self


class RowSet:
    """A set of row indexes at one bit each."""

    __slots__ = ("_bits", "count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0

    def add(self, row: int) -> bool:
        """Add a row; False if it was there."""
        byte, bit = row >> 3, 1 << (row & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits) + (len(self._bits) >> 3)))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self.count += 1
        return True

    def __contains__(self, row: int) -> bool:
        """Whether a row is in the set."""
        byte = row >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (row & 7)))

    def dump(self) -> str:
        """Return the set as text: its bits, compressed, in base 64."""
        return base64.b64encode(zlib.compress(self._bits.rstrip(b"\0"))).decode() if self.count else ""

    @classmethod
    def load(cls, text: str) -> Self:
        """Return the set that :meth:`dump` wrote."""
        rows = cls()
        rows._bits = bytearray(zlib.decompress(base64.b64decode(text))) if text else bytearray()
        rows.count = int.from_bytes(rows._bits).bit_count()
        return rows

    def covers(self, first: int, count: int) -> bool:
        """Whether each of ``count`` rows from ``first`` on is in the set."""
        bits = int.from_bytes(self._bits[first >> 3 : (first + count + 7) >> 3], "little") >> (first & 7)
        every = (1 << count) - 1
        return bits & every == every
