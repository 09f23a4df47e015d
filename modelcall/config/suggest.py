"""Suggestions for names that are not known."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIKENESS: Final = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like ``name``, if one is like it at all."""
    by_plain = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(name), by_plain, n=1, cutoff=_LIKENESS)
    return by_plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "x"?``, or nothing."""
    found = nearest(name, known)
    return f'; did you mean "{found}"?' if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
