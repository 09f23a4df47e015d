"""The engine of many processes on this machine.

Each worker asks for a job when it is ready for one, so that fast ones do more. Processes are spawned, never forked:
threads and locks of the owner are not copied. A worker that dies (out of memory, killed) is replaced, and what it had
not finished is done again, a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelcall.engines.pool import Pool
from modelcall.engines.worker import Given, Stop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from modelcall.engines.base import Crew, Job, Result, Work
    from modelcall.log import LogSettings


class ProcessEngine:
    """Runs jobs in worker processes.

    Args:
        processes: How many at most; never more than there are jobs, if that is known.
        log: How workers log; None: they do not.
        give_up: Makes the result of a job whose workers keep dying, told how; without it that ends the run.
        grace_seconds: How long workers have to end when they are told to; then they are killed.
        crew: Looks after the workers, beside their jobs.
    """

    def __init__(
        self,
        processes: int,
        *,
        log: LogSettings | None = None,
        give_up: Callable[[Any, str], Any] | None = None,
        grace_seconds: float = 20.0,
        crew: Crew | None = None,
    ) -> None:
        self._processes = processes
        self._log = log
        self._give_up = give_up
        self._grace_seconds = grace_seconds
        self._crew = crew
        self._pool: Pool | None = None

    async def run(
        self, work: Work[Job, Result], jobs: Sequence[Job] | Awaitable[Sequence[Job]]
    ) -> AsyncGenerator[Result, None]:
        """Run every job once, or once more if its worker died. Jobs may still be found out while workers start.

        Raises:
            FatalError: Workers die before they are ready, or with the same job again and again.
        """
        self._pool = pool = Pool(work, log=self._log, give_up=self._give_up, crew=self._crew)
        try:
            processes = self._processes
            if isinstance(jobs, Sequence):
                processes = min(processes, len(jobs))
                pool.add(jobs)
            else:
                pool.expect(jobs)
            for _ in range(processes):
                pool.start_worker()
            while pool.is_busy:
                for result in await pool.next_results():
                    yield result
            pool.tell_all(Given(None))
            await pool.wait(self._grace_seconds)
        except Exception:
            if self._crew is not None:
                async for late in pool.last_results(self._crew.failing()):
                    yield late
            raise
        finally:
            pool.close()
            pool.tell_all(Stop())
            await pool.end(self._grace_seconds)

    def add(self, jobs: Sequence[Any]) -> None:
        """Have more jobs done in the run that goes on, before those that are left."""
        if self._pool is not None:
            self._pool.add(jobs)

    def offer(self, job: Any) -> bool:  # noqa: ANN401  a job
        """Have a job done now by a worker that has nothing to do; return whether there is any."""
        return self._pool is not None and self._pool.offer(job)

    def close(self) -> None:
        """Begin no more jobs in the run that goes on."""
        if self._pool is not None:
            self._pool.close()

    def fail(self, error: BaseException) -> None:
        """End the run that goes on with this error."""
        if self._pool is not None:
            self._pool.fail(error)

    @property
    def deaths(self) -> int:
        """How many workers ended before they had said so."""
        return self._pool.deaths if self._pool is not None else 0
