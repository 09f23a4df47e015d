"""Instances of JSON schemas."""

from __future__ import annotations

from typing import Any

import pytest

from modelcall.mock.schemas import Unsatisfiable, instance

FACTS = {"score": 4, "quality_tags": ["clear", "short"], "main_languages": ["python"], "reason": "good"}
INT = {"type": "integer"}
TAGS = {"type": "array", "items": {"type": "string", "enum": ["clear", "noisy"]}, "uniqueItems": True, "minItems": 2}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (of(score=INT), {"score": 4}),
        (of(score={**INT, "minimum": 0, "maximum": 5}), {"score": 4}),
        (of(score={**INT, "minimum": 1, "maximum": 10}), {"score": 8}),
        (of(score={"type": "number", "minimum": 0, "maximum": 1}), {"score": 0.8}),
        (of(score={"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 5}), {"score": 4.0}),
        (of(score={**INT, "exclusiveMinimum": 4, "exclusiveMaximum": 6}), {"score": 5}),
        (of(score={**INT, "minimum": 50}), {"score": 50}),
        (of(score={"enum": ["low", "mid", "high"]}), {"score": "high"}),
        (of(score={"type": ["null", "integer"]}), {"score": 4}),
        (of(verdict={"const": "ok"}), {"verdict": "ok"}),
        (of(good={"type": "boolean"}), {"good": True}),
        (of(nothing={"type": "null"}), {"nothing": None}),
        (of(quality_tags={"type": "array", "items": {"type": "string"}}), {"quality_tags": ["clear", "short"]}),
        (of(quality_tags={**TAGS}), {"quality_tags": ["clear", "noisy"]}),
        (of(quality_tags={"type": "array", "items": {"type": "string"}, "maxItems": 1}), {"quality_tags": ["clear"]}),
        (of(points={"type": "array", "items": INT, "uniqueItems": True, "minItems": 3}), {"points": [4, 0, 1]}),
        (of(pair={"prefixItems": [INT, {"type": "boolean"}], "items": False, "maxItems": 2}), {"pair": [4, True]}),
        (of(reason={"type": "string", "maxLength": 2}), {"reason": "go"}),
        (of(reason={"type": "string", "minLength": 6}), {"reason": "good.."}),
        (of(day={"type": "string", "format": "date"}), {"day": "2024-12-01"}),
        (of(code={"type": "string", "pattern": "^[A-Z]{3}$"}), {"code": "ABC"}),
        (of(score={"anyOf": [{"type": "null"}, {"type": "string"}, INT]}), {"score": 4}),
        (of(score={"oneOf": [{"type": "string"}, {"type": "boolean"}]}), {"score": "rules: clear, short"}),
        (of(score={"allOf": [INT, {"minimum": 5}]}), {"score": 5}),
        (
            {"$ref": "#/$defs/r", "$defs": {"r": of(inner={"$ref": "#/$defs/s"}), "s": of(score=INT)}},
            {"inner": {"score": 4}},
        ),
        ({"required": ["score", "free"], "properties": {"score": INT}}, {"score": 4, "free": "none"}),
        ({"type": "array", "items": INT}, [4, 4]),
        (INT, 4),
    ],
)  # fmt: skip
def test_an_instance_says_what_the_facts_say(schema: dict[str, Any], expected: object) -> None:
    assert instance(schema, facts=FACTS) == expected
    assert type(instance(schema, facts=FACTS)) is type(expected)


def test_recursive_schemas_end() -> None:
    node = {"type": "object", "properties": {"score": INT, "child": {"$ref": "#"}}, "required": ["score"]}
    assert instance(node, facts=FACTS)["child"]["score"] == 4


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nothing known"}, "no JSON schema"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no instance"),
        ({"type": "string", "pattern": "^(.)\\d{9}x$"}, "no instance"),
        ({"type": "object", "properties": {"c": {"$ref": "#"}}, "required": ["c"]}, "endless"),
        ({"$ref": "#"}, "circles"),
        ({"$ref": "#/$defs/missing"}, "no JSON schema"),
        ({"not": {}}, "no instance"),
    ],
)
def test_what_cannot_be_satisfied_is_said(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsatisfiable, match=message):
        instance(schema, facts=FACTS)
