"""Objects read in ranges: all of one etag, taken up again where a connection broke, fetched ahead where reads go on."""

from __future__ import annotations

import errno
import io
import os
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future

    from modelcall.fs.tos.client import TosCalls
    from modelcall.fs.tos.places import Place

CHUNK_BYTES: Final = 1 << 20
"""Read from a connection at a time."""
AHEAD_BYTES: Final = 32 << 20
"""Of ranges fetched ahead and not read yet, for each open object."""
STREAMS: Final = 512
"""Places at which reading may go on that are remembered: Parquet reads each column as a stream of its own."""


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


class ObjectReader(io.RawIOBase):
    """An open object: seekable, every read as long as asked for but at the end.

    Reads that go on where earlier ones ended make what follows be fetched ahead, as much as has been read that way: of
    a Parquet column whose end is not known here, no more is fetched in vain than was of use.
    """

    def __init__(self, calls: TosCalls, at: Place, *, size: int, etag: str, pool: Executor) -> None:
        super().__init__()
        self._fetch = partial(fetch, calls, at, etag=etag)
        self._size = size
        self._pool = pool
        self._position = 0
        self._ends: OrderedDict[int, int] = OrderedDict()
        """Where reads ended, and how many in a row had led there."""
        self._ahead: dict[int, tuple[int, bytes | Future[bytes]]] = {}
        """Fetched or being fetched: from where, up to where."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer, as RawIOBase means it
        """Fill a buffer as far as the object goes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return all that follows."""
        return self.read()

    def read(self, size: int | None = -1) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end."""
        begin = self._position
        end = self._size if size is None or size < 0 else min(begin + size, self._size)
        if begin >= end:
            return b""
        in_a_row = self._ends.pop(begin, 0)
        if in_a_row:
            self._fetch_ahead(end, end - begin, times=in_a_row)
        pieces = list(self._pieces(begin, end))
        self._position = end
        self._remember(end, in_a_row + 1)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give up what is still being fetched."""
        for _, coming in self._ahead.values():
            if not isinstance(coming, bytes):
                coming.cancel()
        self._ahead.clear()
        super().close()

    def _pieces(self, begin: int, end: int) -> Iterator[bytes]:
        while begin < end:
            if begin not in self._ahead:
                until = min((start for start in self._ahead if begin < start < end), default=end)
                yield self._fetch(begin, until)
                begin = until
                continue
            stop, coming = self._ahead.pop(begin)
            data = coming if isinstance(coming, bytes) else coming.result()
            if stop > end:  # the rest is for the next read
                self._ahead[end] = (stop, data[end - begin :])
                data = data[: end - begin]
            yield data
            begin = stop

    def _remember(self, end: int, in_a_row: int) -> None:
        self._ends[end] = in_a_row
        if len(self._ends) > STREAMS:
            self._ends.popitem(last=False)

    def _fetch_ahead(self, begin: int, size: int, *, times: int) -> None:
        waiting = sum(stop - start for start, (stop, _) in self._ahead.items())
        for _ in range(times):
            while begin in self._ahead:
                begin = self._ahead[begin][0]
            stop = min(begin + size, self._size)
            if begin >= self._size or waiting + size > AHEAD_BYTES or any(begin < at < stop for at in self._ahead):
                return
            self._ahead[begin] = (stop, self._pool.submit(self._fetch, begin, stop))
            waiting += stop - begin
