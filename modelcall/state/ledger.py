"""The ledger: the state of each file, for whoever asks how far a run is.

Advisory: the manifest tells what is published. A log of frames beside the journals; of several frames of one file the
last counts.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from modelcall.fs.append import AppendFile
from modelcall.state.frames import Damage, frame, read_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import FileCounts, Outcome, RowRef

AUTOMATIC_ROWS = 1000
"""Rows between checkpoints when the task leaves it to us."""


@dataclass(slots=True)
class FileState:
    """How far a file is."""

    file: str
    state: Literal["open", "done", "failed"] = "open"
    recorded: int = 0
    """Rows that had their outcome before this start; once the file is done they count as what they are."""
    scored: int = 0
    failed: int = 0
    reason: str | None = None


class Ledger:
    """Listens to a run and keeps the ledger; writes every ``interval`` rows and at each file's end, off the loop."""

    def __init__(self, path: str, *, interval: int) -> None:
        self._log = AppendFile(path)
        self._interval = AUTOMATIC_ROWS if interval < 0 else interval
        self._rows = 0
        self._files: dict[str, FileState] = {}
        self._changed: set[str] = set()
        self._thread = ThreadPoolExecutor(1, "modelcall-ledger")
        self._gap = b"\n" if Path(path).exists() else b""  # ends the line that a killed owner has torn

    def file_started(self, file: str, *, recorded: int) -> None:
        """A file is being read."""
        self._files[file] = FileState(file, recorded=recorded)
        self._changed.add(file)

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Count a row."""
        state = self._files.get(ref.file)
        if state is None:  # a straggler of a file that has failed
            return
        if outcome.error_type is None:
            state.scored += 1
        else:
            state.failed += 1
        self._changed.add(ref.file)
        self._rows += 1
        if self._rows >= self._interval:
            self._checkpoint()

    def file_done(self, file: str, counts: FileCounts) -> None:
        """A file is published."""
        self._files[file] = FileState(file, "done", scored=counts.scored, failed=counts.failed)
        self._end(file)

    def file_failed(self, file: str, reason: str) -> None:
        """A file cannot be read or published."""
        self._files[file] = FileState(file, "failed", reason=reason)
        self._end(file)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Of no interest here."""

    def _end(self, file: str) -> None:
        self._changed.add(file)
        self._checkpoint()
        del self._files[file]

    def _checkpoint(self) -> None:
        data = b"".join(frame(0, orjson.dumps(asdict(self._files[file]))) for file in sorted(self._changed))
        self._thread.submit(self._log.append, self._gap + data)
        self._changed.clear()
        self._gap = b""
        self._rows = 0

    def close(self) -> None:
        """Write what is left. Blocking."""
        if self._changed:
            self._checkpoint()
        self._thread.shutdown()


def read_ledger(path: str) -> dict[str, FileState]:
    """Return the last known state of each file that a shard began."""
    states: dict[str, FileState] = {}
    log = Path(path)
    if log.exists():
        with log.open("rb") as stream:
            for _, payload in read_frames(stream, size=log.stat().st_size, damage=Damage()):
                state = FileState(**orjson.loads(payload))
                states[state.file] = state
    return states
