"""Values a user's code returns, made plain: what a column can hold, NumPy's numbers among it."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any

from modelcall.llm.structured.coerce import INT64

_MAX_DEPTH = 64


class UnsupportedValueError(ValueError):
    """No column can hold the value."""


def plain(value: Any, name: str, depth: int = 0) -> Any:  # noqa: ANN401  any value in, a JSON value out
    """Return ``value`` as None, bool, int, float, str, list or dict of such.

    Raises:
        UnsupportedValueError: Another type, a number that is not finite or beyond 64 bit, text that is no Unicode.
    """
    if depth > _MAX_DEPTH:
        raise UnsupportedValueError(f"'{name}' is nested deeper than {_MAX_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, name)
        case dict():
            return {_key(key, name): plain(member, f"{name}.{key}", depth + 1) for key, member in value.items()}
        case list() | tuple():
            return [plain(member, f"{name}[{at}]", depth + 1) for at, member in enumerate(value)]
        case Integral() | Real():
            return _number(value, name)
    if hasattr(value, "tolist"):  # NumPy's and Arrow's way out of their own types
        return plain(value.tolist(), name, depth + 1)
    raise UnsupportedValueError(
        f"'{name}' holds a {type(value).__name__}; return None, bool, int, float, str, list or dict"
    )


def _number(value: Integral | Real, name: str) -> int | float:
    if isinstance(value, Integral):
        if int(value) not in INT64:
            raise UnsupportedValueError(f"'{name}' holds an integer beyond 64 bit")
        return int(value)
    number = float(value)
    if not isfinite(number):
        raise UnsupportedValueError(f"'{name}' is {number}, which is no finite number")
    return number


def _key(key: object, name: str) -> str:
    if not isinstance(key, str):
        raise UnsupportedValueError(f"'{name}' has a key that is no text but {type(key).__name__}")
    return _text(key, name)


def _text(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnsupportedValueError(f"'{name}' holds a lone surrogate, which is no Unicode text") from None
    return str(text)
