"""Types of result columns: from a user's json_schema where it speaks, else from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, STRING_LIST, ColumnType

_SCALARS: Final = {"integer": INT, "number": FLOAT, "boolean": BOOL, "string": STRING}
_MAX_DEPTH: Final = 32


def type_of_default(value: object) -> ColumnType:
    """``[]`` is a list of strings; a block, null, or a list of mixed values is JSON text."""
    if isinstance(value, list):
        return _type_of_list(value)
    return _scalar_type(value) or JSON


def type_of_schema(schema: object, root: Mapping[str, Any], *, depth: int = 0) -> ColumnType:
    """Return the column type of one property; ``root`` is the whole schema, for its ``$ref``.

    Whatever is no single plain type, nullable or not, is JSON text.
    """
    schema = resolved(schema, root)
    if schema is None or depth > _MAX_DEPTH:
        return JSON
    if options := _options(schema):
        return type_of_schema(options[0], root, depth=depth + 1) if len(options) == 1 else JSON
    if "type" not in schema:
        return _type_of_values(schema)
    return _typed(schema, root, depth)


def resolved(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Follow local ``$ref``; None if it ends nowhere."""
    seen = 0
    while isinstance(schema, Mapping) and "$ref" in schema:
        schema, seen = _target(str(schema["$ref"]), root), seen + 1
        if seen > _MAX_DEPTH:
            return None
    return schema if isinstance(schema, Mapping) else None


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> ColumnType:
    kinds = _kinds(schema["type"])
    if kinds == {"integer", "number"}:
        return FLOAT
    kind = next(iter(kinds)) if len(kinds) == 1 else ""
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return ColumnType("list", items=type_of_schema(schema["items"], root, depth=depth + 1))
    if kind == "object" and schema.get("properties"):
        fields = schema["properties"].items()
        return ColumnType(
            "struct", fields=tuple((name, type_of_schema(part, root, depth=depth + 1)) for name, part in fields)
        )
    return _SCALARS.get(kind, JSON)


def _kinds(kind: str | list[str]) -> set[str]:
    return {kind} if isinstance(kind, str) else set(kind) - {"null"}


def _options(schema: Mapping[str, Any]) -> list[Any]:
    """Alternatives of ``anyOf`` and the like, null left out: how many schema generators write nullable."""
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema and "type" not in schema:
            return [part for part in schema[word] if part != {"type": "null"}]
    return []


def _type_of_values(schema: Mapping[str, Any]) -> ColumnType:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return _common([_scalar_type(value) for value in values if value is not None])


def _type_of_list(values: list[object]) -> ColumnType:
    if not values:
        return STRING_LIST
    item = _common([_scalar_type(value) for value in values])
    return JSON if item is JSON else ColumnType("list", items=item)


def _common(types: list[ColumnType | None]) -> ColumnType:
    found = set(types)
    if found == {INT, FLOAT}:
        return FLOAT
    return found.pop() or JSON if len(found) == 1 else JSON


def _scalar_type(value: object) -> ColumnType | None:
    kinds = {bool: BOOL, int: INT, float: FLOAT, str: STRING}
    return kinds.get(type(value))


def _target(reference: str, root: Mapping[str, Any]) -> object:
    """What a local JSON pointer points at."""
    found: object = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
    return found
