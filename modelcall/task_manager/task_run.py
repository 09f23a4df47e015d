"""One start of one task: which run it belongs to, and its passes over this shard's files."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import orjson

from modelcall.config.paths import placeholders_in
from modelcall.errors import ConfigError, FatalError
from modelcall.fs.errors import not_started, stopping
from modelcall.pipeline.placement import check_folder, check_placement
from modelcall.pipeline.preflight import look, require_column, say_drift
from modelcall.pipeline.shard_place import Limits, ShardPlace
from modelcall.pipeline.shard_run import ShardRun
from modelcall.pipeline.unify import UNIFIED, SchemaOfRun
from modelcall.state.lock import refuse_owned
from modelcall.state.run import ShardKey
from modelcall.state.shard import refuse_finished, shard_files
from modelcall.state.start import Start, StartRequest, begin
from modelcall.task_manager.places import parts
from modelcall.task_manager.plans import plan_task
from modelcall.task_manager.scoring import Scoring
from modelcall.task_manager.summary import Summary
from modelcall.task_manager.task_input import TaskInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from modelcall.config.loading import LoadedTask
    from modelcall.log import LogSettings
    from modelcall.pipeline.preflight import Seen
    from modelcall.state.listing import ListedFile
    from modelcall.state.run import RunRecord, RunStore
    from modelcall.state.shard import OutputFolder
    from modelcall.task_manager.summary import Begins, Invocation, Stop
    from modelcall.types import RunListener


class TaskRun:
    """One start of one task."""

    def __init__(
        self,
        loaded: LoadedTask,
        invocation: Invocation,
        *,
        listener: RunListener,
        stop: Stop,
        now: datetime,
        begins: Begins | None = None,
    ) -> None:
        self._loaded = loaded
        self._task = loaded.task
        self._invocation = invocation
        self._listener = listener
        self._begins = begins
        self._stop = stop
        self._now = now
        plans = plan_task(loaded, invocation, listener.client_event)
        self.shard = plans.shard
        self._plan = plans.scorer
        self._columns = plans.columns
        self._places = plans.places
        self._server = plans.server
        self._num_runs = self._task.distributed.num_runs if self._task.distributed.enabled else 1
        self._input = TaskInput(loaded, plans.places, plans.preprocess, stop=stop)
        self._schema: SchemaOfRun | None = None
        self._seen: Seen | None = None
        self._served: tuple[str, ...] = ()

    async def run(self, *, log: LogSettings | None = None) -> Summary:
        """Do what the start means; ``log`` is for worker processes.

        Raises:
            ConfigError: Nothing was started.
            FatalError: Preprocessing cannot go on, or it was to stop before anything was begun.
        """
        self._places.check(world_size=self.shard.world_size, workers=self._task.concurrency.workers)
        if self._begins is not None and self._input.is_preprocessed:
            self._begins.preprocessing_begins(self._summary(None))
        if not await self._input.prepare(fresh=self._invocation.fresh, shared=self.shard.world_size > 1, log=log):
            summary = self._summary(None)
            summary.signal = self._stop.signal
            return summary
        try:
            store = await asyncio.to_thread(self._places.store)
            self._schema = self._unify(store)
            start = await asyncio.to_thread(self._begin, store)
        except FatalError as error:
            if self._stop.asked:
                raise
            raise ConfigError(error.message, hint=error.hint) from error
        except OSError as error:
            raise not_started(error, at=self._loaded.paths.output) from error
        summary = self._summary(start)
        if self._begins is not None:
            self._begins.run_begins(summary)
        with ExitStack() as servers:
            scoring = Scoring(
                self._loaded,
                self._plan,
                self._columns,
                store=store,
                look=self._look,
                serve=lambda: self._serve(servers),
                listener=self._listener,
                begins=self._begins,
                stop=self._stop,
                schema=self._schema,
                retry=self._invocation.retry,
                log=log,
            )
            try:
                await self._passes(store, start, scoring, summary)
            except FatalError as error:
                summary.error = error
            except OSError as error:
                summary.error = stopping(error, "the storage fails")
        summary.signal = self._stop.signal
        if summary.error is None and self._stop.drained_by is not None and summary.unfinished:
            summary.error = self._stop.drained
        return summary

    async def _passes(self, store: RunStore, start: Start, scoring: Scoring, summary: Summary) -> None:
        chain = await asyncio.to_thread(store.chain, start.record)
        debug = self._task.debug
        limits = Limits(debug.max_files, debug.max_items_per_file) if debug.enabled else Limits()
        for run_index, (to, path) in enumerate(self._places.outputs(start.record), 1):
            summary.outputs.append(path)
            mine = {"job_index": self.shard.job_index, "world_size": self.shard.world_size}
            for part, shard in parts(chain, run_index, **mine):
                if self._stop.asked:
                    summary.cut = True
                    return
                run = ShardRun(store, part, shard, self._shard_place(to), limits=limits, repaired=start.repaired)
                summary.passes.append(run.tally)
                summary.worked |= await scoring.run(run)
                if run.tally.failed:
                    summary.failed_lists += await asyncio.to_thread(_failed_lists, to)

    def _shard_place(self, to: OutputFolder) -> ShardPlace:
        places = self._places
        return ShardPlace(places.input_fs, to, places.stat_folder(to), places.other_stat_folder)

    def _begin(self, store: RunStore) -> Start:
        output = self._loaded.paths.output
        request = StartRequest(
            fresh=self._invocation.fresh,
            resume=self._task.options.resume,
            dated="timestamp" in placeholders_in(output),
            job_index=self.shard.job_index,
            world_size=self.shard.world_size,
            num_runs=self._num_runs,
            identity=self._identity(),
            input=self._loaded.paths.input,
            output_format=self._task.data.output_format,
            output_file=output.rpartition("/")[2] if self._places.single else None,
            now=self._now,
            retry=self._invocation.retry,
        )
        return begin(store, request, list_input=self._input.listing, before_create=self._check_before)

    def _identity(self) -> dict[str, str]:
        data = self._task.data
        added = {name: str(kind) for name, kind in self._columns.columns(self._plan.columns or {}).items()}
        drop = {"options.on_error": "drop"} if self._task.options.on_error == "drop" else {}
        return {
            **self._plan.identity,
            **drop,
            **({UNIFIED: "true"} if data.unify_schema else {}),
            "data.input_folder": self._loaded.paths.input,
            "data.output_format": data.output_format,
            "data.output_columns": orjson.dumps(data.output_columns).decode(),
            "set of result columns": orjson.dumps(added).decode(),
        }

    def _unify(self, store: RunStore) -> SchemaOfRun | None:
        """Return what settles the schema of all outputs; None: each has that of its input."""
        if not self._task.data.unify_schema:
            return None
        fs = self._places.input_fs
        return SchemaOfRun(fs, store, self._columns, stopped=lambda: self._stop.asked)

    def _check_before(self, record: RunRecord) -> None:
        """Refuse a new run before anything of it is written, while another process works here above all.

        That one, killed, goes on with the newest run: it must find its own.
        """
        files = shard_files(record, self.shard.job_index)
        outputs = [to for to, _ in self._places.outputs(record)]
        for run_index, to in enumerate(outputs, 1):
            refuse_owned(*to.lock(ShardKey(run_index, self.shard.job_index)))
        seen = self._look(files)
        for name in self._task.data.output_columns or ():
            require_column(name, seen, key="data.output_columns", what="is to be kept")
        if self._loaded.paths.stat:
            stat = self._places.stat_folder(outputs[0])
            check_folder(stat.fs, stat.path, key="data.stat_folder")
        for to in outputs:
            check_placement(record, to.folder)
            if check_folder(to.fs, to.folder, key="data.output_folder"):  # else nothing can be in the way
                delete = self._task.options.delete_existing and record.extends is None
                refuse_finished(to, files, record.output_of, delete_existing=delete)
        if self._schema is not None:
            self._schema.facts(self._places.store().chain(record), {})
        self._places.warn()

    def _look(self, files: Sequence[ListedFile]) -> Seen:
        """Look at input files, once a start."""
        if self._seen is None:
            wanted = self._task.data.output_columns if self._schema is None else None
            seen = look(self._places.input_fs, files, self._columns, wanted=wanted)
            if self._plan.needed:
                require_column(self._plan.needed, seen)
            if seen.drift and self._schema is None:
                say_drift(seen.drift, "input files")
            self._seen = seen
        return self._seen

    def _summary(self, start: Start | None) -> Summary:
        """Return a summary to begin with; without a start there is no run yet."""
        return Summary(
            how=start.how if start else "preprocessing",
            run=start.record.run if start else "",
            timestamp=start.record.timestamp if start else "",
            shard=self.shard,
            max_failed_ratio=self._task.options.max_failed_ratio,
            planned=tuple(path for _, path in self._places.outputs(start.record)) if start else (),
            retry=self._invocation.retry,
            waiting=start.waiting if start else (),
            preprocess=self._input.preprocessed,
            passed_over=self._input.passed_over,
        )

    def _serve(self, servers: ExitStack) -> tuple[str, ...]:
        """Start the embedded server if the task asks for it, once for all passes; return its URL."""
        if self._server is not None and not self._served:
            self._served = (servers.enter_context(self._server).base_url,)
        return self._served


def _failed_lists(to: OutputFolder) -> list[str]:
    return [to.failed_lists] if to.fs.exists(to.failed_lists) else []
