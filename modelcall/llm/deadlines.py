"""Time limits for many tasks at once, all equally long: they run out in the order they began, so one timer serves all.

The semantics are those of :func:`asyncio.timeout`; its cost, a timer of its own for each use, is a thirtieth of a
request's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Deadlines:
    """Makes deadlines that lie ``seconds`` ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """Return a deadline for the current task, to be entered at once: ``with deadlines.begin(): …``."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(self, loop.time() + self._seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.due, self._ring)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """Forget a deadline; with the last one the timer goes too."""
        del self._running[deadline]
        if not self._running and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for deadline in self._running:
            if deadline.due > now:
                self._timer = loop.call_at(deadline.due, self._ring)
                return
            deadline.pass_by()


class Deadline:
    """The time limit of one task's ``with`` block, which ends in :class:`TimeoutError` when it passes."""

    __slots__ = ("_all", "_cancelling", "_has_passed", "_task", "due")

    def __init__(self, deadlines: Deadlines, due: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  there is a running loop; for the type checker
        self._all = deadlines
        self._task = task
        self._cancelling = task.cancelling()
        self._has_passed = False
        self.due = due

    def pass_by(self) -> None:
        """Cut the task off, once."""
        if not self._has_passed:
            self._has_passed = True
            self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._all.end(self)
        if self._has_passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
