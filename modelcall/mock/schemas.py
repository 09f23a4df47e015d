"""An instance of any reasonable JSON schema, made of what the judge knows about a text.

Every result is checked against the schema (``jsonschema_rs``), so an answer that claims to follow it does.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from modelcall.mock.schema_terms import Schema, as_mapping, bounds, fits, is_kind, kind_of, merged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEP = 8
"""From this depth on optional properties are left out: recursive schemas end."""
_TOO_DEEP = 64
_FORMATS = {
    "date": "2024-12-01",
    "date-time": "2024-12-01T14:30:22Z",
    "time": "14:30:22Z",
    "duration": "PT1S",
    "email": "judge@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_PATTERN_TRIES = (
    "",
    "a",
    "A",
    "0",
    "en",
    "abc",
    "ABC",
    "Abc",
    "123",
    "0.5",
    "a-b",
    "a_b",
    "A1",
    "a1",
    "2024-12-01",
    "#000000",
)


class Unsatisfiable(ValueError):  # noqa: N818  says what the schema is
    """No instance of the schema was found, or it is no schema."""


def instance(schema: Mapping[str, Any], *, facts: Mapping[str, Any]) -> Any:  # noqa: ANN401  any JSON value
    """Return an instance of ``schema``, a pure function of its arguments.

    A property takes the fact of its name if that fits. Otherwise numbers and booleans say ``facts["score"]`` (0 to 5),
    spread over the range the schema allows; lists of strings say ``facts["quality_tags"]``.

    Raises:
        Unsatisfiable: The schema is invalid or too intricate.
    """
    checker = _checker(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    value = _Maker(schema, facts).make(schema, facts, depth=0)
    if not checker.is_valid(value):
        raise Unsatisfiable("no instance of this schema was found")
    return value


@functools.lru_cache(maxsize=256)
def _checker(schema: bytes) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(orjson.loads(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise Unsatisfiable(f"this is no JSON schema: {first_line}") from error


class _Maker:
    def __init__(self, root: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        self._root = root
        self._score = facts["score"]
        self._words = list(facts["quality_tags"]) or ["none"]

    def make(self, schema: Schema, hint: Any, *, depth: int) -> Any:  # noqa: ANN401  any JSON value
        if depth > _TOO_DEEP:
            raise Unsatisfiable("the schema requires endless nesting")
        if isinstance(schema, bool):
            return hint
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"], hint)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._alternative(schema, key, hint, depth=depth)
        return self._typed(schema, hint, depth=depth)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow ``$ref`` and merge ``allOf``, both shallowly."""
        for _ in range(_TOO_DEEP):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = merged(self._target(schema["$ref"]), rest)
            elif "allOf" in schema:
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                schema = functools.reduce(merged, schema["allOf"], rest)
            else:
                return schema
        raise Unsatisfiable("references go round in circles")

    def _target(self, ref: str) -> Mapping[str, Any]:
        value: Any = self._root
        for part in ref.removeprefix("#").split("/")[1:]:
            value = value[part.replace("~1", "/").replace("~0", "~")]
        return value if isinstance(value, dict) else {}

    def _choice(self, choices: Sequence[Any], hint: Any) -> Any:  # noqa: ANN401  any JSON value
        """Pick the hint, else the choice as far along the list as the score is along 0 to 5."""
        if hint in choices:
            return hint
        return choices[round((len(choices) - 1) * self._score / 5)]

    def _alternative(self, schema: Mapping[str, Any], key: str, hint: Any, *, depth: int) -> Any:  # noqa: ANN401
        rest = {name: value for name, value in schema.items() if name != key}
        options = [option for option in schema[key] if option is not False and option != {"type": "null"}]
        best = next((option for option in options if fits(self._resolved(as_mapping(option)), hint)), None)
        chosen = best if best is not None else options[0] if options else {"type": "null"}
        return self.make(merged(rest, as_mapping(chosen)), hint, depth=depth + 1)

    def _typed(self, schema: Mapping[str, Any], hint: Any, *, depth: int) -> Any:  # noqa: ANN401  any JSON value
        kind = kind_of(schema, hint)
        if kind == "object":
            return self._object(schema, hint, depth=depth)
        if kind == "array":
            return self._array(schema, hint, depth=depth)
        if kind in {"integer", "number"}:
            return self._number(schema, hint, whole=kind == "integer")
        if kind == "string":
            return self._string(schema, hint)
        return {"boolean": hint if isinstance(hint, bool) else self._score >= 3, "null": None}.get(kind, hint)  # noqa: PLR2004

    def _object(self, schema: Mapping[str, Any], hint: Any, *, depth: int) -> dict[str, Any]:  # noqa: ANN401
        properties, required = schema.get("properties", {}), schema.get("required", ())
        hints = hint if isinstance(hint, dict) else {}
        wanted = [name for name in properties if name in required or depth < _DEEP]
        made = {name: self.make(properties[name], hints.get(name), depth=depth + 1) for name in wanted}
        others = schema.get("additionalProperties", True)
        for name in (name for name in required if name not in made):
            made[name] = self.make(others, hints.get(name, "none"), depth=depth + 1)
        for index in range(schema.get("minProperties", 0) - len(made)):
            made[f"key_{index}"] = self.make(others, "none", depth=depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], hint: Any, *, depth: int) -> list[Any]:  # noqa: ANN401
        first, rest = schema.get("prefixItems", ()), schema.get("items", True)
        hints = list(hint) if isinstance(hint, list | tuple) else self._words
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        count = int(min(max(least, len(first), 0 if depth > _DEEP else len(hints)), most))
        items = [
            self.make(first[at] if at < len(first) else rest, hints[at] if at < len(hints) else None, depth=depth + 1)
            for at in range(count)
        ]
        return self._distinct(items, rest, least) if schema.get("uniqueItems") else items

    def _distinct(self, items: list[Any], schema: Schema, least: int) -> list[Any]:
        """Drop repeated items and fill up to ``least`` with others the schema allows."""
        found = list({orjson.dumps(item): item for item in items}.values())
        resolved = self._resolved(as_mapping(schema))
        spare = [value for value in resolved.get("enum", ()) if value not in found]
        if not spare and kind_of(resolved, None) in {"integer", "number"}:
            low = math.ceil(resolved.get("minimum", 0))
            spare = [value for value in range(low, low + least + len(found)) if value not in found]
        elif not spare:
            spare = [f"tag_{index}" for index in range(least)]
        return found + spare[: max(0, least - len(found))]

    def _number(self, schema: Mapping[str, Any], hint: Any, *, whole: bool) -> float:  # noqa: ANN401
        step = schema.get("multipleOf", 1 if whole else None)
        low, high = bounds(schema, step=step)
        if math.isinf(low) or math.isinf(high):
            value = max(low, min(high, hint if is_kind(hint, "number") else self._score))
        else:
            value = low + (high - low) * self._score / 5
        if step is None:
            return float(value)
        value = min(round(value / step) * step, math.floor(high / step) * step if math.isfinite(high) else math.inf)
        value = max(value, math.ceil(low / step) * step if math.isfinite(low) else -math.inf)
        return int(value) if whole else value

    def _string(self, schema: Mapping[str, Any], hint: Any) -> str:  # noqa: ANN401  any JSON value
        text = hint if isinstance(hint, str) else f"rules: {', '.join(self._words)}"
        text = _FORMATS.get(schema.get("format", ""), text)
        if "pattern" in schema:
            tries = (text, *_PATTERN_TRIES)
            text = next((candidate for candidate in tries if _matches(schema, candidate)), text)
        return text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")


def _matches(schema: Mapping[str, Any], text: str) -> bool:
    return bool(_checker(orjson.dumps({**schema, "type": "string"}, option=orjson.OPT_SORT_KEYS)).is_valid(text))
