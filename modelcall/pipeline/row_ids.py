"""What rows are called on the wire, so that servers' logs can be matched with ours.

An attempt's ``x-request-id`` is ``<request id>-<attempt>`` in the form of a UUID (RFC 9562, version 8), because some
servers answer 400 to anything else: all that are built on starlette-context, llama-cpp-python's among them.
"""

from __future__ import annotations

from hashlib import blake2b

_DIGITS = 18
"""Hexadecimal ones that are free in four groups of a UUID: version and variant take one each."""
_ALL = 16**_DIGITS


class RowIds:
    """Names the rows of a file: the first four groups of a UUID, the same whenever they are asked about."""

    def __init__(self, file: str) -> None:
        digest = blake2b(file.encode("utf-8", "surrogateescape"), digest_size=_DIGITS // 2).digest()
        self._first = int.from_bytes(digest)

    def __getitem__(self, row: int) -> str:
        """Return the name of a row."""
        digits = f"{(self._first + row) % _ALL:018x}"
        return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8{digits[15:]}"
