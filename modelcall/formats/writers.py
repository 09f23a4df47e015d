"""Tables out: result columns beside the input's, into any sink."""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.errors import FileFailure
from modelcall.formats.metadata import kept_metadata
from modelcall.formats.nested import fitted, replaced
from modelcall.formats.values import json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from modelcall.formats.base import Writable

ROW_GROUP_BYTES = 12 << 20
"""Held, with its encoded form, while a row group is made: what a large file costs in memory more than a small one."""
ROW_GROUP_ROWS = 1 << 17
_WRITE_BYTES = 256 << 10
"""Given to the sink at a time: each time the thread that encodes waits for others that run Python."""
_EMPTY_OBJECT = re.compile(rb"\{\s*\}")


class JsonlTableWriter:
    """Adds result columns behind the keys of each record, whose bytes stay as they are."""

    def __init__(self, sink: Writable) -> None:
        self._sink = sink

    def write(self, rows: Sequence[bytes], results: pa.RecordBatch) -> None:
        """Append records of :meth:`Source.records` with their results, as :func:`json_values` writes them."""
        _check_length(rows, results)
        names = [orjson.dumps(name) + b":" for name in results.schema.names]
        values = [json_values(column) for column in results.columns]
        pieces: list[bytes | memoryview] = []
        for index, record in enumerate(rows):
            members = [name + orjson.dumps(column[index]) for name, column in zip(names, values, strict=True)]
            pieces += _spliced(record, b",".join(members))
        self._sink.write(b"".join(pieces))

    def close(self) -> None:
        """JSON Lines have no end."""


class ParquetTableWriter:
    """Writes row groups of at most 12 MiB and 131,072 rows, zstd compressed, with page checksums.

    The schema is fixed at construction: the input's, then the results'. The same rows give the same bytes. A single row
    larger than a row group is one of its own.

    Arrow's view types are written as the plain types that they are in Parquet anyway, with a note that makes views of
    them again for readers: Arrow cannot slice them within structs, which writing row groups takes.

    Args:
        encoder: A thread that encodes a row group, and gives it to the sink, while the next one is collected; it has to
            end before the sink does. None: whoever writes waits.
    """

    def __init__(
        self, sink: Writable, *, inputs: pa.Schema, results: pa.Schema, encoder: Executor | None = None
    ) -> None:
        self._file = _SinkFile(sink)
        fields = [*inputs, *results]
        self.schema = pa.schema(fields, metadata=kept_metadata(inputs))
        plain = [field.with_type(replaced(field.type, _no_view)) for field in fields]
        self._plain = pa.schema(plain, metadata=self.schema.metadata)
        self._has_views = self._plain.types != self.schema.types
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._file, mode="w"), _WRITE_BYTES)
        self._writer = _Writer(
            self._stream,
            self._plain,
            compression="zstd",
            write_page_checksum=True,
            store_schema=not self._has_views,
        )
        self._encoder = encoder
        self._encoding: Future[None] | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._held_rows = 0

    def write(self, rows: pa.RecordBatch, results: pa.RecordBatch) -> None:
        """Append a batch of :meth:`Source.batches` with its results."""
        _check_length(rows, results)
        pairs = zip([*rows.columns, *results.columns], self._plain, strict=True)
        plain = [fitted(column, field.type) for column, field in pairs]
        for piece in _cut(pa.RecordBatch.from_arrays(plain, schema=self._plain)):
            size = _size(piece)
            if self._held_bytes + size > ROW_GROUP_BYTES or self._held_rows + piece.num_rows > ROW_GROUP_ROWS:
                self._flush()
            self._held.append(piece)
            self._held_bytes += size
            self._held_rows += piece.num_rows

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._finish()
        if self._has_views:
            schema = base64.b64encode(self.schema.serialize()).decode()
            self._writer.add_key_value_metadata({"ARROW:schema": schema})
        self._writer.close()
        self._stream.flush()

    def __del__(self) -> None:
        """Write nothing that is held still: a writer that nobody closed has failed, and its sink may be gone."""
        self._file.let_go()

    def _flush(self) -> None:
        self._finish()
        if self._held_rows:
            table = pa.Table.from_batches(self._held, self._plain)
            encode = partial(self._encode, table)
            if self._encoder is None:
                encode()
            else:
                self._encoding = self._encoder.submit(encode)
        self._held, self._held_bytes, self._held_rows = [], 0, 0

    def _encode(self, table: pa.Table) -> None:
        try:
            self._writer.write_table(table, row_group_size=table.num_rows)
        except pa.ArrowException as error:
            raise FileFailure(f"cannot be written as Parquet: {error}") from error

    def _finish(self) -> None:
        """Wait for the row group that is being encoded; two at a time would be twice the memory."""
        encoding, self._encoding = self._encoding, None
        if encoding is not None:
            encoding.result()


class _Writer(pq.ParquetWriter):  # type: ignore[misc]  # pyarrow has no types
    def __del__(self) -> None:
        """Write no footer."""


class _SinkFile:
    """A sink as the file object that pyarrow writes to."""

    closed = False

    def __init__(self, sink: Writable) -> None:
        self.write: Callable[[bytes | memoryview], int] = sink.write

    def let_go(self) -> None:
        """Take what comes still, and lose it."""
        self.write = len

    def flush(self) -> None:
        """What is written is in the sink."""

    def close(self) -> None:
        """The sink belongs to the caller."""


def _no_view(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces that fit a row group, whichever of its rows are the large ones."""
    while batch.num_rows > ROW_GROUP_ROWS or (batch.num_rows > 1 and _size(batch) > ROW_GROUP_BYTES):
        most = min(batch.num_rows, ROW_GROUP_ROWS)
        sizes = range(1, most + 1)
        fitting = bisect_right(sizes, ROW_GROUP_BYTES, key=lambda count: _size(batch.slice(0, count)))
        yield batch.slice(0, max(fitting, 1))
        batch = batch.slice(max(fitting, 1))
    yield batch


def _size(batch: pa.RecordBatch) -> int:
    """Bytes of the rows; the words of a dictionary are no row's."""
    return sum((column.indices if pa.types.is_dictionary(column.type) else column).nbytes for column in batch.columns)


def _check_length(rows: Sequence[bytes] | pa.RecordBatch, results: pa.RecordBatch) -> None:
    if len(rows) != len(results):
        raise ValueError(f"{len(rows)} rows do not go with {len(results)} results")


def _spliced(record: bytes, members: bytes) -> tuple[bytes | memoryview, ...]:
    if not members:
        return record, b"\n"
    if _EMPTY_OBJECT.fullmatch(record):
        return b"{", members, b"}\n"
    return memoryview(record)[:-1], b",", members, b"}\n"
