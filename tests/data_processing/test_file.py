from __future__ import annotations

import errno
import gzip
import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.data_processing.file import MARK, StoppedError, process_file, settings_digest
from modelcall.data_processing.github_raw_code import GithubRawCode
from modelcall.data_processing.report import FileJob, FileReport, Totals
from modelcall.errors import FatalError
from modelcall.fs.errors import ReplacedError
from modelcall.fs.local import LocalFileSystem
from modelcall.mock.tos.thread import LocalTos
from tests.fs_tos.kit import ROOT, store
from tests.mock_tos.sdk import small

if TYPE_CHECKING:
    from modelcall.fs.base import FileSystem, Sink
    from tests.data_processing.bench import Bench

ROWS = [{"content": f"x = {number}\n" * 30, "path": f"src/{number}.py"} for number in range(3000)]


def outputs(bench: Bench) -> list[str]:
    return [path.name for path in (bench.folder / "out").rglob("*") if path.is_file()]


def test_the_same_file_gives_the_same_bytes(bench: Bench) -> None:
    path = bench.jsonl(ROWS)

    first = bench.make(path).path.read_bytes()

    assert bench.make(path).path.read_bytes() == first
    assert outputs(bench) == ["a.parquet"]


def test_compressed_lines_and_parquet_give_the_same_rows(bench: Bench) -> None:
    plain = bench.make(bench.jsonl(ROWS)).table
    packed = bench.folder / "raw/a.jsonl.gz"
    packed.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)))
    table = bench.parquet(pa.Table.from_pylist(ROWS))

    for path in (packed, table):
        found = bench.make(path).table
        assert found.drop_columns("id").equals(plain.drop_columns("id"))


def test_an_output_says_who_made_it_and_with_what_settings(bench: Bench) -> None:
    made = bench.make(bench.jsonl(ROWS[:3]))

    assert pq.read_schema(made.path).metadata[MARK] == settings_digest(made.report.settings)
    assert settings_digest({"a": "1", "b": "2"}) == settings_digest({"b": "2", "a": "1"}) != settings_digest({"a": "1"})


def test_a_report_survives_its_record(bench: Bench) -> None:
    report = bench.make(bench.jsonl([*ROWS[:3], "broken"]), dedupe="file").report

    record = json.loads(json.dumps({**report.as_record(), "of a later version": 1}))

    assert FileReport.from_record(record) == report
    assert report.seconds > 0
    assert report.bytes_out == (bench.folder / "out/a.parquet").stat().st_size


def test_totals_add_up(bench: Bench) -> None:
    totals = Totals()
    reports = [
        bench.make(bench.jsonl([{"text": "a"}, {"text": "a"}, "broken"], "a.jsonl"), dedupe="file").report,
        bench.make(bench.jsonl([{"text": "b"}], "b.jsonl")).report,
        bench.make(bench.jsonl([{"none": "b"}], "c.jsonl")).report,
    ]
    for report in reports:
        totals.add(report)

    assert (totals.files, totals.failed_files) == (2, 1)
    assert (totals.rows_in, totals.rows_out, totals.bad_rows) == (4, 3, 1)
    assert totals.dropped == {"duplicate": 1}
    assert totals.tokens == 2
    assert totals.bytes_in == reports[0].job.size + reports[1].job.size


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "closed"])
def test_a_file_that_cannot_be_read_fails_and_leaves_nothing(bench: Bench, damage: str) -> None:
    path = bench.parquet(pa.Table.from_pylist(ROWS), name="bad.parquet")
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-100])
    job = bench.job(path)
    if damage == "gone":
        path.unlink()
    if damage == "other":
        path.write_bytes(whole + b" ")
    if damage == "closed":
        path.unlink()
        path.mkdir()

    report = process_file(job, bench.work(GithubRawCode, {}, lambda: False))

    said = {"cut": "cannot be read", "gone": "No such file", "other": "changed since it was listed"}
    assert said.get(damage, "Is a directory") in (report.failure or "")
    assert outputs(bench) == []


def test_a_file_that_changes_while_it_is_read_is_not_published(bench: Bench) -> None:
    path = bench.jsonl(ROWS)
    asked: list[int] = []

    def touched() -> bool:
        if not asked:
            os.utime(path, ns=(1, 1))
        asked.append(1)
        return False

    made = bench.make(path, stopped=touched)

    assert "changed since it was listed" in (made.report.failure or "")
    assert len(asked) == 3
    assert outputs(bench) == []


def test_a_stop_ends_a_file_between_batches_and_leaves_nothing(bench: Bench) -> None:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(StoppedError):
        bench.make(bench.jsonl(ROWS), stopped=stopped)

    assert outputs(bench) == []


def test_a_file_that_is_made_again_replaces_the_old_one(bench: Bench) -> None:
    bench.make(bench.jsonl(ROWS[:5]))

    assert len(bench.make(bench.jsonl(ROWS[:7])).rows) == 7


class Full(LocalFileSystem):
    """A disk on which nothing more fits."""

    def sink(self, path: str, *, overwrite: bool = False) -> Sink:  # type: ignore[override]  # a sink is all it is
        sink = super().sink(path, overwrite=overwrite)

        def write(data: bytes | memoryview) -> int:
            raise OSError(28, f"No space left on device for {len(data)} bytes", path)

        sink.write = write  # type: ignore[method-assign]
        return sink


def test_a_full_disk_ends_the_run(bench: Bench) -> None:
    full: FileSystem = Full()
    work = replace(bench.work(GithubRawCode, {}, lambda: False), outputs=full)

    with pytest.raises(FatalError, match="No space left"):
        process_file(bench.job(bench.jsonl(ROWS)), work)

    assert [path for path in Path(bench.folder / "out").rglob("*") if path.is_file()] == []


class Pinned(LocalFileSystem):
    """A store that notices when an object is replaced under a reader."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        raise ReplacedError(errno.ESTALE, f"replaced while open for {mode}", path)


def test_a_file_that_is_replaced_under_its_reader_fails_alone(bench: Bench) -> None:
    work = replace(bench.work(GithubRawCode, {}, lambda: False), inputs=Pinned())

    report = process_file(bench.job(bench.jsonl(ROWS[:3])), work)

    assert "a.jsonl: changed since it was listed" in (report.failure or "")
    assert outputs(bench) == []


def test_where_etags_vouch_for_the_content_nothing_is_asked_but_the_content(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalTos(small()) as tos, closing(store(tos)) as inputs:
        for name, value in tos.environment.items():
            monkeypatch.setenv(name, value)
        tos.put("folder/raw/a.jsonl", bench.jsonl(ROWS).read_bytes())
        stat = inputs.stat(f"{ROOT}/raw/a.jsonl")
        job = FileJob("a.jsonl", stat.path, stat.fingerprint, stat.size, "a.parquet")
        work = replace(bench.work(GithubRawCode, {}, lambda: False), inputs=inputs)
        before = len(tos.requests())

        report = process_file(job, work)
        asked = [entry.operation for entry in tos.requests()[before:]]
        tos.put("folder/raw/a.jsonl", bench.jsonl(ROWS[::-1]).read_bytes())
        again = process_file(job, work)

    assert (report.failure, report.rows_out) == (None, len(ROWS))
    assert set(asked) == {"get_object"}
    assert "changed since it was listed" in (again.failure or "")
