"""Measures that code and prose share: encoded runs, characters nobody prints."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The three patterns of The Stack v2, bounded so that each takes time linear in the text. A base64 run has a digit or
# a capital: a line of sixty-four '=' is a ruler, not data.
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{64,}")
_HEX = re.compile(r"(?:(?:\b0x|\\x|\b)[0-9a-fA-F]{2}(?![0-9A-Za-z])[,\s]{0,8}){16,}")
_UNICODE = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}")
_HAS_UPPER_OR_DIGIT = re.compile(r"[A-Z0-9]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Runs of base64, hex and escaped code points in a text."""

    share: float
    """Of the text's characters, 0…1."""
    longest: int
    """Characters of the longest run."""


def encoded(text: str) -> Encoded:
    """Find the encoded runs of a text that is not empty."""
    base64 = [len(run) for run in _BASE64.findall(text) if _HAS_UPPER_OR_DIGIT.search(run)]
    # a run of hex digits is base64 by its letters, too: it counts once
    others = [len(match[0]) for pattern in (_HEX, _UNICODE) for match in pattern.finditer(_BASE64.sub("", text))]
    runs = base64 + others
    return Encoded(sum(runs) / len(text), max(runs, default=0))


def unprintable_share(text: str) -> float:
    """Share of control and replacement characters, 0…1."""
    return 0.0 if text.isprintable() else len(_UNPRINTABLE.findall(text)) / len(text)
