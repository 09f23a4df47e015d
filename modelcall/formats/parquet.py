"""Parquet in: row groups streamed, columns in their Arrow types, values untouched."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.errors import FileFailure
from modelcall.formats.base import NO_ROWS, BadRow
from modelcall.formats.detect import MAGIC_BYTES, content_of, refuse_content
from modelcall.formats.failures import changed, reading
from modelcall.formats.values import json_values, python_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.formats.base import AnyRow, Opener, RowSelection

BATCH_ROWS = 1000
BATCH_BYTES = 16 << 20
"""Of decoded values in one batch, by the file's own account."""
_READ_AHEAD = 64 << 20
"""Bytes of all columns together that are read ahead."""


class ParquetSource:
    """A Parquet file. Memory is bounded by batches, not by row groups."""

    def __init__(self, opener: Opener, *, name: str) -> None:
        self._opener = opener
        self._name = name
        self._metadata: pq.FileMetaData | None = None
        self.blank_lines = 0
        self.row_count = 0

    def rows(
        self, columns: Sequence[str] | None, *, chunk_rows: int, limit: int | None = None
    ) -> Iterator[list[AnyRow]]:
        """All rows."""
        for chunk in self.rows_left(columns, recorded=NO_ROWS, chunk_rows=chunk_rows, limit=limit):
            yield [row for _, row in chunk]

    def rows_left(
        self, columns: Sequence[str] | None, *, recorded: RowSelection, chunk_rows: int, limit: int | None = None
    ) -> Iterator[list[tuple[int, AnyRow]]]:
        """Rows to score, values as :func:`~modelcall.formats.values.python_values` gives them."""
        self.row_count = 0
        for count, batch in self._pieces(columns, most=chunk_rows, limit=limit, recorded=recorded):
            first, self.row_count = self.row_count, self.row_count + count
            if batch is not None and not recorded.covers(first, count):
                yield [(index, row) for index, row in enumerate(_rows(batch, first), first) if index not in recorded]

    def expected_rows(self, size: int) -> int | None:  # noqa: ARG002  the footer knows
        """Rows by the footer, once it was read."""
        return None if self._metadata is None else int(self._metadata.num_rows)

    def column_names(self) -> list[str]:
        """Names of all columns; reads the footer."""
        return list(self._schema().names)

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Arrow schema with the metadata of the file; no column has to become JSON text."""
        return self._schema(), []

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """Columns in ``schema`` as they stand in the file."""
        for batch in self._batches(schema.names, most=BATCH_ROWS, limit=limit):
            if not len(schema):
                yield batch
                continue
            try:
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)
            except (pa.ArrowException, KeyError) as error:
                raise changed(self._name) from error

    def records(self, columns: Sequence[str] | None, *, limit: int | None = None) -> Iterator[list[bytes]]:
        """Rows as JSON text, values as :func:`~modelcall.formats.values.json_values` gives them."""
        for batch in self._batches(columns, most=BATCH_ROWS, limit=limit):
            names = batch.schema.names
            values = [json_values(column) for column in batch.columns]
            rows = zip(*values, strict=True) if values else [()] * batch.num_rows
            yield [orjson.dumps(dict(zip(names, row, strict=True))) for row in rows]

    def close(self) -> None:
        """Nothing is held between passes."""

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        with reading(self._name), self._opener() as stream:
            _check_magic(stream, self._name)
            if self._metadata is None:
                self._metadata = pq.read_metadata(stream)
            file = pq.ParquetFile(
                stream,
                metadata=self._metadata,
                pre_buffer=False,  # a row group may be larger than memory
                buffer_size=max(64 << 10, min(4 << 20, _READ_AHEAD // max(self._metadata.num_columns, 1))),
                page_checksum_verification=True,
            )
            _check_names(file.schema_arrow.names, self._name)
            yield file

    def _schema(self) -> pa.Schema:
        with self._open() as file:
            return file.schema_arrow

    def _batches(self, columns: Sequence[str] | None, *, most: int, limit: int | None) -> Iterator[pa.RecordBatch]:
        for _, batch in self._pieces(columns, most=most, limit=limit, recorded=NO_ROWS):
            if batch is not None:
                yield batch

    def _pieces(
        self, columns: Sequence[str] | None, *, most: int, limit: int | None, recorded: RowSelection
    ) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        """Rows in batches, with their number; None for those that are recorded and need not be read."""
        left = limit
        with self._open() as file:
            names = file.schema_arrow.names
            present = names if columns is None else [name for name in columns if name in names]
            for count, batch in _row_groups(file, present, most=most, recorded=recorded):
                if left is not None and left <= count:
                    if left:
                        yield left, None if batch is None else batch.slice(0, left)
                    return
                left = None if left is None else left - count
                yield count, batch


def _row_groups(
    file: pq.ParquetFile, columns: list[str], *, most: int, recorded: RowSelection
) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """Batches that never span row groups: pyarrow cannot join all nested types."""
    rows = _batch_rows(file.metadata, most)
    first = 0
    for index in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(index).num_rows
        if size and recorded.covers(first, size):
            yield size, None
        else:
            for batch in file.iter_batches(rows, row_groups=[index], columns=columns, use_threads=False):
                yield batch.num_rows, batch.select(columns)  # asked by dotted paths: "a" also gives "a.b"
        first += size


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


def _batch_rows(metadata: pq.FileMetaData, most: int) -> int:
    size: int = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    rows: int = metadata.num_rows
    return max(1, min(most, BATCH_BYTES * rows // max(size, 1)))


def _rows(batch: pa.RecordBatch, first: int) -> list[AnyRow]:
    names = batch.schema.names
    columns = [python_values(column) for column in batch.columns]
    rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
    return [_row(names, values, first + index) for index, values in enumerate(rows)]


def _row(names: list[str], values: tuple[Any, ...], index: int) -> AnyRow:
    row = dict(zip(names, values, strict=True))
    bad = next((name for name, value in row.items() if isinstance(value, BadRow)), None)
    return row if bad is None else BadRow(f"row {index}: column {bad}: {row[bad].reason}")
