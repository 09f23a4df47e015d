"""Types within types, and columns in other types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as pt

if TYPE_CHECKING:
    from collections.abc import Callable


def replaced(kind: pa.DataType, leaf: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type in which every type that holds no other, however deep, is what ``leaf`` makes of it.

    A dictionary of changed values becomes those values.
    """
    if pt.is_dictionary(kind):
        value = replaced(kind.value_type, leaf)
        return kind if value == kind.value_type else value
    if pt.is_struct(kind):
        return pa.struct([field.with_type(replaced(field.type, leaf)) for field in kind])
    if pt.is_map(kind):
        key, item = (field.with_type(replaced(field.type, leaf)) for field in (kind.key_field, kind.item_field))
        return pa.map_(key, item, kind.keys_sorted)
    for matches, make in _LISTS:
        if matches(kind):
            return make(kind, kind.value_field.with_type(replaced(kind.value_type, leaf)))
    return kind if pt.is_nested(kind) else leaf(kind)


def fitted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column in a type that holds it. One that has the type stays: pyarrow's cast spoils some of them."""
    return column if column.type == kind else column.cast(kind)


_LISTS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, pa.Field], pa.DataType]]] = [
    (pt.is_list, lambda _, item: pa.list_(item)),
    (pt.is_large_list, lambda _, item: pa.large_list(item)),
    (pt.is_fixed_size_list, lambda kind, item: pa.list_(item, kind.list_size)),
]
