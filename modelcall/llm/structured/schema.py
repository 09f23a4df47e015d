"""An answer against the user's json_schema, compiled once. Never touches the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs

from modelcall.errors import ConfigError
from modelcall.llm.structured.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 5
"""Violations named in one message."""


class SchemaCheck:
    """A compiled schema.

    Raises:
        ConfigError: The schema is not valid, or refers to a document outside of itself.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), offline=True)
        except ValueError as error:
            raise ConfigError(
                f"output_config.json_schema is not a valid JSON Schema: {excerpt(str(error).splitlines()[0])}",
                hint="Correct json_schema in the prompt file; references must stay inside it (#/$defs/…).",
            ) from None

    def missing(self, value: Mapping[str, Any]) -> frozenset[str]:
        """Return the keys the schema requires at the top level and ``value`` lacks."""
        required = jsonschema_rs.ValidationErrorKind.Required
        errors = () if self._validator.is_valid(value) else self._validator.iter_errors(value)
        return frozenset(e.kind.property for e in errors if isinstance(e.kind, required) and not e.instance_path)

    def violations(self, value: Mapping[str, Any]) -> list[str]:
        """Say what is wrong, one sentence a violation, at most five; nothing if ``value`` is valid."""
        if self._validator.is_valid(value):
            return []
        return [_sentence(error) for error, _ in zip(self._validator.iter_errors(value), range(_MOST), strict=False)]


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path).lstrip(".")
    return excerpt(f"'{where}': {error.message}" if where else error.message)
