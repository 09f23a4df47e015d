"""One run of a task, watched: when rows and files were done, and what the store had been asked by then.

usage: storage_run.py TASK.yaml ROWS PORT [--first]

PORT is that of the local TOS. Prints one JSON object of events; ``--first`` ends with the first row.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from modelcall.config.loading import load_task
from modelcall.garbage import collect_less, hold_less
from modelcall.mock.tos.control import ROOT
from modelcall.task_manager.summary import Invocation, Stop
from modelcall.task_manager.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import FileCounts, Outcome, RowRef


class Events:
    """Listens to the run."""

    def __init__(self, rows: int, port: int, *, first: bool) -> None:
        self._began = time.perf_counter()
        self._left = rows
        self._port = port
        self._first = first
        self._seen: dict[str, dict[str, Any]] = {}

    def note(self, name: str) -> None:
        """Note the time of something, and the sums of the store's log."""
        at = time.perf_counter() - self._began
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", ROOT)
        self._seen[name] = {"at": at, "cpu": time.process_time(), **json.loads(connection.getresponse().read())}
        connection.close()

    def show(self) -> None:
        """Print what was noted."""
        print(json.dumps(self._seen), flush=True)

    def file_started(self, file: str, *, recorded: int) -> None:
        """Of no interest."""

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Note the first and the last."""
        del ref, outcome
        if "first row" not in self._seen:
            self.note("first row")
            if self._first:
                self.show()
                os._exit(0)
        self._left -= 1
        if not self._left:
            self.note("last row")

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Note the last."""
        del file, counts
        if not self._left:
            self.note("published")

    def file_failed(self, file: str, reason: str) -> None:
        """End."""
        raise SystemExit(f"{file}: {reason}")

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Of no interest."""


def main() -> None:
    """Run and print."""
    task, rows, port, *options = sys.argv[1:]
    loaded = load_task(Path(task))
    events = Events(int(rows), int(port), first=bool(options))
    collect_less()
    hold_less()
    run = TaskRun(loaded, Invocation(), listener=events, stop=Stop(), now=datetime.now().astimezone())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        summary = runner.run(run.run())
    if summary.exit_code:
        raise SystemExit(f"the run ended with {summary.exit_code}: {summary.error}")
    events.show()


if __name__ == "__main__":
    main()
