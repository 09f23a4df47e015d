"""The workers of a pass as one: one ceiling, one pause, one listener, whatever process does the work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from modelcall.errors import FatalError
from modelcall.observe.relay import retell
from modelcall.pipeline.runner import FATAL_DRAIN_SECONDS
from modelcall.task_manager.crew_messages import (
    Cooled,
    Details,
    Drain,
    News,
    NoReader,
    Pause,
    ReaderWanted,
    Resume,
    Standing,
    StopRows,
)
from modelcall.task_manager.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelcall.engines.processes import ProcessEngine
    from modelcall.observe.relay import Event
    from modelcall.scorers.hopeless import HopelessWatch
    from modelcall.task_manager.copying import CopyDesk
    from modelcall.task_manager.crew_messages import Answered, Order
    from modelcall.task_manager.leases import Lease
    from modelcall.types import FileCounts, Outcome, Permit, RowRef, RunListener

UNHEARD_SECONDS: Final = 0.5
"""What a worker that died had in flight is lent to nobody for so long."""
PUBLISHING_SECONDS: Final = 20.0
"""A worker that has to end may take so much longer than its rows in flight: complete files are published."""


class _Hand:
    """A worker as its owner knows it. It is told no more than is heard of it: what waits for one would pile up."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        self.tell = tell
        self.standing = Standing()
        self.details = Details()
        self._lent = 0
        self._lease: Lease | None = None
        self.answered: Answered | None = None
        self.cooled: dict[str, Cooled] = {}
        """What other workers met, to be told when this one is heard of next."""

    def lend(self, lease: Lease) -> None:
        """Tell it its lease, as soon as it has heard of the last one."""
        self._lease = lease
        self._tell_lease()

    def heard(self, news: News) -> None:
        """Take in how it stands, and tell what has waited for that."""
        self.standing, self.details = news.standing, news.details or self.details
        self._tell_lease()
        if self.answered is not None:
            self.tell(self.answered)
            self.answered = None
        while self.cooled:
            self.tell(self.cooled.popitem()[1])

    def _tell_lease(self) -> None:
        if self._lease is not None and self.standing.lease == self._lent:
            self._lent = self._lease.number
            self.tell(self._lease)
            self._lease = None


class Crew:
    """Looks after the workers of a pass, and stands for all of them as permits and as rows in flight.

    Args:
        ceiling: Requests that all may have in flight.
        most: Beyond it the ceiling cannot be moved.
        listener: Is told what happens in all of them.
        watch: Sees the outcomes of the first rows; None: nobody does.
        grace_seconds: How long rows in flight may take when the run is to stop.
    """

    def __init__(
        self,
        *,
        ceiling: int,
        most: int | None,
        listener: RunListener,
        watch: HopelessWatch | None,
        grace_seconds: float,
    ) -> None:
        self.most = most
        self._listener = listener
        self._watch = watch
        self._grace_seconds = grace_seconds
        self._hands: dict[int, _Hand] = {}
        self._pauses: set[str] = set()
        self._started: set[str] = set()
        """Files that are begun and not over."""
        self._expected: dict[str, int] = {}
        self._stopping: Order | None = None
        self._leases = Leases(ceiling, lend=lambda worker, lease: self._hands[worker].lend(lease))
        self.engine: ProcessEngine | None = None
        """Runs the workers; to be set before it does."""
        self.desk: CopyDesk | None = None
        """Copies their journals, if the stat folder is in a store."""

    @property
    def ceiling(self) -> int:
        """What the user allows."""
        return self._leases.ceiling

    @property
    def limit(self) -> int:
        """Requests that all endpoints together may have in flight now."""
        return sum(hand.standing.limit for hand in self._hands.values())

    @property
    def in_use(self) -> int:
        """Requests in flight, a twentieth of a second ago."""
        return sum(hand.standing.in_use for hand in self._hands.values())

    async def take(self) -> Permit:
        """Rows are issued by the workers."""
        raise NotImplementedError

    def set_ceiling(self, ceiling: int) -> None:
        """Move the ceiling of all together."""
        self._leases.set_ceiling(max(1, min(ceiling, self.most or ceiling)))

    def pause(self, reason: str = "") -> None:
        """Begin no requests until :meth:`resume` with the same reason; workers that join later do not either."""
        self._pauses.add(reason)
        self._tell_all(Pause(reason))

    def resume(self, reason: str = "") -> None:
        """Lift a pause."""
        self._pauses.discard(reason)
        self._tell_all(Resume(reason))

    def stop(self) -> None:
        """Issue no more rows; let those in flight end within the grace period."""
        self._end(StopRows(self._grace_seconds))

    def drain(self) -> None:
        """Issue no more rows; let those in flight take as long as they need."""
        self._end(Drain())

    def failing(self) -> float:
        """Let the rows in flight end, which were paid for; return for how long the workers are waited for."""
        self._end(StopRows(FATAL_DRAIN_SECONDS))
        return FATAL_DRAIN_SECONDS + PUBLISHING_SECONDS

    def fail(self, error: BaseException) -> None:
        """End the run: something outside has made going on pointless."""
        if self.engine is not None:
            self.engine.fail(error)

    def _end(self, order: Order) -> None:
        self._stopping = order
        if self.engine is not None:
            self.engine.close()
        self._tell_all(order)

    def oldest(self, count: int) -> list[tuple[RowRef, float]]:
        """Return the rows that are in flight longest, about."""
        rows = [row for hand in self._hands.values() for row in hand.details.oldest]
        return sorted(rows, key=lambda row: -row[1])[:count]

    def expected_rows(self) -> dict[str, int]:
        """Return how many rows the files seem to have that are begun, by what was said last."""
        for hand in self._hands.values():
            self._expected |= {name: rows for name, rows in hand.details.expected.items() if name in self._started}
        return self._expected

    def joined(self, worker: int, tell: Callable[[object], None]) -> None:
        """A worker takes part; it learns what holds for all."""
        self._hands[worker] = _Hand(tell)
        for reason in self._pauses:
            tell(Pause(reason))
        if self._stopping is not None:
            tell(self._stopping)
        self._leases.joined(worker)

    def left(self, worker: int) -> None:
        """A worker takes part no more."""
        hand = self._hands.pop(worker, None)
        if hand is None:
            return
        if self.desk is not None:
            self.desk.died(worker)
        # Of one that died the server hears when it closes the connections, and has its requests until then.
        if hand.standing.in_use:
            self._leases.died(worker)
            asyncio.get_running_loop().call_later(UNHEARD_SECONDS, self._leases.left, worker)
        else:
            self._leases.left(worker)

    def told(self, worker: int, message: Any) -> bool:  # noqa: ANN401  one of the messages
        """Take in what a worker says; return whether it has got on with its rows."""
        hand = self._hands.get(worker)
        if hand is None:
            return False
        if isinstance(message, ReaderWanted):
            if self.engine is None or not self.engine.offer(message.job):
                hand.tell(NoReader(message.job))
            return False
        if not isinstance(message, News):
            if self.desk is not None:
                self.desk.heed(message, hand.tell)
            return False
        standing = message.standing
        hand.heard(message)
        cooled = {met.endpoint: met for met in _cooled(message.events)}
        for other in self._hands.values():
            if other is not hand:
                other.answered = standing.answered or other.answered
                other.cooled |= cooled
        self._leases.reported(worker, number=standing.lease, bound=standing.bound, need=standing.need)
        return retell(message.events, self) > 0

    def _tell_all(self, order: Order) -> None:
        for hand in self._hands.values():
            hand.tell(order)

    def file_started(self, file: str, *, recorded: int) -> None:
        """Pass it on, of a file that is scored in parts once."""
        if file not in self._started:
            self._started.add(file)
            self._listener.file_started(file, recorded=recorded)

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Pass it on; if most of the first rows are hopeless, the run ends."""
        self._listener.row_done(ref, outcome)
        if self._watch is not None:
            try:
                if not self._watch.begin():
                    self._watch = None
                else:
                    self._watch.end(outcome)
            except FatalError as error:
                self._watch = None
                self.fail(error)

    def _over(self, file: str) -> None:
        self._started.discard(file)
        self._expected.pop(file, None)

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Pass it on."""
        self._over(file)
        self._listener.file_done(file, counts)

    def file_failed(self, file: str, reason: str) -> None:
        """Pass it on."""
        self._over(file)
        self._listener.file_failed(file, reason)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Pass it on; of a limit that moved, what it comes to for all."""
        if name == "limit":
            facts = {**facts, "limit": self.limit, "ceiling": self.ceiling}
        self._listener.client_event(name, facts)


def _cooled(events: Sequence[Event]) -> Iterator[Cooled]:
    for event in events:
        if event[:2] == ("client_event", "cooldown"):
            yield Cooled(str(event[2]["endpoint"]), float(event[2]["seconds"]))
