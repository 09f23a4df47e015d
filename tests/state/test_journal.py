import asyncio
import errno
import itertools
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.errors import FatalError
from modelcall.state import outcomes
from modelcall.state.file_journal import FileJournal
from modelcall.state.journal import ShardJournal
from modelcall.state.row_set import RowSet
from modelcall.state.segments import file_key
from modelcall.types import ErrorType, Outcome, Usage

SCORED = Outcome(
    values={"score": 4, "tags": ["ü", "b"]},
    raw='{"score": 4}',
    attempts=2,
    model="m",
    finish_reason="stop",
    usage=Usage(9, 4, None, 0),
)
FAILED = Outcome(error_type=ErrorType.CUT, fail_reason="cut at 512 tokens", raw="{", attempts=4)


def ignore(_: BaseException) -> None:
    raise AssertionError


async def write(folder: Path, epoch: int, rows: dict[int, Outcome], file: str = "a.jsonl") -> None:
    shard = ShardJournal(str(folder), epoch=epoch, identity="run")
    shard.prepare()
    journal = shard.open(file, fingerprint="1-x")
    for row, outcome in rows.items():
        journal.record(row, outcome)
    await shard.close()


def opened(folder: Path) -> tuple[ShardJournal, FileJournal]:
    shard = ShardJournal(str(folder), epoch=1, identity="run")
    shard.prepare()
    return shard, shard.open("a.jsonl", fingerprint="1-x")


def reopen(folder: Path, epoch: int, fingerprint: str = "1-x") -> dict[int, Outcome]:
    shard = ShardJournal(str(folder), epoch=epoch, identity="run")
    shard.prepare()
    journal = shard.open("a.jsonl", fingerprint=fingerprint)
    read = dict(journal.outcomes(str(folder)))
    assert journal.recorded.count == len(read)
    assert all(row in journal.recorded for row in read)
    return read


async def test_a_file_that_is_opened_while_another_is_written_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are opened in threads: at any moment, in the middle of a flush, too."""
    shard, journal = opened(tmp_path)
    journal.record(7, SCORED)
    is_dirty: Any = vars(FileJournal)["dirty"].fget
    others = (f"other-{number}.jsonl" for number in itertools.count())

    def opening_another(self: FileJournal) -> bool:
        thread = threading.Thread(target=shard.open, args=(next(others),), kwargs={"fingerprint": "2-y"})
        thread.start()
        thread.join()
        return bool(is_dirty(self))

    monkeypatch.setattr(FileJournal, "dirty", property(opening_another))
    await shard.flush()
    monkeypatch.undo()
    await shard.close()
    assert reopen(tmp_path, 2) == {7: SCORED}


async def test_whatever_ends_the_writing_in_the_background_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, journal = opened(tmp_path)
    monkeypatch.setattr("modelcall.state.journal.FLUSH_SECONDS", 0.001)
    monkeypatch.setattr(FileJournal, "take", lambda _: 1 // 0)
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    journal.record(7, SCORED)
    shard.start(told.set_result)
    assert isinstance(await told, ZeroDivisionError)
    monkeypatch.undo()
    await shard.close()
    assert reopen(tmp_path, 2) == {7: SCORED}


@pytest.mark.parametrize("outcome", [SCORED, FAILED, Outcome(), Outcome(values={}, attempts=0)])
def test_an_outcome_survives_its_encoding(outcome: Outcome) -> None:
    assert outcomes.decode(outcomes.encode(outcome)) == outcome


@given(st.lists(st.integers(0, 3000)))
def test_a_row_set_is_a_set(rows: list[int]) -> None:
    ours = RowSet()
    seen: set[int] = set()
    for row in rows:
        assert ours.add(row) is (row not in seen)
        seen.add(row)
    assert ours.count == len(seen)
    assert [row for row in range(3010) if row in ours] == sorted(seen)


def test_a_row_set_knows_whether_it_covers_a_range() -> None:
    ours = RowSet()
    rows = {*range(3, 30), *range(32, 50)}
    for row in rows:
        ours.add(row)
    for first, count in itertools.product(range(60), range(60)):
        assert ours.covers(first, count) is rows.issuperset(range(first, first + count)), (first, count)


async def test_the_next_owner_reads_what_the_last_one_wrote(tmp_path: Path) -> None:
    await write(tmp_path, 1, {5: SCORED, 2: FAILED})
    await write(tmp_path, 2, {3: SCORED})
    assert list(reopen(tmp_path, 3).items()) == [(2, FAILED), (3, SCORED), (5, SCORED)]


async def test_the_first_recorded_outcome_of_a_row_counts(tmp_path: Path) -> None:
    await write(tmp_path, 1, {5: SCORED})
    await write(tmp_path, 2, {5: FAILED})
    assert reopen(tmp_path, 3) == {5: SCORED}


async def test_a_journal_written_in_several_parts_is_one_header_and_its_rows(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path)
    for row in (7, 3, 9):
        journal.record(row, SCORED)
        await shard.flush()
    await shard.close()
    assert Path(journal.path).read_bytes().count(b"\n") == 4
    assert reopen(tmp_path, 2) == dict.fromkeys((3, 7, 9), SCORED)


async def test_a_second_outcome_of_a_row_is_not_even_written(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path)
    for outcome in (SCORED, FAILED):
        journal.record(5, outcome)
    await shard.close()
    assert Path(journal.path).read_bytes().count(b"\n") == 2


async def test_a_process_that_was_replaced_can_write_and_harms_nobody(tmp_path: Path) -> None:
    await write(tmp_path, 1, {1: SCORED})
    successor = ShardJournal(str(tmp_path), epoch=2, identity="run")
    successor.prepare()
    zombie = Path(tmp_path, f"{file_key('a.jsonl')}.000001.log")
    zombie.write_bytes(zombie.read_bytes() * 2 + b"late")
    journal = successor.open("a.jsonl", fingerprint="1-x")
    assert dict(journal.outcomes(str(tmp_path))) == {1: SCORED}
    assert not journal.damage.torn_tail


async def test_every_cut_of_the_file_gives_the_rows_before_it(tmp_path: Path) -> None:
    rows = dict.fromkeys(range(4), SCORED)
    await write(tmp_path, 1, rows)
    path = tmp_path / f"{file_key('a.jsonl')}.000001.log"
    whole = path.read_bytes()
    counts = []
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        counts.append(len(reopen(tmp_path, 2)))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 4


async def test_a_journal_of_another_input_is_refused(tmp_path: Path) -> None:
    await write(tmp_path, 1, {1: SCORED})
    with pytest.raises(FatalError, match="another input or run"):
        reopen(tmp_path, 2, fingerprint="2-y")


@pytest.mark.parametrize("damage", [b"\0" * 30, b"x", b"\n"])
async def test_records_after_a_damaged_header_answer_for_themselves(tmp_path: Path, damage: bytes) -> None:
    await write(tmp_path, 1, {1: SCORED, 2: FAILED})
    path = tmp_path / f"{file_key('a.jsonl')}.000001.log"
    whole = path.read_bytes()
    path.write_bytes(damage + whole[len(damage) :])
    assert reopen(tmp_path, 2) == {1: SCORED, 2: FAILED}
    at = whole.index(b"\n")
    path.write_bytes(whole[:at] + b"." + whole[at + 1 :])
    assert reopen(tmp_path, 2) == {2: FAILED}


async def test_a_disk_that_refuses_is_fatal_and_asked_only_once(tmp_path: Path) -> None:
    shard = ShardJournal(str(tmp_path / "journal"), epoch=1, identity="run")
    shard.prepare()
    journal = shard.open("a.jsonl", fingerprint="1-x")
    journal.record(0, SCORED)
    (tmp_path / "journal").rename(tmp_path / "gone")
    with pytest.raises(FatalError, match="cannot be written"):
        await shard.flush()
    (tmp_path / "gone").rename(tmp_path / "journal")
    with pytest.raises(FatalError, match="cannot be written"):
        await shard.close()


async def test_retiring_removes_all_owners_journals(tmp_path: Path) -> None:
    await write(tmp_path, 1, {1: SCORED})
    shard = ShardJournal(str(tmp_path), epoch=2, identity="run")
    shard.prepare()
    journal = shard.open("a.jsonl", fingerprint="1-x")
    journal.record(2, SCORED)
    await shard.flush()
    shard.close_file(journal)
    journal.retire()
    await shard.close()
    assert list(tmp_path.iterdir()) == []


async def test_recorded_outcomes_are_written_in_the_background(tmp_path: Path) -> None:
    shard = ShardJournal(str(tmp_path), epoch=1, identity="run")
    shard.prepare()
    journal = shard.open("a.jsonl", fingerprint="1-x")
    shard.start(ignore)
    journal.record(0, SCORED)
    async with asyncio.timeout(5):
        while not Path(journal.path).exists():
            await asyncio.sleep(0.01)
    await shard.close()
    assert reopen(tmp_path, 2) == {0: SCORED}


async def cancelled(task: asyncio.Task[None]) -> None:
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_was_taken_for_writing_is_written_though_nobody_waits_for_it(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path)
    gate = threading.Event()
    shard._writer.submit(gate.wait)
    journal.record(0, SCORED)
    await cancelled(asyncio.create_task(shard.flush()))
    gate.set()
    journal.record(1, FAILED)
    await shard.close()
    assert reopen(tmp_path, 2) == {0: SCORED, 1: FAILED}


async def test_a_write_that_fails_when_nobody_waits_for_it_is_told_at_the_close(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path / "journal")
    gate = threading.Event()
    shard._writer.submit(gate.wait)
    journal.record(0, SCORED)
    await cancelled(asyncio.create_task(shard.flush()))
    (tmp_path / "journal").rename(tmp_path / "gone")
    gate.set()
    with pytest.raises(FatalError, match="cannot be written"):
        await shard.close()


async def test_a_sync_that_comes_late_leaves_nothing_of_a_retired_journal(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path)
    journal.record(0, SCORED)
    await shard.flush()
    gate = threading.Event()
    shard._syncer.submit(gate.wait)
    sync = asyncio.create_task(shard._sync())
    await asyncio.sleep(0)
    shard.close_file(journal)
    journal.retire()
    gate.set()
    await sync
    await shard.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_slow_sync_holds_no_write_back(tmp_path: Path) -> None:
    shard, journal = opened(tmp_path)
    gate = threading.Event()
    shard._syncer.submit(gate.wait)
    shard.start(ignore)
    journal.record(0, SCORED)
    await shard.flush()
    sync = asyncio.create_task(shard._sync())
    await asyncio.sleep(0)
    journal.record(1, SCORED)
    async with asyncio.timeout(5):
        while Path(journal.path).read_bytes().count(b"\n") < 3:
            await asyncio.sleep(0.01)
    gate.set()
    await sync
    await shard.close()


async def test_recorded_outcomes_are_synced_and_so_is_the_way_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    shard, journal = opened(tmp_path / "new" / "journal")
    assert synced == [str(tmp_path.parent), str(tmp_path), str(tmp_path / "new")]
    synced.clear()
    shard.start(ignore)
    journal.record(0, SCORED)
    async with asyncio.timeout(5):
        while synced != [journal.path, shard.folder]:
            await asyncio.sleep(0.01)
    await shard.close()
    assert synced == [journal.path, shard.folder]


async def test_what_an_owner_left_that_was_killed_before_its_sync_is_synced_once_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(tmp_path, 1, {0: SCORED})
    shard = ShardJournal(str(tmp_path), epoch=2, identity="run")
    shard.prepare()
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    await shard._sync()
    assert synced == [str(tmp_path / f"{file_key('a.jsonl')}.000001.log"), str(tmp_path)]
    await shard.close()
    assert len(synced) == 2


async def test_a_failed_sync_is_fatal_and_never_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def fsync(_: int) -> None:
        nonlocal calls
        calls += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    shard, journal = opened(tmp_path)
    journal.record(0, SCORED)
    monkeypatch.setattr(os, "fsync", fsync)
    failures: list[BaseException] = []
    shard.start(failures.append)
    async with asyncio.timeout(5):
        while len(failures) < 2:
            await asyncio.sleep(0.01)
    journal.record(1, SCORED)
    with pytest.raises(FatalError, match="Input/output error"):
        await shard.close()
    assert (calls, {type(failure) for failure in failures}) == (1, {FatalError})


async def test_a_disk_that_fills_up_inside_a_frame_costs_that_frame_and_those_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, journal = opened(tmp_path)
    journal.record(0, SCORED)
    await shard.flush()
    os_write = os.write

    def full(descriptor: int, data: bytes | memoryview) -> int:
        if len(data) < 30:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os_write(descriptor, data[: len(data) // 2])

    for row in (1, 2):
        journal.record(row, SCORED)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FatalError, match="No space left"):
        await shard.flush()
    monkeypatch.undo()
    size = Path(journal.path).stat().st_size
    journal.record(3, SCORED)
    with pytest.raises(FatalError, match="No space left"):
        await shard.close()
    assert Path(journal.path).stat().st_size == size
    await write(tmp_path, 2, {3: FAILED})
    assert reopen(tmp_path, 3) == {0: SCORED, 1: SCORED, 3: FAILED}


async def test_what_was_killed_in_its_first_write_counts_for_nothing_and_is_retired(tmp_path: Path) -> None:
    await write(tmp_path, 1, {0: SCORED})
    path = tmp_path / f"{file_key('a.jsonl')}.000001.log"
    path.write_bytes(path.read_bytes()[:20])
    shard = ShardJournal(str(tmp_path), epoch=2, identity="run")
    shard.prepare()
    journal = shard.open("a.jsonl", fingerprint="1-x")
    assert journal.recorded.count == 0
    journal.retire()
    await shard.close()
    assert list(tmp_path.iterdir()) == []
