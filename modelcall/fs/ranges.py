"""Files of remote stores as streams: read in ranges, and fetched ahead where reads go on."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

AHEAD_BYTES: Final = 32 << 20
"""Of ranges fetched ahead and not read yet, for each open file."""
STREAMS: Final = 512
"""Places at which reading may go on that are remembered: Parquet reads each column as a stream of its own."""


class RangeReader(io.RawIOBase):
    """An open file: seekable, every read as long as asked for but at the end.

    Reads that go on where earlier ones ended make what follows be fetched ahead, as much as has been read that way: of
    a Parquet column whose end is not known here, no more is fetched in vain than was of use.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, size: int, pool: Executor) -> None:
        super().__init__()
        self._fetch = fetch
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
