"""``--set KEY=VALUE``: one key of a task, for a try-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.config.yaml_loader import parse_value
from modelcall.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.config.document import Document, KeyPath


SET: Final = "--set"


def apply_overrides(document: Document, overrides: Sequence[str]) -> tuple[Document, list[Mistake]]:
    """Lay ``KEY=VALUE`` texts over a document, the last one of a key wins."""
    mistakes: list[Mistake] = []
    for text in overrides:
        key, _, value_text = text.partition("=")
        path: KeyPath = tuple(part.strip() for part in key.split("."))
        problem = _problem(document, path, text)
        if problem is not None:
            mistakes.append(Mistake(problem, where=SET))
            continue
        try:
            value = parse_value(value_text, shown=SET)
        except ConfigError as error:
            mistakes.extend(error.mistakes)
            continue
        document = document.with_value(path, value, where=SET)
    return document, mistakes


def _problem(document: Document, path: KeyPath, text: str) -> str | None:
    if "=" not in text or not all(path):
        return f"write KEY=VALUE with a dotted key, such as data.input_folder=./data, got {text[:80]!r}"
    value: object = document.data
    for depth, part in enumerate(path[:-1]):
        value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            return f"{'.'.join(map(str, path[: depth + 1]))} is no block of keys"
    return None
