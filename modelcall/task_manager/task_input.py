"""What a task scores: its input as it is, or what preprocessing brings out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.formats.detect import is_data_file
from modelcall.registry import load
from modelcall.state.listing import list_input

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.log import LogSettings
    from modelcall.state.listing import Listing
    from modelcall.task_manager.places import Places
    from modelcall.task_manager.preprocess_plan import PreprocessPlan
    from modelcall.task_manager.preprocess_run import PreprocessRun
    from modelcall.task_manager.preprocess_summary import PreprocessSummary
    from modelcall.task_manager.summary import Stop


class TaskInput:
    """The input of one start; with a plan it is preprocessed first."""

    def __init__(self, loaded: LoadedTask, places: Places, plan: PreprocessPlan | None, *, stop: Stop) -> None:
        self._loaded = loaded
        self._places = places
        self._stop = stop
        self._plan = plan
        self._listing: Listing | None = None
        self.preprocessed: PreprocessSummary | None = None
        """What came of preprocessing, if the task has any."""

    async def prepare(self, *, fresh: bool, shared: bool, log: LogSettings | None) -> bool:
        """Preprocess what is left, once for all shards; return whether the start goes on.

        Raises:
            ConfigError: Nothing was started.
            FatalError: It cannot go on.
        """
        if self._plan is None:
            return True
        make = load("parts", "preprocess run").target
        run: PreprocessRun = make(
            self._plan, stop=self._stop, redo="changed" if fresh else "never", log=log, wait=shared
        )
        done = self.preprocessed = await run.run()
        if done.error is not None and done.signal is None:
            raise done.error
        return done.signal is None

    @property
    def is_preprocessed(self) -> bool:
        """Whether the task begins with preprocessing."""
        return self._plan is not None

    def listing(self) -> Listing:
        """List the input, once a start: of a folder that was preprocessed into, what this preprocessing brought out.

        Raises:
            ConfigError: There is nothing.
        """
        if self.preprocessed is not None and not self.preprocessed.outputs:
            name, reason = next(iter(self.preprocessed.failed.items()))
            raise ConfigError(f"no raw file could be preprocessed, the first is {name}: {reason}")
        if self._listing is None:
            listing = list_input(self._places.input_fs, self._loaded.paths.input, is_data=is_data_file)
            if self.preprocessed is not None:
                listing = listing.only(self.preprocessed.outputs)
            self._listing = listing
        return self._listing

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Names of files that are not scored."""
        return self._listing.passed_over if self._listing else ()
