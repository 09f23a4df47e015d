"""The worker processes of one run: started, given jobs, heard, replaced when they die, ended."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from modelcall.engines.outbox import Outbox
from modelcall.engines.worker import SIGNALS, Came, Ended, Given, Stop, Told, Wanted, listen, serve
from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from modelcall.engines.base import Crew, OfJob, Work
    from modelcall.log import LogSettings

TRIES: Final = 3
"""How often a job is begun whose workers die without having got on with it, and how many workers in a row may die
before they are ready."""
MOST_TRIES: Final = 20
"""How often at all: what kills its workers may let them get on with other rows first."""


@dataclass(slots=True, eq=False)
class _Task:
    """A job, and how many workers have died with it."""

    job: Any
    deaths: int = 0
    """Without getting on in between."""
    all_deaths: int = 0
    is_offered: bool = False
    """Nobody waits for it: if its worker dies it is not done."""

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what kills workers: then it is done alone, so that no other job is blamed for it."""
        return self.deaths > 0

    def died(self) -> bool:
        """Count a death; return whether there were too many."""
        self.deaths += 1
        self.all_deaths += 1
        return self.deaths >= TRIES or self.all_deaths >= MOST_TRIES


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    """From 1, in the order in which they are started."""
    process: SpawnProcess
    connection: Connection
    """What it says is read from it."""
    outbox: Outbox
    held: list[_Task] = field(default_factory=list)
    """Given to it, and without a result so far."""
    was_ready: bool = False

    def tell(self, message: Given | Stop | Told) -> None:
        """Send a message, without waiting."""
        self.outbox.put(message)

    @property
    def is_alone(self) -> bool:
        """Whether it may do nothing beside what it holds."""
        return any(task.is_suspect for task in self.held)

    def may_take(self, task: _Task) -> bool:
        """Whether it may do a job beside those that it holds."""
        return not (self.held and task.is_suspect)

    def got_on(self) -> None:
        """What it holds is not what kills workers."""
        for task in self.held:
            task.deaths = 0

    def take(self, result: OfJob) -> None:
        """Note that a job has its result."""
        self.held.remove(next(task for task in self.held if task.job == result.job))


class Pool:
    """The workers of one run."""

    def __init__(
        self,
        work: Work[Any, Any],
        *,
        log: LogSettings | None,
        give_up: Callable[[Any, str], Any] | None,
        crew: Crew | None = None,
    ) -> None:
        self._crew = crew
        self._is_closed = False
        self._work = work
        self._log = log
        self._give_up = give_up
        self._left: deque[_Task] = deque()
        self._expecting: asyncio.Future[Sequence[Any]] | None = None
        self._workers: list[_Worker] = []
        self._started: list[_Worker] = []
        self._idle: deque[_Worker] = deque()
        self._events: asyncio.Queue[tuple[_Worker | None, Any]] = asyncio.Queue()
        self._false_starts = 0
        self.deaths = 0
        """Workers that ended before they had said so."""

    @property
    def is_busy(self) -> bool:
        """Whether results are still to come."""
        if not self._workers:
            return False
        return bool(self._expecting or self._left or any(worker.held for worker in self._workers))

    def expect(self, jobs: Awaitable[Sequence[Any]]) -> None:
        """Have jobs done as soon as they are found out."""
        self._expecting = asyncio.ensure_future(jobs)
        self._expecting.add_done_callback(self._found)

    def _found(self, jobs: asyncio.Future[Sequence[Any]]) -> None:
        self._expecting = None
        if not jobs.cancelled() and (error := jobs.exception()) is not None:
            self.fail(error)
            return
        if not jobs.cancelled():
            self.add(jobs.result())
        self._events.put_nowait((None, None))  # whoever waits for results looks again

    def add(self, jobs: Iterable[Any]) -> None:
        """Have more jobs done, before all that are left."""
        if not self._is_closed:
            self._left.extendleft(reversed([_Task(job) for job in jobs]))
            self._give()

    def offer(self, job: Any) -> bool:  # noqa: ANN401  a job
        """Have a job done now by a worker that has nothing to do; return whether there is any."""
        free = (worker for worker in self._idle if not worker.held)
        worker = None if self._is_closed else next(free, None)
        if worker is not None:
            self._hand(worker, _Task(job, is_offered=True))
        return worker is not None

    def close(self) -> None:
        """Give out no more jobs, and replace nobody: what is begun goes on."""
        self._is_closed = True
        self._left.clear()
        if self._expecting is not None:
            self._expecting.cancel()

    def fail(self, error: BaseException) -> None:
        """End the run with this error."""
        self._events.put_nowait((None, Ended(error)))

    def start_worker(self) -> None:
        """Start one more."""
        number = len(self._started) + 1
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, number, self._work, self._log), daemon=True)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the worker inherits it, until it ignores them
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
        worker = _Worker(number, process, ours, Outbox(ours))
        self._started.append(worker)
        self._workers.append(worker)
        listen(ours, partial(self._hear, worker))  # before anything is sent: it makes the connection as it must be
        if self._crew is not None:
            self._crew.joined(number, lambda message: worker.tell(Told(message)))

    def tell_all(self, message: Given | Stop) -> None:
        """Tell every worker."""
        for worker in self._workers:
            worker.tell(message)

    async def next_results(self) -> list[Any]:
        """Wait for the next thing that a worker says, and return the results in it."""
        worker, told = await self._events.get()
        match told:
            case Came(result) if worker is not None:
                worker.take(result)
                self._give()
                return [result]
            case Ended(error):
                self._forget(worker)
                if error is not None:
                    raise error
            case None if worker in self._workers:  # else it had said that it ended
                return list(await self._died(worker))
        return []

    async def last_results(self, seconds: float) -> AsyncGenerator[Any, None]:
        """Yield what workers still bring to an end; what else fails is of no matter any more."""
        deadline = asyncio.get_running_loop().time() + seconds
        self.close()
        while self.is_busy:
            try:
                async with asyncio.timeout_at(deadline):
                    results = await self.next_results()
            except TimeoutError:
                return
            except Exception:  # noqa: BLE001, S112  the run has its error
                continue
            for result in results:
                yield result

    async def wait(self, seconds: float) -> None:
        """Wait until all workers have ended; an error on their way out is raised."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._workers:
                    worker, told = await self._events.get()
                    if isinstance(told, Ended) or told is None:
                        self._forget(worker)
                    if isinstance(told, Ended) and told.error is not None:
                        raise told.error

    async def end(self, seconds: float) -> None:
        """Wait until all workers have ended, then kill what is left."""
        with suppress(Exception):  # what ends the run is known by now
            await self.wait(seconds)
        for worker in list(self._workers):
            worker.process.kill()
            self._forget(worker)
        for worker in self._started:
            await asyncio.to_thread(worker.process.join, seconds)
            await asyncio.to_thread(worker.outbox.join, seconds)

    def _give(self) -> None:
        """Give jobs to those who wait for one, as far as they may take any."""
        for worker in list(self._idle):
            task = None if worker.is_alone else next(filter(worker.may_take, self._left), None)
            if task is not None:
                self._left.remove(task)
                self._hand(worker, task)

    def _hand(self, worker: _Worker, task: _Task) -> None:
        self._idle.remove(worker)
        worker.held.append(task)
        worker.tell(Given(task.job))

    def _hear(self, worker: _Worker) -> None:
        """Take what a worker says. It gets its next job at once, whatever the reader of the results does meanwhile."""
        try:
            while worker.connection.poll():
                told = worker.connection.recv()
                if isinstance(told, Told):
                    if self._crew is not None and self._crew.told(worker.number, told.message):
                        worker.got_on()
                        self._give()
                elif isinstance(told, Wanted):
                    worker.was_ready = True
                    self._idle.append(worker)
                    self._give()
                else:
                    self._events.put_nowait((worker, told))
        except (EOFError, OSError):
            self._stop_hearing(worker)
            self._events.put_nowait((worker, None))

    @staticmethod
    def _stop_hearing(worker: _Worker) -> None:
        asyncio.get_running_loop().remove_reader(worker.connection.fileno())

    def _forget(self, worker: _Worker | None) -> None:
        if worker is None or worker not in self._workers:
            return
        self._workers.remove(worker)
        with suppress(ValueError):
            self._idle.remove(worker)
        self._stop_hearing(worker)
        worker.outbox.close()
        if self._crew is not None:
            self._crew.left(worker.number)

    async def _died(self, worker: _Worker) -> Iterator[Any]:
        """Replace a worker, and put what it held before all that is left; return the results of what is given up."""
        await asyncio.to_thread(worker.process.join)
        self._forget(worker)
        how = _how(worker.process.exitcode)
        self.deaths += 1
        if self._is_closed:
            return iter(())
        self._false_starts = 0 if worker.was_ready else self._false_starts + 1
        if self._false_starts == TRIES:
            raise FatalError(
                f"worker processes end before they are ready: the last one {how}",
                hint="See what they wrote to stderr, and whether this machine has memory left.",
            )
        held = [task for task in worker.held if not task.is_offered]
        lost = [task for task in held if task.died()]
        self._left.extendleft(task for task in reversed(held) if task not in lost)
        free = sum(not other.held for other in self._workers)
        if self._expecting or free < len(self._left):  # the others may not take what is suspect
            self.start_worker()
        self._give()
        return map(self._lost, lost, [how] * len(lost))

    def _lost(self, task: _Task, how: str) -> Any:  # noqa: ANN401  a result
        said = f"the worker process {how}, {task.all_deaths} times with this job"
        if self._give_up is None:
            raise FatalError(f"{task.job}: {said}")
        return self._give_up(task.job, said)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = " (this machine may be out of memory)" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
    return f"ended with code {code}"
