from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.report.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def line(at: float, **changes: Any) -> dict[str, Any]:
    return {
        "time": (NOON + timedelta(seconds=at)).isoformat(timespec="milliseconds"),
        "run_id": "r",
        "job_index": 0,
        "rows": 100,
        "failed": 10,
        "seconds": 2.0,
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "retries": {"http 429": 2},
        "latency_seconds": {"p50": 0.5, "p95": 1.0, "max": 4.0},
        "in_flight": 8,
        "limit": 10,
        **changes,
    }


def told(path: Path, *lines: object, name: str = "d.jsonl", runs: tuple[str, ...] = ("r",)) -> Timeline:
    timeline = Timeline(runs=runs)
    file = path / name
    file.write_text("".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in lines))
    timeline.read(file)
    return timeline


def total(timeline: Timeline, name: str) -> float:
    return sum(float(getattr(at, name)) for _, at in timeline.intervals() if at)


def test_batches_become_intervals_that_add_up(tmp_path: Path) -> None:
    timeline = told(tmp_path, *(line(at) for at in range(2, 41, 2)), line(50, run_id="another"))
    assert (timeline.rows, timeline.damaged) == (2000, 0)
    assert timeline.seconds == pytest.approx(40)
    assert timeline.width == 0.5
    assert len(timeline.intervals()) <= 96
    assert total(timeline, "rows") == pytest.approx(2000)
    assert total(timeline, "failed") == pytest.approx(200)
    assert timeline.retries == {"http 429": 40}
    for _, at in timeline.intervals():
        if at is not None and at.rows > 1:
            assert at.rows / at.seconds == pytest.approx(50)
            assert at.p50 / at.timed == pytest.approx(0.5)
            assert at.in_flight / at.gauged_seconds == pytest.approx(8)
            assert at.limit / at.gauged_seconds == pytest.approx(10)
            assert at.slowest == 4.0


def test_shards_that_work_side_by_side_add_up(tmp_path: Path) -> None:
    timeline = Timeline(runs=["r"])
    for job in (0, 1):
        file = tmp_path / f"{job}.jsonl"
        file.write_text("".join(json.dumps(line(at, job_index=job)) + "\n" for at in range(2, 41, 2)))
        timeline.read(file)
    assert timeline.seconds == pytest.approx(40)
    rates = [at.rows / at.seconds for _, at in timeline.intervals() if at and at.rows > 1]
    assert rates == pytest.approx([100] * len(rates))
    flying = [at.in_flight / at.gauged_seconds for _, at in timeline.intervals() if at and at.gauged]
    assert flying == pytest.approx([16] * len(flying))


def test_a_pause_is_a_gap_and_no_work(tmp_path: Path) -> None:
    day = 86_400
    timeline = told(tmp_path, line(2), line(day), line(2 * day))
    assert timeline.seconds == pytest.approx(6)
    intervals = [at for _, at in timeline.intervals()]
    assert len(intervals) <= 96
    assert intervals[1] is None
    assert total(timeline, "rows") == pytest.approx(300)


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    lines = [line(at, rows=at) for at in (2, 600, 90, 4000, 5, 7000)]
    one, other = told(tmp_path, *lines), told(tmp_path, *reversed(lines), name="e.jsonl")
    assert one.width == other.width
    assert [at and round(at.rows, 6) for _, at in one.intervals()] == [
        at and round(at.rows, 6) for _, at in other.intervals()
    ]


@pytest.mark.parametrize(
    "damaged",
    [
        "no json\n",
        "[]\n",
        "\n",
        '{"run_id": "r"}\n',
        line(4, seconds=-1),
        line(4, seconds=1e300),
        line(4, rows="many"),
        line(4, rows=1e300),
        line(4, prompt_tokens=-5),
        line(4, time="yesterday"),
        line(4, retries=[1]),
        line(4, latency_seconds={"p50": "x"}),
        json.dumps(line(6))[:50],
    ],
)
def test_a_damaged_line_is_counted_and_leaves_no_trace(tmp_path: Path, damaged: object) -> None:
    timeline = told(tmp_path, line(2), damaged)
    assert (timeline.damaged, timeline.rows) == (1, 100)
    assert total(timeline, "rows") == pytest.approx(100)
    assert timeline.retries == {"http 429": 2}


def test_lines_of_earlier_versions_tell_what_they_know(tmp_path: Path) -> None:
    old = line(2, limit=None, in_flight=None)
    del old["latency_seconds"]
    timeline = told(tmp_path, old)
    assert total(timeline, "rows") == pytest.approx(100)
    assert total(timeline, "timed") == 0
    assert not any(at and at.gauged for _, at in timeline.intervals())


def test_memory_does_not_grow_with_the_run(tmp_path: Path) -> None:
    timeline = told(tmp_path, *(line(at * 3600, seconds=3500.0) for at in range(1, 2000)))
    assert len(timeline.intervals()) <= 96
    assert total(timeline, "rows") == pytest.approx(199_900)
