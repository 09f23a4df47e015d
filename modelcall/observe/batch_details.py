"""``{task}_batch_details.jsonl``: one line a batch, appended, over all starts of all runs of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from modelcall.log import file_stem, job_suffix
from modelcall.observe.private import open_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from modelcall.observe.batches import Batch

_SHARES: Final = {"p50": 0.5, "p95": 0.95, "max": 1.0}


class Gauge(Protocol):
    """The scorer's permits."""

    @property
    def in_use(self) -> int:
        """Requests in flight."""

    @property
    def limit(self) -> int:
        """How many may be."""


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """Writes a line a batch; a listener of batches. One short append each, so that workers may share the file."""

    path: Path
    run_id: str
    job_index: int
    now: Callable[[], datetime]
    """Time of day, with its zone."""
    gauge: Gauge | None = None

    def batch_done(self, batch: Batch) -> None:
        """Append the batch's line."""
        line = orjson.dumps(self._line(batch), option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._append(line)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(line)

    def _append(self, line: bytes) -> None:
        with open_private(self.path) as file:
            file.write(line)

    def _line(self, batch: Batch) -> dict[str, Any]:
        return {
            "time": self.now().isoformat(timespec="milliseconds"),
            "run_id": self.run_id,
            "job_index": self.job_index,
            "batch": batch.number,
            "rows": batch.rows,
            "scored": batch.scored,
            "failed": batch.failed,
            "success_rate": round(batch.scored / batch.rows, 4),
            "rows_so_far": batch.rows_so_far,
            "seconds": round(batch.seconds, 3),
            "rows_per_minute": round(batch.rows / batch.seconds * 60, 1) if batch.seconds > 0 else None,
            "prompt_tokens": batch.prompt_tokens,
            "completion_tokens": batch.completion_tokens,
            "failures": batch.failures,
            "retries": batch.retries,
            "latency_seconds": {name: round(batch.latency(share), 4) for name, share in _SHARES.items()},
            "scores": batch.scores,
            "in_flight": self.gauge.in_use if self.gauge else None,
            "limit": self.gauge.limit if self.gauge else None,
        }


def batch_details_path(folder: Path, *, task: str, job_index: int | None = None) -> Path:
    """``{task}_batch_details.jsonl``, for a shard ``{task}_job000_batch_details.jsonl``."""
    return folder / f"{file_stem(task)}{job_suffix(job_index)}_batch_details.jsonl"
