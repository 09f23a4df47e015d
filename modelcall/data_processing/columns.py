"""Columns of a batch: set, filled where they are null, taken row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def put(batch: pa.RecordBatch, name: str, array: pa.Array) -> pa.RecordBatch:
    """Return the batch with a column, in place of the one of that name or behind all others."""
    index = batch.schema.get_field_index(name)
    field = pa.field(name, array.type)
    return batch.append_column(field, array) if index < 0 else batch.set_column(index, field, array)


def filled(batch: pa.RecordBatch, name: str, values: Callable[[], Sequence[str]]) -> pa.RecordBatch:
    """Return the batch with a column of texts that is kept where there is one.

    Nulls in it are filled if it holds text; a column of another type stays as it is.
    """
    if name not in batch.schema.names:
        return put(batch, name, pa.array(values(), pa.string()))
    array = batch.column(name)
    if not array.null_count or not is_plain_text(array.type):
        return batch
    return put(batch, name, pc.coalesce(array, pa.array(values(), array.type)))


def is_plain_text(kind: pa.DataType) -> bool:
    """Whether a column holds text as Parquet has it, without views."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def take_rows(batch: pa.RecordBatch, kept: Sequence[int]) -> pa.RecordBatch:
    """Return some rows of a batch, by index; a batch without columns keeps only their number."""
    if len(kept) == batch.num_rows:
        return batch
    if not batch.num_columns:
        return batch.slice(0, len(kept))
    return batch.take(pa.array(kept, pa.int64()))
