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

Work: TypeAlias = Callable[[AsyncIterator[Job]], AsyncGenerator[Result, None]]
"""Takes jobs as it becomes ready for them, yields one result of each as they end, in any order. Closed or cancelled, it
has ended: jobs that were not through have no result, and may be done again."""


class Engine(Protocol):
    """Runs all jobs and yields all results."""

    def run(self, work: Work[Job, Result], jobs: Sequence[Job]) -> AsyncGenerator[Result, None]:
        """Run every job once. An exception of ``work`` ends the run and is raised here; closing ends ``work``."""
