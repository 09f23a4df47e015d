"""``{task}_final_stats.json``: what a start did, when it ended, however it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.log import file_stem, job_suffix
from modelcall.observe.cost import cost_fields
from modelcall.observe.private import put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from modelcall.config.model import Prices
    from modelcall.observe.latency import Latency
    from modelcall.observe.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the counters do not know."""

    task: str
    run_id: str
    job_index: int
    world_size: int
    started: datetime
    ended: datetime
    exit_code: int
    prices: Prices | None = None
    """Of the model file; None: what the tokens cost is unknown."""
    reason: str | None = None
    """Why the run stopped before its end; None: it did not."""


def final_stats(facts: RunFacts, snapshot: Snapshot) -> dict[str, Any]:
    """The statistics as JSON takes them: of this start, but for ``recorded_before``, which is of earlier ones."""
    seconds = snapshot.elapsed
    rate = snapshot.success_rate
    return {
        "task": facts.task,
        "run_id": facts.run_id,
        "job_index": facts.job_index,
        "world_size": facts.world_size,
        "started": facts.started.isoformat(timespec="seconds"),
        "ended": facts.ended.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "exit_code": facts.exit_code,
        "reason": facts.reason,
        "files": {"total": snapshot.files_total, "done": snapshot.files_done, "failed": snapshot.files_failed},
        "rows": {
            "done": snapshot.rows_done,
            "scored": snapshot.rows_scored,
            "failed": snapshot.rows_failed,
            "recorded_before": snapshot.rows_recorded,
        },
        "success_rate": None if rate is None else round(rate, 4),
        "rows_per_minute": round(snapshot.rows_done / seconds * 60, 1) if seconds > 0 else None,
        "tokens": {
            "prompt": snapshot.prompt_tokens,
            "completion": snapshot.completion_tokens,
            "cached": snapshot.cached_tokens,
            "reasoning": snapshot.reasoning_tokens,
        },
        **cost_fields(snapshot, facts.prices),
        "attempts": snapshot.attempts,
        "latency_seconds": latency_fields(snapshot.latency),
        "retries": ordered(snapshot.retries),
        "failures": ordered(snapshot.failures),
        "client_events": ordered(snapshot.events),
        "concurrency": {
            "ceiling": snapshot.ceiling,
            "limit": snapshot.limit,
            "history": {"columns": ["seconds", "limit", "in_flight"], "points": snapshot.history},
        },
    }


def write_final_stats(path: Path, stats: Mapping[str, Any]) -> None:
    """Put the file in place whole; an earlier one is replaced.

    Raises:
        OSError: The folder cannot be written.
    """
    put(path, orjson.dumps(stats, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def final_stats_path(folder: Path, *, task: str, job_index: int | None = None) -> Path:
    """``{task}_final_stats.json``, for a shard ``{task}_job000_final_stats.json``."""
    return folder / f"{file_stem(task)}{job_suffix(job_index)}_final_stats.json"


def latency_fields(latency: Latency) -> dict[str, float | None]:
    """Return the mean, the percentiles and the longest, null without any."""
    count = latency.count
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
    return {
        "mean": round(latency.total / count, 4) if count else None,
        **{name: _rounded(latency.percentile(share)) for name, share in shares.items()},
        "max": round(latency.longest, 4) if count else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts by size, the largest first."""
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
