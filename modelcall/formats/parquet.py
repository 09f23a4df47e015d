"""Parquet in: row groups streamed, columns in their Arrow types, values untouched."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.errors import FileFailure
from modelcall.formats import chunks
from modelcall.formats.base import NO_ROWS, BadRow, Foreseeing, Layout, Start
from modelcall.formats.detect import MAGIC_BYTES, content_of, refuse_content
from modelcall.formats.failures import changed, reading
from modelcall.formats.nested import fitted
from modelcall.formats.values import json_values, python_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.formats.base import AnyRow, Opener, RowSelection
    from modelcall.formats.unify import Unified

BATCH_ROWS = 1000
BATCH_BYTES = 16 << 20
"""Of decoded values in one batch, by the file's own account."""


class ParquetSource:
    """A Parquet file. Memory is bounded by batches, not by row groups."""

    def __init__(self, opener: Opener, *, name: str, unified: Unified | None = None) -> None:
        self._opener = opener
        self._name = name
        self._unified = unified
        self._footer: _Footer | None = None
        self._kept: BinaryIO | None = None
        self.blank_lines = 0
        self.row_count = 0
        self.learned: object = None
        self.bad_rows: list[str] = []
        self.bad_row_count = 0

    def rows(
        self, columns: Sequence[str] | None, *, chunk_rows: int, limit: int | None = None
    ) -> Iterator[list[AnyRow]]:
        """All rows."""
        for chunk in self.rows_left(columns, recorded=NO_ROWS, chunk_rows=chunk_rows, limit=limit):
            yield [row for _, row in chunk]

    def rows_left(
        self,
        columns: Sequence[str] | None,
        *,
        recorded: RowSelection,
        chunk_rows: int,
        limit: int | None = None,
        start: Start | None = None,  # noqa: ARG002  the footer tells where everything is
    ) -> Iterator[list[tuple[int, AnyRow]]]:
        """Rows to score, values as :func:`~modelcall.formats.values.python_values` gives them."""
        self.row_count = 0
        for count, batch in self._pieces(columns, most=chunk_rows, limit=limit, recorded=recorded):
            first, self.row_count = self.row_count, self.row_count + count
            if batch is not None and not recorded.covers(first, count):
                yield [(index, row) for index, row in enumerate(_rows(batch, first), first) if index not in recorded]

    def layout(self, parts: int) -> Layout:
        """Any row can be found."""
        with self._open() as (_, footer):
            rows = int(footer.metadata.num_rows)
        return Layout(tuple(map(Start, range(0, rows, rows // parts + 1))), rows)

    def know(self, learned: Sequence[object], *, rows: int) -> None:
        """The footer knows all."""

    def expected_rows(self, size: int) -> int | None:  # noqa: ARG002  the footer knows
        """Rows by the footer, once it was read."""
        return None if self._footer is None else int(self._footer.metadata.num_rows)

    def column_names(self) -> list[str]:
        """Names of all columns; reads the footer."""
        return list(self._schema().names)

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Arrow schema with the metadata of the file; no column has to become JSON text."""
        if self._unified is not None:
            return self._unified.schema, list(self._unified.json_text)
        return self._schema(), []

    def types(self) -> pa.Schema:
        """Arrow schema of the file; reads the footer."""
        return self._schema()

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """Columns in ``schema`` as they stand in the file."""
        for batch in self._batches(schema.names, most=BATCH_ROWS, limit=limit):
            if not len(schema):
                yield batch
                continue
            try:
                yield pa.RecordBatch.from_arrays([self._column(batch, field) for field in schema], schema=schema)
            except (pa.ArrowException, KeyError) as error:
                raise changed(self._name) from error

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        if self._unified is None:
            return batch.column(field.name)
        if field.name not in batch.schema.names:
            return pa.nulls(batch.num_rows, field.type)
        return fitted(batch.column(field.name), field.type)

    def records(self, columns: Sequence[str] | None, *, limit: int | None = None) -> Iterator[list[bytes]]:
        """Rows as JSON text, values as :func:`~modelcall.formats.values.json_values` gives them."""
        for batch in self._batches(columns, most=BATCH_ROWS, limit=limit):
            names = batch.schema.names
            values = [json_values(column) for column in batch.columns]
            rows = zip(*values, strict=True) if values else [()] * batch.num_rows
            yield [orjson.dumps(dict(zip(names, row, strict=True))) for row in rows]

    def close(self) -> None:
        """Let go of what a look at the footer left open."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @contextmanager
    def _open(self, *, keep: bool = False) -> Iterator[tuple[BinaryIO, _Footer]]:
        """The file and its footer. What is slow to open may be kept for the next pass."""
        with reading(self._name), ExitStack() as stack:
            kept, self._kept = self._kept, None
            stream = stack.enter_context(kept or self._opener())
            if self._footer is None:
                self._footer = _read_footer(stream, self._name)
            yield stream, self._footer
            if keep and isinstance(stream, Foreseeing):
                stack.pop_all()
                self._kept = stream

    def _schema(self) -> pa.Schema:
        if self._footer is not None:
            return self._footer.schema
        with self._open(keep=True) as (_, footer):
            return footer.schema

    def _batches(self, columns: Sequence[str] | None, *, most: int, limit: int | None) -> Iterator[pa.RecordBatch]:
        for _, batch in self._pieces(columns, most=most, limit=limit, recorded=NO_ROWS):
            if batch is not None:
                yield batch

    def _pieces(
        self, columns: Sequence[str] | None, *, most: int, limit: int | None, recorded: RowSelection
    ) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        """Rows in batches, with their number; None for those that are recorded and need not be read."""
        left = limit
        with self._open() as (stream, footer):
            names = footer.schema.names
            present = names if columns is None else [name for name in columns if name in names]
            for count, batch in _row_groups(stream, footer.metadata, present, most=most, recorded=recorded):
                if left is not None and left <= count:
                    if left:
                        yield left, None if batch is None else batch.slice(0, left)
                    return
                left = None if left is None else left - count
                yield count, batch


def _row_groups(
    stream: BinaryIO, metadata: pq.FileMetaData, columns: list[str], *, most: int, recorded: RowSelection
) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """Batches that never span row groups: pyarrow cannot join all nested types."""
    wanted = chunks.leaves(metadata, columns)
    groups = _groups(metadata)
    if isinstance(stream, Foreseeing):
        left = (index for index, first, size in groups if not recorded.covers(first, size))
        stream.expect(chunks.ranges(metadata, left, wanted))
    file = pq.ParquetFile(
        stream,
        metadata=metadata,
        pre_buffer=False,  # a row group may be larger than memory
        buffer_size=chunks.piece_bytes(len(wanted)),
        page_checksum_verification=True,
    )
    for index, first, size in groups:
        if recorded.covers(first, size):
            yield size, None
            continue
        rows = _batch_rows(metadata.row_group(index), most)
        for batch in file.iter_batches(rows, row_groups=[index], columns=columns, use_threads=False):
            yield batch.num_rows, batch.select(columns)  # asked by dotted paths: "a" also gives "a.b"


def _groups(metadata: pq.FileMetaData) -> list[tuple[int, int, int]]:
    """Return number, first row and rows of each row group that has any."""
    sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    firsts = accumulate(sizes, initial=0)
    return [(index, first, size) for index, (first, size) in enumerate(zip(firsts, sizes, strict=False)) if size]


class _Footer(NamedTuple):
    """What is known of a file once it has been opened."""

    metadata: pq.FileMetaData
    schema: pa.Schema
    """The types that reading gives: the metadata alone know no extension types."""


def _read_footer(stream: BinaryIO, name: str) -> _Footer:
    try:
        metadata = pq.read_metadata(stream)
    except pa.ArrowException:
        stream.seek(0)
        _check_magic(stream, name)
        raise
    schema = pq.ParquetFile(stream, metadata=metadata).schema_arrow
    _check_names(schema.names, name)
    return _Footer(metadata, schema)


def _check_magic(stream: BinaryIO, name: str) -> None:
    head = stream.read(MAGIC_BYTES)
    if not head.startswith(b"PAR1"):
        refuse_content(content_of(head) or ("not" if head else "empty"), name=name, expected="Parquet")
    stream.seek(0)


def _check_names(names: list[str], file: str) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise FileFailure(
            f"{file}: more than one column is named {', '.join(map(repr, doubled))}",
            hint="Rename one of them; rows are read by column name.",
        )


def _batch_rows(group: pq.RowGroupMetaData, most: int) -> int:
    """Return how many rows of a group fit a batch: others may hold much smaller ones."""
    rows: int = BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)
    return max(1, min(most, rows))


def _rows(batch: pa.RecordBatch, first: int) -> list[AnyRow]:
    names = batch.schema.names
    columns = [python_values(column) for column in batch.columns]
    rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
    return [_row(names, values, first + index) for index, values in enumerate(rows)]


def _row(names: list[str], values: tuple[Any, ...], index: int) -> AnyRow:
    row = dict(zip(names, values, strict=True))
    bad = next((name for name, value in row.items() if isinstance(value, BadRow)), None)
    return row if bad is None else BadRow(f"row {index}: column {bad}: {row[bad].reason}")
