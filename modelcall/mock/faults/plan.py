"""Which fault strikes which request: a function of (seed, request, attempt), and of the arrival if a rule says so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.mock.faults.catalogue import FAULTS, MIX, MIXED
from modelcall.mock.faults.positions import parse_position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.mock.faults.base import Fault
    from modelcall.mock.faults.positions import Position
    from modelcall.mock.faults.rules import FaultRule

_RANGE = 1 << 64


def draw(seed: int, *parts: object) -> float:
    """Return a number in [0, 1), the same for the same arguments on every machine."""
    text = "\x1f".join(map(str, (seed, *parts))).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / _RANGE


@dataclass(frozen=True, slots=True)
class Ask:
    """What a draw depends on."""

    stem: str
    """Identity of the request; its attempts share it."""
    attempt: int
    """From 1."""
    arrival: int
    """From 1, over all requests."""
    text: str | None = None
    """The messages; None while only the head has arrived."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that was drawn, and how long it should last (None: its default)."""

    fault: Fault
    seconds: float | None


class Plan:
    """The rules of a server, in order: the first that strikes counts. Early faults are drawn before all others."""

    def __init__(self, rules: Iterable[FaultRule], *, seed: int) -> None:
        self.rules = tuple(rules)
        self._seed = seed
        targets = {"early": self._early, "chat": self._late, "models": self._models}
        self._rules = {
            name: [(rule, _place(rule)) for rule in self.rules if test(rule)] for name, test in targets.items()
        }

    def strike(self, ask: Ask, *, early: bool = False, models: bool = False) -> Strike | None:
        """Draw the fault for one attempt, if any. ``models``: of the list of models instead of a completion."""
        for rule, place in self._rules["early" if early else "models" if models else "chat"]:
            if self._strikes(rule, place, ask):
                return Strike(FAULTS[self._name(rule, ask)], rule.seconds)
        return None

    def _strikes(self, rule: FaultRule, place: Position, ask: Ask) -> bool:
        if not place(ask.attempt, ask.arrival) or (rule.contains is not None and rule.contains not in (ask.text or "")):
            return False
        return rule.rate >= 1 or draw(self._seed, *_key(rule, ask)) < rule.rate

    def _name(self, rule: FaultRule, ask: Ask) -> str:
        if rule.fault != MIX:
            return rule.fault
        return MIXED[int(draw(self._seed, "which", *_key(rule, ask)) * len(MIXED))]

    @staticmethod
    def _early(rule: FaultRule) -> bool:
        return rule.fault != MIX and FAULTS[rule.fault].early

    @staticmethod
    def _models(rule: FaultRule) -> bool:
        return rule.fault != MIX and FAULTS[rule.fault].target == "models"

    @classmethod
    def _late(cls, rule: FaultRule) -> bool:
        return not cls._early(rule) and not cls._models(rule)


def _key(rule: FaultRule, ask: Ask) -> tuple[object, ...]:
    """A rule of position ``row`` draws once for all attempts of a row."""
    return (rule.fault, rule.place, ask.stem, *(() if rule.place == "row" else (ask.attempt,)))


def _place(rule: FaultRule) -> Position:
    place = parse_position(rule.place)
    if place is None:  # a FaultRule cannot be made with a wrong one
        raise ValueError(f"unknown position: {rule.place}")
    return place
