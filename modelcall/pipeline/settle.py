"""Columns of a scorer that declares none: settled over all outcomes of a file, before it is published."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from modelcall.formats.settle import Shape
from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.types import Columns, Outcome


def settle_columns(outcomes: Iterable[Outcome]) -> Columns:
    """Return the columns of all values, in order of first appearance; what fits no type is JSON text."""
    shapes: dict[str, Shape] = {}
    for outcome in outcomes:
        for name, value in (outcome.values or {}).items():
            if name not in shapes:
                shapes[name] = Shape()
            shapes[name].observe(value)
    return {name: _column_type(shape.arrow_type()) for name, shape in shapes.items()}


def _column_type(kind: pa.DataType | None) -> ColumnType:
    if kind is None:
        return JSON
    if pa.types.is_list(kind):
        return ColumnType("list", items=_column_type(kind.value_type))
    if pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        return ColumnType("struct", fields=tuple((field.name, _column_type(field.type)) for field in fields))
    return _SCALARS.get(kind, JSON)


_SCALARS = {pa.int64(): INT, pa.float64(): FLOAT, pa.bool_(): BOOL, pa.string(): STRING}


def as_text(outcome: Outcome, names: Iterable[str]) -> Outcome:
    """Return the outcome with the values of these columns as JSON text."""
    values = outcome.values
    if values is None:
        return outcome
    texts = {name: orjson.dumps(values[name]).decode() for name in names if values.get(name) is not None}
    return replace(outcome, values={**values, **texts})
