"""How much of the request limit is in use while answers take heavy-tailed times.

usage: occupancy.py BASE_URL [--rows 20000] [--files 8] [--ceiling 512] [--latency 0.5] [--sigma 1.0] [--open-files 2]

BASE_URL is an instant server (instant_server.sh), which takes its latency from request headers. Every 20 ms the share
of the current limit that is in flight is noted, from the moment the ceiling is reached until fewer rows are left than
it allows. Prints the time to the ceiling, the mean share, and the longest the event loop was late.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
import yaml

from modelcall.config.loading import load_task
from modelcall.garbage import collect_less, hold_less, leave_pandas_out
from modelcall.task_manager.summary import Invocation, Stop
from modelcall.task_manager.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelcall.permits import Permits
    from modelcall.state.listing import ListedFile
    from modelcall.task_manager.summary import InFlight, Summary
    from modelcall.types import FileCounts, Outcome, RowRef

_SAMPLE = 0.02


class Gauge:
    """Watches the permits of a run."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.done = 0
        self.began = 0.0
        self.reached: float | None = None
        self.shares: list[float] = []
        self.late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def preprocessing_begins(self, summary: Summary) -> None:
        """Nothing to watch."""

    def run_begins(self, summary: Summary) -> None:
        """Nothing to watch yet."""

    def pass_begins(self, files: Sequence[ListedFile], permits: Any, rows: InFlight) -> None:  # noqa: ANN401  Permits
        """Begin to sample."""
        del files, rows
        self.began = time.perf_counter()
        self._task = asyncio.get_running_loop().create_task(self._sample(permits))

    async def _sample(self, permits: Permits) -> None:
        due = time.perf_counter()
        while True:
            due += _SAMPLE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.late.append(time.perf_counter() - due)
            due = time.perf_counter()
            if self.reached is None and permits.limit >= permits.ceiling:
                self.reached = time.perf_counter() - self.began
                await asyncio.sleep(0.1)
            if self.reached is not None and self.rows - self.done > permits.ceiling:
                self.shares.append(permits.in_use / permits.limit)

    def file_started(self, file: str, *, recorded: int) -> None:
        """Of no interest."""

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Count."""
        del ref, outcome
        self.done += 1

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Of no interest."""

    def file_failed(self, file: str, reason: str) -> None:
        """Of no interest."""

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Of no interest."""


def make(folder: Path, arguments: argparse.Namespace) -> Path:
    """Write input and task."""
    (folder / "in").mkdir()
    text = "def add(a, b):\n    return a + b\n" * 60
    for number in range(arguments.files):
        rows = range(number, arguments.rows, arguments.files)
        lines = (json.dumps({"id": row, "text": f"{row} {text}"}) + "\n" for row in rows)
        (folder / f"in/{number:05d}.jsonl").write_text("".join(lines))
    headers = {"x-lat": str(arguments.latency), "x-tail": str(arguments.sigma)}
    task = {
        "task_name": "occupancy",
        "data": {"input_folder": str(folder / "in"), "output_folder": str(folder / "out")},
        "model": {"provider": "bench", "model_name": "x", "base_url": arguments.base_url, "headers": headers},
        "prompt": {
            "prompt_template": {"prompt_text": "Rate:\n{text}"},
            "output_config": {"json_keys": ["score"], "json_default_values": {"score": 0}},
        },
        "concurrency": {
            "max_concurrent_files": arguments.open_files,
            "max_concurrent_requests": arguments.ceiling,
        },
    }
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    for name, default in (("--rows", 20000), ("--files", 8), ("--ceiling", 512), ("--open-files", 2)):
        parser.add_argument(name, type=int, default=default)
    for name, amount in (("--latency", 0.5), ("--sigma", 1.0)):
        parser.add_argument(name, type=float, default=amount)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_task(make(Path(folder), arguments))
        gauge = Gauge(arguments.rows)
        now = datetime.now().astimezone()
        leave_pandas_out()
        hold_less()
        collect_less()  # as the command does
        task = TaskRun(loaded, Invocation(), listener=gauge, begins=gauge, stop=Stop(), now=now)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            summary = runner.run(task.run())
    seconds = time.perf_counter() - gauge.began
    late = sorted(gauge.late)
    shares = gauge.shares or [0.0]
    reached = f"{gauge.reached:.2f} s" if gauge.reached is not None else "never"
    print(f"rows {sum(tally.scored for tally in summary.passes):,} scored in {seconds:.1f} s")
    print(f"ceiling reached after {reached}")
    print(f"share of the limit in use: mean {sum(shares) / len(shares):.4f}, least {min(shares):.4f}")
    print(f"event loop late: p99 {late[int(len(late) * 0.99)] * 1000:.0f} ms, most {late[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    main()
