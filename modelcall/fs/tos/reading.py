"""Ranges of objects: all of one etag, taken up again where a connection broke."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modelcall.fs.tos.client import TosCalls
    from modelcall.fs.tos.places import Place

CHUNK_BYTES: Final = 256 << 10
"""Read from a connection at a time; of a chunk that breaks off nothing is kept."""


def fetch(calls: TosCalls, at: Place, start: int, end: int, *, etag: str) -> bytes:
    """Return the bytes ``start`` to ``end`` of an object.

    Raises:
        OSError: As :meth:`TosCalls.do`; ``ESTALE`` if the object was replaced meanwhile.
    """
    parts: list[bytes] = []
    have = 0

    def read_on() -> None:
        nonlocal have
        reply = calls.reading.get_object(
            at.bucket, at.key, range_start=start + have, range_end=end - 1, if_match=f'"{etag}"'
        )
        try:
            while part := reply.read(CHUNK_BYTES):
                parts.append(part)
                have += len(part)
        finally:
            reply.resp.resp.close()  # of a body not read to its end, the connection cannot be used again
        if start + have != end:
            raise ConnectionError(errno.ECONNRESET, "the body ended early", at.url(at.key))

    try:
        calls.again(read_on, at)
    except FileExistsError as error:
        raise OSError(errno.ESTALE, "the object was replaced while it was being read", at.url(at.key)) from error
    return b"".join(parts)
