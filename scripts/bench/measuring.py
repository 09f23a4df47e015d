"""What a command takes: seconds, CPU of all its processes, and the memory that they hold at once."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from _typeshed import DataclassInstance

_Figures = TypeVar("_Figures", bound="DataclassInstance")
_LOOK_SECONDS = 0.1
_TAIL_CHARS = 2000


class CommandFailed(Exception):  # noqa: N818  what happened
    """The command did not end well; with the end of what it said."""


@dataclass(frozen=True, slots=True)
class Used:
    """One command, with all its processes, start-up included."""

    seconds: float
    cpu: float
    """User and system, of those processes that were waited for."""
    megabytes: float
    """The most that its processes had at a time."""


def medians(rounds: Sequence[_Figures]) -> _Figures:
    """Return the medians of what several rounds found, each a dataclass of numbers."""
    figures = zip(*map(astuple, rounds), strict=True)
    return type(rounds[0])(*map(statistics.median, figures))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, numbers on the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def processes(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, as far as they are there."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from processes(int(child))


def peak(pid: int) -> int:
    """Return the most memory a process has had, in kB; 0 if it is ending.

    Its rusage would count that of its parent.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def memory(pid: int) -> int:
    """Return the memory of a process and its descendants, in kB: its peak if it is alone, else what all have now.

    What several share is counted once, and what they share with other programs in part.
    """
    found = list(processes(pid))
    return peak(pid) if len(found) == 1 else sum(map(_share, found))


def _share(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:")), 0)


class _Watch(threading.Thread):
    """Looks at the memory of a process tree until told to stop, and ends the tree if it takes too long."""

    def __init__(self, pid: int, timeout: float) -> None:
        super().__init__()
        self._pid, self._until = pid, time.monotonic() + timeout
        self._ended = threading.Event()
        self.kilobytes = 0
        self.cut = False

    def run(self) -> None:
        """Look."""
        while not self._ended.wait(_LOOK_SECONDS):
            self.kilobytes = max(self.kilobytes, memory(self._pid))
            if time.monotonic() > self._until:
                self.cut = True
                kill_group(self._pid)

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()


def kill_group(pid: int) -> None:
    """End what is left of a session that we began."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def home(folder: Path) -> dict[str, str]:
    """Return an environment in which commands keep what they keep in a folder, and call nobody."""
    return {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder),
        "OPENAI_API_KEY": "EMPTY",
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "TELEMETRY_ENABLED": "0",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def lean(folder: Path) -> dict[str, str]:
    """Return an environment without what pyarrow imports where it is, as for development; users need it not."""
    absent = folder / "absent"
    absent.mkdir(exist_ok=True)
    for name in ("numpy", "pandas"):
        (absent / f"{name}.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(absent)}


def measured(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
    good: Iterable[int] = (0,),
) -> Used:
    """Run a command to its end; what it says goes to ``said.txt`` in its folder.

    Raises:
        CommandFailed: It ended with a code that is not ``good``, or did not end in time.
    """
    said = cwd / "said.txt"
    everything: dict[str, Any] = {**os.environ, **(environment or {})}  # noqa: TID251  of a child
    everything.pop("PYTHONDONTWRITEBYTECODE", None)  # what is imported late would be compiled each time
    with said.open("wb") as out:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=everything, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        watch = _Watch(child.pid, timeout)
        watch.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.stop()
            kill_group(child.pid)
    if child.returncode not in set(good):
        why = f"took more than {timeout:.0f} s" if watch.cut else f"ended with {child.returncode}"
        tail = said.read_text(errors="replace")[-_TAIL_CHARS:]
        raise CommandFailed(f"{Path(command[0]).name} {' '.join(map(str, command[1:3]))} {why}:\n{tail}")
    return Used(seconds, used.ru_utime + used.ru_stime, watch.kilobytes / 1024)
