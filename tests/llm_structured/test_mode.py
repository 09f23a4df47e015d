from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from modelcall.llm.structured.mode import response_format, schema_of
from modelcall.types import BOOL, FLOAT, INT, JSON, STRING, STRING_LIST, ColumnType

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}


def test_schema_mode_sends_the_schema_by_name() -> None:
    assert response_format("schema", CLOSED) == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": CLOSED},
    }


@pytest.mark.parametrize(
    "loose",
    [
        {**CLOSED, "additionalProperties": True},
        {**CLOSED, "required": []},
        {**CLOSED, "properties": {"score": {"type": "array", "items": {"properties": {"a": {}}}}}},
    ],
)
def test_strict_is_only_claimed_for_schemas_that_strict_servers_take(loose: dict[str, Any]) -> None:
    sent = response_format("schema", loose)
    assert sent is not None
    assert sent["json_schema"]["strict"] is False


def test_the_other_modes() -> None:
    assert response_format("object", CLOSED) == {"type": "json_object"}
    assert response_format("prompt", CLOSED) is None
    assert response_format("schema", None) is None


def test_a_schema_of_columns_describes_their_values() -> None:
    pair = ColumnType("struct", fields=(("a", FLOAT), ("b", BOOL)))
    columns = {"score": INT, "tags": STRING_LIST, "why": STRING, "any": JSON, "pair": pair}
    validator = jsonschema_rs.validator_for(schema_of(columns, ["score"]))
    assert validator.is_valid({"score": 4, "tags": ["a"], "why": "", "any": [1], "pair": {"a": 1.5, "b": True}})
    for wrong in ({}, {"score": 4.5}, {"score": 4, "tags": [1]}, {"score": 4, "pair": {"a": 1}}, {"score": 4, "x": 1}):
        assert not validator.is_valid(wrong)
