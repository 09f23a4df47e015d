"""Publishing: the input once more, untouched, beside the journal's outcomes, into a file that appears whole.

In this order: all bytes are written under a temporary name; the input is seen to be unchanged and the lock to be ours;
failures that were asked again go into the history; the commit gives the file its name, then the list of failed rows;
the manifest entry says what it is. The journal is retired by the caller after that. Where an output is replaced, its
entry announces the coming one before the commit, so that at any time it tells what stands there.
A crash anywhere repeats work and loses nothing: the same journal gives the same bytes.

An owner that is put to sleep between its last look at the lock and a commit, and replaced meanwhile, wakes without its
temporary files: its successor has evicted them, so the commit finds nothing to give the name to.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import compress, islice
from typing import TYPE_CHECKING

from modelcall.errors import FatalError, FileFailure
from modelcall.formats.detect import file_type
from modelcall.formats.results import results_batch
from modelcall.formats.unify import type_names
from modelcall.pipeline.columns import clash
from modelcall.pipeline.settle import as_text, settle_columns
from modelcall.pipeline.side_lists import SideLists
from modelcall.pipeline.table import kept, kept_schema, open_table
from modelcall.state.manifest import Entry, checksum
from modelcall.state.row_set import RowSet
from modelcall.types import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    import pyarrow as pa

    from modelcall.formats.base import Source, TableWriter, Writable
    from modelcall.fs.base import Sink
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.pipeline.input import InputFiles
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.read_ahead import ReadAhead
    from modelcall.pipeline.table import Table
    from modelcall.state.file_journal import FileJournal
    from modelcall.state.lock import Lock
    from modelcall.state.shard import OutputFolder
    from modelcall.types import Columns, Outcome


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a shard publishes, and what its manifest entries say of the run."""

    output: OutputFolder
    lock: Lock
    facts: Mapping[str, Any]
    """``run``, ``run_number``, ``job_index``, ``world_size``."""
    scratch: str
    """Local folder for sorted runs of large journals."""


class Cancelled(Exception):  # noqa: N818  a signal, not an error
    """Publishing was cut off because the run stops."""


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    dropped: RowSet = field(default_factory=RowSet)

    def add(self, outcomes: Iterable[Outcome], *, drop: bool) -> None:
        for outcome in outcomes:
            if outcome.error_type is not None:
                self.failures[str(outcome.error_type)] += 1
                if drop:
                    self.dropped.add(self.rows)
            self.rows += 1


class Publisher:
    """Publishes complete files. Blocking; several threads may publish at a time."""

    def __init__(
        self,
        inputs: InputFiles,
        destination: Destination,
        plan: ResultPlan,
        *,
        output_columns: tuple[str, ...] | None = None,
        drop_failed: bool = False,
        ahead: ReadAhead | None = None,
    ) -> None:
        self._inputs = inputs
        self._drop_failed = drop_failed
        self._to = destination
        self._plan = plan
        self._output_columns = output_columns
        self._ahead = ahead
        self._cancelled = threading.Event()
        self.added = frozenset(plan.names())

    def cancel(self) -> None:
        """Cut off what is being published; nothing of it remains."""
        self._cancelled.set()

    def publish(self, job: FileJob, source: Source, journal: FileJournal, *, rows: int) -> Entry:
        """Publish a file of ``rows`` rows, all of them recorded, and return its manifest entry.

        ``source`` is what the rows were read from: it may know already what publishing would have to find out.

        Raises:
            FatalError: The input changed, the journal is damaged, or another process owns the shard now.
            FileFailure: The output's name is taken by a file that is not ours.
        """
        self._inputs.reopen(job)
        path = self._to.output.path(job.output)
        try:
            with (
                self._evicted(),
                self._to.output.fs.sink(path, overwrite=job.republish) as sink,
                SideLists(self._to.output, job) as lists,
            ):
                hashed = _HashingSink(sink)
                tally, details = self._write(job, source, journal, hashed, lists)
                if tally.rows != rows:
                    raise FatalError(f"{job.path}: has {tally.rows} rows now, had {rows} when it was scored")
                entry = self._entry(job, tally, hashed, details)
                if not entry.whole:
                    self._to.output.manifest.announce(entry)
                self._inputs.check(job, content=journal.content)
                self._to.lock.check()
                lists.history.commit()
                if job.republish:
                    self._announce(entry)
                self._commit(sink, path, entry)
                lists.failed.commit()
            with self._evicted():
                self._to.output.manifest.put(entry, check=self._to.lock.check)
        finally:
            source.close()
        return entry

    def source_of(self, job: FileJob) -> tuple[Source, pa.Schema]:
        """Open a file, and return it with the schema that its columns have in the output."""
        source = self._inputs.open(job)
        return source, kept_schema(source, self._output_columns, name=job.name)

    @contextmanager
    def _evicted(self) -> Iterator[None]:
        """Say that we were replaced if that may be why files of ours are gone, or others stand in their place."""
        try:
            yield
        except (OSError, FatalError, FileFailure):
            self._to.lock.check()
            raise

    def unless_cancelled(self, outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[tuple[int, Outcome]]:
        """Pass outcomes on, as long as the run does not stop."""
        for numbered in outcomes:
            if self._cancelled.is_set():
                raise Cancelled
            yield numbered

    def _announce(self, entry: Entry) -> None:
        """Note in the manifest what takes the place of an output, beside what stands there now."""
        to = self._to.output
        last = to.manifest.get(entry.output)
        if last is not None:
            found = checksum(to.fs, to.path(entry.output)) if last.replacing else None
            standing = [other for other in last.replacing if other.sha256 == found]
            to.manifest.put(replace(last, replacing=(*standing[:1], entry)), check=self._to.lock.check)

    def _write(
        self, job: FileJob, source: Source, journal: FileJournal, sink: Writable, lists: SideLists
    ) -> tuple[_Tally, dict[str, Any]]:
        scorer, texts = self._scorer_columns(journal)
        added = self._plan.columns(scorer)
        with ThreadPoolExecutor(1, "modelcall-encoder") as encoder:  # ends before the sink, whatever happens
            table = open_table(
                source,
                sink,
                name=job.name,
                target=file_type(job.output).format,
                wanted=self._output_columns,
                added=added,
                row_limit=job.row_limit,
                check=lambda names: _refuse(job.name, clash(self._plan, names)),
                encoder=encoder,
            )
            with self._read_ahead(table, job, source) as rows:
                tally = self._fill(rows, table.writer, journal, lists, scorer=scorer, added=added, texts=texts)
            table.writer.close()
        details = {
            "columns": tuple(added),
            "json_text_columns": table.json_text_columns,
            "json_text_results": tuple(self._plan.prefix + name for name in texts),
            "blank_lines": source.blank_lines,
            "types": {} if table.schema is None else type_names(table.schema),
        }
        return tally, details

    @contextmanager
    def _read_ahead(self, table: Table, job: FileJob, source: Source) -> Iterator[Iterator[Any]]:
        """Have the rows of a table read by a worker that is free, if that is as much work as all else."""
        takes_long = job.rows is not None and file_type(job.name).format == "jsonl"
        if self._ahead is None or table.schema is None or not takes_long:
            yield table.rows
            return
        with closing(self._ahead.batches(job, source, table.schema)) as rows:
            yield rows

    def _fill(
        self,
        chunks: Iterator[Any],
        writer: TableWriter,
        journal: FileJournal,
        lists: SideLists,
        *,
        scorer: Columns,
        added: Columns,
        texts: list[str],
    ) -> _Tally:
        tally = _Tally()
        outcomes = journal.outcomes(self._to.scratch, superseded=lists.history.add)
        for rows in chunks:
            if self._cancelled.is_set():
                raise Cancelled
            some = _take(outcomes, tally.rows, len(rows), journal)
            lists.failed.add(tally.rows, some)
            tally.add(some, drop=self._drop_failed)
            if self._drop_failed:
                keep = [outcome.error_type is None for outcome in some]
                rows, some = kept(rows, keep), list(compress(some, keep))  # noqa: PLW2901  what is left of them
            if texts:
                some = [as_text(outcome, texts) for outcome in some]
            writer.write(rows, results_batch(added, self._plan.values(some, scorer)))
        return tally

    def _scorer_columns(self, journal: FileJournal) -> tuple[Columns, list[str]]:
        """Return the scorer's columns, and those whose values are to be written as JSON text."""
        if self._plan.scorer is not None:
            return self._plan.scorer, []
        columns = settle_columns(outcome for _, outcome in journal.outcomes(self._to.scratch))
        return columns, [name for name, kind in columns.items() if kind == JSON]

    def _entry(self, job: FileJob, tally: _Tally, sink: _HashingSink, details: dict[str, Any]) -> Entry:
        failed = sum(tally.failures.values())
        return Entry(
            epoch=self._to.lock.epoch,
            file=job.name,
            input=job.fingerprint,
            input_path=job.path,
            output=job.output,
            size=sink.tell(),
            sha256=sink.digest.hexdigest(),
            rows=tally.rows,
            scored=tally.rows - failed,
            failed=failed,
            failures=dict(sorted(tally.failures.items())),
            dropped=tally.dropped.count,
            dropped_rows=tally.dropped.dump(),
            row_limit=job.row_limit,
            whole=job.row_limit is None or tally.rows < job.row_limit,
            **details,
            **self._to.facts,
        )

    def _commit(self, sink: Sink, path: str, entry: Entry) -> None:
        """Give the file its name. A file that is there already must be the one we wrote before we were killed."""
        try:
            sink.commit()
        except FileExistsError:
            if checksum(self._to.output.fs, path) != entry.sha256:
                raise FileFailure(
                    f"{path}: a file of this name appeared that this run did not write",
                    hint="Move it away and start again.",
                ) from None


class _HashingSink:
    """A sink that knows the checksum of what went through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.digest.update(data)
        return self._sink.write(data)

    def tell(self) -> int:
        return self._sink.tell()


def _take(outcomes: Iterator[tuple[int, Outcome]], start: int, count: int, journal: FileJournal) -> list[Outcome]:
    """Return the outcomes of the next rows; every one must be there."""
    some: list[tuple[int, Outcome]] = []
    with suppress(FileNotFoundError):  # a journal that somebody removed is a damaged one
        some.extend(islice(outcomes, count))
    if len(some) < count or some[0][0] != start or some[-1][0] != start + count - 1:
        raise FatalError(
            f"{journal.path}: recorded answers are missing or damaged on disk",
            hint="Start again: what is whole is kept, the missing rows are asked again.",
        )
    return [outcome for _, outcome in some]


def _refuse(file: str, problem: str | None) -> None:
    if problem:
        raise FileFailure(f"{file}: {problem}")
