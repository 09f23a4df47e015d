"""What single terms of a JSON schema mean: types, bounds, and two schemas at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any] | bool


def as_mapping(schema: Schema) -> Mapping[str, Any]:
    """Return a schema's keywords; ``true`` and ``false`` have none."""
    return {} if isinstance(schema, bool) else schema


def merged(one: Schema, other: Schema) -> Mapping[str, Any]:
    """Return what both say: properties and required are joined, else the second wins."""
    first, second = as_mapping(one), as_mapping(other)
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    return merged


def kind_of(schema: Mapping[str, Any], hint: Any) -> str:  # noqa: ANN401  any JSON value
    """Return the type to make: the hint's if the schema allows it, else the first that is not null."""
    declared = schema.get("type", _implied(schema))
    kinds = [declared] if isinstance(declared, str) else list(declared)
    fitting = [kind for kind in kinds if is_kind(hint, kind)]
    return next(iter(fitting or [kind for kind in kinds if kind != "null"] or kinds), "any")


def _implied(schema: Mapping[str, Any]) -> list[str]:
    signs = {
        "object": ("properties", "required", "additionalProperties", "minProperties"),
        "array": ("items", "prefixItems", "minItems", "uniqueItems"),
        "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
        "string": ("pattern", "minLength", "maxLength", "format"),
    }
    return [kind for kind, keys in signs.items() if any(key in schema for key in keys)]


def is_kind(value: Any, kind: str) -> bool:  # noqa: ANN401  any JSON value
    """Whether a value is of a JSON type."""
    if isinstance(value, bool):
        return kind == "boolean"
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list, tuple), "string": (str,), "integer": (int,), "number": (int, float),
    }  # fmt: skip
    return kind in kinds and isinstance(value, kinds[kind])


def fits(schema: Mapping[str, Any], hint: Any) -> bool:  # noqa: ANN401  any JSON value
    """Whether a value has the type, or is one of the values, that a schema asks for."""
    if "enum" in schema:
        return hint in schema["enum"]
    declared = schema.get("type", _implied(schema))
    return any(is_kind(hint, kind) for kind in ([declared] if isinstance(declared, str) else declared))


def bounds(schema: Mapping[str, Any], *, step: float | None) -> tuple[float, float]:
    """Return the least and the greatest number allowed; an exclusive bound is moved by one step."""
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    nudge = step or 1e-6
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + nudge)
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] - nudge)
    return low, high
