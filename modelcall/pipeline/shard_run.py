"""One shard's pass of a run: from its lock to the mark that says it went through all its files."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modelcall.fs.append import make_private_folder
from modelcall.pipeline.job import FileJob, FileResult, PartResult
from modelcall.pipeline.owning import Ownership, to_its_end
from modelcall.pipeline.recorded import refuse_edited, take_repaired
from modelcall.pipeline.site import Owned, Site
from modelcall.pipeline.tally import Tally
from modelcall.state.copies import Copies
from modelcall.state.journal import synced_earlier
from modelcall.state.place import refuse_elsewhere
from modelcall.state.run import FileVersion, note_runs
from modelcall.state.segments import file_key, retire_published
from modelcall.state.shard import (
    Progress,
    begin_retry,
    delete_finished,
    progress,
    refuse_finished,
    retry_since,
    shard_files,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence

    from modelcall.formats.unify import Unified
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.pipeline.job import JobResult
    from modelcall.pipeline.parts import Parts
    from modelcall.pipeline.runner import Runner, RunnerSettings
    from modelcall.pipeline.shard_place import Limits, ShardPlace
    from modelcall.state.listing import ListedFile
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord, RunStore, ShardKey
    from modelcall.state.segments import Segment
    from modelcall.types import RowScorer, RunListener


class ShardRun:
    """A shard's pass. Used once: ``async with run.lock(): …`` around what needs ownership."""

    def __init__(
        self,
        store: RunStore,
        chain: Sequence[RunRecord],
        shard: ShardKey,
        place: ShardPlace,
        *,
        limits: Limits,
        repaired: Mapping[str, ListedFile] | None = None,
    ) -> None:
        self._store = store
        self.chain = chain
        self.record = chain[0]
        self.shard = shard
        self._place = place
        self.to = place.to
        self.work_folder = place.stat.work(self.record, shard)
        self.copies: Copies | None = None
        """Of the journal, if the stat folder is in a store; known when progress is."""
        self._limits = limits
        self.repaired = repaired or {}
        self._ownership: Ownership | None = None
        self._is_new = False
        """This shard's first start in the run: nothing of it can be published."""
        self._retry_since = 0
        self.tally = Tally()

    def files(self) -> list[ListedFile]:
        """The files of this shard, as far as the debug limits let it go; repaired ones as they are now."""
        files = shard_files(self.record, self.shard.job_index)[: self._limits.files]
        return [self.repaired.get(file.name, file) for file in files]

    @asynccontextmanager
    async def owned(self, *, delete_existing: bool) -> AsyncIterator[None]:
        """Hold the shard's lock, joined to the run; the heartbeat goes on meanwhile.

        Raises:
            ConfigError: A living process holds it, finished output is in the way of a new run, or this shard's recorded
                answers are elsewhere.
        """
        place = self._place
        elsewhere = partial(refuse_elsewhere, self._store, self.record, self.shard)
        await to_its_end(partial(elsewhere, stat=place.stat, other=place.other_stat))
        facts = {"run": self.record.run, "world_size": self.record.world_size, "shard": str(self.shard)}
        async with Ownership(*self.to.lock(self.shard), facts=facts) as self._ownership:
            await to_its_end(partial(self._join, delete_existing=delete_existing))
            yield

    def _join(self, *, delete_existing: bool) -> None:
        """Take part in the run; the first time, an earlier run's output in the way is removed, or refused, as asked."""
        make_private_folder(self.work_folder.journals)
        stat = self._place.stat.path
        if self._store.has_joined(self.record, self.shard):
            if self._store.stat_folder(self.record, self.shard) != stat:
                self._store.join(self.record, self.shard, stat_folder=stat)
            return
        files = shard_files(self.record, self.shard.job_index)
        delete = delete_existing and self.record.extends is None
        refuse_finished(self.to, files, self.record.output_of, delete_existing=delete)
        if delete:
            delete_finished(self.to, map(self.record.output_of, files), run=self.record.run)
        note_runs(self.to.fs, self.to.state, self.chain)
        self._store.join(self.record, self.shard, stat_folder=stat)
        self._is_new = True

    def settled(self) -> Mapping[str, str] | None:
        """Return what was settled for this run, or for the run it extends. Blocking."""
        found = (self._store.settled(record) for record in self.chain)
        return next((settled for settled in found if settled is not None), None)

    def progress(self, *, retry: bool = False) -> Progress:
        """Tell what is left to do, count what is done, and clear away what a killed process left. Blocking.

        With ``retry``, rows that have failed so far are left to do from now on.

        Raises:
            ConfigError: An input file is not the one whose answers are recorded.
        """
        self._evict()
        self.sweep()
        self._restore()
        if retry:
            self._store.unmark_done(self.record, self.shard)
            begin_retry(self.work_folder.fs, self.work_folder.path, epoch=self._owned().lock.epoch)
        self._retry_since = retry_since(self.work_folder.fs, self.work_folder.path)
        left = Progress(tuple(self.files()), {}) if self._is_new else self._look_back()
        take_repaired(self._store, self.record, left.todo, self.repaired, folder=self.work_folder.journals)
        refuse_edited(self._place.input_fs, self.work_folder.journals, left.todo, run=self.record.run)
        self.tally.again = left.again
        return left

    def _look_back(self) -> Progress:
        """Tell what is left to do of a run that was begun."""
        published: list[str] = []

        def done(entry: Entry) -> None:
            self.tally.add(entry.rows, entry.failures, entry.dropped)
            self.tally.add_types(entry.output, entry.types)
            if entry.whole:
                published.append(entry.file)

        left = progress(
            self.to,
            self.files(),
            self.record.output_of,
            runs={record.run for record in self.chain},
            row_limit=self._limits.rows,
            done=done,
            retry_since=self._retry_since,
        )
        self._retire(published)
        return left

    def _restore(self) -> None:
        """Fetch what was recorded on machines that may be gone."""
        if self.work_folder.copies is not None:
            epoch = self._owned().lock.epoch
            self.copies = Copies(
                self.work_folder.fs, self.work_folder.copies, epoch=epoch, local=self.work_folder.journals
            )
            self.copies.restore()

    def _retire(self, published: Collection[str]) -> None:
        retire_published(self.work_folder.journals, published)
        if self.copies is not None:
            self.copies.retire({file_key(name) for name in published})

    def _evict(self) -> None:
        """Keep whoever owned this shard before from publishing, should it still be there and wake."""
        self._owned().lock.check()  # it may be us who slept
        outputs = [self.record.output_of(file) for file in shard_files(self.record, self.shard.job_index)]
        paths = (self.to.path, self.to.manifest.path, self.to.failed_list, self.to.history)
        self.to.fs.evict(path(output) for path in paths for output in outputs)

    def sweep(self) -> None:
        """Remove what writers that died left, where this shard writes; none may be at work. Blocking."""
        outputs = {self.to.path(self.record.output_of(file)).rpartition("/")[0] for file in self.files()}
        for folder in sorted(outputs):
            self.to.fs.sweep(folder, deep=False)
        self.to.fs.sweep(self.to.state, deep=True)
        self.work_folder.disk.sweep(self.work_folder.local, deep=True)
        self._store.sweep()

    def jobs(self, left: Progress) -> list[FileJob]:
        """Return the jobs for what is left to do."""
        return [
            FileJob(
                name=file.name,
                listed=file.stat,
                output=self.record.output_of(file),
                row_limit=self._limits.rows,
                republish=file.name in left.replaces,
                reopens=left.replaces.get(file.name),
                as_recorded=file.name in left.appeared,
            )
            for file in left.todo
        ]

    def runner(
        self,
        scorer: RowScorer,
        plan: ResultPlan,
        *,
        output_columns: tuple[str, ...] | None,
        unified: Unified | None = None,
        listener: RunListener,
        settings: RunnerSettings,
    ) -> Runner:
        """Build what scores and publishes this shard's files; it fails if the lock, which must be held, is lost."""
        runner = Site(self.told(), self._place.input_fs, self.to, self._place.stat, self.copies).runner(
            scorer, plan, output_columns=output_columns, unified=unified, listener=listener, settings=settings
        )
        self.when_lost(runner.fail)
        return runner

    def when_lost(self, tell: Callable[[BaseException], object]) -> None:
        """Call ``tell`` with what ends the run, if somebody takes the shard over."""
        self._owned().when_lost(tell)

    @property
    def input_fs(self) -> FileSystem:
        """The store of the input."""
        return self._place.input_fs

    def told(self, *, earlier: Mapping[str, list[Segment]] | None = None) -> Owned:
        """Return what a worker must know of this pass, with what the owners before are found to have recorded."""
        return Owned(
            record=replace(self.record, files=()),
            shard=self.shard,
            epoch=self._owned().lock.epoch,
            retry_since=self._retry_since,
            earlier=earlier or {},
            copied=self.copies is not None,
        )

    def earlier(self) -> dict[str, list[Segment]]:
        """Return what the owners before recorded, and sync it: they may have been killed before they did. Blocking."""
        return synced_earlier(self.work_folder.journals, before=self._owned().lock.epoch)

    def _owned(self) -> Ownership:
        assert self._ownership is not None, "the shard is not owned"  # noqa: S101  a mistake of the caller
        return self._ownership

    async def work(self, results: AsyncGenerator[JobResult, None], *, parts: Parts | None = None) -> None:
        """Take in the results of the jobs. Whatever ends this, the jobs have ended, too: the lock may be given back."""
        async with aclosing(results):
            async for result in results:
                of_file = parts.took(result) if isinstance(result, PartResult) and parts is not None else result
                if isinstance(of_file, FileResult):
                    await self._take(of_file)

    async def _take(self, result: FileResult) -> None:
        self.tally.unfinished -= 1
        if result.counts is not None:
            self.tally.add(result.counts.total, result.failures or {}, result.dropped)
            self.tally.add_types(result.job.output, result.types or {})
        else:
            self.tally.broken_files[result.job.name] = result.failure or "unknown"
            version = FileVersion(result.job.name, result.job.fingerprint, failed=True)
            await asyncio.to_thread(self._store.note_version, self.record, version)

    def mark_done(self) -> None:
        """Note that the shard went through all its files, unless limits left something out. Blocking."""
        if not self._limits.partial:
            facts = {"files": self.tally.files, "rows": self.tally.rows, "failed": self.tally.failed}
            self._store.mark_done(self.record, self.shard, facts)
