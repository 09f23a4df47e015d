"""One start of preprocessing: what is left to do is done on all cores, what was done before is kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from modelcall.data_processing.report import FileReport
from modelcall.errors import ConfigError, FatalError
from modelcall.formats.detect import is_data_file
from modelcall.fs.errors import not_started, stopping
from modelcall.log import Message, say
from modelcall.pipeline.owning import Ownership
from modelcall.pipeline.placement import check_folder
from modelcall.registry import load
from modelcall.task_manager.preprocess_files import raw_files, refuse_nested
from modelcall.task_manager.preprocess_plan import preprocess_files
from modelcall.task_manager.preprocess_state import Outputs, StatFolder, progress
from modelcall.task_manager.preprocess_summary import PreprocessSummary
from modelcall.task_manager.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from modelcall.data_processing.report import FileJob
    from modelcall.engines.base import Engine
    from modelcall.log import LogSettings
    from modelcall.task_manager.preprocess_files import RawFiles
    from modelcall.task_manager.preprocess_plan import PreprocessPlan
    from modelcall.task_manager.preprocess_state import Progress, Redo
    from modelcall.task_manager.summary import Stop

_WAIT_SECONDS = 2.0


class PreprocessRun:
    """One start of preprocessing."""

    def __init__(
        self,
        plan: PreprocessPlan,
        *,
        stop: Stop,
        redo: Redo = "never",
        log: LogSettings | None = None,
        wait: bool = False,
    ) -> None:
        self._stores = Stores(plan.storage, plan.environment)
        self._plan = plan if self._keeps_locks(plan) or plan.paths.stat else self._with_local_stat(plan)
        self._stop = stop
        self._redo: Redo = redo
        self._log = log
        self._wait = wait
        self._texts: set[str] = set()
        self._check_lock: Callable[[], None] = lambda: None

    async def run(self) -> PreprocessSummary:
        """Preprocess what is left.

        Raises:
            ConfigError: Nothing was started.
        """
        began = time.monotonic()
        summary = PreprocessSummary(self._plan.paths.output, self._plan.stat)
        try:
            raw, stat = await asyncio.to_thread(self._prepare)
        except OSError as error:
            raise not_started(error, at=self._plan.paths.raw) from error
        summary.passed_over = raw.passed_over
        complete = False
        try:
            async with self._owned():
                if not self._stop.asked:
                    await self._work(raw, stat, summary)
                    complete = not summary.left
                    summary.seconds = round(time.monotonic() - began, 3)
                    await asyncio.to_thread(stat.put_summary, summary.totals, self._facts(summary))
        except FatalError as error:
            summary.error = error
        except OSError as error:
            summary.error = stopping(error, "the storage fails")
        summary.signal = self._stop.signal
        if summary.error is None and self._stop.drained_by is not None and not complete:
            summary.error = self._stop.drained
        if summary.signal is None and summary.error is None:
            _say_done(summary)
        return summary

    def _keeps_locks(self, plan: PreprocessPlan) -> bool:
        return self._stores.at(plan.paths.output).capabilities.put_if_absent

    def _with_local_stat(self, plan: PreprocessPlan) -> PreprocessPlan:
        """Keep lock and reports on this machine where the store of the output cannot keep a lock."""
        return replace(plan, paths=replace(plan.paths, stat=self._stores.local_folder(plan.paths.output)))

    def _prepare(self) -> tuple[RawFiles, StatFolder]:
        """Look at everything before anything is written."""
        refuse_nested(self._plan)
        raw = raw_files(self._plan, self._stores.at(self._plan.paths.raw))
        check_folder(self._stores.at(self._plan.paths.output), self._plan.paths.output, key="output_dir")
        check_folder(self._stores.at(self._plan.stat), self._plan.stat, key="stat_dir")
        return raw, StatFolder(self._stores.at(self._plan.stat), self._plan.stat)

    @asynccontextmanager
    async def _owned(self) -> AsyncIterator[None]:
        """Hold the lock of the output folder; another shard of the same task is waited for."""
        beside = f"{self._plan.paths.output}/.modelcall/preprocess"
        folder = beside if self._keeps_locks(self._plan) else self._plan.stat
        fs = self._stores.at(folder)
        async with AsyncExitStack() as stack:
            waited = False
            while True:
                try:
                    own = Ownership(fs, f"{folder}/locks", facts={"preprocess": True})
                    self._check_lock = (await stack.enter_async_context(own)).lock.check
                    break
                except ConfigError as error:
                    if not self._wait:
                        raise
                    if not waited:
                        say(Message.PREPROCESS_WAITS, who=error.message)
                    waited = True
                await self._stop.unless_asked(asyncio.sleep(_WAIT_SECONDS))
                if self._stop.asked:
                    break
            yield

    async def _work(self, raw: RawFiles, stat: StatFolder, summary: PreprocessSummary) -> None:
        left = await asyncio.to_thread(self._progress, raw, stat, summary)
        summary.done_before, summary.left = len(left.done), len(left.todo)
        for report in left.done:
            summary.add(report)
        if left.done:
            say(Message.PREPROCESS_RESUMED, done=len(left.done), changed=left.changed)
        if left.todo:
            await asyncio.to_thread(stat.forget, left.again)
            await self._stop.unless_asked(self._do(left.todo, stat, summary))

    def _progress(self, raw: RawFiles, stat: StatFolder, summary: PreprocessSummary) -> Progress:
        fs, folder = self._stores.at(self._plan.paths.output), self._plan.paths.output
        fs.sweep(folder, deep=True)
        outputs = Outputs.look(fs, folder)
        summary.leftovers = sorted(name for name in outputs.sizes if is_data_file(name) and name not in raw.outputs)
        return progress(raw.jobs, stat, outputs, settings=self._plan.settings, redo=self._redo)

    async def _do(self, todo: Sequence[FileJob], stat: StatFolder, summary: PreprocessSummary) -> None:
        """Do files, the largest first, so that none is left over for one process at the end."""
        summary.processes = min(self._plan.config.num_proc, len(todo))
        places = {"raw": self._plan.paths.raw, "output": self._plan.paths.output}
        say(Message.PREPROCESS_STARTED, files=len(todo), processes=summary.processes, **places)
        work = partial(preprocess_files, plan=self._plan)
        jobs = sorted(todo, key=lambda job: (-job.size, job.name))
        async with aclosing(self._engine(summary.processes).run(work, jobs)) as reports:
            async for report in reports:
                await asyncio.to_thread(self._keep, stat, report)
                summary.left -= 1
                summary.add(report)
                self._say(report)

    def _keep(self, stat: StatFolder, report: FileReport) -> None:
        """Keep a report, unless somebody has taken over while this process slept."""
        self._check_lock()
        stat.put(report)

    def _engine(self, processes: int) -> Engine:
        if self._plan.config.num_proc == 1:
            inline: Engine = load("engines", "inline").target()
            return inline
        give_up = partial(_given_up, settings=self._plan.settings)
        engine: Engine = load("engines", "processes").target(processes, log=self._log, give_up=give_up)
        return engine

    def _say(self, report: FileReport) -> None:
        name = report.job.name
        if report.failure is not None:
            say(Message.FILE_FAILED, file=name, reason=report.failure)
            return
        if report.text_key is not None and report.text_key not in self._texts:
            self._texts.add(report.text_key)
            say(Message.PREPROCESS_TEXT, column=report.text_key, file=name)
        say(
            Message.PREPROCESS_FILE,
            file=name,
            rows_in=report.rows_in,
            rows_out=report.rows_out,
            tokens=report.tokens,
            seconds=report.seconds,
        )
        for reason, count in report.dropped.items():
            say(Message.PREPROCESS_DROPPED, count=count, reason=reason)
        for note in report.notes:
            say(Message.WARNING, text=note, cause=note.partition(": ")[2])
        if report.bad_rows:
            text = (
                f"{name}: {report.bad_rows} line(s) hold no row and are rows of nulls now; {report.bad_row_reasons[0]}"
            )
            say(Message.WARNING, text=text, cause="bad rows")

    def _facts(self, summary: PreprocessSummary) -> Mapping[str, Any]:
        return {
            "raw": self._plan.paths.raw,
            "output": self._plan.paths.output,
            "settings": self._plan.settings,
            "processes": summary.processes,
            "elapsed": summary.seconds,
            "files_left": summary.left,
            "failures": summary.failed,
            "leftovers": list(summary.leftovers),
        }


def _say_done(summary: PreprocessSummary) -> None:
    totals = summary.totals
    say(
        Message.PREPROCESS_DONE,
        files=totals.files,
        failed=totals.failed_files,
        rows_in=totals.rows_in,
        rows_out=totals.rows_out,
        seconds=summary.seconds,
    )


def _given_up(job: FileJob, how: str, *, settings: Mapping[str, str]) -> FileReport:
    return FileReport(job, settings, failure=how)
