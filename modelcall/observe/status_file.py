"""Status files: one for each task and shard, in a folder that is found without knowing the task.

The folder is ``logs/.status`` of the current folder, whatever a task says of its logs; ``$MODELCALL_STATUS_DIR`` moves
it. A file is replaced about once a second while its run goes on, once more at its end, and stays until the next start
or until it is cleaned away. Beside it stands by the same name the exit code that a launcher saw (``.exit``).
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.log import file_stem, job_suffix
from modelcall.observe.control import remove_socket
from modelcall.observe.private import make_folder, put
from modelcall.observe.status_json import status_from
from modelcall.state.lock import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.config.environment import Environment
    from modelcall.observe.run_state import Status

FRESH_SECONDS: Final = 30.0
"""A status of another machine that is older than this belongs to a run that has died, or to a machine that has."""
_STEM_CHARS: Final = 100
_DIGEST_CHARS: Final = 8


def status_folder(environment: Environment) -> Path:
    """Return the folder of all status files of the current folder."""
    moved = environment.get("MODELCALL_STATUS_DIR")
    return environment.cwd / moved if moved else environment.cwd / "logs" / ".status"


def status_name(*, task: str, output: str, job_index: int | None) -> str:
    """Return what the files of a task's shard are called: tasks of one name into two outputs are told apart."""
    names = f"{task}\0{output}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(names, digest_size=_DIGEST_CHARS // 2).hexdigest()
    return f"{file_stem(task)[:_STEM_CHARS]}{job_suffix(job_index)}-{digest}"


@dataclass(frozen=True, slots=True)
class Record:
    """A status file as it was found."""

    path: Path
    told: Mapping[str, Any]
    status: Status

    @property
    def process(self) -> Process:
        """Whose it is."""
        return Process(**self.status.identity.process)

    def is_meant(self, pattern: str) -> bool:
        """Whether the task has ``pattern`` in its name."""
        return pattern in self.status.identity.task

    @property
    def is_here(self) -> bool:
        """Whether the run is, or was, on this machine."""
        return self.process.host == platform.node()

    @property
    def is_alive(self) -> bool:
        """Whether the run goes on: by its process on this machine, by the age of its status on another."""
        if self.status.ending is not None:
            return False
        return self.process.is_alive if self.is_here else self.age < FRESH_SECONDS

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return (datetime.now().astimezone() - datetime.fromisoformat(self.status.updated)).total_seconds()

    @property
    def exit_code(self) -> int | None:
        """How it ended: as it told, else as its launcher saw; None while it goes on, or if nobody knows."""
        if self.status.ending is not None:
            return self.status.ending.exit_code
        return None if self.is_alive else launched_exit(self.path)


def read(path: Path) -> Record | None:
    """Read a status file; None if there is none, or if it is no status."""
    try:
        told = orjson.loads(path.read_bytes())
        record = Record(path, told, status_from(told))
        record.age, record.process  # noqa: B018  what cannot be read is found out here
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record


def look(folder: Path) -> tuple[list[Record], list[Path]]:
    """Return what is told of all runs, by name and shard; and the files among the status files that are none."""
    read_files = {path: read(path) for path in sorted(folder.glob("*.json"))}
    told = [record for record in read_files.values() if record is not None]
    return told, [path for path, record in read_files.items() if record is None]


def launched_exit(path: Path) -> int | None:
    """Return the exit code that the launcher of a run wrote down beside its status file."""
    try:
        return int(path.with_suffix(".exit").read_text())
    except (OSError, ValueError):
        return None


def forget(record: Record) -> None:
    """Remove everything that is kept of a run that is over. Blocking."""
    if record.status.identity.control and record.is_here:
        remove_socket(Path(record.status.identity.control))
    record.path.with_suffix(".exit").unlink(missing_ok=True)
    record.path.unlink(missing_ok=True)


class StatusFile:
    """The status file of a start.

    A start that another one turns out to be at work for must not write over its status: as long as this one does not
    own the shard, a living process keeps the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ours = False

    def claim(self) -> bool:
        """Take the file unless a living process has it; return whether it is ours now. Blocking."""
        if not self._ours:
            other = read(self.path)
            if other is None or not other.is_alive:
                self._take(other)
        return self._ours

    def own(self) -> None:
        """Take the file whoever has it: the lock of the shard is ours. Blocking."""
        if not self._ours:
            self._take(read(self.path))

    def _take(self, other: Record | None) -> None:
        make_folder(self.path.parent)
        if other is not None:
            forget(other)
        self._ours = True

    def write(self, told: Mapping[str, Any]) -> None:
        """Replace the status, if the file is ours. Blocking.

        Raises:
            OSError: The folder cannot be written.
        """
        if self._ours:
            put(self.path, orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
