"""Rows that fail: kept, dropped, or the end of the start."""

from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import FatalError
from modelcall.pipeline.runner import RunnerSettings
from modelcall.pipeline.table import kept
from tests.pipeline.harness import SETTINGS, Bench, FakeJudge
from tests.pipeline.test_retry import TEXTS, entry, lines, refuse
from tests.pipeline.test_verify import ODD, refit

DROP = replace(SETTINGS, drop_failed=True)
FAILED = [3, 4, 7, 29]  # 7 is a bad row
LEFT = [row for row in range(30) if row not in FAILED]


@pytest.fixture(params=["parquet", "jsonl"])
async def dropped(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    bench = Bench(tmp_path, output_format=request.param)
    bench.jsonl("a.jsonl", TEXTS)
    tally = await bench.start(FakeJudge(act=refuse(3, 4, 29)), settings=DROP)
    assert (tally.rows, tally.scored, tally.failed, tally.dropped) == (30, 26, 4, 4)
    return bench


def name_of(bench: Bench) -> str:
    return "a.parquet" if (bench.output / "a.parquet").exists() else "a.jsonl"


def failed_list(bench: Bench) -> Path:
    return bench.output / f".modelcall/failed/{name_of(bench)}.jsonl"


async def test_failed_rows_are_left_out_of_the_output_and_listed_beside_it(dropped: Bench) -> None:
    rows = dropped.rows(name_of(dropped))
    assert [row["id"] for row in rows] == LEFT
    assert {row["api_status"] for row in rows} == {"success"}
    assert [line["row_index"] for line in lines(failed_list(dropped))] == FAILED
    told = entry(dropped, name_of(dropped))
    assert (told.rows, told.scored, told.failed, told.dropped) == (30, 26, 4, 4)
    findings = dropped.verify()
    assert findings.problems == []
    assert (findings.rows, findings.scored, findings.failed, findings.dropped, findings.compared) == (30, 26, 4, 4, 1)


async def test_verify_wants_every_row_in_the_output_or_in_the_list(dropped: Bench) -> None:
    name = name_of(dropped)
    told = failed_list(dropped).read_bytes()
    failed_list(dropped).write_bytes(told.partition(b"\n")[2])
    assert dropped.verify().problems == [f"{name}: lists 3 dropped rows, 4 expected"]
    failed_list(dropped).write_bytes(told.replace(b'"row_index":3', b'"row_index":2'))
    assert dropped.verify().problems == [f"{name}: row 2: listed as dropped, but was not, or is listed twice"]
    failed_list(dropped).write_bytes(b"{}\n")
    assert "the list of its dropped rows is damaged" in dropped.verify().problems[0]
    failed_list(dropped).unlink()
    assert dropped.verify().problems == [f"{name}: lists 0 dropped rows, 4 expected"]


async def test_verify_finds_a_row_too_few_though_all_counts_fit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.jsonl("a.jsonl", TEXTS)
    await bench.start(FakeJudge(act=refuse(3)), settings=DROP)
    table = pq.read_table(bench.output / "a.parquet")
    pq.write_table(pa.concat_tables([table.slice(0, 5), table.slice(6)]), bench.output / "a.parquet")
    refit(bench, "a.parquet", rows=29, scored=27)
    assert bench.verify().problems == [f"a.parquet: row 6: input columns differ from {bench.input}/a.jsonl"]


async def test_dropped_rows_that_succeed_when_asked_again_are_back_in_their_places(dropped: Bench) -> None:
    judge = FakeJudge(act=refuse(29))
    tally = await dropped.start(judge, settings=DROP, retry=True)
    assert sorted(row for _, row in judge.asked) == [3, 4, 29]
    assert (tally.rows, tally.failed, tally.dropped) == (30, 2, 2)
    rows = dropped.rows(name_of(dropped))
    assert [row["id"] for row in rows] == [row for row in range(30) if row not in {7, 29}]
    assert [row["api_attempts"] for row in rows[2:5]] == [1, 4, 4]
    assert [row["api_prompt_tokens"] for row in rows[2:5]] == [3, 33, 33]
    assert {line["row_index"]: line["attempts"] for line in lines(failed_list(dropped))} == {7: 0, 29: 6}
    assert dropped.verify().problems == []


async def test_a_file_of_nothing_but_failures_is_there_and_empty(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output_format="same")
    bench.jsonl("a.jsonl", TEXTS[:3])
    bench.parquet("b.parquet", TEXTS[:3])
    tally = await bench.start(FakeJudge(act=refuse(0, 1, 2)), settings=DROP)
    assert (tally.rows, tally.dropped, bench.verify().problems) == (6, 6, [])
    assert (bench.output / "a.jsonl").read_bytes() == b""
    table = pq.read_table(bench.output / "b.parquet")
    assert (table.num_rows, table.column_names[:4]) == (0, ["text", "id", "score", "note"])
    await bench.start(FakeJudge(), settings=DROP, retry=True)
    assert [len(bench.rows(name)) for name in ("a.jsonl", "b.parquet")] == [3, 3]
    assert bench.verify().problems == []


def test_rows_of_every_type_can_be_left_out() -> None:
    table = ODD.append_column("view", pa.array(["a", None, "c"], pa.string_view()))
    batch = table.combine_chunks().to_batches()[0]
    for keep in ([True, False, True], [False, True, False], [False] * 3, [True] * 3):
        left = kept(batch, keep)
        assert left.schema == batch.schema
        assert repr(left.to_pylist()) == repr(
            [row for row, wanted in zip(batch.to_pylist(), keep, strict=True) if wanted]
        )
    assert kept([b"{}", b"[]"], [False, True]) == [b"[]"]


@pytest.mark.parametrize("row", [0, 12, 29])
async def test_a_failure_ends_the_start_and_is_shown_and_the_next_one_goes_on(tmp_path: Path, row: int) -> None:
    bench = Bench(tmp_path)
    bench.jsonl("a.jsonl", TEXTS)
    stop = replace(SETTINGS, stop_at_failure=True)
    first = FakeJudge(ceiling=1, act=refuse(row))
    with pytest.raises(FatalError, match=f"a.jsonl, row {row} failed: refused: refused\nIts answer: no") as stopped:
        await bench.start(first, settings=stop)
    assert "--retry_failed" in (stopped.value.hint or "")
    assert not (bench.output / "a.parquet").exists()
    second = FakeJudge(ceiling=1, act=refuse(row))
    tally = await bench.start(second, settings=stop)
    assert (tally.rows, tally.failed) == (30, 2)
    assert not second.asked.keys() & first.asked.keys()
    assert bench.verify().problems == []


async def test_a_row_that_ended_a_start_can_be_asked_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.jsonl("a.jsonl", TEXTS)
    stop = replace(SETTINGS, stop_at_failure=True)
    with pytest.raises(FatalError):
        await bench.start(FakeJudge(ceiling=1, act=refuse(5)), settings=stop)
    judge = FakeJudge(ceiling=1)
    tally = await bench.start(judge, settings=stop, retry=True)
    assert ("a.jsonl", 5) in judge.asked
    assert tally.failed == 1


@pytest.mark.parametrize("line", [b"[]", b'{"id": 12}'])
async def test_a_bad_row_ends_the_start_until_it_may_be_kept(tmp_path: Path, line: bytes) -> None:
    """One that is no row, and one that the scorer finds without a text."""
    bench = Bench(tmp_path)
    records = [orjson.dumps({"id": row, "text": f"text {row}"}) for row in range(20)]
    records[12] = line
    (bench.input / "a.jsonl").write_bytes(b"\n".join(records) + b"\n")
    stop = RunnerSettings(max_concurrent_files=2, chunk_rows=10, stop_at_bad_row=True)
    first = FakeJudge(ceiling=1)
    for judge in (first, FakeJudge(ceiling=1)):
        with pytest.raises(FatalError, match=r"a.jsonl, row 12 failed: bad_row: ") as stopped:
            await bench.start(judge, settings=stop)
        assert "options.bad_rows: keep" in (stopped.value.hint or "")
        assert "--fresh" in (stopped.value.hint or "")
    going_on = FakeJudge()
    tally = await bench.start(going_on, settings=replace(SETTINGS, stop_at_failure=True))
    assert (tally.rows, tally.failed, dict(tally.failures)) == (20, 1, {"bad_row": 1})
    assert not {("a.jsonl", row) for row in range(12)} & going_on.asked.keys()
    assert bench.verify().problems == []
