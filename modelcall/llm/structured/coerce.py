"""A JSON value to the type of its column: what says the same passes, what would have to be guessed does not."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from modelcall.llm.structured.excerpt import excerpt

if TYPE_CHECKING:
    from modelcall.types import ColumnType

INT64 = range(-(2**63), 2**63)
_EXACT_FLOAT = 2**53
"""Beyond it neighbouring integers share a float."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")


class WrongTypeError(ValueError):
    """The value is not of the column's type: ``'score' must be int, got "4/5"``."""

    def __init__(self, name: str, kind: object, value: object) -> None:
        super().__init__(f"'{name}' must be {kind}, got {excerpt(_shown(value), 80)}")


def coerce(value: Any, kind: ColumnType, name: str, *, null_ok: bool = False) -> Any:  # noqa: ANN401  JSON in, JSON out
    """Return ``value`` as ``kind``: an int accepts 4, 4.0 and "4"; a float accepts ints; json becomes JSON text.

    Args:
        value: What a strict JSON reader returns.
        kind: Type of the column.
        name: The key, for the message.
        null_ok: Null passes, at all levels: a schema has spoken. Else only a json column takes it.

    Raises:
        WrongTypeError: Anything else, and integers beyond 64 bit.
    """
    if value is None and (null_ok or kind.kind == "json"):
        return None
    match kind.kind:
        case "list" if type(value) is list and kind.items is not None:
            if kind.items.kind == "string" and set(map(type, value)) == {str}:  # tags, in every answer
                return value
            return [coerce(one, kind.items, f"{name}[{at}]", null_ok=null_ok) for at, one in enumerate(value)]
        case "struct" if type(value) is dict:
            return _struct(value, kind, name, null_ok=null_ok)
        case "json":
            return json_text(value)
    result = _scalar(value, kind.kind)
    if result is None:
        raise WrongTypeError(name, kind, value)
    return result


def json_text(value: object) -> str:
    """Write a value as compact JSON; integers of any size stay exact."""
    return _JSON.encode(value)


def _scalar(value: object, kind: str) -> int | float | bool | str | None:
    match kind:
        case "int":
            return _int(value)
        case "float":
            return _float(value)
        case "string":
            return value if type(value) is str else None
        case "bool":
            return value if type(value) is bool else None
    return None


def _int(value: object) -> int | None:
    if (type(value) is str and _INTEGER.fullmatch(value)) or (
        type(value) is float and value.is_integer() and abs(value) <= _EXACT_FLOAT
    ):
        value = int(value)
    return value if type(value) is int and value in INT64 else None


def _float(value: object) -> float | None:
    if type(value) is int and abs(value) <= _EXACT_FLOAT:
        return float(value)
    return value if type(value) is float and isfinite(value) else None


def _struct(value: dict[str, Any], kind: ColumnType, name: str, *, null_ok: bool) -> dict[str, Any]:
    return {field: coerce(value.get(field), of, f"{name}.{field}", null_ok=null_ok) for field, of in kind.fields}


def _shown(value: object) -> str:
    try:
        return json_text(value)
    except (TypeError, ValueError):
        return repr(value)
