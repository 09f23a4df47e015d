from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.formats import quick_json
from modelcall.formats.quick_json import ObjectReader
from modelcall.formats.strict_json import MAX_DEPTH, members, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.types import Row

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


@pytest.fixture(params=["strictly", "quickly"])
def read(request: pytest.FixtureRequest) -> Callable[[bytes], Row]:
    return parse_object if request.param == "strictly" else ObjectReader().read


@given(value=OBJECTS, ascii_only=st.booleans())
def test_every_object_comes_back(value: dict[str, object], *, ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(
    value=OBJECTS,
    extra=st.none() | OBJECTS,
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",", ": "), (", ", ":")]),
    ascii_only=st.booleans(),
)
def test_quickly_the_same_is_read_as_strictly(
    value: dict[str, object], extra: dict[str, object] | None, separators: tuple[str, str], *, ascii_only: bool
) -> None:
    line = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    if extra is not None:  # perhaps with keys that are there already
        line = line[:-1] + separators[0] + json.dumps(extra, separators=separators, ensure_ascii=ascii_only)[1:]
    assert _what(ObjectReader().read, line.encode()) == _what(parse_object, line.encode())


@pytest.mark.parametrize("line", ['{"a": 1, "b": "x\\ny: z", "c": null}', '{"a":1,"b":["x",{"y":0.5}]}'])
def test_what_the_usual_writers_write_is_read_quickly(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(quick_json, "parse_object")
    reader = ObjectReader()
    assert [reader.read(line.encode()) for _ in range(3)] == [json.loads(line)] * 3


def test_quick_reading_is_given_up_where_it_is_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    quickly = quick_json._read_quickly

    def noted(line: bytes) -> Row | None:
        tried.append(line)
        return quickly(line)

    monkeypatch.setattr(quick_json, "_read_quickly", noted)
    reader = ObjectReader()
    assert [reader.read(b'{"a":1.50}') for _ in range(100)] == [{"a": 1.5}] * 100
    assert 0 < len(tried) < 10
    tried.clear()
    mixed = ObjectReader()
    assert {mixed.read(b'{"a":1.50}' if number % 5 == 4 else b'{"a":1.5}')["a"] for number in range(1000)} == {1.5}
    assert len(tried) == 1000


def _what(read: Callable[[bytes], Row], line: bytes) -> str:
    """Say what comes of a line, types and signs told apart."""
    try:
        return repr(read(line))
    except ValueError as error:
        return str(error)


@given(value=OBJECTS, space=st.text("\t\r\n ", max_size=2))
def test_members_are_the_text_of_the_object(value: dict[str, object], space: str) -> None:
    text = f"{{{space}{f'{space},{space}'.join(_member(*item, space) for item in value.items())}{space}}}"
    found = list(members(text))
    assert {key: json.loads(raw) for key, _, raw in found} == value
    assert all(json.loads(key_text) == key and raw in text for key, key_text, raw in found)


def _member(key: str, value: object, space: str) -> str:
    return f"{json.dumps(key)}{space}:{space}{json.dumps(value)}"


def test_numbers_keep_their_text() -> None:
    text = '{ "a" : 1.10 , "b":12345678901234567890123, "\\u0063":[ 1e2 ]}'
    assert list(members(text)) == [
        ("a", '"a"', "1.10"),
        ("b", '"b"', "12345678901234567890123"),
        ("c", '"\\u0063"', "[ 1e2 ]"),
    ]


def test_integers_of_any_size_are_exact(read: Callable[[bytes], Row]) -> None:
    number = 10**300 + 7
    assert read(b'{"a":[%d]}' % number) == {"a": [number]}
    assert read(b'{"a":18446744073709551616}') == {"a": 2**64}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "not an array"),
        (b"null", "not null"),
        (b"3", "not a number"),
        (b"true", "not true or false"),
        (b'"x"', "not a string"),
        (b"", "not JSON"),
        (b'{"a":1', "not JSON: Expecting ',' delimiter at character 6"),
        (b'{"a":1}{"b":2}', "not JSON: Extra data"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":NaN}', "NaN is no JSON number"),
        (b'{"a":[-Infinity]}', "-Infinity is no JSON number"),
        (b'{"a":1e999}', "beyond a double"),
        (b'{"a":' + b"9" * 5000 + b"}", "4300 digits"),
        (b'{"a":1,"a":2}', "key 'a' is given twice"),
        (b'{"a":1,"a":true}', "key 'a' is given twice"),
        (b'{"x":{"a":1,"a":"1"}}', "key 'a' is given twice"),
        (b'{"a":"\xff"}', "invalid UTF-8 at byte 6"),
        (b'{"a":"\xed\xa0\x80"}', "invalid UTF-8"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udc00x":1}', "lone surrogate"),
        (b'{"a":"\x00"}', "not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_what_is_refused(read: Callable[[bytes], Row], line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(line)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a":1,"a":1}', {"a": 1}),
        (b'{"a":1,"b":2,"a":1}', {"a": 1, "b": 2}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a":"\\\\ud800"}', {"a": "\\ud800"}),
        (b'{"":0}', {"": 0}),
        (b'{"a":"\\u0000\xe2\x80\xa8"}', {"a": "\0\u2028"}),
        (b'{"a":[' + b"[]," * 999 + b"[]]}", {"a": [[]] * 1000}),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, None),
    ],
)
def test_what_is_taken(read: Callable[[bytes], Row], line: bytes, value: object) -> None:
    parsed = read(line)
    assert value is None or parsed == value


def test_small_and_signed_floats(read: Callable[[bytes], Row]) -> None:
    value = read(b'{"a":-0.0,"b":5e-324}')
    assert math.copysign(1, value["a"]) == -1
    assert value["b"] == 5e-324
