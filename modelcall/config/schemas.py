"""JSON Schemas of what users write, for editors and for the documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from modelcall.config.model import ModelConfig
from modelcall.config.prompt import PromptConfig
from modelcall.config.suggest import did_you_mean
from modelcall.config.task import TaskConfig
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

KINDS: Final[Mapping[str, type[BaseModel]]] = {"task": TaskConfig, "model": ModelConfig, "prompt": PromptConfig}
_INLINE: Final[Mapping[str, type[BaseModel]]] = {"ModelBlock": ModelConfig, "PromptBlock": PromptConfig}
"""Blocks of a task that also take the keys of a file of their own."""
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of ``task``, ``model`` or ``prompt`` files.

    Raises:
        ConfigError: No such kind of file.
    """
    if kind not in KINDS:
        raise ConfigError(
            f"there is no schema of {kind!r}{did_you_mean(kind, KINDS)}", hint=f"One of {', '.join(KINDS)}."
        )
    whole = KINDS[kind].model_json_schema(mode="validation")
    if kind == "task":
        for block, inline in _INLINE.items():
            _add_inline(whole["$defs"], block, inline.model_json_schema(mode="validation"))
    return {"$schema": _DIALECT, **whole}


def schema_text(kind: str) -> str:
    """Return the schema as it stands in ``configs/schemas``; see :func:`schema`."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def _add_inline(definitions: dict[str, Any], block: str, inline: dict[str, Any]) -> None:
    definitions[block]["properties"] |= inline["properties"]
    for name, definition in inline.get("$defs", {}).items():
        definitions.setdefault(name, definition)
