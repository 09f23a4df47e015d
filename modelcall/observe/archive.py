"""The log files of a folder, by task and shard: what ``modelcall logs`` shows."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.observe.distribution import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_JOB: Final = r"(?:_job(?P<job>\d{3,}))?"
_LOG: Final = re.compile(rf"(?P<task>.+)_\d{{8}}_\d{{6}}{_JOB}\.log")
_STATS: Final = re.compile(rf"(?P<task>.+?){_JOB}_final_stats\.json")
_DETAILS: Final = re.compile(rf"(?P<task>.+?){_JOB}_batch_details\.jsonl")


@dataclass(slots=True)
class TaskLogs:
    """The files of one task, or of one shard of it."""

    task: str
    """As file names have it."""
    job_index: int | None
    logs: list[Path] = field(default_factory=list)
    """Main logs, one a start, the newest last."""
    stats: Path | None = None
    details: Path | None = None
    unreadable: int = 0
    """Lines of the batch details that are none: of a write that was cut."""

    def final_stats(self) -> dict[str, Any] | None:
        """Return the statistics of the last start that ended; None if there are none."""
        if self.stats is None:
            return None
        try:
            told = orjson.loads(self.stats.read_bytes())
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def batches(self, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the batches of all starts, or of one run, in order."""
        self.unreadable = 0
        for line in _lines(self.details):
            try:
                batch = orjson.loads(line)
            except ValueError:
                self.unreadable += 1
                continue
            if isinstance(batch, dict) and run_id in {None, batch.get("run_id")}:
                yield batch

    def last_run(self) -> str | None:
        """Return the run of the last batch."""
        last = deque(self.batches(), maxlen=1)
        return str(last[0].get("run_id")) if last else None

    def scores(self, run_id: str | None) -> Distribution:
        """Add up the scores of a run's batches, over all its starts."""
        scores = Distribution()
        for batch in self.batches(run_id):
            scores.merge(batch.get("scores", {}))
        return scores

    def tail(self, lines: int) -> list[str]:
        """Return the last lines of the newest log."""
        newest = self.logs[-1] if self.logs else None
        return [line.decode("utf-8", "replace").rstrip("\n") for line in deque(_lines(newest), maxlen=lines)]


def task_logs(folder: Path, pattern: str = "") -> list[TaskLogs]:
    """Return what a folder holds of the tasks with ``pattern`` in their names, by task and shard.

    Raises:
        OSError: There is no such folder, or it cannot be read.
    """
    found: dict[tuple[str, int], TaskLogs] = {}
    for path in sorted(folder.iterdir()):
        for kind in (_LOG, _STATS, _DETAILS):
            if (name := kind.fullmatch(path.name)) and pattern in name["task"]:
                job = None if name["job"] is None else int(name["job"])
                key = (name["task"], -1 if job is None else job)
                _place(found.setdefault(key, TaskLogs(name["task"], job)), kind, path)
    return [found[key] for key in sorted(found)]


def _place(logs: TaskLogs, kind: re.Pattern[str], path: Path) -> None:
    if kind is _LOG:
        logs.logs.append(path)
    elif kind is _STATS:
        logs.stats = path
    else:
        logs.details = path


def _lines(path: Path | None) -> Iterator[bytes]:
    if path is not None:
        with path.open("rb") as file:
            yield from file
