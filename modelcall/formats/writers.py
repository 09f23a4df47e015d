"""Tables out: result columns beside the input's, into any sink."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.errors import FileFailure
from modelcall.formats.metadata import kept_metadata
from modelcall.formats.values import json_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from modelcall.formats.base import Writable

ROW_GROUP_BYTES = 12 << 20
"""Held, with its encoded form, while a row group is made: what a large file costs in memory more than a small one."""
ROW_GROUP_ROWS = 1 << 17
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

    The schema is fixed at construction: the input's, then the results'. The same rows give the same bytes.

    Args:
        encoder: A thread that encodes a row group, and gives it to the sink, while the next one is collected; it has to
            end before the sink does. None: whoever writes waits.
    """

    def __init__(
        self, sink: Writable, *, inputs: pa.Schema, results: pa.Schema, encoder: Executor | None = None
    ) -> None:
        fields = [*inputs, *results]
        self.schema = pa.schema(fields, metadata=kept_metadata(inputs))
        self._writer = _Writer(
            pa.PythonFile(_SinkFile(sink), mode="w"), self.schema, compression="zstd", write_page_checksum=True
        )
        self._encoder = encoder
        self._encoding: Future[None] | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._held_rows = 0

    def write(self, rows: pa.RecordBatch, results: pa.RecordBatch) -> None:
        """Append a batch of :meth:`Source.batches` with its results."""
        _check_length(rows, results)
        batch = pa.RecordBatch.from_arrays([*rows.columns, *results.columns], schema=self.schema)
        if self._held_bytes + batch.nbytes > ROW_GROUP_BYTES or self._held_rows + batch.num_rows > ROW_GROUP_ROWS:
            self._flush()
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        self._held_rows += batch.num_rows

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._finish()
        self._writer.close()

    def _flush(self) -> None:
        self._finish()
        if self._held_rows:
            table = pa.Table.from_batches(self._held, self.schema)
            most = self._held_rows * ROW_GROUP_BYTES // max(self._held_bytes, ROW_GROUP_BYTES)
            encode = partial(self._encode, table, min(max(most, 1), ROW_GROUP_ROWS))
            if self._encoder is None:
                encode()
            else:
                self._encoding = self._encoder.submit(encode)
        self._held, self._held_bytes, self._held_rows = [], 0, 0

    def _encode(self, table: pa.Table, rows: int) -> None:
        try:
            self._writer.write_table(table, row_group_size=rows)
        except pa.ArrowException as error:
            raise FileFailure(f"cannot be written as Parquet: {error}") from error

    def _finish(self) -> None:
        """Wait for the row group that is being encoded; two at a time would be twice the memory."""
        encoding, self._encoding = self._encoding, None
        if encoding is not None:
            encoding.result()


class _Writer(pq.ParquetWriter):  # type: ignore[misc]  # pyarrow has no types
    def __del__(self) -> None:
        """Write no footer: a writer that nobody closed has failed, and its sink may be gone."""


class _SinkFile:
    """A sink as the file object that pyarrow writes to."""

    closed = False

    def __init__(self, sink: Writable) -> None:
        self.write = sink.write

    def flush(self) -> None:
        """What is written is in the sink."""

    def close(self) -> None:
        """The sink belongs to the caller."""


def _check_length(rows: Sequence[bytes] | pa.RecordBatch, results: pa.RecordBatch) -> None:
    if len(rows) != len(results):
        raise ValueError(f"{len(rows)} rows do not go with {len(results)} results")


def _spliced(record: bytes, members: bytes) -> tuple[bytes | memoryview, ...]:
    if not members:
        return record, b"\n"
    if _EMPTY_OBJECT.fullmatch(record):
        return b"{", members, b"}\n"
    return memoryview(record)[:-1], b",", members, b"}\n"
