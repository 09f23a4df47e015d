"""An output table in the making: the input's rows as the target format takes them, and the writer that takes them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelcall.errors import FileFailure
from modelcall.formats.detect import file_type
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
    schema: pa.Schema | None = None
    """Of the input columns, if the format has one."""


def open_table(
    source: Source,
    sink: Writable,
    *,
    name: str,
    target: Format,
    wanted: Sequence[str] | None,
    added: Columns,
    row_limit: int | None,
    check: Callable[[Sequence[str]], None],
    encoder: Executor,
) -> Table:
    """Begin an output file. ``wanted`` are the input columns to keep, in order (None: all).

    ``name`` is that of the input. ``encoder`` has one thread, and ends before the sink. ``check`` refuses input columns
    (by raising) before anything is written.

    Raises:
        FileFailure: The input lacks a wanted column.
    """
    if target == "jsonl":
        names = source.column_names() if wanted is None else list(wanted)
        check(names)
        return Table(source.records(wanted, limit=row_limit), JsonlTableWriter(sink))
    schema = kept_schema(source, wanted, name=name)
    json_text = source.schema()[1]
    check(schema.names)
    writer = ParquetTableWriter(sink, inputs=schema, results=results_schema(added), encoder=encoder)
    kept = tuple(name for name in json_text if name in schema.names)
    return Table(source.batches(schema, limit=row_limit), writer, kept, schema)


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


def kept_schema(source: Source, wanted: Sequence[str] | None, *, name: str) -> pa.Schema:
    """Return the schema of the input columns in the output. A key that no row of JSON Lines has is a column of nulls.

    Raises:
        FileFailure: A Parquet file lacks a wanted column.
    """
    schema, _ = source.schema()
    if wanted is None:
        return schema
    if file_type(name).format == "parquet":
        refuse_missing(schema.names, wanted, name=name)
    fields = [schema.field(column) if column in schema.names else pa.field(column, pa.string()) for column in wanted]
    return pa.schema(fields, metadata=schema.metadata)


def refuse_missing(names: Sequence[str], wanted: Sequence[str], *, name: str) -> None:
    """Refuse a file that lacks a wanted column.

    Raises:
        FileFailure: With the columns it has.
    """
    missing = [column for column in wanted if column not in names]
    if missing:
        raise FileFailure(
            f"{name}: data.output_columns names {', '.join(missing)}; the file has {', '.join(names[:20])}",
            hint="Name columns that every Parquet file has, or set data.unify_schema: true, which fills in nulls.",
        )
