"""Two worker processes beside two runs of one process each, at the same time; and how the ceiling is used by several.

usage: workers.py BASE_URL [--rows 250000] [--rounds 3] [--files 8 1]
       workers.py --occupancy [--workers 4] [--ceiling 256] [--rows 40000]

BASE_URL is an instant server (instant_server.sh). Prints, for eight files and one large one, rows a second of one run
with ``num_workers: 2`` over those of two runs that share the rows: of runs before and after them, since the speed of a
machine drifts; the median of the rounds. ``--occupancy`` asks the embedded server, whose answers take half a second,
and prints the most that it had in flight, and the share of the ceiling that was in use from the time it was reached to
the tail.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from measuring import lean

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = ("def add(a, b):\n    return a + b\n" * 200)[:2000]


class Run:
    """A task, begun."""

    def __init__(self, folder: Path, base_url: str, *, workers: int, ceiling: int) -> None:
        task = {
            "task_name": folder.name,
            "data": {"input_folder": "./in", "output_folder": "./out"},
            "model": {"provider": "bench", "model_name": "x", "base_url": base_url},
            "prompt": {
                "prompt_template": {"prompt_text": "Rate:\n{text}"},
                "output_config": {"json_keys": ["score", "quality_tags"], "json_default_values": {"quality_tags": []}},
            },
            "concurrency": {"max_concurrent_requests": ceiling, "num_workers": workers, "max_concurrent_files": 4},
        }
        (folder / "task.yaml").write_text(yaml.safe_dump(task))
        self._folder = folder
        self._began = time.monotonic()
        command = [sys.executable, "-m", "modelcall", "run-task", "task.yaml", "--json", "--fresh", "--quiet"]
        environment = {**os.environ, **lean(folder)}  # noqa: TID251  of a child
        self.child = subprocess.Popen(
            [*command, "--delete_existing"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )

    def end(self) -> tuple[int, float]:
        """Wait for its end; return rows and seconds, start-up included."""
        out, _ = self.child.communicate()
        if self.child.returncode:
            raise RuntimeError(f"the run ended with {self.child.returncode}")
        rows = json.loads(out)["rows"]["scored"]
        seconds = time.monotonic() - self._began
        shutil.rmtree(self._folder / "out")
        return rows, seconds


def make(folder: Path, *, rows: int, files: int) -> Path:
    """Write input."""
    (folder / "in").mkdir(parents=True)
    for number in range(files):
        lines = (json.dumps({"id": row, "text": f"{row} {TEXT}"}) + "\n" for row in range(number, rows, files))
        (folder / f"in/{number}.jsonl").write_text("".join(lines))
    return folder


def rate(folders: Sequence[Path], base_url: str, *, workers: int, ceiling: int) -> float:
    """Run tasks side by side; return their rows a second together."""
    ends = [run.end() for run in [Run(folder, base_url, workers=workers, ceiling=ceiling) for folder in folders]]
    return sum(rows for rows, _ in ends) / max(seconds for _, seconds in ends)


def ratio(scratch: Path, base_url: str, *, rows: int, files: int, rounds: int) -> None:
    """Measure, in turn, and print."""
    whole = make(scratch / f"whole-{files}", rows=rows, files=files)
    halves = [make(scratch / f"half-{files}-{half}", rows=rows // 2, files=max(1, files // 2)) for half in range(2)]
    ratios = []
    before = rate([whole], base_url, workers=2, ceiling=128)
    for _ in range(rounds):
        apart = rate(halves, base_url, workers=1, ceiling=64)
        after = rate([whole], base_url, workers=2, ceiling=128)
        ratios.append((before + after) / 2 / apart)
        print(
            f"{files} file(s): {before:,.0f} and {after:,.0f} rows/s, two runs {apart:,.0f}: {ratios[-1]:.2f}",
            flush=True,
        )
        before = after
    print(f"{files} file(s): median {statistics.median(ratios):.2f}", flush=True)


def occupancy(scratch: Path, *, rows: int, workers: int, ceiling: int) -> None:
    """Look at the server's requests in flight during a run, and print."""
    folder = make(scratch / "occupancy", rows=rows, files=8)
    samples: list[tuple[int, int]] = []
    with EmbeddedServer(MockOptions(latency=0.5)) as server:
        run = Run(folder, server.base_url, workers=workers, ceiling=ceiling)
        while run.child.poll() is None:
            referee = server.referee()
            samples.append((referee.in_flight, referee.rows))
            time.sleep(0.05)
        done, seconds = run.end()
        most = server.referee().max_in_flight
    reached = next(at for at, (in_flight, _) in enumerate(samples) if in_flight >= 0.98 * ceiling)
    steady = [in_flight for in_flight, asked in samples[reached:] if asked < rows - 2 * ceiling]
    print(
        f"{workers} workers: {done:,} rows in {seconds:.1f} s; at most {most} of {ceiling} in flight, "
        f"{statistics.mean(steady) / ceiling:.1%} in use from its being reached to the tail"
    )


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url", nargs="?")
    parser.add_argument("--occupancy", action="store_true")
    for name, default in (("--rows", 250_000), ("--rounds", 3), ("--workers", 4), ("--ceiling", 256)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--files", type=int, nargs="+", default=(8, 1))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name:
        scratch = Path(name)
        if arguments.occupancy:
            occupancy(scratch, rows=arguments.rows, workers=arguments.workers, ceiling=arguments.ceiling)
        else:
            for files in arguments.files:
                ratio(scratch, arguments.base_url, rows=arguments.rows, files=files, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
