"""The worker processes of one run: started, given jobs, heard, replaced when they die, ended."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from modelcall.engines.worker import SIGNALS, Came, Ended, Given, Stop, Wanted, serve
from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from modelcall.engines.base import OfJob, Work
    from modelcall.log import LogSettings

TRIES: Final = 3
"""How often a job is begun whose worker dies; and how many workers in a row may die before they are ready."""


@dataclass(slots=True)
class _Task:
    """A job, and how many workers have died with it."""

    job: Any
    deaths: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    held: list[_Task] = field(default_factory=list)
    """Given to it, and without a result so far."""
    was_ready: bool = False

    def tell(self, message: Given | Stop) -> None:
        """Send a message; one that has died is noticed by its silence."""
        with suppress(OSError):
            self.connection.send(message)

    def take(self, result: OfJob) -> None:
        """Note that a job has its result."""
        self.held.remove(next(task for task in self.held if task.job == result.job))


class Pool:
    """The workers of one run."""

    def __init__(
        self,
        work: Work[Any, Any],
        jobs: Sequence[Any],
        *,
        log: LogSettings | None,
        give_up: Callable[[Any, str], Any] | None,
    ) -> None:
        self._work = work
        self._log = log
        self._give_up = give_up
        self._left = deque(map(_Task, jobs))
        self._workers: list[_Worker] = []
        self._started: list[SpawnProcess] = []
        self._idle: deque[_Worker] = deque()
        self._events: asyncio.Queue[tuple[_Worker, Any]] = asyncio.Queue()
        self._false_starts = 0

    @property
    def is_busy(self) -> bool:
        """Whether results are still to come."""
        return bool(self._workers) and bool(self._left or any(worker.held for worker in self._workers))

    def start_worker(self) -> None:
        """Start one more."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._work, self._log), daemon=True)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the worker inherits it, until it ignores them
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
        self._started.append(process)
        worker = _Worker(process, ours)
        self._workers.append(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, worker)

    def tell_all(self, message: Given | Stop) -> None:
        """Tell every worker."""
        for worker in self._workers:
            worker.tell(message)

    async def next_results(self) -> list[Any]:
        """Wait for the next thing that a worker says, and return the results in it."""
        worker, told = await self._events.get()
        match told:
            case Came(result):
                worker.take(result)
                return [result]
            case Ended(error):
                self._forget(worker)
                if error is not None:
                    raise error
            case None:
                return list(await self._died(worker))
        return []

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
        for process in self._started:
            await asyncio.to_thread(process.join, seconds)

    def _give(self) -> None:
        while self._left and self._idle:
            worker, task = self._idle.popleft(), self._left.popleft()
            worker.held.append(task)
            worker.tell(Given(task.job))

    def _hear(self, worker: _Worker) -> None:
        """Take what a worker says. It gets its next job at once, whatever the reader of the results does meanwhile."""
        try:
            while worker.connection.poll():
                told = worker.connection.recv()
                if isinstance(told, Wanted):
                    worker.was_ready = True
                    self._idle.append(worker)
                    self._give()
                else:
                    self._events.put_nowait((worker, told))
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(worker.connection.fileno())
            self._events.put_nowait((worker, None))

    def _forget(self, worker: _Worker) -> None:
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        with suppress(ValueError):
            self._idle.remove(worker)
        if not worker.connection.closed:
            asyncio.get_running_loop().remove_reader(worker.connection.fileno())
            worker.connection.close()

    async def _died(self, worker: _Worker) -> Iterator[Any]:
        """Replace a worker, and put what it held before all that is left; return the results of what is given up."""
        await asyncio.to_thread(worker.process.join)
        self._forget(worker)
        how = _how(worker.process.exitcode)
        self._false_starts = 0 if worker.was_ready else self._false_starts + 1
        if self._false_starts == TRIES:
            raise FatalError(
                f"worker processes end before they are ready: the last one {how}",
                hint="See what they wrote to stderr, and whether this machine has memory left.",
            )
        for task in worker.held:
            task.deaths += 1
        lost = [task for task in worker.held if task.deaths >= TRIES]
        self._left.extendleft(task for task in reversed(worker.held) if task.deaths < TRIES)
        if len(self._workers) < len(self._left):
            self.start_worker()
        self._give()
        return map(self._lost, lost, [how] * len(lost))

    def _lost(self, task: _Task, how: str) -> Any:  # noqa: ANN401  a result
        said = f"the worker process {how}, {task.deaths} times with this job"
        if self._give_up is None:
            raise FatalError(f"{task.job}: {said}")
        return self._give_up(task.job, said)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = " (this machine may be out of memory)" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
    return f"ended with code {code}"
