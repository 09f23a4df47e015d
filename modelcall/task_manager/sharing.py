"""A pass that many processes share: the crew made, the engine run, what it leaves behind cleared away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modelcall.log import Message, say
from modelcall.pipeline.job import FileResult, PartResult
from modelcall.registry import load
from modelcall.scorers.hopeless import HopelessWatch
from modelcall.task_manager.copying import CopyDesk
from modelcall.task_manager.crew import PUBLISHING_SECONDS, Crew
from modelcall.task_manager.hand import HandSpec, score_files
from modelcall.types import Steerable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelcall.config.loading import LoadedTask
    from modelcall.engines.processes import ProcessEngine
    from modelcall.log import LogSettings
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.parts import Parts
    from modelcall.pipeline.shard_run import ShardRun
    from modelcall.task_manager.summary import Stop
    from modelcall.types import PermitSource, RunListener


class SharedPass:
    """One pass over a shard's files by ``workers`` processes.

    Args:
        run: The pass; its lock is held.
        spec: What each worker is made from.
        permits: What the ceiling of all of them is taken from.
        listener: Is told what happens in all of them.
        watch: Whether most of the first rows may turn out hopeless, and the run end by that.
        log: How workers log.
    """

    def __init__(
        self,
        run: ShardRun,
        spec: HandSpec,
        *,
        workers: int,
        permits: PermitSource,
        listener: RunListener,
        watch: bool,
        log: LogSettings | None,
    ) -> None:
        grace = spec.settings.grace_seconds
        self._run = run
        self._workers = workers
        self.crew = Crew(
            ceiling=permits.ceiling,
            most=permits.most if isinstance(permits, Steerable) else None,
            listener=listener,
            watch=HopelessWatch() if watch else None,
            grace_seconds=grace,
        )
        files = max(1, spec.settings.max_concurrent_files // workers)
        settings = replace(spec.settings, max_concurrent_files=files)
        spec = replace(spec, settings=settings, loaded=_each(spec.loaded, workers))
        self._work = partial(score_files, spec=spec)
        self._engine: ProcessEngine = load("engines", "processes").target(
            workers, log=log, give_up=self._given_up, grace_seconds=grace + PUBLISHING_SECONDS, crew=self.crew
        )
        self.crew.engine = self._engine
        if run.copies is not None:
            self.crew.desk = CopyDesk(run.copies, run.work_folder.journals, fail=self.crew.fail)

    async def work(self, split: Callable[[], Sequence[FileJob]], parts: Parts, *, stop: Stop) -> None:
        """Do all jobs, which ``split`` finds out while workers start, and what they lead to.

        Raises:
            FatalError: Going on is pointless; what was answered is recorded.
        """
        parts.add, parts.failed = self._engine.add, self.crew.file_failed
        self._run.when_lost(self.crew.fail)
        stop.when_asked(self.crew.stop, drain=self.crew.drain)
        try:
            await self._run.work(self._engine.run(self._work, self._found(split, parts)), parts=parts)
        finally:
            if self.crew.desk is not None:
                await self.crew.desk.close()
            if self._engine.deaths:
                await asyncio.to_thread(self._run.sweep)

    async def _found(self, split: Callable[[], Sequence[FileJob]], parts: Parts) -> Sequence[FileJob]:
        jobs = await asyncio.to_thread(split)
        say(Message.WORKERS, processes=self._workers, jobs=len(jobs), parts=parts.count)
        return jobs

    def _given_up(self, job: FileJob, how: str) -> FileResult | PartResult:
        if job.part is not None:
            return PartResult(job, failure=how)
        self.crew.file_failed(job.name, how)
        return FileResult(job, failure=how)


def _each(loaded: LoadedTask, workers: int) -> LoadedTask:
    """Return the task as each of several workers begins it: limits that are found out are shared from the first on."""
    if loaded.model is None:
        return loaded
    begin, least = loaded.model.adaptive.start, loaded.model.adaptive.min
    share = {"start": begin and max(1, begin // workers), "min": max(1, least // workers)}
    adaptive = loaded.model.adaptive.model_copy(update=share)
    return replace(loaded, model=loaded.model.model_copy(update={"adaptive": adaptive}))
