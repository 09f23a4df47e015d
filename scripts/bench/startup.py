"""How long a command takes that has next to nothing to do: ``--help``, ``validate``, a run of one row.

usage: startup.py [--times 10] [--json FILE]

Prints medians of wall seconds and of CPU seconds. The run asks the instant server (instant_server.sh) once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from instant import InstantServer
from measuring import home, lean, measured, medians, table
from scored_task import machine, write_input, write_task

if TYPE_CHECKING:
    from collections.abc import Sequence


def times(command: Sequence[str], folder: Path, count: int) -> tuple[float, float]:
    """Return the medians of seconds and CPU seconds of a command; what it writes is removed after each time."""
    environment = {**home(folder), **lean(folder)}
    used = []
    for _ in range(count + 1):
        used.append(measured([sys.executable, "-m", "modelcall", *command], cwd=folder, environment=environment))
        shutil.rmtree(folder / "out", ignore_errors=True)
    del used[0]  # compiles what was never imported
    middle = medians(used)
    return middle.seconds, middle.cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name, InstantServer(Path(name)) as server:
        folder = Path(name)
        write_input(folder / "rows.jsonl", 1, 2000)
        task = str(write_task(folder, inputs=folder / "rows.jsonl", base_url=server.url, in_flight=1))
        commands = {"--help": ["--help"], "validate": ["validate", task], "one row": ["run-task", task]}
        found = {what: times(command, folder, arguments.times) for what, command in commands.items()}
    lines = [(what, f"{seconds:.2f}", f"{cpu:.2f}") for what, (seconds, cpu) in found.items()]
    print(table(("Command", "seconds", "CPU seconds"), lines))
    print(f"{datetime.now().astimezone().date()}, {machine()}, medians of {arguments.times}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
