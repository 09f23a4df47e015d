"""Reading ahead: whoever reads, and however far a reader comes, the rows are the same, and so are the bytes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.errors import FileFailure
from modelcall.formats import jsonl
from modelcall.formats.jsonl import JsonlSource
from modelcall.formats.unify import Unified
from modelcall.formats.writers import ParquetTableWriter
from modelcall.fs.base import FileStat
from modelcall.pipeline import read_ahead
from modelcall.pipeline.job import FileJob
from modelcall.pipeline.read_ahead import ReadAhead, decline, read_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = b"".join(b'{"id": %d, "text": "row %d"}\n\n' % (row, row) for row in range(3500))
JOB = FileJob(name="a.jsonl", listed=FileStat("/in/a.jsonl", len(TEXT), "x"), output="a.parquet", rows=3500)


ROOT = Path(__file__).parents[2]


def source_of(text: bytes, unified: Unified | None = None) -> JsonlSource:
    return JsonlSource(lambda: io.BytesIO(text), name="a.jsonl", unified=unified)


class Readers:
    """Threads that read what they are asked to, as a worker does."""

    def __init__(self, open_source: Callable[[FileJob], tuple[Any, pa.Schema]]) -> None:
        self._open = open_source
        self.asked: list[FileJob] = []
        self._threads: list[Thread] = []

    def ask(self, job: FileJob) -> None:
        self.asked.append(job)
        assert job.read_into is not None
        thread = Thread(target=read_into, args=(job.read_into, lambda: self._open(job)))
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def own(job: FileJob) -> tuple[JsonlSource, pa.Schema]:
    source = source_of(TEXT)
    assert job.rows is not None
    source.know(job.learned, rows=job.rows)
    return source, source.schema()[0]


class Unreadable(JsonlSource):
    """By whoever publishes."""

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        raise AssertionError(schema, limit)


def read(readers: Readers, source: JsonlSource, *, job: FileJob = JOB) -> list[pa.RecordBatch]:
    schema, source.blank_lines = source.schema()[0], 0
    with closing(ReadAhead(readers.ask).batches(job, source, schema)) as batches:
        found = list(batches)
    readers.join()
    return found


def test_a_reader_gives_the_very_batches_and_the_count_of_blank_lines() -> None:
    readers = Readers(own)
    source = Unreadable(lambda: io.BytesIO(TEXT), name="a.jsonl")
    batches = read(readers, source)
    expected = source_of(TEXT)
    assert batches == list(expected.batches(expected.schema()[0]))
    assert [len(batch) for batch in batches] == [1000, 1000, 1000, 500]
    assert source.blank_lines == expected.blank_lines == 3500
    (asked,) = readers.asked
    assert asked == replace(JOB, read_into=asked.read_into)
    assert asked.read_into is not None
    assert not os.path.exists(asked.read_into)  # noqa: PTH110


def test_a_reader_need_not_find_out_the_types_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(TEXT)
    assert source.schema()[0].names == ["id", "text"]
    monkeypatch.setattr(jsonl, "_observe", lambda *_: pytest.fail("looked at again"))
    assert sum(map(len, read(Readers(own), source))) == 3500


def dead(job: FileJob) -> None:
    """Open the pipe, and no more."""
    assert job.read_into is not None
    os.close(os.open(job.read_into, os.O_WRONLY))


@pytest.mark.parametrize("ask", [dead, lambda _: None], ids=["dead", "silent"])
def test_without_a_reader_the_publisher_reads(ask: Callable[[FileJob], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "ARRIVAL_SECONDS", 5 if ask is dead else 0.001)
    source = source_of(TEXT)
    batches = list(ReadAhead(ask).batches(JOB, source, source.schema()[0]))
    assert (sum(map(len, batches)), source.blank_lines) == (3500, 3500)


def test_who_is_declined_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "ARRIVAL_SECONDS", 3600)
    source = source_of(TEXT)
    asked = ReadAhead(lambda job: decline(str(job.read_into))).batches(JOB, source, source.schema()[0])
    assert sum(map(len, asked)) == 3500
    decline("/nowhere/rows")


class Dying(JsonlSource):
    """Whoever reads it gets so far."""

    far = 2

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(super().batches(schema, limit=limit)):
            if number == self.far:
                raise FileFailure("damaged")
            yield batch


@pytest.mark.parametrize("far", [0, 1, 3])
def test_where_a_reader_dies_the_publisher_reads_on(far: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(job: FileJob) -> tuple[Any, pa.Schema]:
        source = Dying(lambda: io.BytesIO(TEXT), name=job.name)
        return source, source.schema()[0]

    monkeypatch.setattr(Dying, "far", far)
    source = source_of(TEXT)
    batches = read(Readers(dying), source)
    assert [row["id"] for batch in batches for row in batch.to_pylist()] == list(range(3500))
    assert source.blank_lines == 3500


def test_a_reader_that_is_killed_between_two_batches_has_not_come_to_the_end() -> None:
    def cut(job: FileJob) -> None:
        assert job.read_into is not None
        source, schema = own(job)
        stream = io.BytesIO(b"\n")
        stream.seek(0, os.SEEK_END)
        with pa.ipc.new_stream(stream, schema) as writer:
            writer.write_batch(next(source.batches(schema)))
            size = stream.tell()
        Thread(target=writes, args=(job.read_into, stream.getvalue()[:size])).start()

    def writes(path: str, data: bytes) -> None:
        with open(path, "wb") as pipe:  # noqa: PTH123
            pipe.write(data)

    source = source_of(TEXT)
    batches = list(ReadAhead(cut).batches(JOB, source, source.schema()[0]))
    assert sum(map(len, batches)) == 3500


WIDE = b"".join(json.dumps({"id": row, "text": f"row {row} " * 300}).encode() + b"\n" for row in range(5000))


def wide(_: object) -> tuple[JsonlSource, pa.Schema]:
    return source_of(WIDE), pa.schema([("id", pa.int64()), ("text", pa.string())])


def test_a_second_reader_cannot_go_on_where_one_was_killed_in_the_middle_of_a_batch() -> None:
    code = "import sys; from tests.pipeline import test_read_ahead as t; t.read_into(sys.argv[1], lambda: t.wide(0))"
    children: list[subprocess.Popen[bytes]] = []

    def ask(job: FileJob) -> None:
        children.append(subprocess.Popen([sys.executable, "-c", code, str(job.read_into)], cwd=ROOT))

    source, schema = wide(0)
    batches = ReadAhead(ask).batches(replace(JOB, rows=5000), source, schema)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_ahead, "ARRIVAL_SECONDS", 60)
        found = [next(batches)]
    (child,) = children
    end = batches.gi_frame.f_locals["pipe"].raw  # type: ignore[attr-defined]  # of every generator
    end.wait(60)  # there is something of the second batch, but not all: it is larger than the pipe
    child.kill()
    child.wait()
    second = Thread(target=read_into, args=(child.args[-1], lambda: wide(0)))  # type: ignore[index]  # it is a list
    second.start()
    found += batches
    second.join(10)
    assert not second.is_alive()
    assert found == list(source_of(WIDE).batches(schema))


def test_a_pipe_that_somebody_writes_into_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    named: list[bool] = []

    def look() -> tuple[JsonlSource, pa.Schema]:
        named.append(path.exists())
        raise FileFailure("that is all")

    read_into(str(path), look)
    assert named == [False]
    assert os.read(end, 1) == b"\n"
    os.close(end)


def test_a_reader_that_is_stopped_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 0.05)

    def waits(job: FileJob) -> tuple[Any, pa.Schema]:
        silent.wait(60)
        return own(job)

    readers = Readers(waits)
    source = source_of(TEXT)
    batches = list(ReadAhead(readers.ask).batches(JOB, source, source.schema()[0]))
    silent.set()
    readers.join()
    assert sum(map(len, batches)) == 3500


def test_columns_that_are_not_those_of_the_output_are_not_taken() -> None:
    def others(_: FileJob) -> tuple[Any, pa.Schema]:
        return source_of(TEXT), pa.schema([("text", pa.string())])

    source = source_of(TEXT)
    batches = read(Readers(others), source)
    assert [batch.schema.names for batch in batches] == [["id", "text"]] * 4


def test_a_reader_ends_when_publishing_does() -> None:
    source = source_of((json.dumps({"text": "silt " * 2000}) + "\n").encode() * 1500)
    job = replace(JOB, rows=1500)
    readers = Readers(lambda _: (source, source.schema()[0]))
    batches = ReadAhead(readers.ask).batches(job, source, source.schema()[0])
    next(batches)
    batches.close()
    readers.join()


def test_a_reader_that_comes_too_late_does_nothing() -> None:
    read_into("/nowhere/rows", lambda: pytest.fail("opened"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["x", "y", "z"]), JSON, max_size=3), max_size=12)


def written(batches: list[pa.RecordBatch], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    writer = ParquetTableWriter(sink, inputs=schema, results=pa.schema([]))
    for batch in batches:
        nothing = pa.RecordBatch.from_struct_array(pa.array([{}] * len(batch), pa.struct([])))
        writer.write(batch, nothing)
    writer.close()
    return sink.getvalue()


@settings(deadline=None)  # the first column that Arrow makes of Python values takes seconds: it looks for pandas
@given(rows=ROWS)
def test_what_comes_through_the_pipe_is_written_as_the_same_bytes_in_the_same_row_groups(rows: list[Any]) -> None:
    text = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    same_as_read(text, None)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.dictionary(pa.int32(), pa.string()), "a"),
        (pa.string_view(), "a text that is longer than twelve bytes"),
        (pa.large_string(), "a"),
        (pa.list_(pa.float32(), 2), [1.0, 2.5]),
        (pa.null(), None),
    ],
    ids=str,
)
def test_columns_of_a_unified_schema_come_through_too(kind: pa.DataType, value: Any) -> None:
    schema = pa.schema([pa.field("x", kind, metadata={"note": "kept"}), ("y", pa.int64())], metadata={"of": "all"})
    text = b"".join(json.dumps({"x": value, "y": row}).encode() + b"\n{}\n" for row in range(3))
    same_as_read(text, Unified(schema, ()))


def same_as_read(text: bytes, unified: Unified | None) -> None:
    expected = source_of(text, unified)
    schema = expected.schema()[0]
    batches = list(expected.batches(schema))

    def again(_: FileJob) -> tuple[JsonlSource, pa.Schema]:
        return source_of(text, unified), schema

    source = Unreadable(lambda: io.BytesIO(text), name="a.jsonl", unified=unified)
    source.know([expected.learned], rows=expected.row_count)
    found = read(Readers(again), source, job=replace(JOB, rows=expected.row_count))
    assert [len(batch) for batch in found] == [len(batch) for batch in batches]
    assert [[column.nbytes for column in batch.columns] for batch in found] == [
        [column.nbytes for column in batch.columns] for batch in batches
    ], "so row groups end at the same rows"
    assert written(found, schema) == written(batches, schema)
