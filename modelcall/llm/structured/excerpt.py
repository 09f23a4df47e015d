"""Foreign text made fit for a message: one line, nothing a terminal obeys, short."""

from __future__ import annotations

import re

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def excerpt(text: str, limit: int = 200) -> str:
    """Return at most the first ``limit`` characters, with control and direction characters escaped."""
    shown = _UNSEEN.sub(_escaped, text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
