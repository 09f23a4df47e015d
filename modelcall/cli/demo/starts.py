"""The task as child processes, exactly as a user starts it: one is killed half-way, one goes on to the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.errors import FatalError
from modelcall.fs.local import LocalFileSystem
from modelcall.state.frames import Damage, read_frames
from modelcall.state.shard import output_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelcall.mock.process import EmbeddedServer

PATIENCE: Final = 120.0
"""Seconds that one start may take."""
_GLANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """How a start ended."""

    exit_code: int
    """Negative: killed by this signal."""
    report: dict[str, Any]
    """What it printed with ``--json``; empty if it was killed."""


class Starts:
    """Starts ``modelcall run-task task.yaml`` in the demo's folder; what it says goes to a file there."""

    def __init__(self, folder: Path, server: EmbeddedServer, *, log: Path) -> None:
        self._folder = folder
        self._server = server
        self._log = log

    def killed_after(self, rows: int, *, progress: Callable[[int], None]) -> Ended:
        """Start anew, and kill the process when the server has answered so many rows."""
        with self._child("--fresh") as child:
            deadline = time.monotonic() + PATIENCE
            while child.poll() is None and (answered := self._server.referee().answered_rows) < rows:
                progress(answered)
                self._check(deadline)
                time.sleep(_GLANCE)
            child.send_signal(signal.SIGKILL)
            child.communicate()
        self._settle(deadline)
        return Ended(child.returncode, {})

    def to_the_end(self, *, progress: Callable[[int], None]) -> Ended:
        """Start with the same command, and let it end."""
        with self._child("--json") as child:
            deadline = time.monotonic() + PATIENCE
            while child.poll() is None:
                progress(self._server.referee().answered_rows)
                self._check(deadline)
                time.sleep(_GLANCE)
            printed, _ = child.communicate()
        return Ended(child.returncode, orjson.loads(printed) if printed else {})

    @contextmanager
    def _child(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "modelcall", "run-task", "task.yaml", *options]
        with self._log.open("ab") as log:
            child = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=log)  # noqa: S603  ours
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()

    def _settle(self, deadline: float) -> None:
        """Wait until the server has noticed that its client is dead."""
        while self._server.referee().in_flight:
            self._check(deadline)
            time.sleep(_GLANCE)

    def _check(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise FatalError(f"the demo's task took more than {PATIENCE:g} s", hint=f"See {self._log}.")


def recorded_rows(output: Path) -> int:
    """Count the rows of a run that are on disk: published ones by the manifest, others by the journals."""
    place = output_at(LocalFileSystem(), str(output))
    state = output / ".modelcall"
    names = [path.relative_to(state / "manifest").as_posix() for path in (state / "manifest").rglob("*.json")]
    entries = [entry for name in names if (entry := place.manifest.get(name.removesuffix(".json"))) is not None]
    published = {entry.file for entry in entries}
    journals = (_journaled(path) for path in state.glob("*/journal/*.log"))
    return sum(entry.rows for entry in entries) + sum(len(rows) for file, rows in journals if file not in published)


def _journaled(path: Path) -> tuple[str, set[int]]:
    with path.open("rb") as stream:
        frames = list(read_frames(stream, size=path.stat().st_size, damage=Damage()))
    file = orjson.loads(frames[0][1])["file"] if frames else ""
    return file, {row for row, _ in frames[1:]}
