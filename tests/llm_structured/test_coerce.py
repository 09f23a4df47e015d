from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.structured.coerce import WrongTypeError, coerce
from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, STRING_LIST, ColumnType

PAIR = ColumnType("struct", fields=(("a", INT), ("b", STRING_LIST)))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (4, INT, 4),
        (4.0, INT, 4),
        ("4", INT, 4),
        ("-4", INT, -4),
        (2**63 - 1, INT, 2**63 - 1),
        (-(2**63), INT, -(2**63)),
        (4, FLOAT, 4.0),
        (4.5, FLOAT, 4.5),
        (True, BOOL, True),
        ("", STRING, ""),
        ([], STRING_LIST, []),
        (["a"], STRING_LIST, ["a"]),
        ([1, 2.0, "3"], ColumnType("list", items=INT), [1, 2, 3]),
        ({"a": "1", "b": [], "c": 9}, PAIR, {"a": 1, "b": []}),
        ({"é": [1, None]}, JSON, '{"é":[1,null]}'),
        (10**30, JSON, "1" + "0" * 30),
        ("x", JSON, '"x"'),
        (None, JSON, None),
    ],
)
def test_what_says_the_same_passes(value: Any, kind: ColumnType, expected: Any) -> None:
    result = coerce(value, kind, "k")
    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (4.5, INT), ("4/5", INT), ("4.0", INT), ("４", INT), (" 4", INT), ("+4", INT), ("04", INT), (True, INT),
        (None, INT), (2**63, INT), ("9223372036854775808", INT), (1e300, INT), (2.0**53 + 2, INT), ([4], INT),
        ("4.5", FLOAT), (True, FLOAT), (None, FLOAT), (float("nan"), FLOAT), (float("inf"), FLOAT), (2**53 + 1, FLOAT),
        (1, BOOL), ("true", BOOL), (4, STRING), (None, STRING), ("a", STRING_LIST), ([1], STRING_LIST),
        ([None], STRING_LIST), ({}, STRING_LIST), ([], PAIR), ({"a": 1}, PAIR),
    ],
)  # fmt: skip
def test_what_would_have_to_be_guessed_does_not(value: Any, kind: ColumnType) -> None:
    with pytest.raises(WrongTypeError):
        coerce(value, kind, "k")


def test_null_passes_at_all_levels_where_a_schema_has_spoken() -> None:
    assert coerce(None, INT, "k", null_ok=True) is None
    assert coerce([None, "a"], STRING_LIST, "k", null_ok=True) == [None, "a"]
    assert coerce({"a": None}, PAIR, "k", null_ok=True) == {"a": None, "b": None}


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("4/5", INT, "'score' must be int, got \"4/5\""),
        (["a", 1], STRING_LIST, "'score[1]' must be string, got 1"),
        ({"a": 1, "b": 2}, PAIR, "'score.b' must be list<string>, got 2"),
        ("x" * 200 + "\x1b", INT, f"'score' must be int, got \"{'x' * 79}…"),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(value: Any, kind: ColumnType, message: str) -> None:
    with pytest.raises(WrongTypeError) as caught:
        coerce(value, kind, "score")
    assert str(caught.value) == message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_json_columns_hold_exactly_the_value(value: Any) -> None:
    text = coerce(value, JSON, "k")
    assert value is None or json.loads(text) == value


@given(JSON_VALUES)
def test_an_accepted_int_is_the_number_that_was_given(value: Any) -> None:
    try:
        result = coerce(value, INT, "k")
    except WrongTypeError:
        return
    assert not isinstance(value, bool)
    assert -(2**63) <= result < 2**63
    assert result == (int(value) if isinstance(value, str) else value)
