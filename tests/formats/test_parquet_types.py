from __future__ import annotations

import decimal
import io
import itertools
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from modelcall.formats.base import BadRow
from modelcall.formats.parquet import ParquetSource
from modelcall.formats.results import results_batch, results_schema
from modelcall.formats.writers import ParquetTableWriter
from modelcall.types import INT, STRING_LIST

RESULTS = {"added score": INT, "added tags": STRING_LIST}

_INTS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_UINTS = {pa.uint8(): 8, pa.uint16(): 16, pa.uint32(): 32, pa.uint64(): 64}
_MOMENTS = st.integers(-(2**40), 2**40)
_DAYS = st.integers(-700_000, 2_900_000)

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
    pa.timestamp("ns", "America/New_York"): _MOMENTS,
    pa.timestamp("ns"): _MOMENTS,
    pa.duration("ms"): _MOMENTS,
    pa.duration("ns"): _MOMENTS,
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", "b", "", "中"]),
    pa.dictionary(pa.int8(), pa.binary()): st.sampled_from([b"a", b"b"]),
    pa.uuid(): st.binary(min_size=16, max_size=16),
    pa.json_(): st.sampled_from(['{"a": 1}', "[]"]),
    pa.bool8(): st.integers(0, 1),
}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
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
    made: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
        "list": (pa.list_(kind), st.lists(nullable, max_size=3)),
        "large_list": (pa.large_list(kind), st.lists(nullable, max_size=3)),
        "fixed": (pa.list_(kind, 2), st.lists(nullable, min_size=2, max_size=2)),
        "struct": (
            pa.struct([("x", kind), ("y.z", pa.int64())]),
            st.fixed_dictionaries({"x": nullable, "y.z": st.just(1)}),
        ),
        "map": (pa.map_(pa.string(), kind), st.lists(st.tuples(st.text(max_size=3), nullable), max_size=2)),
    }
    return made[draw(st.sampled_from(sorted(made)))]


TYPES = st.recursive(_scalars(), _nested, max_leaves=3)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    ["a", "a.b", "text"]
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Up to four columns of up to twelve rows, with metadata."""
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    columns = []
    for _ in names:
        kind, values = draw(TYPES)
        columns.append(_array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind))
    fields = [
        pa.field(name, column.type, metadata={"note": "kept"}) for name, column in zip(names, columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata={"made by": "a test"}))


def _source(table: pa.Table) -> ParquetSource:
    data = io.BytesIO()
    try:
        pq.write_table(table, data, row_group_size=5)
    except pa.ArrowNotImplementedError:  # views inside structs
        reject()
    return ParquetSource(partial(io.BytesIO, data.getvalue()), name="a.parquet")


def _published(source: ParquetSource) -> pa.Table:
    schema, _ = source.schema()
    target = io.BytesIO()
    writer = ParquetTableWriter(target, inputs=schema, results=results_schema(RESULTS))
    for batch in source.batches(schema):
        count = batch.num_rows
        writer.write(batch, results_batch(RESULTS, {"added score": range(count), "added tags": [["x"]] * count}))
    writer.close()
    return pq.read_table(target)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables())
def test_every_type_passes_untouched(table: pa.Table) -> None:
    source = _source(table)
    before, after = pq.read_table(source._opener()), _published(source)
    kept = after.select(before.schema.names)
    assert kept.schema.equals(before.schema, check_metadata=True)
    for name in before.schema.names:
        assert _same(kept[name].combine_chunks(), before[name].combine_chunks()), name
    assert after.schema.names == [*before.schema.names, *RESULTS]
    assert after.num_rows == before.num_rows


def _same(left: pa.Array, right: pa.Array) -> bool:
    """Equal in type and value, NaN equal to itself."""
    left.validate(full=True)
    return left.type == right.type and (left.equals(right) or repr(left.to_pylist()) == repr(right.to_pylist()))


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables())
def test_every_type_can_be_scored_and_written_as_json(table: pa.Table) -> None:
    source = _source(table)
    rows = list(itertools.chain.from_iterable(source.rows(None, chunk_rows=4)))
    records = [orjson.loads(record) for record in itertools.chain.from_iterable(source.records(None))]
    assert len(rows) == len(records) == table.num_rows
    assert all(list(record) == table.schema.names for record in records)
    for row, record in zip(rows, records, strict=True):
        if not isinstance(row, BadRow):
            absent = [name for name, value in row.items() if value is None]
            assert [name for name in absent if record[name] is not None] == []
