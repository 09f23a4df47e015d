"""Which idle connection is used again, and when one that waits is closed. Connections and time are stand-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.llm.aiohttp_target import Target
from modelcall.llm.labels import label
from modelcall.llm.probe import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Time:
    """Of an event loop: the part that a target asks of it."""

    now: float = 100.0
    timers: list[Any] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        timer = SimpleNamespace(at=self.now + delay, call=call, cancelled=False)
        timer.cancel = lambda: setattr(timer, "cancelled", True)
        self.timers.append(timer)
        return timer

    def pass_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer.at <= now and not timer.cancelled]:
            first = min(due, key=lambda timer: timer.at)
            self.timers.remove(first)
            self.now = first.at
            first.call()
        self.now = now

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled for timer in self.timers)


class Idle:
    """A connection, as far as a target looks at one."""

    def __init__(self) -> None:
        self.is_closed = self.is_lost = False
        self.protocol = SimpleNamespace(should_close=False, is_connected=lambda: not self.is_lost)

    def close(self) -> None:
        self.is_closed = True


def target(time: Time) -> Target:
    return Target(None, keepalive=3.0, loop=time)  # type: ignore[arg-type]  # no heads are made here


def kept(to: Target, count: int) -> list[Any]:
    idle: list[Any] = [Idle() for _ in range(count)]
    for connection in idle:
        to.keep(connection)
    return idle


def test_the_one_that_was_used_last_comes_first() -> None:
    to = target(Time())
    one, other = kept(to, 2)
    assert [to.take(), to.take(), to.take()] == [other, one, None]
    assert not one.is_closed
    assert not other.is_closed


@pytest.mark.parametrize("how", ["lost", "closing"])
def test_one_that_is_no_good_any_more_is_closed_and_the_next_taken(how: str) -> None:
    to = target(Time())
    one, other = kept(to, 2)
    if how == "lost":
        other.is_lost = True
    else:
        other.protocol.should_close = True
    assert to.take() is one
    assert other.is_closed


def test_one_whose_server_closes_is_not_kept() -> None:
    to, ended, given_up = target(Time()), Idle(), Idle()
    ended.protocol.should_close = True
    given_up.protocol = None  # type: ignore[assignment]  # as aiohttp has it of one that is closed
    to.keep(ended)  # type: ignore[arg-type]
    to.keep(given_up)  # type: ignore[arg-type]
    assert to.take() is None
    assert ended.is_closed
    assert given_up.is_closed


def test_those_that_wait_too_long_are_closed_though_nobody_asks_for_one() -> None:
    time = Time()
    to = target(time)
    [first] = kept(to, 1)
    time.pass_to(102.0)
    [second] = kept(to, 1)
    time.pass_to(102.9)
    assert not first.is_closed
    time.pass_to(103.1)
    assert first.is_closed
    assert not second.is_closed
    time.pass_to(105.1)
    assert second.is_closed
    assert time.waiting == 0
    assert len(kept(to, 2)) == 2
    assert time.waiting == 1


def test_one_that_waited_too_long_is_not_taken_even_if_its_timer_is_late() -> None:
    time = Time()
    to = target(time)
    [old] = kept(to, 1)
    time.now = 103.0
    assert to.take() is None
    assert old.is_closed


def test_closing_lets_go_of_all() -> None:
    time = Time()
    to = target(time)
    idle = kept(to, 3)
    to.close()
    assert all(connection.is_closed for connection in idle)
    assert time.waiting == 0
    assert to.take() is None


def test_probes_have_names_like_all_requests() -> None:
    assert len(label(PROBE, 7)) == len("00000000-0000-8000-8000-000000000007")
