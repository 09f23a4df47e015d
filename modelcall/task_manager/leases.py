"""One ceiling for many workers: each may have so many requests in flight as it was lent.

What is lent never adds up to more than the ceiling. A worker whose lease is to shrink still has what is in flight: it
is lent to others as it ends, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Lease:
    """So many requests a worker may have in flight."""

    number: int
    """Of the lease, from 1; a later one replaces it."""
    requests: int
    ceiling: int
    """Of all workers together."""


@dataclass(slots=True)
class _Share:
    lease: Lease
    bound: int = 0
    """It has no more than so many in flight, now and as long as it is lent no more."""
    need: int | None = None
    """Rows that it has begun, if it can begin no others now; None: it can."""


class Leases:
    """The leases of the workers of one pass.

    Args:
        ceiling: What the user allows all of them together.
        lend: Tells a worker its lease.
    """

    def __init__(self, ceiling: int, *, lend: Callable[[int, Lease], None]) -> None:
        self.ceiling = ceiling
        self._lend = lend
        self._shares: dict[int, _Share] = {}
        self._lost: dict[int, int] = {}
        """What those who died may have in flight still."""

    def joined(self, worker: int) -> None:
        """A worker takes part."""
        self._shares[worker] = _Share(Lease(0, 0, self.ceiling))
        self._deal()

    def died(self, worker: int) -> None:
        """A worker takes part no more; what it had in flight is lent to nobody before :meth:`left`."""
        share = self._shares.pop(worker, None)
        if share is not None:
            self._lost[worker] = share.bound

    def left(self, worker: int) -> None:
        """A worker takes part no more, and has nothing in flight."""
        self._shares.pop(worker, None)
        self._lost.pop(worker, None)
        self._deal()

    def set_ceiling(self, ceiling: int) -> None:
        """Move the ceiling; what is in flight beyond a lower one ends by and by."""
        self.ceiling = ceiling
        self._deal()

    def reported(self, worker: int, *, number: int, bound: int, need: int | None) -> None:
        """Note how a worker stands.

        Args:
            worker: Who.
            number: Of the lease it holds itself to.
            bound: It has no more than so many in flight under that lease.
            need: Rows that it has begun, if it can begin no others now; None: it can.
        """
        share = self._shares.get(worker)
        if share is None:
            return
        share.need = need
        if number == share.lease.number:  # else it has not heard of the last one
            share.bound = bound
        self._deal()

    def _deal(self) -> None:
        """Take from those who have too much, then give what is free."""
        fair = self._fair()
        for worker, share in self._shares.items():
            if fair[worker] < share.lease.requests:
                self._give(worker, fair[worker])
        free = self.ceiling - sum(share.bound for share in self._shares.values()) - sum(self._lost.values())
        for worker, share in self._shares.items():
            wanted = min(fair[worker], share.bound + max(0, free))
            if wanted > share.lease.requests:
                free -= max(0, wanted - share.bound)
                self._give(worker, wanted)

    def _give(self, worker: int, requests: int) -> None:
        share = self._shares[worker]
        share.lease = Lease(share.lease.number + 1, requests, self.ceiling)
        share.bound = max(share.bound, requests)
        self._lend(worker, share.lease)

    def _fair(self) -> Mapping[int, int]:
        """Return what each should have: nobody more than he needs, the others all the same."""
        left, fair = self.ceiling, {}
        by_need = sorted(self._shares.items(), key=lambda entry: (_need(entry[1], self.ceiling), -entry[0]))
        for place, (worker, share) in enumerate(by_need):
            fair[worker] = min(_need(share, self.ceiling), left // (len(by_need) - place))
            left -= fair[worker]
        return fair


def _need(share: _Share, ceiling: int) -> int:
    return ceiling if share.need is None else share.need
