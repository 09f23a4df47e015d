"""Carries out scripts: the steps of :mod:`modelcall.mock.wire` on a line."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Literal, Protocol

from modelcall.mock.wire import Beat, CloseIdle, CloseOnNext, Drip, Fin, GoDown, Hold, Reset, Script, Send, Step, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Line(Protocol):
    """One connection, as far as a script uses it. Durations are real ones."""

    def send(self, data: bytes) -> None:
        """Write, without waiting."""

    async def drained(self) -> None:
        """Wait until the client has read enough to go on."""

    def fin(self) -> None:
        """Close after what was sent."""

    def reset(self) -> None:
        """Drop with RST."""

    def close_idle(self, seconds: float) -> None:
        """Close if nothing arrives for so long after this reply."""

    def close_on_next(self) -> None:
        """Close when the next request begins."""

    def go_down(self, seconds: float, how: Literal["refuse", "ignore"]) -> None:
        """Take the whole server down for a while."""


async def play(script: Script, line: Line, *, scale: float) -> None:
    """Carry out all steps; their durations are multiplied by ``scale``. Cancelled when the client leaves."""
    for step in script:
        await _step(step, line, scale)


async def _step(step: Step, line: Line, scale: float) -> None:
    if isinstance(step, Send):
        line.send(step.data)
        await line.drained()
    else:
        await _SLOW[type(step)](step, line, scale)


async def _wait(step: Wait, _line: Line, scale: float) -> None:
    await asyncio.sleep(step.seconds * scale)


async def _drip(step: Drip, line: Line, scale: float) -> None:
    for index in range(len(step.data)):
        line.send(step.data[index : index + 1])
        await asyncio.sleep(step.every * scale)
        await line.drained()


async def _beat(step: Beat, line: Line, scale: float) -> None:
    for _ in itertools.count() if step.times is None else range(step.times):
        line.send(step.data)
        await asyncio.sleep(step.every * scale)
        await line.drained()


async def _hold(_step: Hold, _line: Line, _scale: float) -> None:
    await asyncio.Event().wait()


async def _fin(_step: Fin, line: Line, _scale: float) -> None:
    line.fin()


async def _reset(_step: Reset, line: Line, _scale: float) -> None:
    line.reset()


async def _close_idle(step: CloseIdle, line: Line, scale: float) -> None:
    line.close_idle(step.seconds * scale)


async def _close_on_next(_step: CloseOnNext, line: Line, _scale: float) -> None:
    line.close_on_next()


async def _go_down(step: GoDown, line: Line, scale: float) -> None:
    line.go_down(step.seconds * scale, step.how)


_SLOW: dict[type[Step], Callable[..., Awaitable[None]]] = {
    Wait: _wait,
    Drip: _drip,
    Beat: _beat,
    Hold: _hold,
    Fin: _fin,
    Reset: _reset,
    CloseIdle: _close_idle,
    CloseOnNext: _close_on_next,
    GoDown: _go_down,
}
