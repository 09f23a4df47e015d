"""The records of a journal by row index, in bounded memory.

Answers come nearly in the order of their rows. So a journal is looked through for the smallest row of each block of it,
and read block by block in the order of these: all that is smaller than the next block's is complete then. Only where
answers are scattered, more than is held in memory, everything is read once more and sorted on disk.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from contextlib import suppress
from io import BytesIO
from itertools import chain, pairwise
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelcall.state import merge
from modelcall.state.frames import Damage, apparent_key, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.state.segments import Segment

BLOCK_BYTES = 1 << 18

_row = itemgetter(0)
_row_and_age = itemgetter(0, 1)


class _Block(NamedTuple):
    """A stretch of a segment."""

    first: int
    """Its smallest row."""
    age: int
    """How many blocks came before it."""
    path: str
    begin: int
    size: int


_END = _Block(sys.maxsize, sys.maxsize, "", 0, 0)


def by_row(segments: Sequence[Segment], spill_folder: str) -> Iterator[tuple[int, bytes]]:
    """Yield the whole records of some segments by row index, those of one row as they came.

    Segments that are gone when the first record is asked for have none.

    Raises:
        FileNotFoundError: One was retired since then.
    """
    blocks = sorted(_blocks(segments))
    held: list[tuple[int, int, bytes]] = []
    for block, following in pairwise((*blocks, _END)):
        held += [(row, block.age, payload) for row, payload in _read(block)]
        held.sort(key=_row_and_age)
        later = following.first
        ready = bisect_left(held, later, key=_row)
        for row, _, payload in held[:ready]:
            yield row, payload
        del held[:ready]
        if sum(merge.weight(payload) for _, _, payload in held) > merge.MEMORY_BYTES:
            held.clear()
            as_they_came = chain.from_iterable(map(_read, sorted(blocks, key=attrgetter("age"))))
            yield from (record for record in merge.in_order(as_they_came, spill_folder) if record[0] >= later)
            return


def _blocks(segments: Sequence[Segment]) -> Iterator[_Block]:
    age = 0
    for segment in segments:
        with suppress(FileNotFoundError), Path(segment.path).open("rb") as stream:
            begin = len(stream.readline())  # the header
            while begin < segment.size and (lines := stream.readlines(BLOCK_BYTES)):
                size = min(sum(map(len, lines)), segment.size - begin)
                yield _Block(min(map(apparent_key, lines)), age, segment.path, begin, size)
                begin, age = begin + size, age + 1


def _read(block: _Block) -> Iterator[tuple[int, bytes]]:
    with Path(block.path).open("rb") as stream:
        stream.seek(block.begin)
        data = stream.read(block.size)
    yield from read_frames(BytesIO(data), size=block.size, damage=Damage())
