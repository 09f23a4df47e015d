"""Which Arrow type holds the values of two others, nothing of them lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as pt

from modelcall.formats.values import is_text

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_DIGITS = 76


def promoted(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that both become, or None if one of them would lose something.

    - null becomes anything
    - integers the narrowest signed or unsigned type that holds both ranges; uint64 goes with no signed one
    - floats the wider; integers of up to 32 bits among floats float64
    - decimals as many digits before and behind the point as either has
    - text large_string, bytes large_binary; a dictionary column becomes its values' plain type if need be
    - lists, maps and structs by what they hold; a struct gets the fields of both
    - times, timestamps and durations only the same unit and zone: a coarser unit loses digits, a finer one years
    """
    if pt.is_null(other) or one.equals(other, check_metadata=True):
        return one
    if pt.is_null(one):
        return other
    for mine, its in ((one, other), (other, one)):
        if pt.is_dictionary(mine) and not pt.is_dictionary(its):
            return promoted(mine.value_type, its)
    for both, join in _JOINED:
        if both(one) and both(other):
            return join(one, other)
    return None


def promoted_field(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """Return the field that both become, with the metadata they share; None as for :func:`promoted`."""
    kind = promoted(one.type, other.type)
    if kind is None:
        return None
    return pa.field(one.name, kind, one.nullable or other.nullable, shared(one.metadata, other.metadata))


def shared(one: dict[bytes, bytes] | None, other: dict[bytes, bytes] | None) -> dict[bytes, bytes] | None:
    """Return the metadata that both have."""
    theirs = other or {}
    return {key: value for key, value in (one or {}).items() if theirs.get(key) == value} or None


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    floats = [kind for kind in (one, other) if pt.is_floating(kind)]
    if len(floats) == 1:
        whole = other if pt.is_floating(one) else one
        return pa.float64() if whole.bit_width <= 32 else None  # noqa: PLR2004  a double holds 53 bits exactly
    wider = max(one, other, key=lambda kind: kind.bit_width)
    if floats or pt.is_signed_integer(one) == pt.is_signed_integer(other):
        return wider
    unsigned = one if pt.is_unsigned_integer(one) else other
    return _SIGNED.get(max(2 * unsigned.bit_width, wider.bit_width))


_SIGNED = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def _decimals(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    scale = max(one.scale, other.scale)
    digits = max(one.precision - one.scale, other.precision - other.scale) + scale
    if digits > _MOST_DIGITS:
        return None
    width = max(one.bit_width, other.bit_width)
    return next(make(digits, scale) for bits, most, make in _DECIMALS if bits >= width and most >= digits)


_DECIMALS: list[tuple[int, int, Callable[[int, int], pa.DataType]]] = [
    (32, 9, pa.decimal32),
    (64, 18, pa.decimal64),
    (128, 38, pa.decimal128),
    (256, _MOST_DIGITS, pa.decimal256),
]


def _lists(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    item = _inside(one.value_field, other.value_field)
    if item is None:
        return None
    if pt.is_fixed_size_list(one) and pt.is_fixed_size_list(other) and one.list_size == other.list_size:
        return pa.list_(item, one.list_size)
    return pa.large_list(item) if pt.is_large_list(one) or pt.is_large_list(other) else pa.list_(item)


def _structs(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if any(len({field.name for field in kind}) < kind.num_fields for kind in (one, other)):
        return None
    fields = {field.name: field for field in one}
    theirs = {field.name: field for field in other}
    for name, field in theirs.items():
        known = fields.get(name)
        joined = field.with_nullable(True) if known is None else _inside(known, field)  # noqa: FBT003  pyarrow's
        if joined is None:
            return None
        fields[name] = joined
    return pa.struct(
        [field if name in theirs else field.with_nullable(True) for name, field in fields.items()]  # noqa: FBT003
    )


def _maps(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    key, item = _inside(one.key_field, other.key_field), _inside(one.item_field, other.item_field)
    return None if key is None or item is None else pa.map_(key, item, one.keys_sorted and other.keys_sorted)


def _inside(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """As :func:`promoted_field`, of what other types hold: there Arrow cannot take dictionaries apart."""
    kinds = (one.type, other.type)
    if one.type != other.type and any(map(pt.is_dictionary, kinds)) and not any(map(pt.is_null, kinds)):
        return None
    return promoted_field(one, other)


def _dictionaries(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Become their values: a dictionary of few indices need not hold the words of both."""
    return promoted(one.value_type, other.value_type)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


_JOINED: list[tuple[Callable[[Any], bool], Callable[[Any, Any], pa.DataType | None]]] = [
    (_is_number, _numbers),
    (is_text, lambda *_: pa.large_string()),
    (_is_bytes, lambda *_: pa.large_binary()),
    (pt.is_decimal, _decimals),
    (_is_list, _lists),
    (pt.is_struct, _structs),
    (pt.is_map, _maps),
    (pt.is_dictionary, _dictionaries),
]
