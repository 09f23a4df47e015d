"""Owning a shard while it is worked on: its lock, a heartbeat, and steps that a cancellation does not tear."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from modelcall.state.lock import BEAT_SECONDS, acquire

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.base import FileSystem
    from modelcall.state.lock import Lock

_T = TypeVar("_T")


class Ownership:
    """Holds the lock of a shard and shows that we live, as long as its block lasts.

    Raises:
        ConfigError: On entering: a living process holds it.
    """

    def __init__(self, fs: FileSystem, folder: str, *, facts: dict[str, Any]) -> None:
        self._fs = fs
        self._folder = folder
        self._facts = facts
        self._lock: Lock | None = None
        self._beating: asyncio.Task[None] | None = None

    @property
    def lock(self) -> Lock:
        """The lock; it was ours at least once."""
        assert self._lock is not None  # noqa: S101  it is there from the block's beginning
        return self._lock

    async def __aenter__(self) -> Self:
        """Take the lock; a cancellation meanwhile gives it back."""
        try:
            await to_its_end(self._acquire)
        except BaseException:
            await self._release()
            raise
        self._beating = asyncio.get_running_loop().create_task(_beat(self.lock))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Give it back."""
        await self._release()

    def when_lost(self, tell: Callable[[BaseException], object]) -> None:
        """Call ``tell`` with the error that ends the heartbeat, if somebody takes over."""
        assert self._beating is not None  # noqa: S101  as above

        def ended(beating: asyncio.Task[None]) -> None:
            if not beating.cancelled() and (error := beating.exception()) is not None:
                tell(error)

        self._beating.add_done_callback(ended)

    def _acquire(self) -> None:
        self._lock = acquire(self._fs, self._folder, facts=self._facts)

    async def _release(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._lock is not None:
            with suppress(OSError):  # our end sets it free as well
                await to_its_end(self._lock.release)


async def to_its_end(work: Callable[[], _T], *, stop: Callable[[], object] = lambda: None) -> _T:
    """Do blocking work; a cancellation meanwhile asks it to ``stop``, and is passed on when it has ended."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        stop()
        await asyncio.gather(doing, return_exceptions=True)
        raise


async def _beat(lock: Lock) -> None:
    """Show that we live until somebody has taken over (FatalError); a disk that refuses a beat may take the next."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        with suppress(OSError):
            await asyncio.to_thread(lock.beat)
