"""Whether a refusal such as 401 is the run's end or one row's misfortune.

It ends the run before the first success, and when :data:`STREAK` distinct requests meet it without a success between.
Else it is the row's: proxies answer 403 to single documents. While that is open the request waits for the answer, so
that no row is recorded as failed for a key that was revoked. Of a refusal only requests that began after it tell: those
begun before may be answered for minutes after a key was revoked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from modelcall.errors import FatalError
from modelcall.llm.naps import ring

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from modelcall.llm.naps import Naps
    from modelcall.llm.verdicts import Fault

STREAK: Final = 5
"""Distinct requests in a row."""
PATIENCE: Final = 3.0
"""Seconds a request waits for others to tell whose fault it is."""


class FatalWatch:
    """Collects refusals that look fatal.

    Args:
        naps: Waits end when the client halts.
        halt: Is given the error that ends the run.
    """

    def __init__(self, *, naps: Naps, halt: Callable[[FatalError], None]) -> None:
        self._naps = naps
        self._halt = halt
        self._succeeded = False
        self._streak: dict[str, float] = {}
        """Requests refused, and when the refused attempt began."""
        self._open: dict[str, Future[None]] = {}

    def succeeded(self, started: float) -> None:
        """An attempt that began at ``started`` succeeded: refusals of earlier ones are the rows' own."""
        self._succeeded = True
        for request_id in [name for name, began in self._streak.items() if began < started]:
            del self._streak[request_id]
            if request_id in self._open:
                ring(self._open[request_id])

    async def judge(self, request_id: str, started: float, fault: Fault) -> None:
        """Return if the fault of an attempt that began at ``started`` is its request's own.

        Raises:
            FatalError: It is everybody's; the client has been halted.
        """
        self._streak[request_id] = started
        if len(self._streak) >= STREAK or not (self._succeeded or fault.verdict.may_be_row):
            self._end(fault)
        before = self._succeeded
        await self._wait(request_id)
        if not self._succeeded and not before:
            self._end(fault)

    async def _wait(self, request_id: str) -> None:
        loop = asyncio.get_running_loop()
        bell: Future[None] = loop.create_future()
        self._open[request_id] = bell
        timer = loop.call_later(PATIENCE, ring, bell)
        try:
            await self._naps.until(bell)
        finally:
            timer.cancel()
            del self._open[request_id]

    def _end(self, fault: Fault) -> None:
        self._halt(FatalError(fault.message, hint=fault.verdict.hint))
        self._naps.check()
