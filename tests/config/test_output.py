from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.output import OutputConfig
from modelcall.config.output_checks import output_mistakes, output_warnings


def output(**keys: Any) -> OutputConfig:
    return OutputConfig.model_validate(keys)


def complaints(**keys: Any) -> list[tuple[str, str]]:
    return [(".".join(map(str, path)), message) for path, message in output_mistakes(output(**keys))]


def type_of(value: object) -> str:
    return str(output(json_keys=["k"], json_default_values={"k": value}).columns()["k"])


def schema_type(schema: object, **more: Any) -> str:
    config = output(json_keys=["k"], json_schema={"type": "object", "properties": {"k": schema}, **more})
    return str(config.columns()["k"])


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (3, "int"),
        (True, "bool"),
        (0.5, "float"),
        ("x", "string"),
        ([], "list<string>"),
        (["a"], "list<string>"),
        ([1, 2], "list<int>"),
        ([1, 2.5], "list<float>"),
        ([True], "list<bool>"),
        ([1, "a"], "json"),
        ([[1]], "json"),
        ({}, "json"),
        ({"a": 1}, "json"),
        (None, "json"),
    ],
)
def test_type_from_default(default: object, expected: str) -> None:
    assert type_of(default) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "string"}, "string"),
        ({"type": ["integer", "null"]}, "int"),
        ({"type": ["integer", "number"]}, "float"),
        ({"type": ["integer", "string"]}, "json"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "json"),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": [1, 2, None]}, "int"),
        ({"enum": [1, 2.5]}, "float"),
        ({"enum": [1, "a"]}, "json"),
        ({"const": "a"}, "string"),
        ({"type": "array", "items": {"type": "string"}}, "list<string>"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, "list<list<int>>"),
        ({"type": "array"}, "json"),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
            "struct<a: int, b: string>",
        ),
        ({"type": "object"}, "json"),
        ({"$ref": "#/$defs/level"}, "int"),
        ({"$ref": "#/$defs/tree"}, "struct<left: "),
        ({"$ref": "#/$defs/nowhere"}, "json"),
        ({"$ref": "#/properties/k"}, "json"),
        ({}, "json"),
        (True, "json"),
    ],
)
def test_type_from_schema(schema: object, expected: str) -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}

    assert schema_type(schema, **{"$defs": {"level": {"type": "integer"}, "tree": tree}}).startswith(expected)


def test_schema_wins_and_other_keys_keep_the_type_of_their_default() -> None:
    config = output(
        json_keys=["score", "tags"],
        json_default_values={"score": 3, "tags": []},
        json_schema={"type": "object", "properties": {"score": {"type": "number"}}},
    )

    assert {key: str(kind) for key, kind in config.columns().items()} == {"score": "float", "tags": "list<string>"}


def test_keys_default_to_the_properties_of_the_schema() -> None:
    config = output(json_schema={"properties": {"b": {"type": "string"}, "a": {"type": "integer"}}})

    assert list(config.columns()) == ["b", "a"]


def test_required_is_every_key_without_a_default_and_score_always() -> None:
    config = output(json_keys=["score", "tags", "why"], json_default_values={"score": 3, "tags": []})

    assert config.required == ("score", "why")
    assert config.defaults == {"tags": []}


def test_required_as_written() -> None:
    config = output(
        json_keys=["score", "tags", "why"], json_key_must_exists=["score"], json_default_values={"score": 3, "tags": []}
    )

    assert config.required == ("score",)
    assert config.defaults == {"tags": [], "why": None}


def test_keys_the_schema_requires_are_required() -> None:
    config = output(
        json_keys=["score", "tags"],
        json_key_must_exists=["score"],
        json_default_values={"tags": []},
        json_schema={"properties": {"score": {"type": "integer"}}, "required": ["tags", "elsewhere"]},
    )

    assert config.required == ("score", "tags")


def test_without_json_there_are_no_columns_and_no_mistakes() -> None:
    config = output(require_json=False, json_keys=["a", "a"], json_default_values={"b": 1})

    assert config.columns() == {}
    assert list(output_mistakes(config)) == []


@pytest.mark.parametrize(
    ("keys", "path", "words"),
    [
        ({}, "json_keys", "name the keys"),
        ({"json_keys": ["a", "a"]}, "json_keys", "a is named 2 times"),
        ({"json_keys": ["api_status"]}, "json_keys", "column of ours"),
        (
            {"json_keys": ["score"], "json_key_must_exists": ["scor"]},
            "json_key_must_exists.0",
            'did you mean "score"?',
        ),
        (
            {"json_keys": ["score"], "json_default_values": {"scores": 1}},
            "json_default_values.scores",
            "not in json_keys",
        ),
        ({"json_keys": ["a"], "json_default_values": {"a": float("nan")}}, "json_default_values.a", "finite"),
        ({"json_keys": ["a"], "json_default_values": {"a": 2**63}}, "json_default_values.a", "64 bits"),
        (
            {"json_keys": ["a"], "json_schema": {"properties": {"a": {"type": "intger"}}}},
            "json_schema.properties.a.type",
            "array, object, null, or a list of them, got the text 'intger'; did you mean \"integer\"?",
        ),
        (
            {"json_keys": ["a"], "json_schema": {"properties": {"type": 5}}},
            "json_schema.properties.type",
            "5 is not of types",
        ),
        ({"json_keys": ["a"], "json_schema": {"type": "array"}}, "json_schema.type", "must be object"),
        (
            {"json_keys": ["a"], "json_schema": {"properties": {"a": {"$ref": "https://example.com/s"}}}},
            "json_schema.properties.a.$ref",
            "nothing is fetched",
        ),
        (
            {"json_keys": ["a"], "json_schema": {"properties": {"a": {"$ref": "#/$defs/none"}}}},
            "json_schema",
            "no valid JSON Schema",
        ),
        (
            {
                "json_keys": ["a"],
                "json_default_values": {"a": "x"},
                "json_schema": {"properties": {"a": {"type": "integer"}}},
            },
            "json_default_values.a",
            "contradicts the json_schema",
        ),
        (
            {
                "json_keys": ["a"],
                "json_default_values": {"a": 9},
                "json_schema": {"properties": {"a": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"maximum": 5}}},
            },
            "json_default_values.a",
            "contradicts the json_schema",
        ),
        (
            {"json_keys": ["sco"], "json_schema": {"properties": {"score": {}}, "additionalProperties": False}},
            "json_keys.0",
            "forbidden by the json_schema",
        ),
    ],
)
def test_contradiction_is_told(keys: dict[str, Any], path: str, words: str) -> None:
    found = complaints(**keys)

    assert any(where == path and words in message for where, message in found), found


def test_sound_block_has_no_mistakes() -> None:
    assert (
        complaints(
            json_keys=["score", "tags"],
            json_key_must_exists=["score"],
            json_default_values={"score": 3, "tags": []},
            json_schema={"type": "object", "properties": {"score": {"type": "integer", "minimum": 0}}},
        )
        == []
    )


def test_untyped_keys_are_warned_about() -> None:
    config = output(json_keys=["score", "why", "extra"], json_default_values={"score": 3, "extra": {}})

    assert [message.split()[2] for _, message in output_warnings(config)] == ["why", "extra"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["type", "items", "properties", "$ref", "anyOf", "enum", "a"]), inner)
        ),
    )
)
def test_any_schema_gives_types_or_mistakes_but_never_an_exception(schema: object) -> None:
    config = output(json_keys=["k"], json_schema={"properties": {"k": schema}}, json_default_values={"k": 1})
    if not list(output_mistakes(config)):
        assert list(config.columns()) == ["k"]
