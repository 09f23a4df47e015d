"""Files of remote stores as streams: read in ranges, and fetched ahead where reads go on."""

from __future__ import annotations

import io
import os
from bisect import bisect_right, insort
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

AHEAD_BYTES: Final = 16 << 20
"""Of ranges fetched ahead and not read yet, for each open file."""
SMALL_BYTES: Final = 256 << 10
"""An object of not more is fetched whole when it is first read."""
STREAMS: Final = 512
"""Places at which reading may go on that are remembered."""


class RangeReader(io.RawIOBase):
    """An open file: seekable, every read as long as asked for but at the end.

    What is fetched ahead is what somebody who knows the file said will be read (:meth:`expect`). If nobody did, reads
    that go on where earlier ones ended make what follows be fetched ahead, as much as has been read that way: no more
    is fetched in vain than was of use.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, size: int, pool: Executor) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._position = 0
        self._whole: bytes | None = None
        self._ends: OrderedDict[int, int] = OrderedDict()
        """Where reads ended, and how many in a row had led there."""
        self._expected: Iterator[tuple[int, int]] | None = None
        self._ahead = _Ahead(fetch, pool)

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
        self._position = end
        if self._size <= SMALL_BYTES:
            self._whole = self._whole or self._fetch(0, self._size)
            return self._whole[begin:end]
        if self._expected is None:
            self._go_on(begin, end)
        else:
            self._fetch_expected()
        pieces = list(self._pieces(begin, end))
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch these ahead, begins and ends, about in the order in which they will be read; nothing else from now on.

        They do not overlap. What is of them is read in order and to its end, or it stays in memory.
        """
        self._expected = iter(ranges)

    def close(self) -> None:
        """Give up what is still being fetched."""
        self._expected = iter(())
        self._ahead.clear()
        super().close()

    def _pieces(self, begin: int, end: int) -> Iterator[bytes | memoryview]:
        while begin < end:
            piece: bytes | memoryview | None = self._ahead.take(begin, end)
            if piece is None:
                until = self._ahead.next_after(begin, end)
                piece = self._fetch(begin, until)
                if self._expected is not None:
                    self._ahead.came_too_late(begin, until)
            yield piece
            begin += len(piece)

    def _fetch_expected(self) -> None:
        assert self._expected is not None  # noqa: S101  the caller looked
        while self._ahead.waiting < AHEAD_BYTES and (wanted := next(self._expected, None)):
            self._ahead.add(*wanted)

    def _go_on(self, begin: int, end: int) -> None:
        in_a_row = self._ends.pop(begin, 0)
        size, start = end - begin, end
        for _ in range(in_a_row):
            start = self._ahead.end_of(start)
            stop = self._ahead.next_after(start, min(start + size, self._size))
            if start >= self._size or stop < min(start + size, self._size) or self._ahead.waiting + size > AHEAD_BYTES:
                break
            self._ahead.add(start, stop)
        self._ends[end] = in_a_row + 1
        if len(self._ends) > STREAMS:
            self._ends.popitem(last=False)


class _Ahead:
    """Ranges fetched, or being fetched, and not read yet."""

    def __init__(self, fetch: Callable[[int, int], bytes], pool: Executor) -> None:
        self._fetch = fetch
        self._pool = pool
        self._starts: list[int] = []
        self._ranges: dict[int, tuple[int, memoryview | Future[bytes]]] = {}
        """By where they begin: where they end."""
        self._late: dict[int, int] = {}
        """What was read before it was to be fetched, by where it ends: where it begins."""
        self.waiting = 0
        """Bytes of all."""

    def add(self, begin: int, end: int) -> None:
        """Fetch a range, but for a beginning that has been read."""
        for late in [late for late, start in self._late.items() if start <= begin < late]:
            del self._late[late]
            begin = late
        if begin < end:
            self._put(begin, end, self._pool.submit(self._fetch, begin, end))

    def take(self, begin: int, end: int) -> memoryview | None:
        """Return what is here from ``begin`` on, at most up to ``end``; None: nothing."""
        start = self._at(begin)
        if start is None:
            return None
        stop, coming = self._ranges[start]
        data = coming if isinstance(coming, memoryview) else memoryview(coming.result())
        self._drop(start)
        end = min(end, stop)
        if start < begin:
            self._put(start, begin, data[: begin - start])
        if end < stop:
            self._put(end, stop, data[end - start :])
        return data[begin - start : end - start]

    def next_after(self, begin: int, end: int) -> int:
        """Return where the next range begins, at most ``end``."""
        at = bisect_right(self._starts, begin)
        return min(self._starts[at], end) if at < len(self._starts) else end

    def end_of(self, begin: int) -> int:
        """Return where the ranges end that follow each other from ``begin`` on."""
        while (start := self._at(begin)) is not None:
            begin = self._ranges[start][0]
        return begin

    def came_too_late(self, begin: int, end: int) -> None:
        """Note what was read without having been fetched: it need not be fetched any more."""
        self._late[end] = self._late.pop(begin, begin)

    def clear(self) -> None:
        """Give all up."""
        for _, coming in self._ranges.values():
            if not isinstance(coming, memoryview):
                coming.cancel()
        self._ranges.clear()
        self._starts.clear()
        self.waiting = 0

    def _at(self, position: int) -> int | None:
        at = bisect_right(self._starts, position) - 1
        start = self._starts[at] if at >= 0 else None
        return start if start is not None and position < self._ranges[start][0] else None

    def _put(self, begin: int, end: int, data: memoryview | Future[bytes]) -> None:
        self._ranges[begin] = (end, data)
        insort(self._starts, begin)
        self.waiting += end - begin

    def _drop(self, begin: int) -> None:
        end, _ = self._ranges.pop(begin)
        del self._starts[bisect_right(self._starts, begin) - 1]
        self.waiting -= end - begin
