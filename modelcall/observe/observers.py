"""Several observers as one listener, which none of them can harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from modelcall.log import Message, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from modelcall.types import FileCounts, Outcome, RowRef, RunListener


@runtime_checkable
class Ticking(Protocol):
    """An observer that time concerns."""

    def tick(self) -> None:
        """About a second has passed."""


@runtime_checkable
class Flushing(Protocol):
    """An observer that holds something back."""

    def flush(self) -> None:
        """The run is over: write what is left."""


class Observers:
    """Passes every event on to every observer.

    An observer's exception stays here: it is said once for that observer, which goes on being told.
    """

    def __init__(self, observers: Sequence[RunListener]) -> None:
        self._observers = tuple(observers)
        self._row_done = tuple((observer, observer.row_done) for observer in self._observers)
        self._client_event = tuple((observer, observer.client_event) for observer in self._observers)
        self._reported: set[int] = set()

    def file_started(self, file: str, *, recorded: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            self._call(observer, lambda told: told.file_started(file, recorded=recorded))

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Pass it on. Without closures: this is on the path of every row."""
        for observer, row_done in self._row_done:
            try:
                row_done(ref, outcome)
            except Exception as error:  # noqa: BLE001  an observer must not harm the run
                self._report(observer, error)

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Pass it on."""
        for observer in self._observers:
            self._call(observer, lambda told: told.file_done(file, counts))

    def file_failed(self, file: str, reason: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            self._call(observer, lambda told: told.file_failed(file, reason))

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Pass it on, as quickly: it comes with every answer."""
        for observer, client_event in self._client_event:
            try:
                client_event(name, facts)
            except Exception as error:  # noqa: BLE001  an observer must not harm the run
                self._report(observer, error)

    def tick(self) -> None:
        """Tell those whom time concerns."""
        for observer in self._observers:
            if isinstance(observer, Ticking):
                self._call(observer, lambda told: told.tick())

    def flush(self) -> None:
        """Let each write what it holds back."""
        for observer in self._observers:
            if isinstance(observer, Flushing):
                self._call(observer, lambda told: told.flush())

    def _call(self, observer: Any, event: Callable[[Any], None]) -> None:  # noqa: ANN401  any of three protocols
        try:
            event(observer)
        except Exception as error:  # noqa: BLE001  an observer must not harm the run
            self._report(observer, error)

    def _report(self, observer: object, error: Exception) -> None:
        if id(observer) not in self._reported:
            self._reported.add(id(observer))
            name = type(observer).__name__
            say(Message.OBSERVER_FAILED, observer=name, cause=name, error=f"{type(error).__name__}: {error}")


async def heartbeat(
    observers: Observers, *, seconds: float = 1.0, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Tick until cancelled."""
    while True:
        await sleep(seconds)
        observers.tick()
