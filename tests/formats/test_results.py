from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from modelcall.errors import FileFailure
from modelcall.formats.results import result_field, results_batch, results_schema
from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, STRING_LIST, ColumnType, ErrorType

TALLY = ColumnType("struct", fields=(("n", INT), ("tags", STRING_LIST)))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (INT, pa.int64()),
        (FLOAT, pa.float64()),
        (BOOL, pa.bool_()),
        (STRING, pa.string()),
        (JSON, pa.string()),
        (STRING_LIST, pa.list_(pa.string())),
        (ColumnType("list", items=TALLY), pa.list_(pa.struct([("n", pa.int64()), ("tags", pa.list_(pa.string()))]))),
    ],
)
def test_types(kind: ColumnType, expected: pa.DataType) -> None:
    assert result_field(kind) == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (INT, [1, None, -(2**63)]),
        (FLOAT, [1.5, None]),
        (BOOL, [True, None]),
        (STRING, ["", None]),
        (JSON, ["{}", None]),
        (STRING_LIST, [[], None, ["a", None]]),
        (TALLY, [{"n": 1, "tags": []}, None, {"n": None, "tags": None}]),
        (INT, []),
    ],
)
def test_values_and_nulls(kind: ColumnType, values: list[Any]) -> None:
    batch = results_batch({"x": kind}, {"x": values})
    assert batch.schema == results_schema({"x": kind})
    assert batch.column("x").to_pylist() == values


def test_columns_keep_their_order() -> None:
    assert results_batch({"b": INT, "a": STRING}, {"a": ["x"], "b": [1]}).schema.names == ["b", "a"]


def test_whole_floats_are_integers_and_integers_floats() -> None:
    batch = results_batch({"n": INT, "f": FLOAT, "e": STRING}, {"n": [4.0], "f": [4], "e": [ErrorType.CUT]})
    assert batch.to_pylist() == [{"n": 4, "f": 4.0, "e": "cut"}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (INT, 4.5),
        (INT, float("nan")),
        (INT, True),
        (INT, "4"),
        (INT, 2**63),
        (FLOAT, "4"),
        (BOOL, 1),
        (STRING, 4),
        (JSON, {"a": 1}),
        (STRING_LIST, "ab"),
        (STRING_LIST, [1]),
        (ColumnType("list", items=INT), [1, 2.5]),
        (TALLY, {"n": 0.5}),
        (TALLY, 3),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_never_bent(kind: ColumnType, value: Any) -> None:
    with pytest.raises(FileFailure, match="result column x: a value does not fit"):
        results_batch({"x": kind}, {"x": [None, value]})


def test_lone_surrogates_are_marked() -> None:
    batch = results_batch(
        {"raw": STRING, "tags": STRING_LIST, "t": TALLY},
        {"raw": ["a\ud800b", "😀"], "tags": [["\udc00"], None], "t": [{"n": 1, "tags": ["\ud83d"]}, None]},
    )
    assert batch.to_pydict() == {
        "raw": ["a\ufffdb", "😀"],
        "tags": [["\ufffd"], None],
        "t": [{"n": 1, "tags": ["\ufffd"]}, None],
    }
