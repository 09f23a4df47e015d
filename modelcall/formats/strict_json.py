"""One JSON object of an input file, read exactly or not at all.

The standard decoder with hooks: it keeps integers of any size, where faster ones turn those beyond 64 bit into floats
without a word.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.types import Row

MAX_DEPTH = 256
"""Deepest nesting that is read: far below what exhausts a stack, so that every pass comes to the same verdict."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\r\n]*")


def parse_object(line: bytes) -> Row:
    """Read a line that holds one JSON object.

    Refused, where lenient readers guess: NaN and infinities, numbers beyond a double, keys given twice with different
    values (equal ones are one), lone surrogates, invalid UTF-8, more than 4300 digits, nesting below :data:`MAX_DEPTH`.

    Raises:
        ValueError: Anything else than one such object; the message is for users.
    """
    try:
        text = line.decode()
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"invalid UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is expected, not {_NAMES[type(value)]}")  # noqa: TRY004  as all others here
    _check_depth(text, value)
    _check_surrogates(text, value)
    return value


def members(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, the key's text, and the value's text of each member of a valid JSON object, as they stand there."""
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        key_text = text[at:end]
        at = _skip(text, _skip(text, end) + 1)
        _, end = _DECODER.raw_decode(text, at)
        yield key, key_text, text[at:end]
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _unique(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) == len(pairs):
        return row
    first: Row = {}
    for key, value in pairs:
        if json.dumps(first.setdefault(key, value)) != json.dumps(value):
            raise ValueError(f"key {key!r} is given twice with different values")
    return first


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number {text[:40]} is beyond a double")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(text: str, value: Row) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _children(parent: dict[str, Any] | list[Any]) -> list[Any]:
    values = parent.values() if isinstance(parent, dict) else parent
    return [child for child in values if isinstance(child, dict | list)]


def _check_surrogates(text: str, value: Row) -> None:
    if not _SURROGATE.search(text):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("a lone surrogate (\\ud800 … \\udfff) is no Unicode text") from error


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
_NAMES = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
