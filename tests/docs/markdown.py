"""What a reader of a Markdown file can type: its fenced blocks, and its inline code."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCED = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_GENERATED = re.compile(r"<!-- generated: .*?<!-- end generated -->", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"# (\S+\.(?:yaml|py))\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    not_run: bool

    @property
    def file(self) -> str | None:
        """The file that the block is, by its first line."""
        found = _NAME.match(self.text)
        return found[1] if found else None


def blocks(markdown: str) -> list[Block]:
    return [
        Block(found["language"], found["text"], not_run=found["reason"] is not None)
        for found in _FENCED.finditer(markdown)
    ]


def prose(markdown: str) -> str:
    """The text without fenced blocks and generated parts."""
    return _GENERATED.sub("", _FENCED.sub("", markdown))


def inline_code(markdown: str) -> set[str]:
    return set(_INLINE.findall(prose(markdown)))


def outline(markdown: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(found[1]) for found in re.finditer(r"^(#+) ", prose(markdown), re.MULTILINE)]
