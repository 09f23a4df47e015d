"""What a task scores: its input as it is, or what preprocessing brings out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.formats.detect import is_data_file
from modelcall.state.listing import list_input
from modelcall.task_manager.preprocess_plan import PreprocessPlan
from modelcall.task_manager.preprocess_run import PreprocessRun

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.log import LogSettings
    from modelcall.state.listing import Listing
    from modelcall.task_manager.places import Places
    from modelcall.task_manager.preprocess_summary import PreprocessSummary
    from modelcall.task_manager.summary import Stop


class TaskInput:
    """The input of one start.

    Raises:
        ConfigError: Its preprocessor cannot be used.
    """

    def __init__(self, loaded: LoadedTask, places: Places, *, stop: Stop) -> None:
        self._loaded = loaded
        self._places = places
        self._stop = stop
        self._plan = _plan(loaded)
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
        run = PreprocessRun(self._plan, stop=self._stop, redo="changed" if fresh else "never", log=log, wait=shared)
        self.preprocessed = await run.run()
        if self.preprocessed.error is not None and self.preprocessed.signal is None:
            raise self.preprocessed.error
        return self.preprocessed.signal is None

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


def _plan(loaded: LoadedTask) -> PreprocessPlan | None:
    """Return what is to be preprocessed, if anything; what cannot be used is refused before there is a run."""
    if loaded.paths.preprocess is None:
        return None
    plan = PreprocessPlan(loaded.task.preprocess, loaded.paths.preprocess, loaded.storage, loaded.environment)
    plan.settings()
    return plan
