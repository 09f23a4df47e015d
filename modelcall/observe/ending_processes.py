"""Ends runs: only processes that are proven to be theirs, by number and start time, and first of all gracefully."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelcall.observe.status_file import Record

SLACK: Final = 5.0
"""Seconds beyond a run's own grace period after which it has ended in any case."""
_KILLING: Final = 1.0
"""Of these, the last, for what does not react."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A process that is a run's: whatever number it has, a signal reaches no other one."""

    record: Record
    descriptor: int

    def send(self, number: int) -> None:
        """Send a signal; without effect if the process has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def has_ended(self, *, within: float) -> bool:
        """Whether it has, or does so within some seconds."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, within) * 1000))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def proven(record: Record) -> Handle | None:
    """Return a hold on the process of a run; None if it has ended, or cannot be proven to be the run's.

    The proof comes after the hold: from then on the number cannot be another process's.
    """
    try:
        descriptor = os.pidfd_open(record.process.pid)
    except OSError:
        return None
    handle = Handle(record, descriptor)
    if record.is_here and record.process.is_alive:
        return handle
    handle.close()
    return None


def end_all(handles: Sequence[Handle], *, clock: Callable[[], float] = time.monotonic) -> list[Handle]:
    """Ask all to end, wait, and kill those that do not; return the killed ones. Blocking."""
    began = clock()
    for handle in handles:
        handle.send(signal.SIGTERM)
        handle.send(signal.SIGCONT)  # one that is suspended could not react
    killed = []
    for handle in sorted(handles, key=lambda one: one.record.status.identity.grace_seconds):
        until = began + handle.record.status.identity.grace_seconds + SLACK - _KILLING
        if not handle.has_ended(within=until - clock()):
            handle.send(signal.SIGKILL)
            handle.has_ended(within=_KILLING)
            killed.append(handle)
        handle.close()
    return killed
