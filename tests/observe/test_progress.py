"""The counters of a run, and what is computed from them."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass

import pytest

from modelcall.observe import Latency, Progress
from modelcall.types import ErrorType, FileCounts, Outcome, RowRef, Usage

REF = RowRef(file="a", row_index=0, request_id="r")
SCORED = Outcome(
    values={"score": 3},
    attempts=2,
    seconds=0.5,
    usage=Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=60, reasoning_tokens=5),
)
FAILED = Outcome(error_type=ErrorType.CUT, fail_reason="cut", seconds=2.0, usage=Usage(prompt_tokens=10))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Gauge:
    in_use: int = 7
    limit: int = 8
    ceiling: int = 64


def progress(clock: Clock | None = None, **options: object) -> Progress:
    given = {"sizes": {"a": 100, "b": 300}, "clock": clock or Clock(), **options}
    return Progress(**given)  # type: ignore[arg-type]


def test_everything_is_counted() -> None:
    counters = progress(gauge=Gauge())
    counters.file_started("a", recorded=4)
    counters.file_started("b", recorded=0)
    counters.client_event("retry", {"cause": "http 503", "request_id": "r"})
    counters.client_event("format", {"cause": "not_json", "retrying": True, "request_id": "r"})
    assert (counters.snapshot().attempts, counters.snapshot().retrying) == (2, 1), "of rows that are not done, too"
    for outcome in (SCORED, SCORED, FAILED):
        counters.row_done(REF, outcome)
    counters.client_event("format", {"cause": "not_json", "retrying": False})
    counters.client_event("valid_answer", {"keys": ["score"]})
    counters.client_event("outage", {"seconds": 30.0})
    counters.file_done("a", FileCounts(total=7, scored=6, failed=1))
    seen = counters.snapshot()
    assert (seen.files_total, seen.files_open, seen.files_done, seen.files_failed) == (2, 1, 1, 0)
    assert (seen.rows_recorded, seen.rows_scored, seen.rows_failed, seen.rows_done) == (4, 2, 1, 3)
    assert (seen.prompt_tokens, seen.completion_tokens, seen.cached_tokens, seen.reasoning_tokens) == (210, 40, 120, 10)
    assert seen.attempts == 5
    assert seen.retries == {"http 503": 1, "not_json": 1}
    assert seen.failures == {"cut": 1}
    assert seen.events == {"format": 1, "outage": 1}
    assert (seen.in_flight, seen.limit, seen.ceiling) == (7, 8, 64)
    assert seen.success_rate == pytest.approx(2 / 3)
    assert seen.latency.count == 3


def test_a_failed_file_is_no_longer_open() -> None:
    counters = progress()
    counters.file_started("a", recorded=0)
    counters.file_failed("a", "not Parquet")
    seen = counters.snapshot()
    assert (seen.files_open, seen.files_failed) == (0, 1)


def test_nothing_done_has_no_rate_and_no_end() -> None:
    seen = progress().snapshot()
    assert (seen.rate, seen.success_rate, seen.rows_total, seen.eta) == (0.0, None, None, None)


def test_the_rate_is_that_of_the_last_minute() -> None:
    clock = Clock()
    counters = progress(clock)
    for second in range(200):
        clock.now = 1001.0 + second
        for _ in range(10 if second < 100 else 2):
            counters.row_done(REF, SCORED)
        counters.tick()
        if second == 99:
            assert counters.snapshot().rate == pytest.approx(10)
    assert counters.snapshot().rate == pytest.approx(2)
    assert len(counters._samples) <= 62


def test_a_stall_lowers_the_rate() -> None:
    clock = Clock()
    counters = progress(clock)
    for _ in range(60):
        clock.now += 1
        counters.row_done(REF, SCORED)
        counters.tick()
    for _ in range(90):
        clock.now += 1
        counters.tick()
    assert counters.snapshot().rate == 0.0
    assert counters.snapshot().eta is None


def test_the_eta_leaves_the_rows_of_earlier_starts_out() -> None:
    clock = Clock()
    counters = progress(clock, rows_total=1000)
    counters.file_started("a", recorded=900)
    for _ in range(10):
        clock.now += 1
        counters.row_done(REF, SCORED)
    seen = counters.snapshot()
    assert seen.rows_left == 90
    assert seen.eta == pytest.approx(90)  # one row a second; counting the 900 would promise the end in a second


def test_the_rows_of_all_files_are_estimated_from_those_done() -> None:
    counters = progress()
    counters.file_started("a", recorded=0)
    assert counters.snapshot().rows_total is None
    counters.file_done("a", FileCounts(total=50, scored=50, failed=0))
    assert counters.snapshot().rows_total == 200  # 50 rows in 100 of 400 bytes
    counters.file_done("b", FileCounts(total=10, scored=10, failed=0))
    assert counters.snapshot().rows_total == 60


def test_the_history_of_concurrency_stays_small_and_spans_the_run() -> None:
    clock, gauge = Clock(), Gauge()
    counters = progress(clock, gauge=gauge)
    for second in range(10_000):
        clock.now = 1000.0 + second
        gauge.limit = 1 + second // 1000
        counters.tick()
    history = counters.snapshot().history
    assert 200 <= len(history) <= 520
    assert history[0] == (0.0, 1, 7)
    assert history[-1][0] > 9900
    assert {limit for _, limit, _ in history} == set(range(1, 11))


def test_a_snapshot_does_not_change_afterwards() -> None:
    counters = progress()
    before = counters.snapshot()
    counters.row_done(REF, FAILED)
    assert before.latency.count == 0
    assert before.failures == {}


def test_percentiles_are_within_a_few_percent() -> None:
    draw = random.Random(3)
    seconds = [draw.lognormvariate(0, 1.5) for _ in range(5000)]
    latency = Latency()
    for each in seconds:
        latency.add(each)
    cuts = statistics.quantiles(seconds, n=100)
    for share in (50, 90, 99):
        assert latency.percentile(share / 100) == pytest.approx(cuts[share - 1], rel=0.04)
    assert latency.percentile(1.0) == pytest.approx(max(seconds), rel=0.03)


def test_durations_of_any_size_find_a_bucket() -> None:
    latency = Latency()
    assert latency.percentile(0.5) is None
    for seconds in (0.0, 1e-9, 1e6):
        latency.add(seconds)
    assert latency.count == 3
    assert latency.longest == 1e6
    assert latency.percentile(0.5) == pytest.approx(1e-4, rel=0.03)


def test_what_begun_files_seem_to_hold_is_part_of_the_estimate() -> None:
    counters = progress()  # 100 and 300 bytes
    begun = {"b": 90}
    counters.expected = lambda: begun
    assert counters.snapshot().rows_total == 120  # 90 in 300 bytes: 30 more in the other 100
    counters.file_done("a", FileCounts(total=50, scored=50, failed=0))
    assert counters.snapshot().rows_total == 140
    begun.clear()
    counters.file_done("b", FileCounts(total=91, scored=91, failed=0))
    assert counters.snapshot().rows_total == 141


def test_without_files_nothing_is_known() -> None:
    assert progress(sizes={}).snapshot().rows_total is None
