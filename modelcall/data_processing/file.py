"""One file: read as a stream of Arrow batches, put through a preprocessor, published whole or not at all."""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import orjson
import pyarrow as pa

from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.items import Items
from modelcall.data_processing.report import FileJob, FileReport
from modelcall.errors import FileFailure
from modelcall.formats.opening import open_source
from modelcall.formats.writers import ParquetTableWriter
from modelcall.fs.errors import ReplacedError, storage_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelcall.formats.base import Source
    from modelcall.fs.base import FileSystem, Sink

_Numbered: TypeAlias = "tuple[Sequence[int], pa.RecordBatch]"
_NO_COLUMNS: Final = pa.schema([])
MARK: Final = b"modelcall.preprocess"
"""Metadata of a Parquet file that says who made it."""


class StoppedError(Exception):
    """The file was given up half-way because the run is to end."""


@dataclass(frozen=True, slots=True)
class Work:
    """How each file is done."""

    make: Callable[[], BasePreprocessor]
    """Makes a preprocessor; each file gets its own."""
    inputs: FileSystem
    outputs: FileSystem
    folder: str
    """Where outputs go."""
    settings: Mapping[str, str]
    """What shapes the rows, by name."""
    stopped: Callable[[], bool] = lambda: False
    """Asked between batches."""


def process_file(job: FileJob, work: Work) -> FileReport:
    """Make the output of a file; return what became of it. What cannot be read or held has a report that says why.

    Raises:
        FatalError: The store cannot be written to.
        StoppedError: ``work.stopped``; nothing is left behind.
    """
    began = time.perf_counter()
    try:
        report = _process(job, work)
    except FileFailure as error:
        report = _failed(job, work, error)
    except ReplacedError:
        report = _failed(job, work, _changed(job))
    except OSError as error:
        failure = storage_failure(error, writing=error.filename != job.path)
        if not isinstance(failure, FileFailure):
            raise failure from error
        report = _failed(job, work, failure)
    return replace(report, seconds=round(time.perf_counter() - began, 3))


def _failed(job: FileJob, work: Work, failure: FileFailure) -> FileReport:
    return FileReport(job, work.settings, failure=" ".join(filter(None, (failure.message, failure.hint))))


def settings_digest(settings: Mapping[str, str]) -> bytes:
    """Return what stands in a file for the settings it was made with."""
    return hashlib.sha256(orjson.dumps(dict(settings), option=orjson.OPT_SORT_KEYS)).hexdigest().encode()


def _process(job: FileJob, work: Work) -> FileReport:
    preprocessor = work.make()
    _check_unchanged(job, work.inputs)
    source = open_source(lambda: work.inputs.open_listed(job.listed), name=job.name)
    with ExitStack() as stack:
        stack.callback(source.close)
        batches = _Counted(source, stopped=work.stopped)
        schema, json_columns, rows = _rows(job, preprocessor, source, batches, stack)
        preprocessor.begin_file(job.name, schema, frozenset(json_columns))
        sink = stack.enter_context(work.outputs.sink(f"{work.folder}/{job.output}", overwrite=True))
        rows_out = _write(job, preprocessor, schema, rows, sink, mark=settings_digest(work.settings))
        size = sink.tell()
        _check_unchanged(job, work.inputs)
        sink.commit()
    return FileReport(
        job,
        work.settings,
        rows_in=batches.rows,
        rows_out=rows_out,
        dropped=dict(sorted((+preprocessor.dropped).items())),
        bad_rows=source.bad_row_count,
        bad_row_reasons=tuple(source.bad_rows),
        tokens=preprocessor.tokens,
        bytes_out=size,
        text_key=preprocessor.text_key,
        json_text_columns=tuple(json_columns),
        notes=tuple(preprocessor.notes),
    )


class _Counted:
    """The batches of a source, counted as they pass."""

    def __init__(self, source: Source, *, stopped: Callable[[], bool]) -> None:
        self._source = source
        self._stopped = stopped
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self.rows = 0
        for batch in self._source.batches(self._source.schema()[0]):
            if self._stopped():
                raise StoppedError
            yield batch
            self.rows += batch.num_rows

    def numbered(self) -> Iterator[_Numbered]:
        """Yield them with the numbers of their rows."""
        for batch in self:
            yield range(self.rows, self.rows + batch.num_rows), batch


def _rows(
    job: FileJob, preprocessor: BasePreprocessor, source: Source, batches: _Counted, stack: ExitStack
) -> tuple[pa.Schema, list[str], Iterator[_Numbered]]:
    """Return columns, those of JSON text among them, and the rows as they go into ``process_batch``."""
    schema, json_columns = source.schema()
    if type(preprocessor).process_item is BasePreprocessor.process_item:
        return schema, json_columns, batches.numbered()
    items = Items(preprocessor, name=job.name, schema=schema, json_columns=frozenset(json_columns), batches=batches)
    stack.callback(items.close)
    return *items.schema(), items.batches()


def _write(
    job: FileJob,
    preprocessor: BasePreprocessor,
    schema: pa.Schema,
    rows: Iterator[_Numbered],
    sink: Sink,
    *,
    mark: bytes,
) -> int:
    """Write all rows; return how many."""
    made = preprocessor.process_batch(_empty(schema), []).schema
    writer = ParquetTableWriter(
        sink, inputs=made.with_metadata({**(schema.metadata or {}), MARK: mark}), results=_NO_COLUMNS
    )
    count = 0
    for numbers, batch in rows:
        done = preprocessor.process_batch(batch, numbers)
        writer.write(_fitting(done, made, job.name), _no_results(done.num_rows))
        count += done.num_rows
    writer.close()
    return count


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _no_results(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))


def _fitting(batch: pa.RecordBatch, schema: pa.Schema, file: str) -> pa.RecordBatch:
    """Return a batch in the schema that the file began with."""
    if batch.schema.equals(schema):
        return batch
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError) as error:
        raise FileFailure(
            f"{file}: process_batch returned other columns than for the batch before: {error}",
            hint="It must return the same columns and types for each batch, an empty one too.",
        ) from error


def _check_unchanged(job: FileJob, fs: FileSystem) -> None:
    """Refuse a file that is not what was listed; where etags vouch for the content, reading says so."""
    if not fs.capabilities.content_etags and fs.stat(job.path).fingerprint != job.fingerprint:
        raise _changed(job)


def _changed(job: FileJob) -> FileFailure:
    return FileFailure(f"{job.name}: changed since it was listed", hint="Start again: it is read anew then.")
