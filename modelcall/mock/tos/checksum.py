"""CRC64 as TOS computes it, and the digests of one body."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from crcmod import mkCrcFun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ONES: Final = (1 << 64) - 1
_REFLECTED: Final = 0xC96C5795D7870F42
"""ECMA-182, with x^0 in the highest bit."""
_ONE: Final = 1 << 63
_UPDATE: Final[Callable[[bytes, int], int]] = mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=_ONES)


class Digests:
    """MD5, CRC64 and, if it was announced, SHA-256 of a body that comes in pieces."""

    def __init__(self, *, sha256: bool = False) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if sha256 else None
        self.crc64 = 0

    def update(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._md5.update(piece)
        self.crc64 = _UPDATE(piece, self.crc64)
        if self._sha256 is not None:
            self._sha256.update(piece)

    @property
    def etag(self) -> str:
        """Of an object that was put whole."""
        return f'"{self._md5.hexdigest()}"'

    @property
    def content_md5(self) -> str:
        """As the header of that name says it."""
        return base64.b64encode(self._md5.digest()).decode("ascii")

    @property
    def sha256(self) -> str | None:
        """As ``x-tos-content-sha256`` says it, if it was asked for."""
        return None if self._sha256 is None else self._sha256.hexdigest()


def multipart_etag(etags: Iterable[str]) -> str:
    """Return the ETag of an object made of parts."""
    digests = [bytes.fromhex(etag.strip('"').partition("-")[0]) for etag in etags]
    return f'"{hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"'


def combined_crc64(parts: Iterable[tuple[int, int]]) -> int:
    """Return the CRC64 of bytes laid end to end, each given by its own CRC64 and length."""
    whole = 0
    for crc64, length in parts:
        whole = _times(_shift(length), whole) ^ crc64
    return whole


@lru_cache(maxsize=1024)
def _shift(length: int) -> int:
    """x^(8 · length), modulo the polynomial."""
    power, square = _ONE, _ONE >> 8
    while length:
        if length & 1:
            power = _times(power, square)
        square = _times(square, square)
        length >>= 1
    return power


def _times(left: int, right: int) -> int:
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & _ONES
        right = (right >> 1) ^ (_REFLECTED if right & 1 else 0)
    return product
