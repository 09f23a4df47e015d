"""Column types as users write them: ``{"score": "float", "tags": "list<string>"}``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelcall.errors import ConfigError
from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, ColumnType

_SCALARS = {"int": INT, "float": FLOAT, "bool": BOOL, "string": STRING, "str": STRING, "json": JSON}
_LIST = re.compile(r"list\s*<(.*)>", re.DOTALL)
_MAX_CHARS = 200


def parse_type(text: str) -> ColumnType:
    """Return the type that ``text`` names: int, float, bool, string, json, or list<…> of one of them.

    Raises:
        ValueError: It names none.
    """
    plain = text.strip()
    if plain in _SCALARS:
        return _SCALARS[plain]
    if (match := _LIST.fullmatch(plain)) and len(plain) <= _MAX_CHARS:
        return ColumnType("list", items=parse_type(match[1]))
    raise ValueError(f"{text[:80]!r} is no column type; write int, float, bool, string, json or list<…>")


def parse_columns(declared: object, *, owner: str) -> dict[str, ColumnType]:
    """Return the columns a scorer declares, in its order.

    Raises:
        ConfigError: Not a mapping of names to types; all mistakes at once.
    """
    if not isinstance(declared, Mapping):
        raise ConfigError(
            f"{owner}.columns must be a dict such as {{'score': 'float'}}, got {type(declared).__name__}."
        )
    columns, mistakes = _parsed(declared)
    if mistakes:
        raise ConfigError(f"{owner}.columns: {'; '.join(mistakes)}.")
    return columns


def _parsed(declared: Mapping[str, object]) -> tuple[dict[str, ColumnType], list[str]]:
    columns: dict[str, ColumnType] = {}
    mistakes: list[str] = []
    for name, kind in declared.items():
        try:
            columns[name] = kind if isinstance(kind, ColumnType) else parse_type(str(kind))
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
    return columns, mistakes
