"""Arrow values as Python objects: for prompts and scorers, and for JSON."""

from __future__ import annotations

import base64
import math
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as pt

from modelcall.formats.base import BadRow
from modelcall.formats.nested import replaced

if TYPE_CHECKING:
    from collections.abc import Callable


def python_values(array: pa.Array) -> list[Any]:
    """Return what a scorer is given: text as str, everything else as Arrow's own Python object.

    Nanoseconds are cut to microseconds, the finest a Python object has. A value that Python cannot hold (text that is
    not UTF-8, a year beyond 9999) is a BadRow in its place.
    """
    kind = replaced(array.type, _no_nanos)
    if kind != array.type:
        array = array.cast(kind, safe=False)
    try:
        values: list[Any] = array.to_pylist()
    except (ValueError, OverflowError, LookupError):
        values = [_python_value(scalar) for scalar in array]
    return values


def json_values(array: pa.Array) -> list[Any]:
    """Return what stands in a JSON file for each value; every row of a column in the same form.

    - text as it is (bytes that are not UTF-8 as U+FFFD), booleans, integers exactly
    - floats as numbers, NaN and infinities as null
    - decimals as text, to keep every digit
    - dates, times and timestamps as ISO 8601 with all digits of their unit, those with a zone in UTC with a ``Z``
    - durations as integers in the unit of the column
    - binary as base64, UUIDs in their usual form
    - lists as arrays, structs as objects, maps as arrays of ``[key, value]``
    - dictionary and run-end encoded columns, and other extension types, as what they encode
    """
    for matches, convert in _JSON:
        if matches(array.type):
            return convert(array)
    values: list[Any] = array.to_pylist()
    return values


def _python_value(scalar: pa.Scalar) -> Any:  # noqa: ANN401  any value
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, LookupError) as error:
        return BadRow(str(error))


def _no_nanos(kind: pa.DataType) -> pa.DataType:
    if pt.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pt.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return pa.time64("us") if pt.is_time64(kind) else kind


def _text(array: pa.Array) -> list[Any]:
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        raw = array.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode(errors="replace") for value in raw]
    return values


def _floats(array: pa.Array) -> list[Any]:
    return [value if value is None or math.isfinite(value) else None for value in array.cast(pa.float64()).to_pylist()]


def _decimals(array: pa.Array) -> list[Any]:
    return [None if value is None else str(value) for value in array.to_pylist()]


def _binary(array: pa.Array) -> list[Any]:
    return [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()]


def _timestamps(array: pa.Array) -> list[Any]:
    zone = "Z" if array.type.tz else ""
    if zone:  # the instant as UTC; a cast between zones moves nothing
        array = array.cast(pa.timestamp(array.type.unit, "UTC")).cast(pa.timestamp(array.type.unit))
    written = array.cast(pa.string()).to_pylist()
    return [None if value is None else value.replace(" ", "T") + zone for value in written]


def _times(array: pa.Array) -> list[Any]:
    values: list[Any] = array.cast(pa.string()).to_pylist()
    return values


def _durations(array: pa.Array) -> list[Any]:
    values: list[Any] = array.cast(pa.int64()).to_pylist()
    return values


def _lists(array: pa.Array) -> list[Any]:
    items = iter(json_values(array.flatten()))
    lengths = array.value_lengths().to_pylist()
    return [None if length is None else [next(items) for _ in range(length)] for length in lengths]


def _structs(array: pa.Array) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [json_values(child) for child in array.flatten()]
    rows = zip(*columns, strict=True) if columns else [()] * len(array)
    present = array.is_valid().to_pylist()
    return [dict(zip(names, row, strict=True)) if valid else None for valid, row in zip(present, rows, strict=True)]


def _maps(array: pa.Array) -> list[Any]:
    """Arrow keeps the pairs of all rows one after another. As a list of pairs it spoils fixed-size lists of nulls."""
    bounds = array.offsets.to_pylist()
    keys, items = (json_values(side.slice(bounds[0], bounds[-1] - bounds[0])) for side in (array.keys, array.items))
    pairs = iter(map(list, zip(keys, items, strict=True)))
    rows = [list(islice(pairs, stop - start)) for start, stop in pairwise(bounds)]
    return [row if valid else None for valid, row in zip(array.is_valid().to_pylist(), rows, strict=True)]


def _extension(array: pa.Array) -> list[Any]:
    if isinstance(array.type, pa.UuidType):
        return _decimals(array)
    return json_values(array.storage)


def _run_ends(array: pa.Array) -> list[Any]:
    import pyarrow.compute as pc  # noqa: PLC0415  a twentieth of a second, for few

    return json_values(pc.run_end_decode(array))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts."""
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


_JSON: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Any]]]] = [
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (is_text, _text),
    (pt.is_floating, _floats),
    (pt.is_decimal, _decimals),
    (lambda kind: pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind), _binary),
    (pt.is_fixed_size_binary, _binary),
    (pt.is_timestamp, _timestamps),
    (lambda kind: pt.is_date(kind) or pt.is_time(kind), _times),
    (pt.is_duration, _durations),
    (pt.is_map, _maps),
    (lambda kind: pt.is_nested(kind) and hasattr(kind, "value_field"), _lists),
    (pt.is_struct, _structs),
    (pt.is_dictionary, lambda array: json_values(array.dictionary_decode())),
    (pt.is_run_end_encoded, _run_ends),
]
