"""Prompt templates: known ``{column}`` names are replaced in one pass; everything else is literal text.

There is no format language and no evaluation, and what was substituted is never looked at again: a document full of
braces is only text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from modelcall.config.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NAME: Final = r"\{([^{}\n]{1,200})\}"
_SYSTEM_TOKEN: Final = re.compile(_NAME)
_PROMPT_TOKEN: Final = re.compile(r"\{\{|\}\}|" + _NAME)
"""Left to right, an escaped brace first: ``{{{text}}}`` is a brace, the text, a brace."""


@dataclass(frozen=True, slots=True)
class Name:
    """A ``{name}`` in a template; a placeholder if the name is known, else literal."""

    name: str


Segments: TypeAlias = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Renderer:
    """Puts a row into a template whose placeholders are settled."""

    system: Segments
    prompt: Segments

    def __call__(self, row: Mapping[str, str]) -> tuple[str, str]:
        """Return the system text and the prompt text.

        Raises:
            KeyError: The row lacks a placeholder's column.
        """
        return _filled(self.system, row), _filled(self.prompt, row)


@dataclass(frozen=True, slots=True)
class Template:
    """The two texts of a prompt, cut into literal text and names."""

    system: Segments
    prompt: Segments

    @classmethod
    def parse(cls, *, system_text: str, prompt_text: str) -> Template:
        """Cut the texts; in ``prompt_text`` alone ``{{`` and ``}}`` give one brace."""
        return cls(_segments(_SYSTEM_TOKEN, system_text), _segments(_PROMPT_TOKEN, prompt_text))

    def names(self) -> frozenset[str]:
        """All that stands in single braces, columns or not."""
        return frozenset(part.name for part in (*self.system, *self.prompt) if isinstance(part, Name))

    def placeholders(self, known: Collection[str]) -> frozenset[str]:
        """The known names that the template takes."""
        return self.names().intersection(known)

    def compile(self, known: Collection[str]) -> Renderer:
        """Settle which names are placeholders; the others become literal text."""
        return Renderer(_settled(self.system, known), _settled(self.prompt, known))

    def unknown(self, known: Collection[str]) -> dict[str, str | None]:
        """Identifiers in braces that are not known, each with the nearest known name."""
        odd = sorted(name for name in self.names().difference(known) if name.strip().isidentifier())
        return {name: nearest(name.strip(), known) for name in odd}


def _segments(token: re.Pattern[str], text: str) -> Segments:
    parts: list[str | Name] = []
    end = 0
    for found in token.finditer(text):
        parts.append(text[end : found.start()])
        parts.append(found[0][0] if found[1] is None else Name(found[1]))
        end = found.end()
    return _joined([*parts, text[end:]])


def _settled(segments: Segments, known: Collection[str]) -> Segments:
    return _joined(
        [f"{{{part.name}}}" if isinstance(part, Name) and part.name not in known else part for part in segments]
    )


def _joined(parts: list[str | Name]) -> Segments:
    """Join neighbouring literals, so that rendering touches each piece once."""
    joined: list[str | Name] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return tuple(joined)


def _filled(segments: Segments, row: Mapping[str, str]) -> str:
    return "".join([part if isinstance(part, str) else row[part.name] for part in segments])
