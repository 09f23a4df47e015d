"""The table of all faults, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.mock.faults.answers import ANSWER_FAULTS
from modelcall.mock.faults.base import Verdict
from modelcall.mock.faults.refusals import REFUSALS
from modelcall.mock.faults.shapes import SHAPE_FAULTS
from modelcall.mock.faults.status import STATUS_FAULTS
from modelcall.mock.faults.transport import TRANSPORT_FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelcall.mock.faults.base import Fault


def _table(faults: Iterable[Fault]) -> Mapping[str, Fault]:
    table: dict[str, Fault] = {}
    for fault in faults:
        if fault.name in table:
            raise ValueError(f"two faults are called {fault.name}")
        table[fault.name] = fault
    return table


FAULTS = _table((*REFUSALS, *STATUS_FAULTS, *SHAPE_FAULTS, *ANSWER_FAULTS, *TRANSPORT_FAULTS))

_RETRYABLE = (Verdict.NETWORK, Verdict.RATE_LIMIT, Verdict.VALIDATION)
MIX = "mix"
"""The name under which a rule draws evenly from :data:`MIXED`."""
MIXED = tuple(
    name
    for name, fault in FAULTS.items()
    if fault.verdict in _RETRYABLE and fault.also in {None, *_RETRYABLE} and fault.brief and not fault.early
)
"""Faults after which another attempt succeeds, and which are over soon."""
