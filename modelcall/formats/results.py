"""Result columns as Arrow: their types, fixed before row one, and batches of their values."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelcall.errors import FileFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelcall.types import Columns, ColumnType

_SCALARS = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "json": pa.string(),
}

_CONTAINERS: dict[str, type | tuple[type, ...]] = {"list": (list, tuple), "struct": dict}


def result_field(kind: ColumnType) -> pa.DataType:
    """Return the Arrow type of a result column."""
    if kind.kind == "list":
        return pa.list_(result_field(kind.items) if kind.items else pa.string())
    if kind.kind == "struct":
        return pa.struct([(name, result_field(item)) for name, item in kind.fields])
    return _SCALARS[kind.kind]


def results_schema(columns: Columns) -> pa.Schema:
    """Return the Arrow schema of the result columns, all nullable."""
    return pa.schema([(name, result_field(kind)) for name, kind in columns.items()])


def results_batch(columns: Columns, values: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """Build the result columns of some rows; None is null, ``json`` columns hold JSON text already.

    A lone surrogate in a string, which no UTF-8 can hold, becomes U+FFFD.

    Raises:
        FileFailure: A value does not fit its column.
    """
    schema = results_schema(columns)
    arrays = [_array(name, kind, values[name]) for name, kind in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(name: str, kind: ColumnType, values: Sequence[Any]) -> pa.Array:
    try:
        _check(kind, values)
        return _encoded(values, result_field(kind))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise FileFailure(f"result column {name}: a value does not fit {kind}: {error}") from error


def _check(kind: ColumnType, values: Iterable[Any]) -> None:
    """Refuse what Arrow would bend: it makes 4 of 4.5, and ``["a", "b"]`` of ``"ab"``."""
    if kind.kind == "int":
        for value in values:
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(f"{value} is no integer")
    expected = _CONTAINERS.get(kind.kind)
    if expected is None:
        return
    present = [value for value in values if value is not None]
    for value in present:
        if not isinstance(value, expected):
            raise TypeError(f"{value!r:.80} is no {kind.kind}")
    if kind.items:
        _check(kind.items, chain.from_iterable(present))
    for name, item in kind.fields:
        _check(item, (value.get(name) for value in present))


def _encoded(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type=kind)
    except UnicodeEncodeError:
        return pa.array([_clean(value) for value in values], type=kind)


def _clean(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value
