"""One pass over a shard's files: the scorer made, the runner fed, the ledger kept."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import orjson
import yaml

from modelcall.config.record import resolved_config
from modelcall.log import Message, say
from modelcall.observe.fanout import Fanout
from modelcall.pipeline.parts import Parts, is_countable, layout_of
from modelcall.pipeline.preflight import say_drift
from modelcall.pipeline.runner import RunnerSettings
from modelcall.pipeline.unify import schema_note, unified_in
from modelcall.registry import load
from modelcall.scorers.planning import settled
from modelcall.state.ledger import Ledger
from modelcall.task_manager.hand import HandSpec
from modelcall.task_manager.sharing import SharedPass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelcall.config.loading import LoadedTask
    from modelcall.formats.unify import Unified
    from modelcall.log import LogSettings
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.preflight import Seen
    from modelcall.pipeline.shard_run import ShardRun
    from modelcall.pipeline.unify import SchemaOfRun
    from modelcall.scorers.planning import MakeScorer, ScorerPlan
    from modelcall.state.listing import ListedFile
    from modelcall.state.run import RunStore
    from modelcall.state.shard import Progress
    from modelcall.task_manager.summary import Begins, Stop
    from modelcall.types import RowScorer, RunListener

_COLUMNS = "columns"
"""Beside what the scorer settles: the input columns that the prompt's placeholders may name."""


class Scoring:
    """What all passes of a start have in common."""

    def __init__(
        self,
        loaded: LoadedTask,
        plan: ScorerPlan,
        columns: ResultPlan,
        *,
        store: RunStore,
        look: Callable[[Sequence[ListedFile]], Seen],
        serve: Callable[[], tuple[str, ...]],
        listener: RunListener,
        begins: Begins | None,
        stop: Stop,
        schema: SchemaOfRun | None = None,
        retry: bool = False,
        log: LogSettings | None = None,
    ) -> None:
        self._log = log
        self._retry = retry
        self._schema = schema
        self._loaded = loaded
        self._task = loaded.task
        self._plan = plan
        self._columns = columns
        self._store = store
        self._look = look
        self._serve = serve
        self._listener = listener
        self._begins = begins
        self._stop = stop

    async def run(self, run: ShardRun) -> bool:
        """Score what is left of a shard's pass; return whether anything was.

        Raises:
            ConfigError: Another process works on it, or files cannot be used; no row was asked.
            FatalError: Going on is pointless; progress is kept.
        """
        async with run.owned(delete_existing=self._task.options.delete_existing):
            if self._schema is not None and run.repaired:  # else they are taken before they are seen to fit
                await asyncio.to_thread(self._schema.facts, run.chain, run.repaired)
            left = await asyncio.to_thread(partial(run.progress, retry=self._retry))
            _say_again(left, asked=self._retry)
            if left.todo:
                await self._score(run, left)
            if not self._stop.asked and not run.tally.unfinished:
                await asyncio.to_thread(run.mark_done)
                if left.todo:
                    await asyncio.to_thread(_tell_drift, run)
            return bool(left.todo)

    async def _score(self, run: ShardRun, left: Progress) -> None:
        run.tally.unfinished = len(left.todo)
        seen = await asyncio.to_thread(self._look, left.todo)
        self._warn_of_unknown(frozenset(seen.columns))
        await asyncio.to_thread(self._write_config, run)
        schema: Mapping[str, str] = {}
        if self._schema is not None:
            schema = await asyncio.to_thread(self._schema.facts, run.chain, run.repaired)
        is_again = len(left.replaces) == len(left.todo) and left.again > 0
        make = partial(self._plan.make, retry=is_again)
        settling = self._scorer(run, frozenset(seen.columns), make, schema=schema)
        scorer, known = await self._stop.unless_asked(settling) or (None, {})
        if scorer is None:
            return
        unified = await asyncio.to_thread(self._unified, run, known)
        jobs = run.jobs(left)
        workers = min(self._task.concurrency.workers, scorer.permits.ceiling)
        fs = run.input_fs
        parts = Parts(workers, layout=partial(layout_of, fs), is_countable=partial(is_countable, fs))
        split = partial(parts.split, jobs)
        if parts.foreseen(jobs) < workers:  # else they start while the lines of large files are being counted
            made = await asyncio.to_thread(split)
            workers, split = min(workers, len(made)), partial(list, made)
        try:
            if workers == 1:
                await self._work(run, scorer, left, jobs, unified=unified)
                return
        finally:
            await scorer.close()
        spec = await self._spec(run, known)
        share = partial(SharedPass, run, spec, workers=workers, permits=scorer.permits, log=self._log)
        with self._ledger(run) as listener:
            shared = share(listener=listener, watch=self._plan.is_judge and not is_again)
            if self._begins is not None:
                self._begins.pass_begins(left.todo, shared.crew, shared.crew)
            await shared.work(split, parts, stop=self._stop)

    async def _spec(self, run: ShardRun, known: Mapping[str, str]) -> HandSpec:
        return HandSpec(
            loaded=self._loaded,
            owned=run.told(earlier=await asyncio.to_thread(run.earlier)),
            plan=self._columns,
            settings=self._settings(),
            columns=frozenset(orjson.loads(known[_COLUMNS])),
            urls=await asyncio.to_thread(self._serve),
            known=known,
        )

    async def _scorer(
        self, run: ShardRun, columns: frozenset[str], make: MakeScorer, *, schema: Mapping[str, str]
    ) -> tuple[RowScorer, Mapping[str, str]]:
        """Make and open the scorer with what the first shard settled, which is returned too; this may be the first."""
        urls = await asyncio.to_thread(self._serve)
        known = await asyncio.to_thread(run.settled)
        if known is None:
            scorer, found = await settled(make(columns, urls), None)
            ours = {**found, _COLUMNS: orjson.dumps(sorted(columns)).decode(), **schema}
            async with AsyncExitStack() as stack:
                stack.push_async_callback(scorer.close)
                known = await asyncio.to_thread(self._store.settle, run.record, ours)
                if known == ours:
                    stack.pop_all()
                    return scorer, known
        scorer, _ = await settled(make(frozenset(orjson.loads(known[_COLUMNS])), urls), known)
        return scorer, known

    def _unified(self, run: ShardRun, known: Mapping[str, str]) -> Unified | None:
        """Return the schema that all outputs have, and tell it beside them; None: each has that of its input."""
        if self._schema is None:
            return None
        self._store.settle(run.record, known)  # of a run that adds files, too: they have been seen to fit
        run.to.fs.replace(f"{run.to.state}/schema.json", schema_note(known))
        return unified_in(known)

    async def _work(
        self, run: ShardRun, scorer: RowScorer, left: Progress, jobs: Sequence[FileJob], *, unified: Unified | None
    ) -> None:
        with self._ledger(run) as listener:
            runner = run.runner(
                scorer,
                self._columns,
                output_columns=self._task.data.output_columns,
                unified=unified,
                listener=listener,
                settings=self._settings(),
            )
            if self._begins is not None:
                self._begins.pass_begins(left.todo, scorer.permits, runner)
            self._stop.when_asked(runner.stop, drain=runner.drain)
            engine = load("engines", "inline").target()
            await run.work(engine.run(lambda given, _: runner.run(given), jobs))

    @contextmanager
    def _ledger(self, run: ShardRun) -> Iterator[RunListener]:
        """Have a listener that keeps the ledger, too."""
        ledger = Ledger(f"{run.work_folder.local}/ledger.log", interval=self._task.concurrency.parquet_save_interval)
        try:
            yield Fanout(self._listener, ledger)
        finally:
            ledger.close()

    def _settings(self) -> RunnerSettings:
        return RunnerSettings(
            max_concurrent_files=self._task.concurrency.max_concurrent_files,
            chunk_rows=self._task.concurrency.chunk_size,
            stop_at_bad_row=self._task.options.bad_rows == "stop",
            stop_at_failure=self._task.options.on_error == "stop",
            drop_failed=self._task.options.on_error == "drop",
            grace_seconds=self._task.options.grace_seconds,
        )

    def _warn_of_unknown(self, columns: frozenset[str]) -> None:
        for name, near in self._plan.unknown(columns).items():
            meant = f"; did you mean {{{near}}}?" if near else ""
            text = f"the prompt has {{{name}}}, but no input file has that column: it is sent as it is{meant}"
            say(Message.WARNING, text=text, cause=name)

    def _write_config(self, run: ShardRun) -> None:
        text = yaml.safe_dump(resolved_config(self._loaded), allow_unicode=True, sort_keys=False)
        run.to.fs.replace(f"{run.to.state}/config.{run.shard}.yaml", text.encode())


def _tell_drift(run: ShardRun) -> None:
    """List where the outputs of a shard differ in their input columns: they are no one dataset to every reader."""
    if drift := run.tally.drift:
        say_drift(drift, "output files")
        note = orjson.dumps(drift.as_json(), option=orjson.OPT_INDENT_2)
        run.to.fs.replace(f"{run.to.state}/drift.{run.shard}.json", note + b"\n")


def _say_again(left: Progress, *, asked: bool) -> None:
    """Tell how many failed rows are asked again, as this start or one that it continues was asked to."""
    if left.again:
        say(Message.RETRY_FAILED, rows=left.again, files=len(left.replaces))
    elif asked:
        say(Message.NO_RETRY)
    if asked and (unfinished := len(left.todo) - len(left.replaces)):
        say(Message.RETRY_UNFINISHED, files=unfinished)
