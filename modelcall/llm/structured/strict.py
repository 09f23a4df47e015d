"""One JSON text to one object: exactly what the text says, or a refusal.

orjson reads; but of duplicate keys it silently keeps the last, and integers beyond 64 bit it turns into floats. Both
can be seen from what it returns and two cheap counts, so only suspicious texts are read a second time, in full.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 64
"""Levels of nesting; no rubric has more, and what has is hostile."""
_INT64_END = 2**63
_KEY_END = re.compile(r'"[ \t\r\n]*+:')


class NotStrictJsonError(ValueError):
    """The text is not one JSON object, or says two things at once."""


def read_object(text: str) -> dict[str, Any]:
    """Return the object that ``text`` is.

    Raises:
        NotStrictJsonError: Not JSON, not an object, NaN or Infinity, one key with two values, or too deep.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotStrictJsonError(f"{error.msg} at character {error.pos}") from None
    if type(value) is not dict:
        raise NotStrictJsonError("a JSON value, but not an object")
    keys, inexact = _survey(value)
    return _read_exactly(text) if inexact or _may_repeat_keys(text, keys) else value


def same(one: object, other: object) -> bool:
    """Whether two values are equal and of one type all the way down: 1, 1.0 and true differ, NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124  only NaN differs from itself


def _survey(value: dict[str, Any]) -> tuple[int, bool]:
    """Count the keys at all levels, and say whether a number may have lost digits."""
    keys, inexact = 0, False
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                keys += len(container)
                container = container.values()  # noqa: PLW2901  its members are what is left to see
            for member in container:
                kind = type(member)
                if kind is dict or kind is list:
                    below.append(member)
                elif kind is float and not -_INT64_END < member < _INT64_END:
                    inexact = True
        if not below:
            return keys, inexact
        level = below
    raise NotStrictJsonError(f"nested deeper than {MAX_DEPTH} levels")


def _may_repeat_keys(text: str, keys: int) -> bool:
    # A text has at least as many colons, and as many closing quotes before a colon, as it writes keys.
    return text.count(":") != keys and sum(1 for _ in _KEY_END.finditer(text)) != keys


def _read_exactly(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(text, object_pairs_hook=_without_contradiction)
    except RecursionError:
        # A value that a later one of its key replaced escapes the survey.
        raise NotStrictJsonError(f"nested deeper than {MAX_DEPTH} levels") from None
    return value


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members and not same(members[key], value):
            raise NotStrictJsonError(f"the key {key[:80]!r} stands twice, with different values")
        members[key] = value
    return members
