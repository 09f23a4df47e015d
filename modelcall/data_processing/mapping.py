"""Columns made of others: copied, joined, or of one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from modelcall.config.preprocess import CombinedField, ConstantField
from modelcall.data_processing.columns import put
from modelcall.data_processing.texts import as_words
from modelcall.formats.settle import Shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelcall.config.preprocess import MappedField


def mapped(
    batch: pa.RecordBatch, mapping: Mapping[str, MappedField], *, json_columns: Collection[str]
) -> pa.RecordBatch:
    """Return the batch with all mapped columns, each made of the batch as it was; one replaces another of its name."""
    done = batch
    for target, field in mapping.items():
        done = put(done, target, _made(batch, field, json_columns))
    return done


def used_by(field: MappedField) -> tuple[str, ...]:
    """Return the columns that a mapped one is made of."""
    if isinstance(field, str):
        return (field,)
    return field.fields if isinstance(field, CombinedField) else ()


def _made(batch: pa.RecordBatch, field: MappedField, json_columns: Collection[str]) -> pa.Array:
    if isinstance(field, ConstantField):
        return _constant(field.value, batch.num_rows)
    if isinstance(field, CombinedField):
        return _combined(batch, field, json_columns)
    present = field in batch.schema.names
    return batch.column(field) if present else pa.nulls(batch.num_rows, pa.string())


def _combined(batch: pa.RecordBatch, field: CombinedField, json_columns: Collection[str]) -> pa.Array:
    """Join what is there of each row; null if nothing is."""
    present = [name for name in field.fields if name in batch.schema.names]
    columns = [as_words(batch.column(name), is_json=name in json_columns) for name in present]
    joined = [_joined(words, field.separator) for words in zip(*columns, strict=True)]
    return pa.array(joined if columns else [None] * batch.num_rows, pa.string())


def _joined(words: tuple[str | None, ...], separator: str) -> str | None:
    there = [word for word in words if word is not None]
    return separator.join(there) if there else None


def _constant(value: Any, count: int) -> pa.Array:  # noqa: ANN401  any value that YAML has
    """Return a column of one value: of a value that no Arrow type holds, its JSON text."""
    shape = Shape()
    shape.observe(value)
    kind = shape.arrow_type()
    if kind is None:
        return pa.array([orjson.dumps(value, default=str).decode()] * count, pa.string())
    return pa.array([value] * count, kind)
