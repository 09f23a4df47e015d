"""Which Arrow type holds every value of a column: settled over all of them, one at a time, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

_EXACT_IN_DOUBLE = 2**53
_STRING = pa.string()
_MAX_NESTING = 32


class Shape:
    """What the values seen so far have in common.

    - null goes with everything; nothing but nulls is a string, a list of nothing a list of strings
    - integers are int64, or uint64 if none is negative and one needs it; beyond 64 bit: no type
    - integers among floats: float64 if each of them is exact in a double (at most 2**53), else no type
    - objects are a struct if all have the same keys, in any order; varying keys or ``{}``: no type
    - any other mixture: no type; neither have values nested more than 32 deep

    A column of no type is written as the JSON text of its values; that holds for the whole column, however deep inside
    the values the trouble lies.
    """

    __slots__ = ("_depth", "_fields", "_high", "_items", "_kinds", "_low")

    def __init__(self, depth: int = 0) -> None:
        self._kinds: set[str] = set()
        self._low = 0
        self._high = 0
        self._items: Shape | None = None
        self._fields: dict[str, Shape] | None = None
        self._depth = depth

    def observe(self, value: Any) -> None:  # noqa: ANN401  any JSON value
        """Take one more value into account."""
        if value is None or _TEXT in self._kinds:
            return
        if type(value) is int:
            self.observe_ints(value, value)
        elif isinstance(value, list):
            self._observe_list(value)
        elif isinstance(value, dict):
            self._observe_struct(value)
        else:
            self._kinds.add(_SCALARS.get(type(value), _TEXT))

    def observe_all(self, values: list[Any]) -> None:
        """Take many values into account; those of one simple type all at once."""
        types = set(map(type, values))
        if types in ({str}, {float}):
            self._kinds.add(_SCALARS[types.pop()])
        elif types == {int}:
            self.observe_ints(min(values), max(values))
        else:
            for value in values:
                self.observe(value)

    def merge(self, other: Shape) -> None:
        """Take all that another has seen into account."""
        if _TEXT in self._kinds:
            return
        if _TEXT in other._kinds:
            self._kinds = {_TEXT}
            return
        self._kinds |= other._kinds
        self._low, self._high = min(self._low, other._low), max(self._high, other._high)
        if other._items is not None:
            self._items = self._items or self._deeper()
            self._items.merge(other._items)
        if other._fields is not None:
            self._merge_struct(other._fields)

    def arrow_type(self, *, nothing: pa.DataType = _STRING) -> pa.DataType | None:
        """Return the type of the column; None: it has to become JSON text. ``nothing`` is that of nulls alone."""
        if not self._kinds:
            return nothing
        settled = _SETTLED.get(frozenset(self._kinds))
        return settled(self, nothing) if settled else None

    @property
    def is_whole(self) -> bool:
        """Whether there are integers, and nothing else but null."""
        return self._kinds == {"int"}

    def observe_floats(self) -> None:
        """Take any number of floats into account."""
        self._kinds.add("float")

    def observe_ints(self, low: int, high: int) -> None:
        """Take integers from ``low`` to ``high`` into account."""
        self._kinds.add("int")
        self._low = min(self._low, low)
        self._high = max(self._high, high)

    def _observe_list(self, values: list[Any]) -> None:
        self._kinds.add("list")
        if self._items is None:
            self._items = self._deeper()
        self._items.observe_all(values)

    def _observe_struct(self, value: dict[str, Any]) -> None:
        if self._fields is None:
            self._fields = {key: self._deeper() for key in value}
        if not value or value.keys() != self._fields.keys():
            self._kinds, self._fields = {_TEXT}, {}
            return
        self._kinds.add("struct")
        for key, shape in self._fields.items():
            shape.observe(value[key])

    def _merge_struct(self, fields: dict[str, Shape]) -> None:
        if self._fields is None:
            self._fields = {key: self._deeper() for key in fields}
        if fields.keys() != self._fields.keys():
            self._kinds, self._fields = {_TEXT}, {}
            return
        for key, shape in self._fields.items():
            shape.merge(fields[key])

    def _deeper(self) -> Shape:
        shape = Shape(self._depth + 1)
        if self._depth >= _MAX_NESTING:
            shape._kinds = {_TEXT}
        return shape

    def int_type(self, _: pa.DataType) -> pa.DataType | None:
        """Return the type of a column of integers."""
        if self._low >= -(2**63) and self._high < 2**63:
            return pa.int64()
        return pa.uint64() if self._low >= 0 and self._high < 2**64 else None

    def number_type(self, _: pa.DataType) -> pa.DataType | None:
        """Return the type of a column of integers and floats."""
        exact = self._low >= -_EXACT_IN_DOUBLE and self._high <= _EXACT_IN_DOUBLE
        return pa.float64() if exact else None

    def list_type(self, nothing: pa.DataType) -> pa.DataType | None:
        """Return the type of a column of lists."""
        item = self._items.arrow_type(nothing=nothing) if self._items else None
        return None if item is None else pa.list_(item)

    def struct_type(self, nothing: pa.DataType) -> pa.DataType | None:
        """Return the type of a column of objects."""
        types = {key: shape.arrow_type(nothing=nothing) for key, shape in (self._fields or {}).items()}
        return None if None in types.values() else pa.struct(list(types.items()))


_TEXT = "text"
_SCALARS = {bool: "bool", float: "float", str: "string"}
_SETTLED: dict[frozenset[str], Callable[[Shape, pa.DataType], pa.DataType | None]] = {
    frozenset({"bool"}): lambda *_: pa.bool_(),
    frozenset({"float"}): lambda *_: pa.float64(),
    frozenset({"string"}): lambda *_: _STRING,
    frozenset({"int"}): Shape.int_type,
    frozenset({"int", "float"}): Shape.number_type,
    frozenset({"list"}): Shape.list_type,
    frozenset({"struct"}): Shape.struct_type,
}
"""By the kinds of value a column has. Any other mixture has no type."""
