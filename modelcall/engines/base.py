"""Where jobs run. Picklable jobs in, results out.

The unit of work is a module-level function that turns a stream of jobs into a stream of results; an engine decides in
how many processes or machines it runs, and which job goes to which.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar


class OfJob(Protocol):
    """What comes of a job; it says of which."""

    @property
    def job(self) -> Any:  # noqa: ANN401  whatever the work takes for a job
        """The job, equal to the one that was given out."""


Job = TypeVar("Job")
Result = TypeVar("Result", bound=OfJob)


class Channel(Protocol):
    """The line between one worker and who looks after it, beside jobs and results."""

    @property
    def worker(self) -> int:
        """Number of the worker among all that the run ever started, from 1; 0: it works in the owner's own process."""

    def tell(self, message: object) -> None:
        """Say something to the owner. Threads may do so."""

    def heed(self, hear: Callable[[Any], None]) -> None:
        """Call ``hear`` on the event loop with whatever the owner says, from the first message on."""


Work: TypeAlias = Callable[[AsyncIterator[Job], Channel], AsyncGenerator[Result, None]]
"""Takes jobs as it becomes ready for them, yields one result of each as they end, in any order. Closed or cancelled, it
has ended: jobs that were not through have no result, and may be done again."""


class Crew(Protocol):
    """Looks after the workers of a run while they work. Called on the event loop: implementations return at once."""

    def joined(self, worker: int, tell: Callable[[object], None]) -> None:
        """A worker is being started; ``tell`` says something to it."""

    def told(self, worker: int, message: Any) -> bool:  # noqa: ANN401  whatever its work tells
        """A worker said something; return whether its jobs have got on: it is not they that kill workers."""

    def left(self, worker: int) -> None:
        """A worker has ended, or died."""

    def failing(self) -> float:
        """An error ends the run. Tell the others to end what they have begun; return the seconds they may take."""


class Engine(Protocol):
    """Runs all jobs and yields all results."""

    def run(self, work: Work[Job, Result], jobs: Sequence[Job]) -> AsyncGenerator[Result, None]:
        """Run every job once. An exception of ``work`` ends the run and is raised here; closing ends ``work``."""
