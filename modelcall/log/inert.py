"""Hostile text made inert: one record is one line, and no character of it acts on a terminal."""

from __future__ import annotations

import re

# C0, DEL and C1 controls; Arabic letter mark and bidi controls; line and paragraph separators; invisible joiners that
# reorder or hide; lone surrogates, which no encoding takes.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def inert(text: str) -> str:
    """Write control, bidi and separator characters as the escapes of a Python string."""
    return text if text.isascii() and text.isprintable() else _ACTIVE.sub(_escape, text)


def capped(text: str, chars: int) -> str:
    """Cut a text to ``chars`` characters, and say how many more there were."""
    return text if len(text) <= chars else f"{text[:chars]}… (+{len(text) - chars} chars)"


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code <= 0xFF:  # noqa: PLR2004  two hex digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  four hex digits
