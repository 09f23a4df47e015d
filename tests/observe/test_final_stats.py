"""The statistics that a start leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from modelcall.config.model import Prices
from modelcall.observe import RunFacts, Snapshot, final_stats, final_stats_path, write_final_stats
from modelcall.observe.latency import Latency

if TYPE_CHECKING:
    from pathlib import Path

FACTS = RunFacts(
    task="rating",
    run_id="run-1",
    job_index=0,
    world_size=1,
    started=datetime(2024, 12, 1, 14, 30, 22, tzinfo=UTC),
    ended=datetime(2024, 12, 1, 14, 32, 22, tzinfo=UTC),
    exit_code=3,
)


def snapshot() -> Snapshot:
    latency = Latency()
    for seconds in (1.0, 1.0, 1.0, 4.0):
        latency.add(seconds)
    return Snapshot(
        elapsed=120.0,
        files_total=3,
        files_done=2,
        files_failed=1,
        rows_recorded=50,
        rows_scored=190,
        rows_failed=10,
        prompt_tokens=1000,
        completion_tokens=200,
        attempts=230,
        retries={"connect": 3, "http 503": 20, "not_json": 7},
        failures={"cut": 10},
        events={"outage": 1},
        limit=32,
        ceiling=64,
        latency=latency,
        history=((0.0, 8, 8), (60.0, 32, 31)),
    )


def test_the_statistics_say_what_happened(tmp_path: Path) -> None:
    path = final_stats_path(tmp_path / "logs", task="rating")
    write_final_stats(path, final_stats(FACTS, snapshot()))
    stats = json.loads(path.read_text())
    assert path.name == "rating_final_stats.json"
    assert stats["started"] == "2024-12-01T14:30:22+00:00"
    assert stats["files"] == {"total": 3, "done": 2, "failed": 1}
    assert stats["rows"] == {"done": 200, "scored": 190, "failed": 10, "recorded_before": 50}
    assert stats["success_rate"] == 0.95
    assert stats["rows_per_minute"] == 100.0
    assert stats["tokens"] == {"prompt": 1000, "completion": 200, "cached": 0, "reasoning": 0}
    assert (stats["cost"], stats["currency"]) == (None, None)
    assert list(stats["retries"].items()) == [("http 503", 20), ("not_json", 7), ("connect", 3)]
    assert stats["failures"] == {"cut": 10}
    assert stats["latency_seconds"]["p50"] == pytest.approx(1.0, rel=0.03)
    assert (stats["latency_seconds"]["mean"], stats["latency_seconds"]["max"]) == (1.75, 4.0)
    assert stats["concurrency"] == {
        "ceiling": 64,
        "limit": 32,
        "history": {"columns": ["seconds", "limit", "in_flight"], "points": [[0.0, 8, 8], [60.0, 32, 31]]},
    }
    assert (stats["exit_code"], stats["reason"]) == (3, None)


def test_tokens_have_a_price_where_the_model_file_gives_one() -> None:
    facts = replace(FACTS, prices=Prices(prompt=2.0, completion=10.0, currency="CNY"))
    stats = final_stats(facts, snapshot())
    assert (stats["cost"], stats["currency"]) == (0.004, "CNY")


def test_a_start_without_a_row_has_no_rates() -> None:
    stats = final_stats(FACTS, Snapshot())
    assert stats["success_rate"] is None
    assert stats["rows_per_minute"] is None
    assert stats["latency_seconds"] == {"mean": None, "p50": None, "p90": None, "p95": None, "p99": None, "max": None}


def test_an_earlier_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = final_stats_path(tmp_path, task="rating", job_index=12)
    for rows in (1, 2):
        write_final_stats(path, {"rows": rows})
    assert json.loads(path.read_text()) == {"rows": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["rating_job012_final_stats.json"]
