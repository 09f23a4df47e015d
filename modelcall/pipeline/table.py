"""An output table in the making: the input's rows as the target format takes them, and the writer that takes them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelcall.errors import FileFailure
from modelcall.formats.results import results_schema
from modelcall.formats.writers import JsonlTableWriter, ParquetTableWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from modelcall.formats.base import Source, TableWriter, Writable
    from modelcall.formats.detect import Format
    from modelcall.types import Columns


@dataclass(frozen=True, slots=True)
class Table:
    """What publishing goes through: chunks of input rows for the writer."""

    rows: Iterator[Any]
    writer: TableWriter
    json_text_columns: tuple[str, ...] = ()


def open_table(
    source: Source,
    sink: Writable,
    *,
    target: Format,
    wanted: Sequence[str] | None,
    added: Columns,
    row_limit: int | None,
    check: Callable[[Sequence[str]], None],
    encoder: Executor,
) -> Table:
    """Begin an output file. ``wanted`` are the input columns to keep, in order (None: all).

    ``encoder`` has one thread, and ends before the sink. ``check`` refuses input columns (by raising) before anything
    is written.

    Raises:
        FileFailure: The input lacks a wanted column.
    """
    if target == "jsonl":
        names = source.column_names() if wanted is None else list(wanted)
        check(names)
        return Table(source.records(wanted, limit=row_limit), JsonlTableWriter(sink))
    schema, json_text = source.schema()
    if wanted is not None:
        schema = _subset(schema, wanted)
    check(schema.names)
    writer = ParquetTableWriter(sink, inputs=schema, results=results_schema(added), encoder=encoder)
    kept = tuple(name for name in json_text if name in schema.names)
    return Table(source.batches(schema, limit=row_limit), writer, kept)


def kept(rows: Any, keep: Sequence[bool]) -> Any:  # noqa: ANN401  what the table's iterator yields
    """Return the rows of a chunk that are to be kept. Slices are joined, since Arrow filters not every type."""
    if not isinstance(rows, pa.RecordBatch):
        return list(compress(rows, keep))
    slices = [rows.slice(0, 0)]
    start = 0
    for wanted, run in groupby(keep):
        length = len(list(run))
        if wanted:
            slices.append(rows.slice(start, length))
        start += length
    return pa.concat_batches(slices)


def _subset(schema: pa.Schema, wanted: Sequence[str]) -> pa.Schema:
    missing = [name for name in wanted if name not in schema.names]
    if missing:
        raise FileFailure(f"data.output_columns names {', '.join(missing)}; the input has {', '.join(schema.names)}")
    return pa.schema([schema.field(name) for name in wanted], metadata=schema.metadata)
