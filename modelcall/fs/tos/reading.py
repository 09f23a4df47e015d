"""Ranges of objects: all of one etag, taken up again where a connection broke."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

from modelcall.fs.errors import ReplacedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from modelcall.fs.tos.client import TosCalls
    from modelcall.fs.tos.places import Place

CHUNK_BYTES: Final = 256 << 10
"""Read from a connection at a time; of a chunk that breaks off nothing is kept."""


def fetch_whole(calls: TosCalls, at: Place) -> bytes:
    """Return a small object as it is now, by one request.

    Raises:
        OSError: As :meth:`TosCalls.do`.
    """

    def once() -> bytes:
        reply = calls.reading.get_object(at.bucket, at.key)
        data = b"".join(_body(reply))
        if len(data) != reply.content_length:
            raise ConnectionError(errno.ECONNRESET, "the body ended early", at.url(at.key))
        return data

    return calls.again(once, at)


def fetch(calls: TosCalls, at: Place, start: int, end: int, *, etag: str) -> bytes:
    """Return the bytes ``start`` to ``end`` of an object.

    Raises:
        OSError: As :meth:`TosCalls.do`.
        ReplacedError: The object has another etag now.
    """
    parts: list[bytes] = []
    have = 0

    def read_on() -> None:
        nonlocal have
        reply = calls.reading.get_object(
            at.bucket, at.key, range_start=start + have, range_end=end - 1, if_match=f'"{etag}"'
        )
        for part in _body(reply):
            parts.append(part)
            have += len(part)
        if start + have != end:
            raise ConnectionError(errno.ECONNRESET, "the body ended early", at.url(at.key))

    try:
        calls.again(read_on, at)
    except FileExistsError as error:
        raise ReplacedError(errno.ESTALE, "the object was replaced while it was being read", at.url(at.key)) from error
    return b"".join(parts)


def _body(reply: Any) -> Iterator[bytes]:  # noqa: ANN401  the SDK's own
    try:
        yield from iter(partial(reply.read, CHUNK_BYTES), b"")
    finally:
        reply.resp.resp.close()  # of a body not read to its end, the connection cannot be used again
