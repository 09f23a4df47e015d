"""However a run ends, nothing is left behind and what was answered is kept."""

import asyncio
import errno
import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from modelcall.errors import FatalError
from modelcall.pipeline import owning
from modelcall.pipeline.runner import RunnerSettings
from modelcall.state.lock import Lock
from modelcall.state.run import RunStore
from modelcall.types import Outcome, Permit, RowRef
from tests.pipeline.harness import Bench, FakeJudge, Seen

TEXTS = [f"text number {number}" for number in range(40)]
ONE_FILE = RunnerSettings(max_concurrent_files=1, chunk_rows=10)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
async def complaints() -> list[dict[str, Any]]:
    """What the event loop finds nobody to tell: exceptions that were never retrieved, tasks destroyed while pending."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    return told


def no_leftovers() -> None:
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("modelcall-")] == []


@pytest.mark.parametrize("steps", [0, 1, 2, 4, 7, 11, 17, 26, 40, 60, 90])
async def test_a_run_cancelled_at_any_moment_leaves_nothing_behind_and_forgets_nothing(
    bench: Bench, complaints: list[dict[str, Any]], steps: int
) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    bench.parquet("b.parquet", TEXTS)
    first, second = FakeJudge(ceiling=3), FakeJudge()
    run = asyncio.create_task(bench.start(first))
    for _ in range(steps):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert first.slots.in_use == 0
    answered = set(bench.seen.rows)
    await bench.start(second)
    assert set(second.asked) & answered == set()
    assert bench.verify().problems == []
    assert bench.leftovers() == []
    no_leftovers()
    assert complaints == []


async def test_a_fatal_error_while_files_are_published_leaves_nothing_behind(
    bench: Bench, complaints: list[dict[str, Any]]
) -> None:
    def no_balance(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref == RowRef("c.jsonl", 0, ref.request_id):
            raise FatalError("no balance")

    for name in ("a.jsonl", "b.jsonl"):
        bench.jsonl(name, TEXTS[:1])
    bench.jsonl("c.jsonl", TEXTS)
    judge = FakeJudge(act=no_balance)
    with pytest.raises(FatalError, match="no balance"):
        await bench.start(judge)
    assert sorted(bench.seen.done) == ["a.jsonl", "b.jsonl"]
    assert judge.slots.in_use == 0
    no_leftovers()
    assert complaints == []


async def test_a_file_that_is_complete_when_the_stop_comes_is_published(bench: Bench) -> None:
    async def stop_at_the_last(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.file == "a.jsonl" and ref.row_index == len(TEXTS) - 1:
            while "b.jsonl" not in bench.seen.started:  # a is read to its end
                await asyncio.sleep(0.001)
            assert bench.runner is not None
            bench.runner.stop()

    bench.jsonl("a.jsonl", TEXTS)
    bench.jsonl("b.jsonl", TEXTS)
    tally = await bench.start(FakeJudge(ceiling=1, act=stop_at_the_last), settings=ONE_FILE)
    assert (list(bench.seen.done), tally.unfinished) == (["a.jsonl"], 1)


async def test_a_stop_before_the_first_row_asks_nothing(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    judge = FakeJudge()
    run = asyncio.create_task(bench.start(judge))
    while bench.runner is None:
        await asyncio.sleep(0)
    bench.runner.stop()
    assert (await run).unfinished == 1
    assert not judge.asked


async def test_a_run_whose_shard_was_taken_over_stops_within_a_heartbeat(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_over(ref: RowRef, permit: Permit) -> Any:
        del permit
        if ref.row_index == 10:
            (bench.output / ".modelcall/locks/r1-job000/000002.json").write_text("{}")
        return asyncio.sleep(0.001)

    monkeypatch.setattr(owning, "BEAT_SECONDS", 0.002)
    bench.jsonl("a.jsonl", TEXTS * 100)
    judge = FakeJudge(ceiling=2, act=take_over)
    with pytest.raises(FatalError, match="taken over"):
        await bench.start(judge)
    assert 10 < len(judge.asked) < 2000
    no_leftovers()


async def test_an_answer_is_kept_though_a_listener_breaks_over_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_at_five(self: Seen, ref: RowRef, outcome: Outcome) -> None:
        del self, outcome
        if ref.row_index == 5:
            raise ZeroDivisionError

    bench.jsonl("a.jsonl", TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(Seen, "row_done", break_at_five)
        with pytest.raises(ZeroDivisionError):
            await bench.start(FakeJudge(ceiling=1))
    again = FakeJudge()
    await bench.start(again)
    assert min(row for _, row in again.asked) >= 6


async def test_a_heartbeat_that_the_disk_refuses_is_tried_again_and_ends_no_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = 0
    beat = Lock.beat

    def refused_once(self: Lock) -> None:
        nonlocal beats
        beats += 1
        if beats == 1:
            raise OSError(errno.ESTALE, "stale handle")
        beat(self)

    async def until_it_beats(ref: RowRef, permit: Permit) -> None:
        del permit
        while ref.row_index == 0 and beats < 3:
            await asyncio.sleep(0.001)

    monkeypatch.setattr(owning, "BEAT_SECONDS", 0.002)
    monkeypatch.setattr(Lock, "beat", refused_once)
    bench.jsonl("a.jsonl", TEXTS)
    tally = await asyncio.wait_for(bench.start(FakeJudge(act=until_it_beats)), 10)
    assert tally.scored == len(TEXTS)


async def test_a_lock_that_cannot_be_given_back_spoils_no_finished_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Lock) -> None:
        del self
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Lock, "release", full)
    bench.jsonl("a.jsonl", TEXTS)
    assert (await bench.start(FakeJudge())).scored == len(TEXTS)


async def test_a_disk_that_cannot_note_a_failed_file_ends_the_run_before_the_lock_is_given_back(
    bench: Bench, complaints: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes over must find what was answered, and nobody still asking."""

    async def last_row_never_ends(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == len(TEXTS) - 1:
            await asyncio.get_running_loop().create_future()

    def disk_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.jsonl("a.jsonl", TEXTS)
    bench.parquet("b.parquet", TEXTS)
    (bench.input / "b.parquet").write_bytes((bench.input / "b.parquet").read_bytes()[:-20])
    first, second = FakeJudge(ceiling=3, act=last_row_never_ends), FakeJudge()
    with monkeypatch.context() as broken:
        broken.setattr(RunStore, "note_version", disk_full)
        with pytest.raises(OSError, match="No space"):
            await bench.start(first)
    assert first.slots.in_use == 0
    no_leftovers()
    answered = set(bench.seen.rows)
    await bench.start(second)
    assert set(second.asked) & answered == set()
    assert complaints == []


async def test_a_row_that_cancels_itself_ends_the_run_instead_of_leaving_its_file_open_for_ever(
    bench: Bench, complaints: list[dict[str, Any]]
) -> None:
    def cancels_itself(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 7:
            raise asyncio.CancelledError

    bench.jsonl("a.jsonl", TEXTS)
    first, second = FakeJudge(ceiling=3, act=cancels_itself), FakeJudge()
    async with asyncio.timeout(20):
        with pytest.raises(RuntimeError, match="a row was cancelled"):
            await bench.start(first)
    answered = set(bench.seen.rows)
    await bench.start(second)
    assert set(second.asked) == {("a.jsonl", row) for row in range(len(TEXTS))} - answered
    assert first.slots.in_use == 0
    no_leftovers()
    assert complaints == []
