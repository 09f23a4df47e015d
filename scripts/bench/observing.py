"""What it costs to watch a run: CPU with live view, status file, socket and metrics, against --quiet --no_status.

usage: observing.py BASE_URL [--rows 20000] [--pairs 5] [--in-flight 128] [--text 2000]

BASE_URL is an instant server (instant_server.sh). Each pair is two whole runs of the command, in turn one and the other
first; the watched one on a terminal of its own, and asked for its status and its metrics every 5 s. Prints CPU
milliseconds a row of both, their start-up (a run of one row) taken off, and the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from modelcall.observe.control import ControlError, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

QUIET = ("--quiet", "--no_status")
WATCHED = ("--metrics_port", "0")
_SECONDS = 5.0
"""Between two questions: metrics are mostly asked for every 15 s, status by hand."""


def make(folder: Path, arguments: argparse.Namespace, rows: int) -> None:
    """Write input and task."""
    (folder / "in").mkdir(parents=True)
    text = ("def add(a, b):\n    return a + b\n" * 200)[: arguments.text]
    lines = (json.dumps({"id": row, "text": f"{row} {text}"}) + "\n" for row in range(rows))
    (folder / "in/a.jsonl").write_text("".join(lines))
    task = {
        "task_name": "observing",
        "data": {"input_folder": "./in", "output_folder": "./out"},
        "model": {"provider": "bench", "model_name": "x", "base_url": arguments.base_url},
        "prompt": {
            "prompt_template": {"prompt_text": "Rate:\n{text}"},
            "output_config": {"json_keys": ["score", "quality_tags"], "json_default_values": {"quality_tags": []}},
        },
        "concurrency": {"max_concurrent_requests": arguments.in_flight},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(task))


def cpu_of(folder: Path, options: Sequence[str]) -> float:
    """Run the command on a terminal; return its CPU seconds."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "modelcall", "run-task", "task.yaml", "--fresh", "--delete_existing", *options]
    child = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    reading = threading.Thread(target=drain, args=(ours,))
    reading.start()
    looking = threading.Event()
    looker = threading.Thread(target=look, args=(folder, looking))
    if options is WATCHED:
        looker.start()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    looking.set()
    reading.join()
    os.close(ours)
    if options is WATCHED:
        looker.join()
    if child.returncode:
        raise RuntimeError(f"the run ended with {child.returncode}")
    return used.ru_utime + used.ru_stime


def drain(terminal: int) -> None:
    """Read what is printed, until nobody prints any more."""
    with suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def look(folder: Path, done: threading.Event) -> None:
    """Ask for status and metrics now and then."""
    while not done.wait(_SECONDS):
        for path in (folder / "logs/.status").glob("*.json"):
            told = json.loads(path.read_bytes())
            with suppress(OSError, ControlError):
                ask(Path(told["control"]), "status")
                urllib.request.urlopen(f"http://{told['metrics']}/metrics").read()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    for name, default in (("--rows", 20000), ("--pairs", 5), ("--in-flight", 128), ("--text", 2000)):
        parser.add_argument(name, type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        make(small, arguments, 1)
        make(large, arguments, arguments.rows)
        ratios: list[float] = []
        for number in range(arguments.pairs):
            per_row: dict[Sequence[str], float] = {}
            for options in (QUIET, WATCHED) if number % 2 else (WATCHED, QUIET):
                start_up = cpu_of(small, options)
                per_row[options] = (cpu_of(large, options) - start_up) / arguments.rows * 1000
            ratios.append(per_row[WATCHED] / per_row[QUIET])
            print(f"{per_row[QUIET]:.4f} ms quiet, {per_row[WATCHED]:.4f} ms watched: {ratios[-1]:.3f}", flush=True)
            time.sleep(0.2)
    print(f"median ratio {statistics.median(ratios):.3f}, least {min(ratios):.3f}, most {max(ratios):.3f}")


if __name__ == "__main__":
    main()
