"""Journals of workers: each writes its own, and together they are the journal of their owner."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from modelcall.state.journal import ShardJournal, Worker, synced_earlier
from modelcall.state.segments import Writer, earlier_segments, file_key, journal_name, segments_of
from modelcall.types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    import pytest

    from modelcall.state.segments import Segment

FILE = "a.jsonl"
KEY = file_key(FILE)


def outcome(row: int) -> Outcome:
    return Outcome({"score": row})


@asynccontextmanager
async def worker(
    folder: Path, number: int, *, epoch: int = 1, earlier: Mapping[str, list[Segment]] | None = None
) -> AsyncIterator[ShardJournal]:
    journal = ShardJournal(str(folder), epoch=epoch, identity="run", worker=Worker(number, earlier or {}))
    journal.prepare()
    yield journal
    await journal.close()


async def record(folder: Path, number: int, *rows: int, part: int = 0, epoch: int = 1) -> None:
    async with worker(folder, number, epoch=epoch) as shard:
        journal = shard.open(FILE, fingerprint="1-x", part=part)
        for row in rows:
            journal.record(row, outcome(row))


async def test_who_takes_the_place_of_a_dead_worker_knows_its_rows_of_that_part_alone(tmp_path: Path) -> None:
    await record(tmp_path, 1, 0, 1, part=0)
    await record(tmp_path, 1, 10, 11, part=1)
    async with worker(tmp_path, 2) as shard:
        journal = shard.open(FILE, fingerprint="1-x", part=0)
        assert [row for row in range(20) if row in journal.recorded] == [0, 1]
        journal.record(2, outcome(2))
    async with worker(tmp_path, 3) as shard:
        assert shard.open(FILE, fingerprint="1-x", part=0).recorded.count == 3


async def test_what_a_worker_wrote_itself_of_another_part_is_not_read_again(tmp_path: Path) -> None:
    async with worker(tmp_path, 1) as shard:
        first, second = (shard.open(FILE, fingerprint="1-x", part=part) for part in range(2))
        first.record(0, outcome(0))
        second.record(5, outcome(5))
        await shard.flush()
        assert (first.path, second.path) != (second.path, first.path)
        assert shard.open(FILE, fingerprint="1-x", part=2).recorded.count == 0


async def test_all_parts_together_are_the_file(tmp_path: Path) -> None:
    await record(tmp_path, 1, 0, 1, part=0)
    await record(tmp_path, 2, 2, 3, part=1)
    await record(tmp_path, 3, 4, part=2)
    async with worker(tmp_path, 3) as shard:
        whole = shard.open(FILE, fingerprint="1-x", part=None)
        assert dict(whole.outcomes(str(tmp_path))) == {row: outcome(row) for row in range(5)}
        whole.retire()
    assert list(tmp_path.glob("*.log")) == []


async def test_the_next_owner_has_what_all_workers_recorded_and_tells_its_own(tmp_path: Path) -> None:
    await record(tmp_path, 1, 0, 1, part=0)
    await record(tmp_path, 2, 2, 3, part=1)
    owner = ShardJournal(str(tmp_path), epoch=2, identity="run")
    owner.prepare()
    assert owner.open(FILE, fingerprint="1-x").recorded.count == 4
    earlier = synced_earlier(str(tmp_path), before=2)
    await record(tmp_path, 1, 7, part=0)  # of an owner that was replaced, and woke
    async with worker(tmp_path, 1, epoch=2, earlier=earlier) as shard:
        journal = shard.open(FILE, fingerprint="1-x", part=0)
        assert sorted(dict(journal.outcomes(str(tmp_path)))) == [0, 1, 2, 3]
    await owner.close()


async def test_a_torn_end_of_a_dead_worker_costs_that_row_alone(tmp_path: Path) -> None:
    await record(tmp_path, 1, 0, 1, 2)
    (path,) = tmp_path.glob("*.log")
    path.write_bytes(path.read_bytes()[:-9])
    async with worker(tmp_path, 2) as shard:
        journal = shard.open(FILE, fingerprint="1-x")
        assert [row for row in range(5) if row in journal.recorded] == [0, 1]
        journal.record(2, outcome(20))
        await shard.flush()
        assert dict(journal.outcomes(str(tmp_path))) == {0: outcome(0), 1: outcome(1), 2: outcome(20)}


async def test_what_a_dead_worker_wrote_is_synced_by_who_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(tmp_path, 1, 0)
    synced: list[str] = []
    monkeypatch.setattr("modelcall.fs.append.AppendFile.sync", lambda self: synced.append(self.path))
    async with worker(tmp_path, 2) as shard:
        shard.open(FILE, fingerprint="1-x")
        await shard.secure()
    assert synced == [str(tmp_path / journal_name(KEY, 1, Writer(1, 0)))]


def test_names_tell_owner_worker_and_part(tmp_path: Path) -> None:
    names = [
        journal_name(KEY, 2, Writer(3, 4)),
        journal_name(KEY, 2, Writer(12, 0)),
        journal_name(KEY, 2),
        journal_name(KEY, 1, Writer(99999, 123456)),
        f"{KEY}.000002.published.log",
    ]
    for name in [*names, "copies.json", f"{KEY}.000002.aside", f"{KEY}.x.log", f"{KEY}.000002.0001.log"]:
        (tmp_path / name).write_bytes(b"12345")
    found = earlier_segments(str(tmp_path))[KEY]
    assert [(segment.epoch, segment.writer, segment.size) for segment in found] == [
        (1, Writer(99999, 123456), 5),
        (2, None, 5),
        (2, None, 5),
        (2, Writer(3, 4), 5),
        (2, Writer(12, 0), 5),
    ]
    assert found[1].path.endswith(".published.log")
    assert segments_of(str(tmp_path), KEY, epoch=2) == found[1:]
