"""What answers must hold, and which columns they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from modelcall.config.column_types import resolved, type_of_default, type_of_schema
from modelcall.config.fields import Block, Text, Texts, Truth
from modelcall.types import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import ColumnType

SCORE: Final = "score"
"""The key that is always required where it is asked for."""


class OutputConfig(Block):
    """What answers must hold. json_keys become columns; their types come from json_schema, else from the defaults."""

    require_json: Truth = Field(
        default=True, description="false: any text is an answer; there are no JSON columns, the text is in api_return."
    )
    json_keys: Texts = Field(
        default=(), description="Keys of an answer that become columns. Default: the properties of json_schema."
    )
    json_key_must_exists: Texts | None = Field(
        default=None,
        description="Keys without which an answer is invalid. Default: every key without a default, and score always.",
    )
    json_default_values: dict[Text, Any] = Field(
        default={}, description="Types of the columns, and what fills optional keys an answer leaves out."
    )
    json_schema: dict[str, Any] | None = Field(
        default=None, description="JSON Schema of an answer; wins over the defaults."
    )

    def keys(self) -> tuple[str, ...]:
        """Keys that become columns, in order; none without require_json."""
        if not self.require_json:
            return ()
        return self.json_keys or tuple(self.properties())

    def properties(self) -> Mapping[str, Any]:
        """Properties of the json_schema, empty without one."""
        schema = self.json_schema or {}
        found = (resolved(schema, schema) or {}).get("properties", {})
        return found if isinstance(found, dict) else {}

    def columns(self) -> dict[str, ColumnType]:
        """Result columns in order. A key with neither schema nor default is JSON text."""
        return {key: self._type(key) for key in self.keys()}

    @property
    def required(self) -> tuple[str, ...]:
        """Keys without which an answer is invalid; those the json_schema requires are among them."""
        asked = self.json_key_must_exists
        chosen = (key for key in self.keys() if key == SCORE or key not in self.json_default_values)
        wanted = set(chosen if asked is None else asked).union(self._required_by_schema())
        return tuple(key for key in self.keys() if key in wanted)

    @property
    def defaults(self) -> dict[str, Any]:
        """What fills optional keys an answer leaves out."""
        required = self.required
        return {key: self.json_default_values.get(key) for key in self.keys() if key not in required}

    def untyped(self) -> list[str]:
        """Keys that become JSON text because neither the schema nor a default gives their type."""
        given = self.properties()
        plain = (key for key in self.keys() if key not in given)
        return [key for key in plain if type_of_default(self.json_default_values.get(key)) == JSON]

    def _type(self, key: str) -> ColumnType:
        given = self.properties()
        if key in given:
            return type_of_schema(given[key], self.json_schema or {})
        return type_of_default(self.json_default_values.get(key))

    def _required_by_schema(self) -> list[str]:
        schema = self.json_schema or {}
        found = (resolved(schema, schema) or {}).get("required", [])
        return found if isinstance(found, list) else []
