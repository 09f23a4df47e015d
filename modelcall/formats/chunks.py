"""Where in a Parquet file the values of some columns stand, in the order in which they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import pyarrow.parquet as pq

Range: TypeAlias = "tuple[int, int]"
"""Where it begins and ends."""

BUFFERED: Final = 16 << 20
"""Bytes of all columns together that are read at a time."""
_LEAST: Final = 64 << 10
_MOST: Final = 1 << 20


def piece_bytes(columns: int) -> int:
    """Return how much of one column is read at a time, if so many are read side by side."""
    return max(_LEAST, min(_MOST, BUFFERED // max(columns, 1)))


def leaves(metadata: pq.FileMetaData, columns: Collection[str]) -> list[int]:
    """Return the numbers of the leaf columns that these are made of."""
    return [
        number for number in range(metadata.num_columns) if _is_of(metadata.schema.column(number).path, set(columns))
    ]


def _is_of(path: str, columns: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:count]) in columns for count in range(1, len(parts) + 1))


def ranges(metadata: pq.FileMetaData, groups: Iterable[int], wanted: list[int]) -> Iterator[Range]:
    """Yield the ranges of these leaf columns, row group by row group, side by side within one.

    Of a large chunk the pieces are apart; small ones that follow each other are one range.
    """
    size = piece_bytes(len(wanted))
    last: Range | None = None
    for group in groups:
        for begin, end in _pieces(metadata, group, wanted, size):
            if last is not None and last[1] == begin and end - last[0] <= size:
                last = last[0], end
            else:
                if last is not None:
                    yield last
                last = begin, end
    if last is not None:
        yield last


def _pieces(metadata: pq.FileMetaData, group: int, wanted: list[int], size: int) -> list[Range]:
    """Return pieces of chunks in the order in which rows need them."""
    pieces: list[tuple[float, int, int]] = []
    row_group = metadata.row_group(group)
    for number in wanted:
        begin, end = _chunk(row_group.column(number))
        pieces += [
            ((start - begin) / (end - begin), start, min(start + size, end)) for start in range(begin, end, size)
        ]
    return [(begin, end) for _, begin, end in sorted(pieces)]


def _chunk(column: pq.ColumnChunkMetaData) -> Range:
    begin = column.data_page_offset
    if column.dictionary_page_offset:  # of some writers 0, for none
        begin = min(begin, column.dictionary_page_offset)
    return begin, begin + column.total_compressed_size
