"""A semaphore whose limit may move while it is in use: the request permits of a run."""

from __future__ import annotations

import asyncio
from collections import deque

_LENT = "lent"


class Permits:
    """At most ``limit`` slots are held; waiters come in order, rows that wait for a retry before new ones.

    ``limit`` moves between 1 and ``ceiling`` (see :meth:`set_limit`); while a :meth:`pause` is in force nobody gets a
    slot. Lowering the limit takes no slot away: it holds back the next ones. One event loop; not thread-safe.

    Args:
        ceiling: The most that the user allows; it may be moved, too.
        most: Beyond it the ceiling cannot be moved: there are so many threads. None: no such bound.
    """

    def __init__(self, ceiling: int, *, most: int | None = None) -> None:
        self.ceiling = ceiling
        self.most = most
        self.limit = ceiling
        self.in_use = 0
        self.share = 1.0
        """Of what a minute allows the whole run; less than all if these are lent, see :meth:`lend`."""
        self._pauses: set[str] = set()
        self._new: deque[asyncio.Future[None]] = deque()
        self._again: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a slot now."""
        return len(self._new) + len(self._again)

    @property
    def paused(self) -> bool:
        """Whether any pause is in force."""
        return bool(self._pauses)

    async def take(self) -> Slot:
        """Wait for a slot and hold it."""
        await self._acquire(self._new)
        return Slot(self)

    def take_now(self) -> Slot | None:
        """Hold a slot if one is free and nobody waits for it."""
        if not self._free() or self._new or self._again:
            return None
        self.in_use += 1
        return Slot(self)

    def set_limit(self, limit: int) -> None:
        """Move the limit, clamped to 1…ceiling."""
        self.limit = max(1, min(limit, self.ceiling))
        self._wake()

    def set_ceiling(self, ceiling: int) -> None:
        """Move the ceiling, clamped to 1…``most``; a limit that stood at the old one goes along."""
        follows = self.limit >= self.ceiling
        self.ceiling = max(1, min(ceiling, self.most or ceiling))
        self.set_limit(self.ceiling if follows else self.limit)

    def lend(self, ceiling: int, *, of: int) -> None:
        """Hold to a part of a ceiling that several processes share; 0: nothing, until the next call."""
        self.share = ceiling / of
        if ceiling:
            self.set_ceiling(ceiling)
            self.resume(_LENT)
        else:
            self.pause(_LENT)

    def pause(self, reason: str = "") -> None:
        """Hand out nothing until :meth:`resume` with the same reason; several pauses add up."""
        self._pauses.add(reason)

    def resume(self, reason: str = "") -> None:
        """Lift the pause of this reason, if there is one."""
        self._pauses.discard(reason)
        self._wake()

    def _free(self) -> bool:
        return not self._pauses and self.in_use < self.limit

    async def _acquire(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._free() and not self._again and not self._new:
            self.in_use += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn  # whoever wakes us has counted our slot
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            elif turn in queue:  # a cancelled turn may have been passed over already
                queue.remove(turn)
            raise

    def _release(self) -> None:
        self.in_use -= 1
        self._wake()

    def _wake(self) -> None:
        while self._free():
            queue = self._again or self._new
            if not queue:
                return
            turn = queue.popleft()
            if not turn.done():
                self.in_use += 1
                turn.set_result(None)


class Slot:
    """One held slot of :class:`Permits`; it can be given back and taken again."""

    __slots__ = ("_permits", "held")

    def __init__(self, permits: Permits) -> None:
        self._permits = permits
        self.held = True

    def release(self) -> None:
        """Give the slot back. Without effect if it is not held."""
        if self.held:
            self.held = False
            self._permits._release()  # noqa: SLF001  a slot is half of its semaphore

    async def acquire(self) -> None:
        """Take a slot again, before rows that have not begun. Without effect if it is held."""
        if not self.held:
            await self._permits._acquire(self._permits._again)  # noqa: SLF001  as above
            self.held = True
