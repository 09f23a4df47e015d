"""When the server says to come back: Retry-After in every form it was seen in.

Sources: RFC 9110 §10.2.3 (seconds or date), OpenAI (``retry-after-ms``, ``x-ratelimit-reset-*``, "Please try again in
20s"), Azure ("Please retry after 33 seconds"), Anthropic (``anthropic-ratelimit-*-reset``, RFC 3339).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DAY: Final = 86_400.0
ABSURD: Final = 366 * DAY
"""No server means a number beyond this."""
CLAMP: Final = 60.0
"""Seconds to wait when what the server says cannot be meant."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])", re.IGNORECASE
)
_TEXT = re.compile(
    r"(?:retry|try again|resets?|wait)\s+(?:after|in|for)\s+((?:\d+(?:\.\d+)?\s*[a-z]*[\s,]*)+)", re.IGNORECASE
)
_LIMIT_HEADERS: Final = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)


def wait_hint(headers: Mapping[str, str], message: str, *, wall: float) -> float | None:
    """Return the seconds the server asks to wait, or None if it does not say.

    Args:
        headers: Of the reply; names without regard to case.
        message: The server's error text, used only if no header says.
        wall: Seconds since the epoch, now.

    Returns:
        Seconds from now, at least 0. A value of a day or more is what the server said; absurd ones are clamped.
    """
    for seconds in _candidates(headers, message, wall):
        if seconds is not None and math.isfinite(seconds) and seconds >= 0:
            return CLAMP if seconds > ABSURD else seconds
    return None


def _candidates(headers: Mapping[str, str], message: str, wall: float) -> Iterator[float | None]:
    yield _number(headers.get("retry-after-ms"), 0.001)
    yield _retry_after(headers, wall)
    yield _reset(headers, wall)
    yield _from_text(message)


def _retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    text = (headers.get("retry-after") or "").strip()
    seconds = _number(text, 1.0)
    if seconds is None:
        seconds = duration(text)
    if seconds is not None or not text:
        return seconds
    when = _date(text)
    if when is None:
        return None
    # The server's own clock, if it shows one: ours, or its, may be wrong.
    now = _date(headers.get("date") or "")
    ahead = max(0.0, when - (wall if now is None else now))
    return CLAMP if ahead >= DAY else ahead


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str | None, unit: float) -> float | None:
    try:
        return float(text or "") * unit
    except ValueError:
        return None


def _reset(headers: Mapping[str, str], wall: float) -> float | None:
    """Return the longest reset of the limits that are used up, or of all if none says what remains."""
    said: list[tuple[str | None, float]] = []
    for remaining, reset in _LIMIT_HEADERS:
        seconds = _moment(headers.get(reset), wall)
        if seconds is not None:
            said.append((headers.get(remaining), seconds))
    used_up = [seconds for remaining, seconds in said if remaining is not None and remaining.strip() in {"0", "0.0"}]
    unknown = [seconds for remaining, seconds in said if remaining is None]
    return max(used_up or unknown, default=None)


def _moment(text: str | None, wall: float) -> float | None:
    if not text:
        return None
    seconds = duration(text)
    if seconds is None:
        seconds = _number(text, 1.0)
        if seconds is not None and seconds > wall / 2:  # seconds since the epoch
            seconds -= wall
    if seconds is not None:
        return seconds
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - wall)
    except ValueError:
        return None


def _from_text(message: str) -> float | None:
    found = _TEXT.search(message)
    if found is None:
        return None
    words = found.group(1).strip(" ,.")
    seconds = duration(words, loose=True)
    return seconds if seconds is not None else _number(words.split()[0], 1.0)


def duration(text: str, *, loose: bool = False) -> float | None:
    """Read ``1m30s``, ``6ms``, ``2 hours``; None if it is none (``loose``: if it does not begin with one)."""
    total, position, found = 0.0, 0, False
    text = text.strip()
    while match := _PART.match(text, position):
        total += float(match.group(1)) * _unit(match.group(2))
        position, found = match.end(), True
        while position < len(text) and text[position] in " ,":
            position += 1
    return total if found and (loose or position == len(text)) else None


def _unit(name: str) -> float:
    name = name.lower()
    return _UNITS["ms"] if name.startswith(("ms", "milli")) else _UNITS[name[0]]
