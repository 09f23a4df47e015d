"""What stands beside an output about rows that failed: the list of those that did, the history of those asked again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from modelcall.pipeline.failed import FailedRows
from modelcall.pipeline.history import History

if TYPE_CHECKING:
    from modelcall.pipeline.job import FileJob
    from modelcall.state.shard import OutputFolder


class SideLists:
    """Both in the making; what is not committed leaves no trace."""

    def __init__(self, to: OutputFolder, job: FileJob) -> None:
        self.failed = FailedRows(to.fs, to.failed_list(job.output), file=job.name)
        self.history = History(to.fs, to.history(job.output), replaces=job.republish)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin; nothing is written yet."""
        self._stack.enter_context(self.failed)
        self._stack.enter_context(self.history)
        return self

    def __exit__(self, *exc: object) -> None:
        """Drop what was not committed."""
        self._stack.close()
