from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.formats.settle import Shape

TEXT = None


def _settled(values: list[Any]) -> pa.DataType | None:
    shape = Shape()
    for value in values:
        shape.observe(value)
    return shape.arrow_type()


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], pa.string()),
        ([None, None], pa.string()),
        ([None, 1, -1], pa.int64()),
        ([2**63 - 1, -(2**63)], pa.int64()),
        ([2**63, 0], pa.uint64()),
        ([2**64 - 1], pa.uint64()),
        ([2**63, -1], TEXT),
        ([2**64], TEXT),
        ([-(2**63) - 1], TEXT),
        ([True, None, False], pa.bool_()),
        ([True, 1], TEXT),
        ([1.5, 2.0], pa.float64()),
        ([1.5, 2], pa.float64()),
        ([2**53, 0.5], pa.float64()),
        ([0.5, 2**53 + 1], TEXT),
        ([-(2**53) - 1, 0.5], TEXT),
        (["a", None], pa.string()),
        (["a", 1], TEXT),
        ([[], None], pa.list_(pa.string())),
        ([[], [1, None]], pa.list_(pa.int64())),
        ([[1], [0.5]], pa.list_(pa.float64())),
        ([[1], ["a"]], TEXT),
        ([[1, "a"]], TEXT),
        ([[True, 1]], TEXT),
        ([[1], 1], TEXT),
        ([[[]], [[1]]], pa.list_(pa.list_(pa.int64()))),
        ([{"a": 1}, {"a": None}], pa.struct([("a", pa.int64())])),
        ([{"a": 1, "b": "x"}, {"b": "y", "a": 2}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        ([{"a": None}], pa.struct([("a", pa.string())])),
        ([{"a": 1}, {"b": 1}], TEXT),
        ([{"a": 1}, {"a": 1, "b": 1}], TEXT),
        ([{"a": 1}, {"a": "x"}], TEXT),
        ([{}], TEXT),
        ([{"a": {}}], TEXT),
        ([[{"a": 1}], [{"a": 1}, {}]], TEXT),
        ([{"a": 1}, {"b": 1}, {"a": 1}], TEXT),
        ([_nested(32)], "list"),
        ([_nested(40)], TEXT),
    ],
)
def test_types(values: list[Any], expected: Any) -> None:
    settled = _settled(values)
    assert settled is not None if expected == "list" else settled == expected
    assert _settled(values[::-1]) == settled or pa.types.is_struct(settled)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"a": inner}, optional={"b": inner}),
    max_leaves=6,
)


@given(values=st.lists(JSON_VALUES, max_size=6))
def test_a_settled_type_holds_every_value_exactly(values: list[Any]) -> None:
    settled = _settled(values)
    if settled is not None:
        assert pa.array(values, settled).to_pylist() == values


def test_memory_does_not_grow_with_varying_objects() -> None:
    shape = Shape()
    for index in range(1000):
        shape.observe({f"key {index}": index})
    assert len(pickle.dumps(shape)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.integers(0, 3) | st.floats() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(values=st.lists(VALUES, max_size=6))
def test_values_seen_together_are_as_values_seen_one_by_one(values: list[Any]) -> None:
    together, one_by_one = Shape(), Shape()
    together.observe_all(values)
    for value in values:
        one_by_one.observe(value)
    assert together.arrow_type() == one_by_one.arrow_type()


@given(one=st.lists(VALUES, max_size=3), other=st.lists(VALUES, max_size=3))
def test_merged_shapes_are_the_shape_of_all_values(one: list[Any], other: list[Any]) -> None:
    whole, merged, more = Shape(), Shape(), Shape()
    for value in one + other:
        whole.observe(value)
    for shape, values in ((merged, one), (more, other)):
        for value in values:
            shape.observe(value)
    merged.merge(more)
    assert merged.arrow_type() == whole.arrow_type()
    assert merged.arrow_type(nothing=pa.null()) == whole.arrow_type(nothing=pa.null())
    assert merged.is_whole == whole.is_whole
