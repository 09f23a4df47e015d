"""Publishing interrupted between its steps, and publishing again."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import FatalError
from modelcall.fs.base import FileSystem
from modelcall.fs.local_sink import LocalSink
from modelcall.pipeline import input as input_files
from modelcall.pipeline.failed import FailedRows
from modelcall.pipeline.publish import _take
from modelcall.pipeline.shard_place import Limits
from modelcall.state.file_journal import FileJournal
from modelcall.state.manifest import Entry, Manifest
from modelcall.types import ErrorType, Outcome, Permit, RowRef
from tests.pipeline.harness import Bench, FakeJudge

TEXTS = [f"text {number}" for number in range(30)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class DiedError(Exception):
    """The process, as far as these tests go."""


def every_fifth_fails(ref: RowRef, permit: Permit) -> Outcome | None:
    del permit
    if ref.row_index % 5 == 0:
        return Outcome(error_type=ErrorType.REFUSED, fail_reason="refused", raw="no")
    return None


def failed_rows(bench: Bench) -> list[int]:
    path = bench.output / ".modelcall/failed/a.parquet.jsonl"
    return [json.loads(line)["row_index"] for line in path.read_text().splitlines()] if path.exists() else []


def die_before_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise DiedError

    monkeypatch.setattr(Manifest, "put", die)


async def test_a_file_whose_manifest_entry_was_not_written_is_adopted_and_no_row_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    with monkeypatch.context() as patch:
        die_before_the_manifest(patch)
        with pytest.raises(DiedError):
            await bench.start(FakeJudge(act=every_fifth_fails))
    inode = (bench.output / "a.parquet").stat().st_ino
    judge = FakeJudge()
    tally = await bench.start(judge)
    assert (tally.rows, tally.failed, judge.asked.total()) == (30, 6, 0)
    assert (bench.output / "a.parquet").stat().st_ino == inode
    assert (bench.verify().problems, failed_rows(bench)) == ([], [0, 5, 10, 15, 20, 25])
    assert bench.leftovers() == []


async def test_a_file_of_the_same_name_that_is_not_ours_stays_and_this_one_fails(bench: Bench) -> None:
    def appear(ref: RowRef, permit: Permit) -> Outcome | None:
        (bench.output / "a.parquet").write_text("theirs")
        return every_fifth_fails(ref, permit)

    bench.jsonl("a.jsonl", TEXTS)
    tally = await bench.start(FakeJudge(act=appear))
    assert "appeared that this run did not write" in tally.broken_files["a.jsonl"]
    assert (bench.output / "a.parquet").read_text() == "theirs"
    assert failed_rows(bench) == []
    (bench.output / "a.parquet").unlink()
    again = FakeJudge()
    assert (await bench.start(again)).failed == 6
    assert not again.asked


async def test_a_partial_file_replaced_by_the_whole_survives_a_death_in_between(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    await bench.start(FakeJudge(act=every_fifth_fails), limits=Limits(rows=7))
    assert failed_rows(bench) == [0, 5]
    with monkeypatch.context() as patch:
        die_before_the_manifest(patch)
        with pytest.raises(DiedError):
            await bench.start(FakeJudge(act=every_fifth_fails))
    judge = FakeJudge()
    tally = await bench.start(judge)
    assert (tally.rows, tally.failed, judge.asked.total()) == (30, 6, 0)
    assert (bench.verify().problems, failed_rows(bench)) == ([], [0, 5, 10, 15, 20, 25])


async def test_who_was_replaced_publishes_nothing_not_even_the_list_of_failed_rows(bench: Bench) -> None:
    def take_over(ref: RowRef, permit: Permit) -> Outcome | None:
        (bench.output / ".modelcall/locks/r1-job000/000002.json").write_text("{}")
        return every_fifth_fails(ref, permit)

    bench.jsonl("a.jsonl", TEXTS)
    with pytest.raises(FatalError, match="taken over"):
        await bench.start(FakeJudge(act=take_over))
    assert not (bench.output / "a.parquet").exists()
    assert failed_rows(bench) == []


async def test_a_file_without_a_manifest_entry_never_appears_before_its_own_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    commit, put = LocalSink.commit, Manifest.put

    def committed(self: LocalSink) -> None:
        steps.append(str(Path(self._path).relative_to(bench.output)))
        commit(self)

    def noted(self: Manifest, entry: Entry, *, check: Callable[[], None]) -> None:
        steps.append("manifest put")
        put(self, entry, check=check)

    monkeypatch.setattr(LocalSink, "commit", committed)
    monkeypatch.setattr(Manifest, "put", noted)
    bench.jsonl("a.jsonl", TEXTS)
    await bench.start(FakeJudge(act=every_fifth_fails))
    at = steps.index("a.parquet")
    failed, entry = ".modelcall/failed/a.parquet.jsonl", ".modelcall/manifest/a.parquet.json"
    assert steps[at : at + 4] == ["a.parquet", failed, "manifest put", entry]


async def test_row_groups_without_rows_are_no_rows(bench: Bench) -> None:
    table = pa.table({"text": TEXTS[:3]})
    with pq.ParquetWriter(bench.input / "a.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 2), table.slice(0, 0), table.slice(2), table.slice(0, 0)):
            writer.write_table(part)
    assert (await bench.start(FakeJudge())).rows == 3
    assert [row["text"] for row in bench.rows("a.parquet")] == TEXTS[:3]
    assert bench.verify().problems == []


async def test_text_that_is_no_unicode_is_recorded_with_its_broken_characters_replaced(bench: Bench) -> None:
    odd = Outcome(error_type=ErrorType.SCORER_ERROR, fail_reason="bad \ud800 text", raw="\udfff")
    bench.jsonl("a.jsonl", TEXTS[:2])
    tally = await bench.start(FakeJudge(act=lambda ref, _: odd if ref.row_index else None))
    assert tally.failed == 1
    row = bench.rows("a.parquet")[1]
    assert (row["api_fail_reason"], row["api_return"]) == ("bad \ufffd text", "\ufffd")


async def test_a_disk_that_fills_up_while_a_file_is_published_stops_the_run_and_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalSink, data: bytes | memoryview) -> int:
        if self._path.endswith("a.parquet"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        return write(self, data)

    write = LocalSink.write
    bench.jsonl("a.jsonl", TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(LocalSink, "write", full)
        with pytest.raises(FatalError, match="cannot be written: No space left"):
            await bench.start(FakeJudge())
    assert [path.name for path in bench.output.iterdir()] == [".modelcall"]
    again = FakeJudge()
    assert (await bench.start(again)).scored == 30
    assert not again.asked


async def test_input_that_changes_while_it_is_published_stops_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touch(*_: object) -> None:
        os.utime(bench.input / "a.jsonl", ns=(1, 1))

    monkeypatch.setattr(FailedRows, "add", touch)
    bench.jsonl("a.jsonl", TEXTS)
    with pytest.raises(FatalError, match="changed while it was being read"):
        await bench.start(FakeJudge())
    assert not (bench.output / "a.parquet").exists()


async def test_the_content_of_an_input_is_looked_at_when_it_is_opened_and_before_the_commit_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    content_of = input_files.content_of

    def noted(fs: FileSystem, path: str) -> str:
        looked.append(Path(path).name)
        return content_of(fs, path)

    monkeypatch.setattr(input_files, "content_of", noted)
    bench.jsonl("a.jsonl", TEXTS)
    assert (await bench.start(FakeJudge())).scored == 30
    assert looked == ["a.jsonl", "a.jsonl"]


@pytest.mark.parametrize("rows", [[0, 2, 3], [1, 2], [0], []])
def test_a_missing_outcome_moves_no_other_to_its_row(rows: list[int]) -> None:
    journal = FileJournal("/journal", header=b"", earlier=[])
    with pytest.raises(FatalError, match="missing or damaged"):
        _take(((row, Outcome()) for row in rows), 0, 2, journal)


async def test_a_partial_file_whose_manifest_entry_was_not_written_is_replaced_by_the_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    with monkeypatch.context() as patch:
        die_before_the_manifest(patch)
        with pytest.raises(DiedError):
            await bench.start(FakeJudge(act=every_fifth_fails), limits=Limits(rows=7))
    judge = FakeJudge(act=every_fifth_fails)
    tally = await bench.start(judge)
    assert (tally.broken_files, tally.rows, judge.asked.total()) == ({}, 30, 23)
    assert (bench.verify().problems, failed_rows(bench)) == ([], [0, 5, 10, 15, 20, 25])


async def test_a_partial_file_that_somebody_changed_is_not_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    with monkeypatch.context() as patch:
        die_before_the_manifest(patch)
        with pytest.raises(DiedError):
            await bench.start(FakeJudge(), limits=Limits(rows=7))
    (bench.output / "a.parquet").write_text("theirs")
    tally = await bench.start(FakeJudge())
    assert "appeared that this run did not write" in tally.broken_files["a.jsonl"]
    assert (bench.output / "a.parquet").read_text() == "theirs"
