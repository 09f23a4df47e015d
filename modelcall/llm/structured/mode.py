"""What the server is asked to enforce: ``response_format`` of chat completions.

https://platform.openai.com/docs/guides/structured-outputs (vLLM and SGLang take the same shape).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelcall.types import Columns, ColumnType

_SCALARS = {"int": "integer", "float": "number", "bool": "boolean", "string": "string"}


def response_format(mode: str, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the request's ``response_format``; None: leave it out.

    Args:
        mode: ``schema``: the server enforces ``schema``; ``object``: only that the answer is an object; ``prompt``:
            nothing, the prompt alone asks.
        schema: What ``schema`` enforces.
    """
    if mode == "schema" and schema is not None:
        body = {"name": "answer", "strict": _allows_strict(schema), "schema": dict(schema)}
        return {"type": "json_schema", "json_schema": body}
    return {"type": "json_object"} if mode == "object" else None


def schema_of(columns: Columns, required: Collection[str]) -> dict[str, Any]:
    """Write a schema for columns that were described by defaults, for servers told to enforce one."""
    return {
        "type": "object",
        "properties": {name: _schema_of_type(kind) for name, kind in columns.items()},
        "required": [name for name in columns if name in required],
        "additionalProperties": False,
    }


def _schema_of_type(kind: ColumnType) -> dict[str, Any]:
    match kind.kind:
        case "list":
            return {"type": "array", "items": _schema_of_type(kind.items) if kind.items else {}}
        case "struct":
            return schema_of(dict(kind.fields), [name for name, _ in kind.fields])
        case "json":
            return {}
        case scalar:
            return {"type": _SCALARS[scalar]}


def _allows_strict(schema: object) -> bool:
    """Whether every object in the schema closes itself and requires all it names, as ``strict`` demands."""
    if isinstance(schema, list):
        return all(map(_allows_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties)
    ):
        return False
    return all(map(_allows_strict, schema.values()))
