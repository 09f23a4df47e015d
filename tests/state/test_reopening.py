"""A published file's journal: what was read back from its output, and what came on top."""

import asyncio
import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from modelcall.errors import FatalError
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.local_sink import LocalSink
from modelcall.state.file_journal import FileJournal
from modelcall.state.journal import Base, ShardJournal
from modelcall.state.run import ShardKey
from modelcall.state.shard import begin_retry, retry_since
from modelcall.types import ErrorType, Outcome

SCORED = Outcome(values={"score": 4})
CUT = Outcome(error_type=ErrorType.CUT, fail_reason="cut", attempts=2)
BAD = Outcome(error_type=ErrorType.BAD_ROW, fail_reason="bad", attempts=0)
OUTPUT = {0: SCORED, 1: CUT, 2: BAD, 3: CUT}


class Output:
    """A published output that counts how often it is read back."""

    def __init__(self, checksum: str, rows: dict[int, Outcome]) -> None:
        self.read = 0
        self._rows = rows
        self.base = Base(checksum, self._outcomes)

    def _outcomes(self) -> Iterable[tuple[int, Outcome]]:
        self.read += 1
        return self._rows.items()


def opened(folder: Path, epoch: int, base: Base | None, *, since: int = 0) -> tuple[ShardJournal, FileJournal]:
    shard = ShardJournal(str(folder), epoch=epoch, identity="run", retry_since=since)
    shard.prepare()
    return shard, shard.open("a.jsonl", fingerprint="1-x", base=base)


async def write(folder: Path, epoch: int, base: Base | None, rows: dict[int, Outcome], *, since: int = 0) -> None:
    shard, journal = opened(folder, epoch, base, since=since)
    for row, outcome in rows.items():
        journal.record(row, outcome)
    await shard.close()


def left(journal: FileJournal) -> list[int]:
    return [row for row in range(4) if row not in journal.recorded]


async def read(folder: Path, epoch: int, base: Base | None) -> dict[int, Outcome]:
    shard, journal = opened(folder, epoch, base)
    found = dict(journal.outcomes(str(folder)))
    await shard.close()
    return found


async def test_an_output_is_read_back_once_and_its_failed_rows_are_left_but_for_bad_ones(tmp_path: Path) -> None:
    output = Output("one", OUTPUT)
    shard, journal = opened(tmp_path, 1, output.base)
    assert (left(journal), output.read) == ([1, 3], 1)
    journal.record(1, SCORED)
    await shard.close()
    shard, journal = opened(tmp_path, 2, output.base)
    assert (left(journal), output.read) == ([3], 1)
    superseded: list[tuple[int, int]] = []
    found = dict(journal.outcomes(str(tmp_path), superseded=lambda row, cut: superseded.append((row, cut.attempts))))
    assert {row: (outcome.values, outcome.attempts) for row, outcome in found.items()} == {
        0: ({"score": 4}, 1),
        1: ({"score": 4}, 3),
        2: (None, 0),
        3: (None, 2),
    }
    assert superseded == [(1, 2)]
    journal.retire()
    await shard.close()
    assert list(tmp_path.iterdir()) == []


async def test_journals_from_before_the_output_are_leftovers_and_go_with_the_rest(tmp_path: Path) -> None:
    await write(tmp_path, 1, None, dict.fromkeys(range(4), CUT))
    old = Output("old", dict.fromkeys(range(4), CUT))
    await write(tmp_path, 2, old.base, {1: CUT})
    output = Output("one", OUTPUT)
    shard, journal = opened(tmp_path, 3, output.base)
    assert left(journal) == [1, 3]
    assert dict(journal.outcomes(str(tmp_path))) == OUTPUT
    await shard.close()
    assert await read(tmp_path, 4, output.base) == OUTPUT
    shard, journal = opened(tmp_path, 5, output.base)
    journal.retire()
    await shard.close()
    assert list(tmp_path.iterdir()) == []


async def test_without_the_output_what_was_read_back_from_it_still_counts(tmp_path: Path) -> None:
    await write(tmp_path, 1, Output("one", OUTPUT).base, {1: SCORED})
    shard, journal = opened(tmp_path, 2, None)
    assert left(journal) == [3]
    await shard.close()


@pytest.mark.parametrize(("since", "expected"), [(0, []), (1, []), (2, [1]), (3, [1, 2])])
async def test_failures_of_owners_before_a_retry_are_left_to_do(
    tmp_path: Path, since: int, expected: list[int]
) -> None:
    await write(tmp_path, 1, None, {0: SCORED, 1: CUT, 3: BAD})
    await write(tmp_path, 2, None, {2: CUT})
    shard, journal = opened(tmp_path, 3, None, since=since)
    assert left(journal) == expected
    for row in expected:
        journal.record(row, CUT)
    await shard.close()
    shard, journal = opened(tmp_path, 4, None, since=since)
    assert left(journal) == []
    await shard.close()


async def test_an_output_that_cannot_be_read_back_for_a_full_disk_ends_the_run_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(LocalSink, "commit", full)
    with pytest.raises(FatalError, match="cannot be written: No space left"):
        opened(tmp_path, 1, Output("one", OUTPUT).base)
    assert list(tmp_path.iterdir()) == []
    await asyncio.sleep(0)


async def test_a_damaged_beginning_is_told_and_a_damaged_record_costs_itself(tmp_path: Path) -> None:
    output = Output("one", OUTPUT)
    await write(tmp_path, 1, output.base, {})
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'{"journal"', b'{"jurnal_"'))
    with pytest.raises(FatalError, match="damaged at its start"):
        opened(tmp_path, 2, output.base)
    path.write_bytes(whole.replace(b'{"score":4}', b'{"score":5}'))
    shard, journal = opened(tmp_path, 2, output.base)
    assert left(journal) == [0, 1, 3]
    await shard.close()


def test_a_retry_is_noted_for_later_starts(tmp_path: Path) -> None:
    fs = LocalFileSystem()
    folder = str(tmp_path / f"run-{ShardKey(1, 0)}")
    assert retry_since(fs, folder) == 0
    begin_retry(fs, folder, epoch=7)
    assert retry_since(fs, folder) == 7
    (tmp_path / "run-r1-job000/retry.json").write_text('{"since": 8, "crc32": "0"}')
    with pytest.raises(FatalError, match="damaged"):
        retry_since(fs, folder)
