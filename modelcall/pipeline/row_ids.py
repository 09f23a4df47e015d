"""What rows are called on the wire, so that servers' logs can be matched with ours.

An attempt's ``x-request-id`` is ``<request id>-<attempt>`` in the form of a UUID (RFC 9562, version 8), because some
servers answer 400 to anything else: all that are built on starlette-context, llama-cpp-python's among them.
"""

from __future__ import annotations

from hashlib import blake2b

_ROWS = 0xFFFFFFFF


class RowIds:
    """Names the rows of a file: the first four groups of a UUID, the same whenever they are asked about."""

    def __init__(self, file: str) -> None:
        digits = blake2b(file.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()
        self._file = f"{digits[:4]}-8{digits[4:7]}-8{digits[7:]}"

    def __getitem__(self, row: int) -> str:
        """Return the name of a row."""
        return f"{row & _ROWS:08x}-{self._file}"
