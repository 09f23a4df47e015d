from __future__ import annotations

import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, reject, settings

from modelcall.formats.opening import open_source
from modelcall.formats.unify import Unified, Unifier, type_names
from tests.formats.arrow_tables import tables

if TYPE_CHECKING:
    from modelcall.formats.base import Source


def _source(data: pa.Table | list[dict[str, Any]], unified: Unified | None = None) -> Source:
    if isinstance(data, list):
        text = "".join(json.dumps(row) + "\n" for row in data).encode()
        return open_source(partial(io.BytesIO, text), name="x.jsonl", unified=unified)
    target = io.BytesIO()
    pq.write_table(data, target)
    return open_source(partial(io.BytesIO, target.getvalue()), name="x.parquet", unified=unified)


def _unify(*files: pa.Table | list[dict[str, Any]]) -> tuple[Unified, list[str]]:
    unifier = Unifier()
    for number, data in enumerate(files):
        unifier.add(f"f{number}", _source(data).types())
    return unifier.unified()


def _brought(data: pa.Table | list[dict[str, Any]], unified: Unified) -> list[dict[str, Any]]:
    source = _source(data, unified)
    schema, _ = source.schema()
    table = pa.Table.from_batches(source.batches(schema), schema)
    table.validate(full=True)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_columns_come_in_order_of_first_appearance_and_absent_ones_are_null() -> None:
    one = pa.table({"id": pa.array([1], pa.int32()), "a": ["x"], "f": pa.array([0.5], pa.float32())})
    two = pa.table({"b": pa.array([None], pa.null()), "f": [0.1], "id": [2**40]})
    three = [{"id": 3, "b": {"k": 1}, "c": None}]
    unified, unlike = _unify(one, two, three)
    assert unlike == []
    assert dict(zip(unified.schema.names, map(str, unified.schema.types), strict=True)) == {
        "id": "int64",
        "a": "string",
        "f": "double",
        "b": "struct<k: int64>",
        "c": "string",
    }
    assert _brought(one, unified) == [{"id": 1, "a": "x", "f": 0.5, "b": None, "c": None}]
    assert _brought(two, unified) == [{"id": 2**40, "a": None, "f": 0.1, "b": None, "c": None}]
    assert _brought(three, unified) == [{"id": 3, "a": None, "f": None, "b": {"k": 1}, "c": None}]


def test_a_column_that_some_file_lacks_may_be_null_though_no_file_says_so() -> None:
    schema = pa.schema([pa.field("a", pa.int8(), nullable=False), pa.field("b", pa.int8(), nullable=False)])
    one, two = pa.table([[1], [2]], schema=schema), pa.table([[1]], schema=pa.schema([schema.field("a")]))
    unified, _ = _unify(one, two)
    assert [field.nullable for field in unified.schema] == [False, True]


def test_json_lines_settle_over_all_files_together() -> None:
    files = (
        [{"n": 1, "mix": 1, "l": [], "s": {"a": 1}}],
        [{"n": 0.5, "mix": "1.0", "l": [2], "s": {"a": None}}],
        [{"s": None}],
    )
    unified, unlike = _unify(*files)
    assert (unlike, unified.json_text) == ([], ("mix",))
    assert list(map(str, unified.schema.types)) == ["double", "string", "list<item: int64>", "struct<a: int64>"]
    assert [row for file in files for row in _brought(file, unified)] == [
        {"n": 1.0, "mix": "1", "l": [], "s": {"a": 1}},
        {"n": 0.5, "mix": '"1.0"', "l": [2], "s": {"a": None}},
        {"n": None, "mix": None, "l": None, "s": None},
    ]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (pa.array([1], pa.int32()), [1, None], "int64"),
        (pa.array([1.5], pa.float64()), [2**53], "double"),
        (pa.array([1.5], pa.float64()), [2**53 + 1], None),
        (pa.array([1.5], pa.float32()), [None], "float"),
        (pa.array([1.5], pa.float32()), [3], "double"),
        (pa.array(["a"], pa.large_string()), ["b"], "large_string"),
        (pa.array(["a"]).dictionary_encode(), ["b"], "string"),
        (pa.array([b"x" * 16], pa.uuid()), [None], "extension<arrow.uuid>"),
        (pa.array(["a"]), [1], None),
        (pa.array(["a"]), [1, "b"], None),
        (pa.array([1]), [2**63], None),
        (pa.array([None], pa.null()), [2**63], "uint64"),
        (pa.array([[1]], pa.list_(pa.int8())), [[], [2]], "list<element: int64>"),
        (pa.array([[1]], pa.list_(pa.int8(), 1)), [[], [2, 3]], "list<element: int64>"),
        (pa.array([{"a": 1}]), [{"b": "x"}], "struct<a: int64, b: string>"),
    ],
    ids=str,
)
def test_json_lines_and_parquet_together(column: pa.Array, values: list[Any], expected: str | None) -> None:
    table, rows = pa.table({"x": column}), [{"x": value} for value in values]
    unified, unlike = _unify(table, rows)
    if expected is None:
        assert unified.schema.names == []
        assert len(unlike) == 1
        assert unlike[0].startswith("x: ")
        assert unlike[0].endswith(" in f1")
        return
    assert (unlike, str(unified.schema.field("x").type)) == ([], expected)
    assert len(_brought(table, unified)) == 1
    found = [row["x"] for row in _brought(rows, unified)]
    assert found == [{"a": None, **value} if isinstance(value, dict) else value for value in values]


def test_what_differs_is_told_with_the_first_file_of_each_type() -> None:
    unifier = Unifier()
    tables = {
        "a": pa.table({"x": pa.array([1], pa.int32()), "y": [1]}),
        "b": pa.table({"x": pa.array([1], pa.int32()), "y": [1]}),
        "c": pa.table({"y": [1], "z": [1]}),
        "d": pa.table({"x": ["1"], "y": [1]}),
    }
    for name, table in tables.items():
        unifier.add(name, table.schema)
    assert unifier.drift.lines() == [
        "x: int32 in a and 1 more, absent in c, string in d",
        "z: absent in a and 2 more, int64 in c",
    ]
    assert unifier.drift.as_json()["z"] == {"absent": {"files": 3, "first": "a"}, "int64": {"files": 1, "first": "c"}}
    assert unifier.unified()[1] == ["x: int32 in a and 1 more, absent in c, string in d"]


def test_types_without_end_are_counted_together() -> None:
    unifier = Unifier()
    for number in range(30):
        unifier.add(f"f{number}", pa.schema([("x", pa.struct([(str(number), pa.int8())]))]))
    kinds = unifier.drift.as_json()["x"]
    assert len(kinds) == 12
    assert sum(kind["files"] for kind in kinds.values()) == 30


def test_metadata_that_all_files_share_is_kept() -> None:
    def table(**metadata: str) -> pa.Table:
        return pa.table({"x": pa.array([1])}, metadata=metadata)

    unified, _ = _unify(table(a="1", b="2"), table(a="1", b="3"), table(b="2", a="1"))
    assert unified.schema.metadata == {b"a": b"1"}
    assert _unify(table(a="1"), [{"x": 1}])[0].schema.metadata is None


def test_a_schema_comes_back_from_its_record() -> None:
    schema = pa.schema([pa.field("x", pa.uuid(), metadata={"k": "v"}), pa.field("y", pa.string())], {"made": "here"})
    unified = Unified(schema, ("y",))
    back = Unified.load(unified.dump())
    assert back == unified
    assert back.schema.equals(schema, check_metadata=True)


FIXED = Unified(pa.schema([("x", pa.int64()), ("t", pa.string()), ("s", pa.struct([("a", pa.int8())]))]), ("t",))


@pytest.mark.parametrize(
    ("data", "misfit"),
    [
        (pa.table({"x": pa.array([1], pa.int8())}), None),
        (pa.table({"x": pa.array([1], pa.uint64())}), "x: uint64, where the schema of all files has int64"),
        (pa.table({"t": ["a"]}), "t: string, where the schema of all files has JSON text"),
        (pa.table({"q": ["a"]}), "q: string, where the schema of all files has no such column"),
        ([{"x": 1, "t": 1}, {"t": "b"}, {"s": None}], None),
        ([{"x": 0.5}], "x: double, where the schema of all files has int64"),
        ([{"s": {"a": 1}}], "s: struct<a: int64>, where the schema of all files has struct<a: int8>"),
        ([{"q": 1}], "q: int64, where the schema of all files has no such column"),
    ],
    ids=str,
)
def test_what_does_not_fit_a_settled_schema_is_told(data: Any, misfit: str | None) -> None:
    assert FIXED.misfits(_source(data).types()) == ([] if misfit is None else [misfit])
    assert FIXED.misfits(_source(data).types(), ["other"]) == []


@given(table=tables())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_types_are_told_the_same_after_they_were_in_a_file(table: pa.Table) -> None:
    try:
        first = _source(table).types()
    except pa.ArrowNotImplementedError:
        reject()
    assert isinstance(first, pa.Schema)
    again = _source(pa.Table.from_batches([], first)).types()
    assert type_names(again) == type_names(first)
