"""Which fault strikes which request: a function of (seed, rule, request, attempt), so that a run can be repeated."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from modelcall.mock.faults.plan import draw
from modelcall.mock.tos.kinds import KINDS, MIX, MIXED
from modelcall.mock.tos.strike import Strike

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.faults import TosFault
    from modelcall.mock.tos.kinds import Kind


class Plan:
    """The rules of a server, in order: the first that strikes counts."""

    def __init__(self, rules: Iterable[TosFault] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self._seed = seed
        self._seen: Counter[int] = Counter()
        self._struck: Counter[int] = Counter()

    def strike(self, operation: str, call: Call, attempt: int) -> Strike:
        """Return the fault for one request, if any."""
        for index, rule in enumerate(self.rules):
            if self._strikes(index, rule, operation, call, attempt):
                name = self._name(index, rule, operation, call, attempt)
                if name:
                    self._struck[index] += 1
                    return Strike(name, rule)
        return Strike()

    def _strikes(self, index: int, rule: TosFault, operation: str, call: Call, attempt: int) -> bool:
        if not _matches(rule, operation, call.key):
            return False
        self._seen[index] += 1
        if self._seen[index] <= rule.skip or (rule.times is not None and self._struck[index] >= rule.times):
            return False
        return rule.rate >= 1 or self._draw(index, operation, call, attempt) < rule.rate

    def _name(self, index: int, rule: TosFault, operation: str, call: Call, attempt: int) -> str:
        if rule.fault != MIX:
            return rule.fault
        kinds = [kind for kind in MIXED if _is_for(kind, operation)]
        return kinds[int(self._draw(index, operation, call, attempt, "which") * len(kinds))].name if kinds else ""

    def _draw(self, index: int, operation: str, call: Call, attempt: int, *more: str) -> float:
        return draw(self._seed, index, operation, *call.identity, attempt, *more)


def _matches(rule: TosFault, operation: str, key: str) -> bool:
    pattern = rule.op
    if pattern is None:
        pattern = ".*" if rule.fault == MIX else KINDS[rule.fault].operations
    return re.fullmatch(pattern, operation) is not None and re.search(rule.key or "", key) is not None


def _is_for(kind: Kind, operation: str) -> bool:
    return re.fullmatch(kind.operations, operation) is not None
