"""Positions: which requests a rule may strike, as a test of (attempt, arrival).

- ``every``: each attempt is drawn for itself
- ``once``: attempt 1 only; ``attempts:N``: attempts 1 to N
- ``row``: a row is drawn once, for all its attempts
- ``first``: the first request to arrive; ``at:N``, ``from:N``, ``until:N``: by number of arrival, from 1
- ``burst:LENGTH/PERIOD``: the first LENGTH of every PERIOD arrivals
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Position: TypeAlias = "Callable[[int, int], bool]"
"""Takes the attempt and the arrival number, both from 1."""

POSITIONS_HELP = "every, once, attempts:N, row, first, at:N, from:N, until:N and burst:LENGTH/PERIOD"

_PLAIN: dict[str, Position] = {
    "every": lambda _attempt, _arrival: True,
    "row": lambda _attempt, _arrival: True,
    "once": lambda attempt, _arrival: attempt == 1,
    "first": lambda _attempt, arrival: arrival == 1,
}
_NUMBERED: dict[str, Callable[[int], Position]] = {
    "attempts": lambda number: lambda attempt, _arrival: attempt <= number,
    "at": lambda number: lambda _attempt, arrival: arrival == number,
    "from": lambda number: lambda _attempt, arrival: arrival >= number,
    "until": lambda number: lambda _attempt, arrival: arrival <= number,
}


def parse_position(text: object) -> Position | None:
    """Understand a position; None if it is none."""
    if not isinstance(text, str):
        return None
    name, _, rest = text.partition(":")
    if not rest:
        return _PLAIN.get(text)
    if name == "burst":
        return _burst(rest)
    return _NUMBERED[name](int(rest)) if name in _NUMBERED and _is_count(rest) else None


def _burst(text: str) -> Position | None:
    length, _, period = text.partition("/")
    if not (_is_count(length) and _is_count(period) and int(length) <= int(period)):
        return None
    struck, every = int(length), int(period)
    return lambda _attempt, arrival: (arrival - 1) % every < struck


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0
