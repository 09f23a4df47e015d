from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import pyarrow as pa
import pytest

from modelcall.formats.base import BadRow
from modelcall.formats.values import json_values, python_values

NOON = dt.datetime(2024, 12, 1, 12, 0, 0, 5, tzinfo=dt.UTC)


def _of(kind: pa.DataType, *values: Any) -> pa.Array:
    return pa.array([*values, None], kind)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (_of(pa.null()), []),
        (_of(pa.bool_(), True), [True]),
        (_of(pa.int64(), -(2**63)), [-(2**63)]),
        (_of(pa.uint64(), 2**64 - 1), [2**64 - 1]),
        (_of(pa.float64(), 0.1, float("nan"), float("inf")), [0.1, None, None]),
        (_of(pa.float32(), 0.5, float("-inf")), [0.5, None]),
        (_of(pa.float16(), 0.5, float("nan")), [0.5, None]),
        (_of(pa.string(), "中\0"), ["中\0"]),
        (_of(pa.large_string(), "x"), ["x"]),
        (_of(pa.string_view(), "a string longer than twelve bytes"), ["a string longer than twelve bytes"]),
        (_of(pa.binary(), b"\xff"), ["/w=="]),
        (_of(pa.binary(2), b"ab"), ["YWI="]),
        (_of(pa.binary_view(), b"ab"), ["YWI="]),
        (_of(pa.large_binary(), b""), [""]),
        (_of(pa.decimal128(38, 2), decimal.Decimal("12345678901234567890.10")), ["12345678901234567890.10"]),
        (_of(pa.date32(), dt.date(2024, 12, 1)), ["2024-12-01"]),
        (_of(pa.date64(), dt.date(1, 1, 1)), ["0001-01-01"]),
        (_of(pa.time32("s"), dt.time(1, 2, 3)), ["01:02:03"]),
        (_of(pa.time64("us"), dt.time(1, 2, 3, 4)), ["01:02:03.000004"]),
        (_of(pa.timestamp("s"), 0), ["1970-01-01T00:00:00"]),
        (_of(pa.timestamp("s"), 253402300800), ["10000-01-01T00:00:00"]),
        (_of(pa.timestamp("us", "Asia/Shanghai"), NOON), ["2024-12-01T12:00:00.000005Z"]),
        (_of(pa.timestamp("ns"), 1), ["1970-01-01T00:00:00.000000001"]),
        (_of(pa.timestamp("us", "No/Where"), 0), ["1970-01-01T00:00:00.000000Z"]),
        (_of(pa.duration("ns"), 5), [5]),
        (_of(pa.list_(pa.float64()), [0.5, float("nan"), None], []), [[0.5, None, None], []]),
        (_of(pa.large_list(pa.list_(pa.binary())), [[b"a"], None]), [[["YQ=="], None]]),
        (_of(pa.list_(pa.date32(), 2), [dt.date(2024, 1, 2), None]), [["2024-01-02", None]]),
        (_of(pa.list_view(pa.int8()), [1], []), [[1], []]),
        (_of(pa.struct([("a", pa.binary()), ("b", pa.struct([]))]), {"a": b"a", "b": {}}), [{"a": "YQ==", "b": {}}]),
        (_of(pa.map_(pa.string(), pa.binary()), [("k", b"a"), ("k", None)], []), [[["k", "YQ=="], ["k", None]], []]),
        (_of(pa.map_(pa.string(), pa.list_(pa.null(), 2)), [("k", [None, None])]), [[["k", [None, None]]]]),
        (_of(pa.dictionary(pa.int8(), pa.binary()), b"a"), ["YQ=="]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([b"a", None])), ["YQ==", "YQ=="]),
    ],
)
def test_each_type_has_one_form_in_json(array: pa.Array, expected: list[Any]) -> None:
    assert json_values(array) == [*expected, None]
    assert json_values(array.slice(len(expected))) == [None]
    assert json_values(array.slice(0, 0)) == []


def test_extension_types_in_json() -> None:
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=5).bytes, None], pa.binary(16)))
    assert json_values(uuids) == ["00000000-0000-0000-0000-000000000005", None]
    tensors = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2]), pa.array([[1, 2], None], pa.list_(pa.float32(), 2))
    )
    assert json_values(tensors) == [[1.0, 2.0], None]


def test_text_that_is_not_utf8_is_marked_in_json() -> None:
    text = pa.array([b"a\xff", None, b"b"], pa.binary()).view(pa.string())
    assert json_values(text) == ["a\ufffd", None, "b"]
    assert json_values(pa.ListArray.from_arrays([0, 3], text)) == [["a\ufffd", None, "b"]]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (_of(pa.string(), "x"), ["x"]),
        (_of(pa.binary(), b"x"), [b"x"]),
        (_of(pa.float64(), float("inf")), [float("inf")]),
        (_of(pa.decimal128(5, 2), decimal.Decimal("1.10")), [decimal.Decimal("1.10")]),
        (_of(pa.timestamp("us"), 1), [dt.datetime(1970, 1, 1, 0, 0, 0, 1)]),  # noqa: DTZ001  the column has no zone
        (_of(pa.timestamp("ns"), 1999), [dt.datetime(1970, 1, 1, 0, 0, 0, 1)]),  # noqa: DTZ001  as above
        (_of(pa.duration("ns"), 1999), [dt.timedelta(microseconds=1)]),
        (_of(pa.time64("ns"), 1999), [dt.time(0, 0, 0, 1)]),
        (_of(pa.list_(pa.duration("ns")), [1999]), [[dt.timedelta(microseconds=1)]]),
        (_of(pa.list_(pa.duration("ns"), 1), [1999]), [[dt.timedelta(microseconds=1)]]),
        (_of(pa.large_list(pa.duration("ns")), [1999]), [[dt.timedelta(microseconds=1)]]),
        (_of(pa.struct([("a", pa.duration("ns"))]), {"a": 1999}), [{"a": dt.timedelta(microseconds=1)}]),
        (_of(pa.map_(pa.string(), pa.duration("ns")), [("k", 1999)]), [[("k", dt.timedelta(microseconds=1))]]),
        (_of(pa.duration("ns"), 1999).dictionary_encode(), [dt.timedelta(microseconds=1)]),
    ],
)
def test_python_objects_need_no_pandas(array: pa.Array, expected: list[Any]) -> None:
    values = python_values(array)
    assert values == [*expected, None]
    assert type(values[0]) is type(expected[0])


@pytest.mark.parametrize("start", range(6))
def test_some_rows_of_a_map_are_those_rows(start: int) -> None:
    rows = [[("a", 1), ("b", 2)], None, [("c", 3)], [], [("d", None)]]
    array = pa.array(rows, pa.map_(pa.string(), pa.int64()))
    expected = [row and [list(pair) for pair in row] for row in rows]
    for stop in range(start, 6):
        assert json_values(array[start:stop]) == expected[start:stop]


def test_values_python_cannot_hold_are_bad_in_their_place() -> None:
    values = python_values(_of(pa.timestamp("s"), 0, 10**12))
    assert isinstance(values[1], BadRow)
    assert (values[0], values[2]) == (dt.datetime(1970, 1, 1), None)  # noqa: DTZ001  the column has no zone
