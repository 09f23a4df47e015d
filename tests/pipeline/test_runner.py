import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from modelcall.errors import FatalError
from modelcall.formats.base import Start
from modelcall.pipeline.columns import ResultPlan
from modelcall.pipeline.file import OpenFile
from modelcall.pipeline.job import FileJob, JobResult, Part
from modelcall.pipeline.runner import RunnerSettings
from modelcall.pipeline.shard_place import Limits
from modelcall.types import ErrorType, Outcome, Permit, RowRef
from tests.pipeline.harness import SETTINGS, Bench, FakeJudge, expected_score

TEXTS = [f"text number {number}" for number in range(53)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_every_row_comes_out_once_in_order_with_its_own_score(bench: Bench) -> None:
    rng = random.Random(1)

    async def at_random(ref: RowRef, permit: Permit) -> None:
        del ref, permit
        for _ in range(rng.randrange(8)):
            await asyncio.sleep(0)

    bench.jsonl("a.jsonl", TEXTS)
    bench.parquet("b.parquet", TEXTS[:20])
    bench.jsonl("sub/c.jsonl".replace("/", "_"), [])
    judge = FakeJudge(act=at_random)
    tally = await bench.start(judge)
    assert (tally.files, tally.rows, tally.scored, tally.failed) == (3, 73, 73, 0)
    rows = bench.rows("a.parquet")
    assert [(row["id"], row["text"]) for row in rows] == list(enumerate(TEXTS))
    assert [row["score"] for row in rows] == [expected_score(text) for text in TEXTS]
    assert [row["api_status"] for row in rows] == ["success"] * 53
    assert set(judge.asked.values()) == {1}
    assert bench.verify().problems == []
    assert bench.leftovers() == []


async def test_the_permits_are_never_passed_and_are_used(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    judge = FakeJudge(ceiling=5, act=lambda *_: asyncio.sleep(0.001))
    await bench.start(judge)
    assert judge.most_in_flight == 5
    assert judge.slots.in_use == 0


async def test_a_straggler_holds_neither_the_next_file_nor_its_rows_back(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS[:10])
    bench.jsonl("b.jsonl", TEXTS)
    rest_done = asyncio.Event()

    async def wait_for_the_rest(ref: RowRef, permit: Permit) -> None:
        del permit
        if (ref.file, ref.row_index) == ("a.jsonl", 0):
            await asyncio.wait_for(rest_done.wait(), 10)
        if (ref.file, ref.row_index) == ("b.jsonl", 52):
            rest_done.set()

    await bench.start(
        FakeJudge(ceiling=2, act=wait_for_the_rest), settings=RunnerSettings(max_concurrent_files=1, chunk_rows=10)
    )
    assert bench.seen.rows[-1] == ("a.jsonl", 0)
    assert len(bench.seen.rows) == 63


async def test_a_row_that_waits_gives_its_permit_to_others(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS[:4])
    others = asyncio.Event()

    async def wait_without_permit(ref: RowRef, permit: Permit) -> None:
        if ref.row_index == 0:
            permit.release()
            await asyncio.wait_for(others.wait(), 10)
            await permit.acquire()
        if ref.row_index == 3:
            others.set()

    judge = FakeJudge(ceiling=1, act=wait_without_permit)
    tally = await bench.start(judge)
    assert tally.scored == 4
    assert judge.slots.in_use == 0


async def test_a_failed_row_keeps_its_place_with_nulls_and_a_reason(bench: Bench) -> None:
    failure = Outcome(error_type=ErrorType.INVALID_OUTPUT, fail_reason="no JSON", raw="hm", attempts=4)
    bench.jsonl("a.jsonl", TEXTS[:5])
    tally = await bench.start(FakeJudge(act=lambda ref, _: failure if ref.row_index == 2 else None))
    assert (tally.failed, dict(tally.failures)) == (1, {"invalid_output": 1})
    row = bench.rows("a.parquet")[2]
    assert row["text"] == TEXTS[2]
    assert (row["score"], row["note"]) == (None, None)
    assert (row["api_status"], row["api_error_type"], row["api_fail_reason"]) == ("error", "invalid_output", "no JSON")
    assert (row["api_return"], row["api_attempts"]) == ("hm", 4)
    failed = (bench.output / ".modelcall/failed/a.parquet.jsonl").read_text().splitlines()
    assert [json.loads(line)["row_index"] for line in failed] == [2]
    assert bench.verify().failed == 1


async def test_rows_that_are_no_json_are_failed_rows_and_their_neighbours_unharmed(bench: Bench) -> None:
    (bench.input / "a.jsonl").write_bytes(b'{"text":"one"}\n[1]\n{"text":"t\xff"}\n{"text":null}\n{"text":"two"}')
    await bench.start(FakeJudge())
    rows = bench.rows("a.parquet")
    assert [row["api_error_type"] for row in rows] == [None, "bad_row", "bad_row", "bad_row", None]
    assert rows[1]["api_fail_reason"].startswith("a.jsonl: line 2: ")
    assert [row["text"] for row in rows] == ["one", None, None, None, "two"]


async def test_a_bad_row_stops_the_run_if_the_task_says_so(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS[:3])
    with (bench.input / "a.jsonl").open("a") as stream:
        stream.write("{broken\n")
    settings = RunnerSettings(max_concurrent_files=1, chunk_rows=1, stop_at_bad_row=True)
    with pytest.raises(FatalError, match=r"a\.jsonl: line 4: "):
        await bench.start(FakeJudge(), settings=settings)
    assert not (bench.output / "a.parquet").exists()


async def test_a_fatal_error_stops_asking_and_keeps_what_was_answered(bench: Bench) -> None:
    def wrong_key(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 20:
            raise FatalError("wrong key")

    bench.jsonl("a.jsonl", [f"row {number}" for number in range(5000)])
    judge = FakeJudge(ceiling=8, act=wrong_key)
    with pytest.raises(FatalError, match="wrong key"):
        await bench.start(judge)
    assert len(judge.asked) < 20 + 8 + 5
    assert not (bench.output / "a.parquet").exists()
    again = FakeJudge(ceiling=8)
    await bench.start(again)
    answered = set(judge.asked) - {("a.jsonl", 20)}
    assert set(again.asked) & answered == set()
    assert set(again.asked) | answered == {("a.jsonl", row) for row in range(5000)}


async def test_an_error_nobody_foresaw_ends_the_run_and_is_raised(bench: Bench) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    bench.jsonl("a.jsonl", TEXTS)
    with pytest.raises(ZeroDivisionError):
        await bench.start(FakeJudge(act=broken))


async def test_a_stop_lets_rows_in_flight_end_and_a_restart_asks_only_the_rest(bench: Bench) -> None:
    def stop_at_twenty(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 20:
            assert bench.runner is not None
            bench.runner.stop()

    bench.jsonl("a.jsonl", TEXTS)
    bench.jsonl("b.jsonl", TEXTS[:2])
    first, second = FakeJudge(ceiling=4, act=stop_at_twenty), FakeJudge()
    tally = await bench.start(first, settings=RunnerSettings(max_concurrent_files=1, chunk_rows=10))
    assert tally.unfinished == 2
    await bench.start(second)
    assert bench.seen.started["a.jsonl"] == len(first.asked)
    assert set(first.asked) & set(second.asked) == set()
    assert [row["score"] for row in bench.rows("a.parquet")] == [expected_score(text) for text in TEXTS]
    assert bench.leftovers() == []


async def test_after_the_grace_period_rows_in_flight_are_cut_off(bench: Bench) -> None:
    async def hang(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 3:
            assert bench.runner is not None
            bench.runner.stop()
            await asyncio.Event().wait()

    bench.jsonl("a.jsonl", TEXTS)
    judge = FakeJudge(ceiling=2, act=hang)
    settings = RunnerSettings(max_concurrent_files=1, chunk_rows=10, grace_seconds=0)
    tally = await bench.start(judge, settings=settings)
    assert tally.unfinished == 1
    assert judge.slots.in_use == 0


async def test_an_unreadable_file_is_failed_and_the_others_go_on(bench: Bench) -> None:
    bench.parquet("a.parquet", TEXTS)
    bench.jsonl("b.jsonl", TEXTS)
    run = bench.run_of()
    path = bench.input / "a.parquet"
    stat = path.stat()
    path.write_bytes(b"PAR1" + b"x" * (stat.st_size - 8) + b"PAR1")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    del run
    tally = await bench.start(FakeJudge())
    assert list(tally.broken_files) == ["a.parquet"]
    assert list(bench.seen.done) == ["b.jsonl"]
    assert not (bench.output / "a.parquet").exists()


async def test_input_that_changes_while_it_is_read_stops_the_run(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS)

    def change(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 30:
            bench.jsonl("a.jsonl", [*TEXTS, "one more"])

    with pytest.raises(FatalError, match="changed while it was being read"):
        await bench.start(FakeJudge(act=change))
    assert not (bench.output / "a.parquet").exists()


async def test_a_row_limit_makes_a_partial_file_and_lifting_it_reuses_the_answers(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS)
    first, second = FakeJudge(), FakeJudge()
    await bench.start(first, limits=Limits(rows=7))
    assert len(bench.rows("a.parquet")) == 7
    assert bench.verify().partial == 1
    await bench.start(second)
    assert set(first.asked) & set(second.asked) == set()
    assert [row["score"] for row in bench.rows("a.parquet")] == [expected_score(text) for text in TEXTS]
    assert (bench.verify().partial, bench.verify().problems) == (0, [])
    assert bench.leftovers() == []


async def test_an_input_column_with_the_name_of_a_result_fails_the_file_before_its_rows_are_asked(bench: Bench) -> None:
    (bench.input / "a.jsonl").write_text('{"text": "a", "score": 1}\n')
    judge = FakeJudge()
    tally = await bench.start(judge)
    assert "already has the column(s) score" in tally.broken_files["a.jsonl"]
    assert not judge.asked
    tally = await bench.start(judge, prefix="judge_")
    assert bench.rows("a.parquet")[0] | {"judge_score": 0} == bench.rows("a.parquet")[0] | {
        "judge_score": 0,
        "score": 1,
    }


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
async def test_the_same_run_twice_gives_the_same_bytes(tmp_path: Path, output_format: str) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, output_format=output_format)
        bench.jsonl("a.jsonl", TEXTS)
        bench.parquet("b.parquet", TEXTS)
        rng = random.Random(name)

        async def at_random(ref: RowRef, permit: Permit, rng: random.Random = rng) -> None:
            del ref, permit
            for _ in range(rng.randrange(9)):
                await asyncio.sleep(0)

        await bench.start(FakeJudge(act=at_random))
        made.append({path.name: path.read_bytes() for path in bench.output.glob("*.*") if path.is_file()})
    assert made[0] == made[1]
    assert len(made[0]) == 2


async def test_only_the_wanted_input_columns_are_carried(bench: Bench) -> None:
    bench.parquet("a.parquet", TEXTS[:3])
    await bench.start(FakeJudge(), output_columns=("id",), keep_raw=False)
    names = list(bench.rows("a.parquet")[0])
    assert names[:3] == ["id", "score", "note"]
    assert "api_return" not in names
    assert "text" not in names


async def test_a_scorer_without_declared_columns_gets_them_settled_over_the_file(bench: Bench) -> None:
    values: list[dict[str, Any]] = [{"a": 1}, {"a": 2.5, "b": ["x"]}, {"c": {"k": 1}}, {"c": {"other": 2}}]
    bench.jsonl("a.jsonl", TEXTS[:4])
    judge = FakeJudge(columns=None, act=lambda ref, _: Outcome(values=values[ref.row_index]))
    await bench.start(judge)
    rows = bench.rows("a.parquet")
    assert [row["a"] for row in rows] == [1.0, 2.5, None, None]
    assert [row["b"] for row in rows] == [None, ["x"], None, None]
    assert [row["c"] for row in rows] == [None, None, '{"k":1}', '{"other":2}']


async def test_no_more_files_are_read_at_a_time_than_allowed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        bench.jsonl(f"{number}.jsonl", TEXTS[:20])
    reading: list[int] = [0, 0]
    read = OpenFile.read

    async def counted(self: OpenFile, *arguments: Any) -> None:
        reading[0] += 1
        reading[1] = max(reading)
        await read(self, *arguments)
        reading[0] -= 1

    monkeypatch.setattr(OpenFile, "read", counted)
    settings = RunnerSettings(max_concurrent_files=2, chunk_rows=3)
    tally = await bench.start(FakeJudge(ceiling=3), settings=settings)
    assert (tally.files, reading) == (8, [0, 2])


async def test_while_a_part_is_read_no_other_job_is_taken(bench: Bench) -> None:
    bench.jsonl("a.jsonl", TEXTS[:40])
    taken: list[FileJob] = []
    full, release = asyncio.Event(), asyncio.Event()

    async def wait(ref: RowRef, permit: Permit) -> None:
        del permit
        if ref.row_index == 3:
            full.set()
        await release.wait()

    judge = FakeJudge(ceiling=4, act=wait)
    run = bench.run_of()

    async def score() -> list[JobResult]:
        async with run.owned(delete_existing=False):
            (whole,) = run.jobs(run.progress())
            ends = [0, *accumulate(map(len, Path(whole.path).read_bytes().splitlines(keepends=True)))]
            begins = [Start(row, ends[row]) for row in (0, 10, 20, 30, 40)]

            async def jobs() -> AsyncIterator[FileJob]:
                for number, (start, end) in enumerate(pairwise(begins)):
                    taken.append(replace(whole, part=Part(number, start, end.row)))
                    yield taken[-1]

            plan = ResultPlan(judge.columns, is_judge=True)
            runner = run.runner(judge, plan, output_columns=None, listener=bench.seen, settings=SETTINGS)
            return [result async for result in runner.run(jobs())]

    scoring = asyncio.ensure_future(score())
    await full.wait()
    assert len(taken) == 1
    release.set()
    assert [result.job for result in await scoring] == taken
    assert sorted(bench.seen.rows) == [("a.jsonl", row) for row in range(40)]
