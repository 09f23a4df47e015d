"""Events become the lines that users know, neither too many nor too few."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from modelcall.log import LogSettings, OpenLog, setup
from modelcall.observe import BatchDetails, Batches, LogLines, Observers, Progress, batch_details_path, heartbeat
from modelcall.types import ErrorType, FileCounts, Outcome, RowRef, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelcall.observe import Batch

REF = RowRef(file="a", row_index=0, request_id="r")
SCORED = Outcome(values={"score": 3}, usage=Usage(prompt_tokens=10, completion_tokens=2))
FAILED = Outcome(error_type=ErrorType.INVALID_OUTPUT, fail_reason="no JSON")


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A log file, and the observers that write into it."""

    def __init__(self, path: Path, *, size: int = 100, every: int = 10, level: str = "INFO") -> None:
        self._path = path / "a.log"
        self.log: OpenLog = setup(LogSettings(file=self._path, language="zh", terminal=False, level=level))
        self.clock = Clock()
        self.lines = LogLines(progress_every=every, clock=self.clock)
        self.batches = Batches(size=size, listener=self.lines, clock=self.clock)
        self.observers = Observers([self.lines, self.batches])

    def rows(self, outcome: Outcome, count: int) -> None:
        for _ in range(count):
            self.observers.row_done(REF, outcome)

    def said(self) -> list[str]:
        """Level and message of the lines since the last call."""
        text = self._path.read_text("utf-8")
        self._path.write_text("")
        return [line.split(" | ", 1)[1] for line in text.splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    with made.log:
        yield made


def test_the_lines_of_a_file(bench: Bench) -> None:
    bench.observers.file_started("data_001.parquet", recorded=0)
    bench.rows(SCORED, 95)
    bench.rows(FAILED, 5)
    bench.observers.file_done("data_001.parquet", FileCounts(total=1000, scored=950, failed=50))
    assert bench.said() == [
        "INFO | 🟢 开始处理文件: data_001.parquet",
        "INFO | 📊 批量处理完成: 100 项, 成功 95, 失败 5, 成功率 95.0%",
        "INFO | ✅ 文件处理完成: data_001.parquet",
        "INFO |    总体成功率: 950/1000 (95.0%)",
    ]


def test_a_resumed_file_a_failed_file_and_an_empty_one(bench: Bench) -> None:
    bench.observers.file_started("a", recorded=12)
    bench.observers.file_failed("a", "line 3 is no JSON")
    bench.observers.file_done("b", FileCounts(total=0, scored=0, failed=0))
    assert bench.said() == [
        "INFO | 🟢 开始处理文件: a",
        "INFO |    已有 12 行结果, 从断点继续",
        "ERROR | ❌ 文件处理失败: a: line 3 is no JSON",
        "INFO | ✅ 文件处理完成: b",
        "INFO |    总体成功率: 0/0 (100.0%)",
    ]


def test_progress_comes_every_so_many_batches(bench: Bench) -> None:
    for number in range(20):
        bench.clock.now += 2
        bench.rows(SCORED, 99)
        bench.rows(FAILED if number < 10 else SCORED, 1)
    said = bench.said()
    assert len([line for line in said if "批量处理完成: 100 项" in line]) == 20
    assert [line for line in said if "进度" in line] == [
        "INFO | 进度: 批次 10, 成功率 99.0%",
        "INFO | 进度: 批次 20, 成功率 99.5%",
    ]


def test_at_most_one_line_a_second_and_the_lines_add_up(bench: Bench) -> None:
    for _ in range(400):
        bench.clock.now += 0.02
        bench.rows(SCORED, 100)
    bench.observers.flush()
    said = bench.said()
    rows = [int(line.split(": ")[1].split(" ")[0]) for line in said if "批量处理完成" in line]
    assert len(rows) <= 10
    assert sum(rows) == 40_000
    assert len([line for line in said if "进度" in line]) <= 8


def test_at_least_one_line_a_minute(bench: Bench) -> None:
    for _ in range(61):
        bench.clock.now += 1
        bench.observers.tick()
    assert bench.said() == ["INFO | 进度: 尚无完成的行"]
    bench.rows(SCORED, 3)
    bench.rows(FAILED, 1)
    bench.clock.now += 59
    bench.observers.tick()
    assert bench.said() == ["INFO | 进度: 批次 0, 成功率 75.0%"]


def test_the_rest_is_said_at_the_end(bench: Bench) -> None:
    bench.rows(SCORED, 130)
    bench.clock.now += 5
    bench.batches.flush()
    assert [line.split("完成: ")[1] for line in bench.said()] == [
        "100 项, 成功 100, 失败 0, 成功率 100.0%",
        "30 项, 成功 30, 失败 0, 成功率 100.0%",
    ]
    bench.observers.flush()
    assert bench.said() == []


def test_a_format_fault_that_is_retried(bench: Bench) -> None:
    message = "Missing required keys: {'score'}"
    raw = "This is a good code example with\nmore" + "x" * 500
    bench.observers.client_event(
        "format", {"request_id": "r", "cause": "missing_keys", "message": message, "raw": raw, "retrying": True}
    )
    assert bench.said() == [
        f"WARNING | ❌ JSON validation failed: {message}",
        f"WARNING | 📄 Raw response (first 200 chars): {raw[:200]}".replace("\n", "\\n"),
        "WARNING | 🔑 Missing required keys - retrying with emphasis on required fields...",
        f"WARNING | 🔄 Format validation error, retrying: {message}",
    ]


@pytest.mark.parametrize("raw", ["", "\n  \n"])
def test_a_last_format_fault_promises_no_retry(bench: Bench, raw: str) -> None:
    facts = {"cause": "empty", "message": "JSON validation failed: The answer is empty", "raw": raw, "retrying": False}
    bench.observers.client_event("format", facts)
    assert bench.said() == ["WARNING | ❌ JSON validation failed: The answer is empty"]


def test_each_cause_of_format_has_its_own_count(bench: Bench) -> None:
    for cause in ["not_json"] * 9 + ["empty"] * 2:
        bench.observers.client_event("format", {"cause": cause, "message": cause, "retrying": True})
    said = bench.said()
    assert said.count("WARNING | ❌ JSON validation failed: not_json") == 5
    assert said.count("WARNING | ❌ JSON validation failed: empty") == 2


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_valid_answers_are_told_only_when_asked(tmp_path: Path, level: str) -> None:
    bench = Bench(tmp_path, level=level)
    with bench.log:
        bench.observers.client_event("valid_answer", {"keys": ["score", "quality_tags", "main_languages"]})
        said = bench.said()
    line = "DEBUG | ✅ Valid JSON response received with keys: ['score', 'quality_tags', 'main_languages']"
    assert said == ([line] if level == "DEBUG" else [])


@pytest.mark.parametrize(
    ("name", "facts", "line"),
    [
        (
            "retry",
            {"kind": "network", "cause": "connect", "message": "connection refused", "wait": 0.5, "attempt": 1},
            "WARNING | 🔁 请求失败, 将重试: connection refused",
        ),
        (
            "cooldown",
            {"endpoint": "host:8000", "seconds": 2.5, "cause": "http 429"},
            "WARNING | 🧊 host:8000 要求等待 2.50 秒 (http 429)",
        ),
        (
            "limit",
            {"limit": 12, "ceiling": 64, "reason": "refused with 14 in flight"},
            "INFO | 🎚️ 并发上限: 12/64 (refused with 14 in flight)",
        ),
        (
            "outage",
            {"seconds": 31.0, "message": "no answer for 31 s from host"},
            "WARNING | 🔌 服务中断, 暂停请求并等待恢复, 不计入任何一行: no answer for 31 s from host",
        ),
        (
            "recovered",
            {"seconds": 600.4, "message": "host answers again"},
            "INFO | 🔌 服务恢复, 中断了 600 秒: host answers again",
        ),
        ("ejected", {"endpoint": "b", "cause": "connect"}, "WARNING | 📤 暂停使用 b (connect)"),
        ("rejoined", {"endpoint": "b"}, "INFO | 📥 重新使用 b"),
        ("hosts", {"endpoints": ["a", "b"]}, "INFO | 🗺️ 服务地址更新: a, b"),
    ],
)
def test_an_event_of_the_client_is_one_line(bench: Bench, name: str, facts: Mapping[str, object], line: str) -> None:
    bench.observers.client_event(name, facts)
    assert bench.said() == [line]


def test_an_unknown_event_is_told_when_asked(tmp_path: Path) -> None:
    debug = Bench(tmp_path, level="DEBUG")
    with debug.log:
        debug.observers.client_event("hedged", {"after": 3})
        debug.observers.client_event("cooldown", {"endpoint": "a"})
        assert debug.said() == [
            "DEBUG | 客户端事件 hedged: {'after': 3}",
            "DEBUG | 客户端事件 cooldown: {'endpoint': 'a'}",
        ]


class Broken:
    """An observer whose every method raises."""

    def __getattr__(self, name: str) -> object:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError(f"{name} broke")

        return fail


def test_a_broken_observer_harms_nobody_and_is_reported_once(bench: Bench) -> None:
    clock = Clock()
    counters = Progress(sizes={"a": 1}, clock=clock)
    observers = Observers([Broken(), counters])  # type: ignore[list-item]
    observers.file_started("a", recorded=0)
    for _ in range(10):
        observers.row_done(REF, SCORED)
    observers.client_event("retry", {"cause": "connect"})
    observers.tick()
    observers.file_done("a", FileCounts(total=10, scored=10, failed=0))
    observers.file_failed("b", "x")
    observers.flush()
    seen = counters.snapshot()
    assert (seen.rows_scored, seen.files_done, seen.files_failed, seen.retries) == (10, 1, 1, {"connect": 1})
    assert bench.said() == ["WARNING | ⚠️ Broken 出错, 运行不受影响, 不再重复报告: RuntimeError: file_started broke"]


def test_cancellation_is_no_failure_of_an_observer() -> None:
    class Interrupted(Broken):
        def row_done(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers([Interrupted()]).row_done(REF, SCORED)  # type: ignore[list-item]


async def test_the_heart_beats_until_it_is_stopped(bench: Bench) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        bench.clock.now += seconds
        if len(naps) == 65:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await heartbeat(bench.observers, seconds=1.0, sleep=nap)
    assert naps == [1.0] * 65
    assert bench.said() == ["INFO | 进度: 尚无完成的行"]


def details(path: Path, clock: Clock, *, run_id: str = "run-1") -> Observers:
    noon = datetime(2024, 12, 1, 12, 0, 0, tzinfo=UTC)
    file = batch_details_path(path, task="rating", job_index=3)
    writer = BatchDetails(path=file, run_id=run_id, job_index=3, now=lambda: noon)
    return Observers([Batches(size=4, listener=writer, clock=clock)])


def test_batch_details_are_appended_a_line_a_batch(tmp_path: Path) -> None:
    clock = Clock()
    for run_id in ("run-1", "run-2"):
        observers = details(tmp_path / "logs", clock, run_id=run_id)
        observers.client_event("retry", {"cause": "connect"})
        for outcome, seconds in ((SCORED, 0.25), (SCORED, 8.0), (FAILED, 0.125)):
            observers.row_done(REF, replace(outcome, seconds=seconds))
        clock.now += 2
        observers.row_done(REF, replace(SCORED, seconds=0.5))
        observers.row_done(REF, SCORED)
        observers.flush()
    lines = (tmp_path / "logs" / "rating_job003_batch_details.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(record["run_id"], record["batch"], record["rows"]) for record in records] == [
        ("run-1", 1, 4),
        ("run-1", 2, 1),
        ("run-2", 1, 4),
        ("run-2", 2, 1),
    ]
    assert records[0] == {
        "time": "2024-12-01T12:00:00.000+00:00",
        "run_id": "run-1",
        "job_index": 3,
        "batch": 1,
        "rows": 4,
        "scored": 3,
        "failed": 1,
        "success_rate": 0.75,
        "rows_so_far": 4,
        "seconds": 2.0,
        "rows_per_minute": 120.0,
        "prompt_tokens": 30,
        "completion_tokens": 6,
        "failures": {"invalid_output": 1},
        "retries": {"connect": 1},
        "latency_seconds": {"p50": 0.25, "p95": 8.0, "max": 8.0},
        "scores": {"score": {"count": 3, "sum": 9.0, "min": 3, "max": 3, "values": {"3": 3}}},
        "in_flight": None,
        "limit": None,
    }
    assert records[1]["retries"] == {}
    assert records[1]["latency_seconds"] == {"p50": 0.0, "p95": 0.0, "max": 0.0}
    assert records[1]["rows_per_minute"] is None


def test_a_batch_that_cannot_be_written_is_not_counted_again(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    observers = details(tmp_path / "logs", Clock())
    for _ in range(12):
        observers.row_done(REF, SCORED)
    (line,) = bench.said()
    assert "Batches 出错" in line
    assert "NotADirectoryError" in line


def test_observing_a_row_costs_microseconds(tmp_path: Path) -> None:
    class Silent:
        def batch_done(self, batch: Batch) -> None:
            """Writing is a batch's cost, not a row's."""

    lines = LogLines(progress_every=10, clock=time.monotonic)
    details_of = Batches(size=100, listener=Silent(), clock=time.monotonic)
    logged = Batches(size=100, listener=lines, clock=time.monotonic)
    observers = Observers([Progress(sizes={"a": 1}), details_of, logged, lines])

    def seconds() -> float:
        began = time.process_time()
        for _ in range(20_000):
            observers.row_done(REF, SCORED)
        return (time.process_time() - began) / 20_000

    with setup(LogSettings(file=tmp_path / "a.log", terminal=False)):
        assert min(seconds() for _ in range(5)) < 5e-6
