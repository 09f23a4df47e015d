"""Order journal records by row index in bounded memory: an external merge sort."""

from __future__ import annotations

import heapq
from contextlib import ExitStack
from itertools import chain, islice
from operator import itemgetter
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from modelcall.state.frames import Damage, frame, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEMORY_BYTES = 4 << 20
"""How much of the records is held in memory at a time."""
FAN_IN = 64
"""Sorted runs on disk at a time, each an open file: as many become one when there are more."""

_RECORD_BYTES = 100
"""Of a record beside its payload."""
_by_row = itemgetter(0)


def in_order(records: Iterable[tuple[int, bytes]], spill_folder: str) -> Iterator[tuple[int, bytes]]:
    """Yield records by row index, those of one row as they came. Sorted runs are spilled into ``spill_folder``."""
    source = iter(records)
    with ExitStack() as stack:
        runs: list[Iterable[tuple[int, bytes]]] = []
        while chunk := _take(source):
            chunk.sort(key=_by_row)  # stable: records of one row stay as they came
            following = next(source, None)
            if following is None:
                runs.append(chunk)
                break
            source = chain((following,), source)
            if len(runs) == FAN_IN:
                with stack.pop_all():
                    runs = [
                        _spill(heapq.merge(*runs, key=_by_row), stack.enter_context(TemporaryFile(dir=spill_folder)))
                    ]
            runs.append(_spill(chunk, stack.enter_context(TemporaryFile(dir=spill_folder))))
        yield from heapq.merge(*runs, key=_by_row)


def weight(payload: bytes) -> int:
    """Return what a record takes in memory, in bytes, more or less."""
    return len(payload) + _RECORD_BYTES


def _take(records: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the next records, up to the memory bound."""
    chunk: list[tuple[int, bytes]] = []
    size = 0
    while size < MEMORY_BYTES and (some := list(islice(records, 1000))):
        chunk += some
        size += sum(weight(payload) for _, payload in some)
    return chunk


def _spill(chunk: Iterable[tuple[int, bytes]], stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    stream.writelines(frame(row, payload) for row, payload in chunk)
    size = stream.tell()
    stream.seek(0)
    return read_frames(stream, size=size, damage=Damage())
