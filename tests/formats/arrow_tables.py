"""Tables of every Arrow type that Parquet can hold, made by hypothesis."""

from __future__ import annotations

import decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_INTS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_UINTS = {pa.uint8(): 8, pa.uint16(): 16, pa.uint32(): 32, pa.uint64(): 64}
_MOMENTS = st.integers(-(2**40), 2**40)

SCALARS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.null(): st.none(),
    pa.bool_(): st.booleans(),
    **{kind: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for kind, bits in _INTS.items()},
    **{kind: st.integers(0, 2**bits - 1) for kind, bits in _UINTS.items()},
    pa.float16(): st.floats(width=16),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): st.text(max_size=8),
    pa.large_string(): st.text(max_size=8),
    pa.string_view(): st.text(max_size=30),
    pa.binary(): st.binary(max_size=8),
    pa.large_binary(): st.binary(max_size=8),
    pa.binary_view(): st.binary(max_size=30),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.decimal32(7, 2): st.decimals("-10000", "10000", places=2),
    pa.decimal64(17, 3): st.decimals("-10000", "10000", places=3),
    pa.decimal128(9, 2): st.decimals("-1000000", "1000000", places=2),
    pa.decimal128(38, 0): st.integers(-(10**38) + 1, 10**38 - 1).map(decimal.Decimal),
    pa.decimal256(60, 20): st.integers(-(10**39), 10**39).map(lambda n: decimal.Decimal(n).scaleb(-20)),
    pa.date32(): st.dates(),
    pa.date64(): st.dates(),
    pa.time32("s"): st.integers(0, 86399),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.time64("us"): st.times(),
    pa.time64("ns"): st.integers(0, 86_399_999_999_999),
    pa.timestamp("s"): _MOMENTS,
    pa.timestamp("ms", "UTC"): _MOMENTS,
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "Asia/Shanghai"): _MOMENTS,
    pa.timestamp("us", "+05:30"): _MOMENTS,
    pa.timestamp("ns", "America/New_York"): _MOMENTS,
    pa.timestamp("ns"): _MOMENTS,
    pa.duration("s"): _MOMENTS,
    pa.duration("ms"): _MOMENTS,
    pa.duration("ns"): _MOMENTS,
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", "b", "", "中"]),
    pa.dictionary(pa.int8(), pa.binary()): st.sampled_from([b"a", b"b"]),
    pa.dictionary(pa.uint16(), pa.large_string(), ordered=True): st.sampled_from(["x", "y"]),
    pa.dictionary(pa.int16(), pa.int64()): st.sampled_from([1, -(2**60)]),
    pa.uuid(): st.binary(min_size=16, max_size=16),
    pa.json_(): st.sampled_from(['{"a": 1}', "[]"]),
    pa.bool8(): st.integers(0, 1),
    pa.opaque(pa.binary(), "point", "a vendor"): st.binary(max_size=4),
    pa.fixed_shape_tensor(pa.int32(), [2, 2]): st.lists(st.integers(0, 9), min_size=4, max_size=4),
}


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


@st.composite
def _scalars(draw: st.DrawFn) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(sorted(SCALARS, key=str)))
    return kind, SCALARS[kind]


@st.composite
def _nested(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind, values = draw(inner.filter(lambda made: not isinstance(made[0], pa.BaseExtensionType)))
    nullable = st.none() | values
    item = pa.field("item", kind, nullable=True, metadata={"inner": "note"})
    made: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
        "list": (pa.list_(item), st.lists(nullable, max_size=3)),
        "large_list": (pa.large_list(kind), st.lists(nullable, max_size=3)),
        "fixed": (pa.list_(kind, 2), st.lists(nullable, min_size=2, max_size=2)),
        "list_view": (pa.list_view(kind), st.lists(nullable, max_size=3)),
        "large_list_view": (pa.large_list_view(kind), st.lists(nullable, max_size=3)),
        "struct": (
            pa.struct([("x", kind), ("y.z", pa.int64())]),
            st.fixed_dictionaries({"x": nullable, "y.z": st.just(1)}),
        ),
        "map": (pa.map_(pa.string(), kind), st.lists(st.tuples(st.text(max_size=3), nullable), max_size=2)),
    }
    return made[draw(st.sampled_from(sorted(made)))]


TYPES = st.recursive(_scalars(), _nested, max_leaves=3)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    ["a", "a.b", "text", "a b", "`x`", "list.element", "*"]
)


@st.composite
def _column(draw: st.DrawFn, name: str, rows: int) -> tuple[pa.Field, pa.Array]:
    """Nulls anywhere, or first and only then values, or nowhere in a column that says so."""
    kind, values = draw(TYPES)
    how = draw(st.sampled_from(["any", "any", "null first", "required"]))
    if how == "required" and kind != pa.null():
        filled = draw(st.lists(values, min_size=rows, max_size=rows))
        return pa.field(name, kind, nullable=False), array(filled, kind)
    nulls = rows * 2 // 3 if how == "null first" else 0
    filled = draw(st.lists(st.none() | values, min_size=rows - nulls, max_size=rows - nulls))
    return pa.field(name, kind, metadata={"note": "kept"}), array([None] * nulls + filled, kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Up to four columns of up to twelve rows, with metadata."""
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    columns = [draw(_column(name, rows)) for name in names]
    fields = [field for field, _ in columns]
    return pa.Table.from_arrays(
        [values for _, values in columns], schema=pa.schema(fields, metadata={"made by": "a test"})
    )


def same(left: pa.Array, right: pa.Array) -> bool:
    """Equal in type and value, NaN equal to itself."""
    left.validate(full=True)
    return left.type == right.type and (left.equals(right) or repr(left.to_pylist()) == repr(right.to_pylist()))
