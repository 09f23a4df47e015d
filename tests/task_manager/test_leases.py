"""One ceiling for many workers: never passed, never left unused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelcall.task_manager.leases import Lease, Leases

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hands:
    """Workers that hold themselves to their leases."""

    def __init__(self, ceiling: int) -> None:
        self.lent: dict[int, Lease] = {}
        self.in_use: dict[int, int] = {}
        self.need: dict[int, int | None] = {}
        self.dead: dict[int, int] = {}
        self.leases = Leases(ceiling, lend=self._lend)

    def _lend(self, worker: int, lease: Lease) -> None:
        self.lent[worker] = lease

    def join(self, worker: int) -> None:
        self.in_use[worker], self.need[worker] = 0, None
        self.leases.joined(worker)

    def leave(self, worker: int) -> None:
        del self.in_use[worker], self.need[worker]
        self.lent.pop(worker, None)
        self.leases.left(worker)

    def die(self, worker: int) -> None:
        self.dead[worker] = self.in_use[worker]
        del self.in_use[worker], self.need[worker]
        self.lent.pop(worker, None)
        self.leases.died(worker)

    def forget(self) -> None:
        """What the dead had in flight has ended."""
        for worker in self.dead:
            self.leases.left(worker)
        self.dead.clear()

    def report(self, worker: int) -> None:
        lease = self.lent.get(worker, Lease(0, 0, 0))
        bound = max(lease.requests, self.in_use[worker])
        self.leases.reported(worker, number=lease.number, bound=bound, need=self.need[worker])

    def fill(self, worker: int) -> None:
        """Begin as many requests as it may."""
        most = self.need[worker]
        lent = self.lent.get(worker, Lease(0, 0, 0)).requests
        self.in_use[worker] = max(self.in_use[worker], lent if most is None else min(lent, most))

    def settle(self) -> None:
        """Let everybody do what it may and say so, until nothing moves any more."""
        for _ in range(8):
            for worker in list(self.in_use):
                self.in_use[worker] = min(self.in_use[worker], self.lent[worker].requests)
                self.fill(worker)
                self.report(worker)


def shares(hands: Hands) -> Mapping[int, int]:
    return {worker: lease.requests for worker, lease in sorted(hands.lent.items())}


def test_workers_that_can_begin_rows_have_equal_shares_of_all() -> None:
    hands = Hands(10)
    for worker in (1, 2, 3):
        hands.join(worker)
    hands.settle()
    assert sorted(shares(hands).values()) == [3, 3, 4]


def test_what_one_does_not_need_any_more_goes_to_the_others() -> None:
    hands = Hands(12)
    for worker in (1, 2):
        hands.join(worker)
    hands.settle()
    hands.need[1] = 2
    hands.settle()
    assert shares(hands) == {1: 2, 2: 10}
    hands.need[1] = 0
    hands.settle()
    assert shares(hands) == {1: 0, 2: 12}
    hands.need[1] = None
    hands.settle()
    assert shares(hands) == {1: 6, 2: 6}


def test_what_is_in_flight_is_lent_to_nobody_else_before_it_has_ended() -> None:
    hands = Hands(10)
    hands.join(1)
    hands.fill(1)
    hands.join(2)
    hands.report(1)
    hands.report(2)
    assert (hands.in_use[1], shares(hands)) == (10, {1: 5}), "nothing has ended: there is nothing to lend"
    hands.in_use[1] = 8
    hands.report(1)
    assert shares(hands) == {1: 5, 2: 2}


def test_a_report_from_before_a_lease_says_nothing_of_it() -> None:
    lent: dict[int, Lease] = {}
    leases = Leases(10, lend=lent.__setitem__)
    leases.joined(1)
    leases.reported(1, number=1, bound=10, need=None)
    leases.joined(2)
    assert lent[1].requests == 5
    leases.reported(1, number=1, bound=0, need=None)  # on its way before it heard of the second
    assert 2 not in lent
    leases.reported(1, number=2, bound=5, need=None)
    assert lent[2].requests == 5


def test_what_a_dead_worker_had_in_flight_is_lent_when_it_has_ended() -> None:
    hands = Hands(10)
    for worker in (1, 2):
        hands.join(worker)
    hands.settle()
    hands.die(1)
    hands.settle()
    assert shares(hands) == {2: 5}
    hands.forget()
    assert shares(hands) == {2: 10}


@pytest.mark.parametrize(("ceiling", "then"), [(10, 4), (4, 10), (7, 1)])
def test_the_ceiling_moves_for_all(ceiling: int, then: int) -> None:
    hands = Hands(ceiling)
    for worker in (1, 2):
        hands.join(worker)
    hands.settle()
    hands.leases.set_ceiling(then)
    hands.settle()
    assert sum(shares(hands).values()) == then
    assert {lease.ceiling for lease in hands.lent.values()} == {then}


@given(st.integers(1, 40), st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=1, max_size=8))
def test_all_is_lent_that_anybody_can_use(ceiling: int, needs: list[int | None]) -> None:
    hands = Hands(ceiling)
    for worker, need in enumerate(needs):
        hands.join(worker)
        hands.need[worker] = need
    for worker in hands.in_use:
        hands.lent.setdefault(worker, Lease(0, 0, ceiling))
    hands.settle()
    wanted = ceiling if None in needs else sum(need or 0 for need in needs)
    assert sum(shares(hands).values()) == min(ceiling, wanted)


class AnyOrder(RuleBasedStateMachine):
    """Workers that come, go, are slow to report and slow to end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands(9)
        self.next = 0

    @rule()
    def join(self) -> None:
        self.hands.join(self.next)
        self.next += 1

    @precondition(lambda self: self.hands.in_use)
    @rule(data=st.data(), act=st.sampled_from(["fill", "end", "report", "leave", "die", "last", "more"]))
    def act(self, data: st.DataObject, act: str) -> None:
        hands = self.hands
        worker = data.draw(st.sampled_from(sorted(hands.in_use)))
        match act:
            case "fill":
                hands.fill(worker)
            case "end":
                hands.in_use[worker] = data.draw(st.integers(0, hands.in_use[worker]))
            case "report":
                hands.report(worker)
            case "die":
                hands.die(worker)
            case "leave":
                hands.leave(worker)
            case "last":
                hands.need[worker] = data.draw(st.integers(0, 9))
            case _:
                hands.need[worker] = None

    @invariant()
    def the_ceiling_is_never_passed(self) -> None:
        may = (
            max(self.hands.in_use[worker], self.hands.lent[worker].requests if worker in self.hands.lent else 0)
            for worker in self.hands.in_use
        )
        assert sum(may) + sum(self.hands.dead.values()) <= 9

    @rule()
    def forget(self) -> None:
        self.hands.forget()


TestAnyOrder = AnyOrder.TestCase
