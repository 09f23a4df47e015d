"""Failed rows asked again: what is asked, what comes out, what is told, and what a death in between leaves."""

import asyncio
import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from modelcall.errors import FatalError
from modelcall.pipeline.shard_place import Limits
from modelcall.state.manifest import Entry, Manifest
from modelcall.types import ErrorType, Outcome, Permit, RowRef, Usage
from tests.pipeline.harness import Bench, FakeJudge

TEXTS: list[Any] = [f"text {number}" for number in range(30)]
TEXTS[7] = None  # a bad row: it is never asked again
REFUSED = [row for row in range(30) if row % 5 == 0]
BOOKKEEPING = {"api_attempts", "api_prompt_tokens", "api_completion_tokens", "api_reasoning_tokens"}


def refuse(*rows: int) -> Callable[[RowRef, Permit], Outcome | None]:
    def act(ref: RowRef, permit: Permit) -> Outcome | None:
        del permit
        if ref.row_index not in rows:
            return None
        return Outcome(
            error_type=ErrorType.REFUSED,
            fail_reason="refused",
            raw="no",
            attempts=3,
            model="fake",
            finish_reason="stop",
            usage=Usage(30, 10, None, 2),
        )

    return act


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def entry(bench: Bench, name: str) -> Entry:
    found = bench.run_of().to.manifest.get(name)
    assert found is not None
    return found


def without(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


@pytest.fixture(params=["parquet", "jsonl"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    made = Bench(tmp_path, output_format=request.param)
    made.jsonl("a.jsonl", TEXTS)
    return made


def name_of(bench: Bench) -> str:
    return "a.parquet" if (bench.output / "a.parquet").exists() else "a.jsonl"


async def test_only_failed_rows_are_asked_again_and_the_output_is_as_if_they_had_not_failed(
    bench: Bench, tmp_path: Path
) -> None:
    first = await bench.start(FakeJudge(act=refuse(*REFUSED)))
    assert (first.rows, first.failed) == (30, 7)
    judge = FakeJudge()
    tally = await bench.start(judge, retry=True)
    assert sorted(row for _, row in judge.asked) == REFUSED
    assert (tally.rows, tally.failed, tally.again, dict(tally.failures)) == (30, 1, 6, {"bad_row": 1})
    name = name_of(bench)
    (tmp_path / "clean").mkdir()
    clean = Bench(tmp_path / "clean", output_format="parquet" if name.endswith("parquet") else "jsonl")
    clean.jsonl("a.jsonl", TEXTS)
    await clean.start(FakeJudge())
    assert without(bench.rows(name), BOOKKEEPING) == without(clean.rows(name), BOOKKEEPING)
    row = bench.rows(name)[5]
    assert [row[f"api_{what}"] for what in ("attempts", "prompt_tokens", "completion_tokens")] == [4, 33, 11]
    assert (row["api_cached_tokens"], row["api_reasoning_tokens"]) == (None, 2)
    assert bench.verify().problems == []
    assert bench.leftovers() == []


async def test_manifest_and_lists_tell_the_new_state_and_the_history_the_old(bench: Bench) -> None:
    await bench.start(FakeJudge(act=refuse(*REFUSED)))
    await bench.start(FakeJudge(act=refuse(10, 20)), retry=True)
    name = name_of(bench)
    state = bench.output / ".modelcall"
    told = entry(bench, name)
    assert (told.rows, told.scored, told.failed, told.failures) == (30, 27, 3, {"bad_row": 1, "refused": 2})
    assert told.replacing == ()
    failed = {line["row_index"]: line["attempts"] for line in lines(state / f"failed/{name}.jsonl")}
    assert failed == {7: 0, 10: 6, 20: 6}
    history = lines(state / f"history/{name}.jsonl")
    assert [(line["row_index"], line["attempts"]) for line in history] == [(row, 3) for row in REFUSED]
    assert history[0] == {
        "row_index": 0,
        "error_type": "refused",
        "reason": "refused",
        "attempts": 3,
        "raw": "no",
        "model": "fake",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 30, "completion_tokens": 10, "cached_tokens": None, "reasoning_tokens": 2},
    }
    await bench.start(FakeJudge(), retry=True)
    assert [line["row_index"] for line in lines(state / f"failed/{name}.jsonl")] == [7]
    history = lines(state / f"history/{name}.jsonl")
    again = [(10, 3), (10, 6), (20, 3), (20, 6)]
    assert [(line["row_index"], line["attempts"]) for line in history if line["row_index"] in {10, 20}] == again
    assert len(history) == 8
    assert [bench.rows(name)[row]["api_attempts"] for row in (5, 10)] == [4, 7]
    assert bench.verify().problems == []


@pytest.mark.parametrize("retried", [False, True])
async def test_the_history_of_another_run_does_not_become_this_ones(bench: Bench, retried: bool) -> None:
    await bench.start(FakeJudge(act=refuse(3, 9)))
    await bench.start(FakeJudge(), retry=True)
    name = name_of(bench)
    (bench.output / name).unlink()
    (bench.output / f".modelcall/manifest/{name}.json").unlink()
    await bench.start(FakeJudge(act=refuse(5)))
    history = bench.output / f".modelcall/history/{name}.jsonl"
    assert not history.exists()
    if retried:
        await bench.start(FakeJudge(), retry=True)
        assert [line["row_index"] for line in lines(history)] == [5]


async def test_with_nothing_to_ask_again_nothing_happens(bench: Bench) -> None:
    await bench.start(FakeJudge())
    before = (bench.output / name_of(bench)).stat().st_ino
    judge = FakeJudge()
    tally = await bench.start(judge, retry=True)
    assert (judge.asked.total(), tally.rows, tally.failed, tally.again) == (0, 30, 1, 0)
    assert (bench.output / name_of(bench)).stat().st_ino == before


async def test_a_raw_answer_that_is_only_in_the_list_of_failed_rows_reaches_the_history(bench: Bench) -> None:
    await bench.start(FakeJudge(act=refuse(3)), keep_raw=False)
    await bench.start(FakeJudge(), keep_raw=False, retry=True)
    name = name_of(bench)
    assert [line["raw"] for line in lines(bench.output / f".modelcall/history/{name}.jsonl")] == ["no"]
    assert "api_return" not in bench.rows(name)[0]
    assert bench.verify().problems == []


async def test_a_prefix_and_chosen_columns_stay(tmp_path: Path) -> None:
    bench = Bench(tmp_path, identity={"data.output_columns": '["id"]'})
    bench.jsonl("a.jsonl", TEXTS)
    for judge, retry in ((FakeJudge(act=refuse(3)), False), (FakeJudge(), True)):
        await bench.start(judge, prefix="x_", output_columns=("id",), retry=retry)
    rows = bench.rows("a.parquet")
    assert list(rows[3])[:4] == ["id", "x_score", "x_note", "x_api_status"]
    assert [row["x_api_status"] for row in rows] == ["error" if row["id"] == 7 else "success" for row in rows]
    assert bench.verify().problems == []


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
async def test_columns_that_a_scorer_settles_keep_their_values_and_types(tmp_path: Path, output_format: str) -> None:
    values: list[dict[str, Any]] = [
        {"n": 1, "deep": {"a": [1.5]}, "odd": row if row % 2 else {"k": [row]}, "tags": []} for row in range(30)
    ]

    def settled(*failing: int) -> Callable[[RowRef, Permit], Outcome]:
        def act(ref: RowRef, permit: Permit) -> Outcome:
            return refuse(*failing)(ref, permit) or Outcome(values=values[ref.row_index])

        return act

    tables: list[tuple[Any, ...]] = []
    for failing in ([3, 4, 9], []):
        folder = tmp_path / str(len(failing))
        folder.mkdir()
        bench = Bench(folder, output_format=output_format)
        bench.jsonl("a.jsonl", TEXTS)
        await bench.start(FakeJudge(act=settled(*failing), columns=None))
        if failing:
            await bench.start(FakeJudge(act=settled(), columns=None), retry=True)
        assert bench.verify().problems == []
        name = name_of(bench)
        tables.append((without(bench.rows(name), BOOKKEEPING), entry(bench, name).columns))
        if output_format == "parquet":
            tables[-1] += (pq.read_schema(bench.output / name),)
    assert tables[0] == tables[1]
    assert json.loads(tables[0][0][4]["odd"]) == {"k": [4]}


async def test_failed_rows_of_an_unfinished_file_are_asked_again_with_those_never_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.jsonl("a.jsonl", TEXTS)

    def give_up(ref: RowRef, permit: Permit) -> Outcome | None:
        if ref.row_index == 12 and bench.runner is not None:
            bench.runner.stop()
        return refuse(*REFUSED)(ref, permit)

    judge = FakeJudge(ceiling=1, act=give_up)
    await bench.start(judge)
    done = {row for _, row in judge.asked}
    assert 12 in done
    assert 29 not in done
    plain = FakeJudge(ceiling=1, act=give_up)
    again = FakeJudge()
    await bench.start(again, retry=True)
    assert {row for _, row in again.asked} == {*REFUSED, *set(range(30)).difference(done)}
    await bench.start(plain)
    assert not plain.asked
    assert [row["api_status"] for row in bench.rows("a.parquet")].count("error") == 1
    history = [line["row_index"] for line in lines(bench.output / ".modelcall/history/a.parquet.jsonl")]
    assert history == sorted(done.intersection(REFUSED))


async def test_a_plain_start_goes_on_with_what_a_retry_began(bench: Bench) -> None:
    await bench.start(FakeJudge(act=refuse(*REFUSED)))

    def give_up(ref: RowRef, permit: Permit) -> Outcome | None:
        if ref.row_index == 10 and bench.runner is not None:
            bench.runner.stop()
        return refuse(5)(ref, permit)

    judge = FakeJudge(ceiling=1, act=give_up)
    tally = await bench.start(judge, retry=True)
    done = {row for _, row in judge.asked}
    assert (10 in done, 25 in done, tally.unfinished) == (True, False, 1)
    assert bench.verify().problems == []
    plain = FakeJudge()
    tally = await bench.start(plain)
    assert {row for _, row in plain.asked} == set(REFUSED).difference(done)
    assert tally.failed == 2  # the bad row, and the one that failed again
    last = FakeJudge()
    assert (await bench.start(last)).failed == 2
    assert not last.asked


async def test_a_retry_of_a_partial_file_asks_its_failed_rows_and_a_whole_one_is_not_shortened(bench: Bench) -> None:
    await bench.start(FakeJudge(act=refuse(0, 5)), limits=Limits(rows=7))
    judge = FakeJudge()
    tally = await bench.start(judge, limits=Limits(rows=7), retry=True)
    assert sorted(row for _, row in judge.asked) == [0, 5]
    assert (tally.rows, tally.failed) == (7, 0)
    whole = FakeJudge(act=refuse(20))
    tally = await bench.start(whole)
    assert sorted(row for _, row in whole.asked) == list(range(7, 30))
    assert (tally.rows, tally.failed) == (30, 2)
    limited = FakeJudge()
    tally = await bench.start(limited, limits=Limits(rows=7), retry=True)
    assert (tally.rows, limited.asked.total(), len(bench.rows(name_of(bench)))) == (30, 0, 30)
    assert bench.verify().problems == []


async def test_an_output_that_was_changed_is_not_built_upon(bench: Bench) -> None:
    await bench.start(FakeJudge(act=refuse(3)))
    path = bench.output / name_of(bench)
    path.write_bytes(path.read_bytes() + b"\n")
    judge = FakeJudge()
    tally = await bench.start(judge, retry=True)
    assert tally.broken_files == {"a.jsonl": f"{path}: changed since it was published"}
    assert not judge.asked


async def test_verify_finds_nothing_wrong_while_outputs_are_replaced(bench: Bench) -> None:
    for number in range(5):
        bench.jsonl(f"f{number}.jsonl", TEXTS)
    await bench.start(FakeJudge(act=refuse(*REFUSED)))
    over = threading.Event()

    def look() -> list[str]:
        found: list[str] = []
        while not over.is_set():
            found += bench.verify().problems
        return found

    looking = asyncio.create_task(asyncio.to_thread(look))
    for round_ in range(1, 6):
        await bench.start(FakeJudge(act=refuse(*REFUSED[round_:])), retry=True)
    over.set()
    assert await looking == []
    assert bench.verify().failed == 12  # of each file the bad row, and the one that was refused to the end


async def test_an_output_whose_writer_died_before_its_entry_is_taken_as_it_is_before_rows_are_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "died")

    with monkeypatch.context() as dying:
        dying.setattr(Manifest, "put", dies)
        with pytest.raises(FatalError, match="died"):
            await bench.start(FakeJudge(act=refuse(*REFUSED)))
    second, third = FakeJudge(), FakeJudge()
    settled = await bench.start(second, retry=True)
    assert (second.asked.total(), settled.broken_files) == (0, {})
    assert settled.failed == len(REFUSED) + 1
    retried = await bench.start(third, retry=True)
    assert set(third.asked) == {("a.jsonl", row) for row in REFUSED}
    assert (retried.again, retried.failed) == (len(REFUSED), 1)
    assert bench.verify().problems == []
    assert bench.leftovers() == []
