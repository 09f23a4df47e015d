"""Published files, column by column."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelcall.formats.opening import open_source
from modelcall.formats.values import is_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from modelcall.formats.base import AnyRow
    from modelcall.report.subject import Expected
    from modelcall.state.manifest import Entry

_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """Which of a file's columns can be drawn, and how. Names as they stand in the file."""

    numbers: tuple[str, ...]
    lists: tuple[str, ...]
    """Of texts: tags."""
    texts: tuple[str, ...]
    others: tuple[str, ...]
    """Columns of the scorer that are none of these."""
    inputs: tuple[str, ...]


def shape_of(schema: pa.Schema, entry: Entry) -> Shape:
    """Sort the columns of a file by what they hold."""
    kinds: dict[str, list[str]] = {"numbers": [], "lists": [], "texts": [], "others": []}
    for name in entry.scores:
        if name in schema.names:
            kinds[_kind(schema.field(name).type)].append(name)
    inputs = tuple(name for name in schema.names if name not in entry.columns)
    return Shape(**{kind: tuple(names) for kind, names in kinds.items()}, inputs=inputs)


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "numbers"
    if is_text(type_) or pa.types.is_boolean(type_):
        return "texts"
    if (pa.types.is_list(type_) or pa.types.is_large_list(type_)) and is_text(type_.value_type):
        return "lists"
    return "others"


class Published:
    """One published file, open for reading; a context of :func:`contextlib.closing`."""

    def __init__(self, file: Expected, entry: Entry) -> None:
        path = file.to.path(entry.output)
        self.entry = entry
        self._source = open_source(lambda: file.to.fs.open(path), name=entry.output)
        self.schema: pa.Schema = self._source.schema()[0]
        self.shape = shape_of(self.schema, entry)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def batches(self, names: Collection[str]) -> Iterator[pa.RecordBatch]:
        """Some columns, of all rows; those that the file lacks are left out."""
        return self._source.batches(pa.schema([field for field in self.schema if field.name in names]))

    def rows(self, wanted: Collection[int], names: Sequence[str]) -> Iterator[tuple[int, AnyRow]]:
        """A few rows by their place. Row groups without one of them are not read."""
        passed = _AllBut(frozenset(wanted))
        for chunk in self._source.rows_left(names, recorded=passed, chunk_rows=_CHUNK):
            yield from chunk


def opened(file: Expected, entry: Entry) -> closing[Published]:
    """Open a published file."""
    return closing(Published(file, entry))


@dataclass(frozen=True, slots=True)
class _AllBut:
    """All rows but some."""

    rows: frozenset[int]

    def __contains__(self, row: int) -> bool:
        return row not in self.rows

    def covers(self, first: int, count: int) -> bool:
        return not any(first <= row < first + count for row in self.rows)


def values(batch: pa.RecordBatch, name: str) -> list[Any]:
    """Return a column as Python values; nothing but None if it is not there."""
    at = batch.schema.get_field_index(name)
    return [None] * batch.num_rows if at < 0 else batch.column(at).to_pylist()
