"""Contradictions within an output_config, all at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import jsonschema_rs

from modelcall.config.column_types import resolved
from modelcall.config.fields import shown
from modelcall.config.suggest import did_you_mean

if TYPE_CHECKING:
    from modelcall.config.document import KeyPath
    from modelcall.config.output import OutputConfig

Finding: TypeAlias = "tuple[KeyPath, str]"

BOOKKEEPING: Final = frozenset(
    f"api_{name}"
    for name in (
        *("status", "fail_reason", "error_type", "return", "attempts", "model", "finish_reason"),
        *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    )
)
"""Columns of our own beside the JSON keys."""
_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")
_INT64: Final = range(-(2**63), 2**63)


def output_mistakes(config: OutputConfig) -> Iterator[Finding]:
    """Yield what in the block contradicts itself; paths are relative to it."""
    if not config.require_json:
        return
    schema_is_sound = True
    for finding in _schema_mistakes(config):
        schema_is_sound = False
        yield finding
    yield from _key_mistakes(config)
    yield from _default_mistakes(config)
    if schema_is_sound:
        yield from _contradictions(config)


def output_warnings(config: OutputConfig) -> Iterator[Finding]:
    """Yield what is allowed and may surprise."""
    if not config.require_json:
        return
    for key in config.untyped():
        yield (
            ("json_keys",),
            f"the column {key} will be text that holds JSON; give its type in json_default_values or json_schema",
        )
    keys = config.keys()
    for key in config.properties():
        if key not in keys:
            yield ("json_schema", "properties", key), "is not in json_keys: it stays in api_return only"


def _schema_mistakes(config: OutputConfig) -> Iterator[Finding]:
    schema = config.json_schema
    if schema is None:
        return
    remote = list(_remote_references(schema, ("json_schema",)))
    yield from remote
    if remote:
        return
    try:
        jsonschema_rs.validator_for(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path = ("json_schema", *getattr(error, "instance_path", ()))
        yield path, _schema_refusal(path, schema, error)
        return
    if (resolved(schema, schema) or {}).get("type", "object") != "object":
        yield ("json_schema", "type"), "must be object: an answer is one JSON object"


def _schema_refusal(path: KeyPath, schema: object, error: Exception) -> str:
    if path[-1] != "type" or path[-2] == "properties":
        return f"is no valid JSON Schema: {_first_line(error)}"
    for step in path[1:]:
        schema = schema[step]  # type: ignore[index]  # the validator found its way along it
    meant = did_you_mean(schema, _TYPES) if isinstance(schema, str) else ""
    return f"must be one of {', '.join(_TYPES)}, or a list of them, got {shown(schema)}{meant}"


def _remote_references(schema: object, path: KeyPath) -> Iterator[Finding]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
                yield (*path, key), f"must point into this schema (#/…), got {shown(value)}; nothing is fetched"
            else:
                yield from _remote_references(value, (*path, key))
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _remote_references(item, (*path, index))


def _key_mistakes(config: OutputConfig) -> Iterator[Finding]:
    keys = config.keys()
    if not keys:
        yield ("json_keys",), "name the keys of an answer that become columns, or set require_json: false"
    for key, count in Counter(config.json_keys).items():
        if count > 1:
            yield ("json_keys",), f"{key} is named {count} times"
    for key in sorted(BOOKKEEPING.intersection(keys)):
        yield ("json_keys",), f"{key} is the name of a column of ours; choose another"
    for index, key in enumerate(config.json_key_must_exists or ()):
        if key not in keys:
            yield ("json_key_must_exists", index), f"{key} is not in json_keys{did_you_mean(key, keys)}"


def _default_mistakes(config: OutputConfig) -> Iterator[Finding]:
    keys = config.keys()
    for key, value in config.json_default_values.items():
        path = ("json_default_values", key)
        if key not in keys:
            yield path, f"is not in json_keys{did_you_mean(key, keys)}"
        if isinstance(value, float) and not math.isfinite(value):
            yield path, "must be a finite number"
        if isinstance(value, int) and value not in _INT64:
            yield path, "must fit into 64 bits"


def _contradictions(config: OutputConfig) -> Iterator[Finding]:
    """Defaults and keys that the json_schema would refuse."""
    schema = config.json_schema
    if schema is None:
        return
    closed = (resolved(schema, schema) or {}).get("additionalProperties") is False
    properties = config.properties()
    for index, key in enumerate(config.json_keys):
        if closed and key not in properties:
            path = ("json_keys", index)
            yield path, f"{key} is forbidden by the json_schema{did_you_mean(key, properties)}"
    for key, value in config.json_default_values.items():
        if key in properties and value is not None:
            yield from _default_against_schema(key, value, schema)


def _default_against_schema(key: str, value: object, schema: Mapping[str, Any]) -> Iterator[Finding]:
    part = (resolved(schema, schema) or {})["properties"][key]
    definitions = {word: schema[word] for word in ("$schema", "$defs", "definitions") if word in schema}
    whole = {**definitions, "allOf": [part]}
    try:
        jsonschema_rs.validate(whole, value)
    except jsonschema_rs.ValidationError as error:
        yield ("json_default_values", key), f"contradicts the json_schema: {_first_line(error)}"
    except (jsonschema_rs.ReferencingError, ValueError):
        return  # its $ref points outside what was taken along; the whole schema has been checked


def _first_line(error: Exception) -> str:
    return str(getattr(error, "message", error)).splitlines()[0][:200]
