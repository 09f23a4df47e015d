"""The lock of a shard: one owner at a time, and a token that tells owners apart.

Ownership is a chain of files, ``<epoch>.json``, each created by put-if-absent: whoever creates the next one owns the
shard, and its number is the fencing token. A dead owner is succeeded, never edited. An owner that finds a later epoch
has been replaced while it slept, and must not publish.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcall.errors import ConfigError, FatalError
from modelcall.state import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.base import FileSystem

BEAT_SECONDS = 10.0
LEASE_SECONDS = 45.0
"""An owner on another host, or in another container, whose heartbeat stands still this long is dead."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from a later one with the same number."""

    pid: int
    start: str
    boot: str
    host: str

    @property
    def is_alive(self) -> bool:
        """Whether it runs on this machine, in this boot."""
        return self.boot == _boot_id() and bool(self.start) and start_time(self.pid) == self.start


def start_time(pid: int) -> str:
    """Return the kernel's start time of a process in clock ticks since boot; empty if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc").is_dir() else _portable_start(pid)
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _portable_start(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


def _namespace() -> str:
    """Return what tells apart whose process numbers are meant: containers may share the name of their host."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def this_process() -> Process:
    """Return this process."""
    pid = os.getpid()
    return Process(pid=pid, start=start_time(pid), boot=_boot_id(), host=platform.node())


def taken_over(where: str) -> FatalError:
    """Return what ends an owner that has been replaced."""
    return FatalError(
        f"{where}: another process has taken over this shard while this one stood still",
        hint="Nothing is lost; the other process goes on.",
    )


class Lock:
    """The lock of one shard of one output, held; without a ``record`` by another process, which we work for."""

    def __init__(self, fs: FileSystem, folder: str, *, epoch: int, record: dict[str, Any] | None = None) -> None:
        self._fs = fs
        self._folder = folder
        self.epoch = epoch
        self._record = record or {"released": True}
        self._beats = 0
        self._writing = threading.Lock()

    def check(self) -> None:
        """Raise FatalError if somebody has taken over."""
        if self._fs.is_file(_path(self._folder, self.epoch + 1)):
            raise taken_over(self._folder)

    def beat(self) -> None:
        """Show owners on other hosts that we live. Call every BEAT_SECONDS."""
        self.check()
        with self._writing:  # a beat that is late must not take back the release
            if not self._record["released"]:
                self._beats += 1
                self._write()

    def release(self) -> None:
        """Give the shard up; the next owner starts without asking who we were."""
        with self._writing:
            self._record["released"] = True
            self._write()

    def _write(self) -> None:
        self._fs.replace(_path(self._folder, self.epoch), records.dump({**self._record, "beat": self._beats}))


def acquire(
    fs: FileSystem,
    folder: str,
    *,
    facts: dict[str, Any],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Lock:
    """Take the lock of a shard. ``facts`` (world size, run, …) are recorded for whoever is refused.

    Raises:
        ConfigError: A living process holds it.
    """
    process = this_process()
    record = {
        "pid": process.pid,
        "start": process.start,
        "boot": process.boot,
        "host": process.host,
        "namespace": _namespace(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "released": False,
        "beat": 0,
        **facts,
    }
    while True:
        epoch = refuse_owned(fs, folder, clock=clock, sleep=sleep)
        if fs.put_if_absent(_path(folder, epoch + 1), records.dump(record)):
            return Lock(fs, folder, epoch=epoch + 1, record=record)


def refuse_owned(
    fs: FileSystem,
    folder: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Return the number of the last owner of a shard, 0 if there was none.

    Raises:
        ConfigError: A living process holds it.
    """
    epoch = last_epoch(fs, folder)
    if epoch:
        _refuse_living(fs, _path(folder, epoch), clock=clock, sleep=sleep)
    return epoch


def _path(folder: str, epoch: int) -> str:
    return f"{folder}/{epoch:06d}.json"


def last_epoch(fs: FileSystem, folder: str) -> int:
    """Return the last epoch, 0 if there is none: doubling, then halving, since epochs have no gaps."""
    low, step = 0, 1
    while fs.is_file(_path(folder, low + step)):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fs.is_file(_path(folder, middle)) else (low, middle)
    return low


def _refuse_living(fs: FileSystem, path: str, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    owner = records.load(fs, path)
    if owner is None or owner["released"]:
        return
    process = Process(pid=owner["pid"], start=owner["start"], boot=owner["boot"], host=owner["host"])
    here = (process.host, owner["namespace"]) == (platform.node(), _namespace())
    if process.is_alive if here else _beats(fs, path, owner, clock=clock, sleep=sleep):
        raise ConfigError(
            f"{path}: process {process.pid} on {process.host} has been working on this since {owner['since']}",
            hint="Wait for it or stop it, or give this one another output folder or job_index.",
        )


def _beats(
    fs: FileSystem,
    path: str,
    seen: dict[str, Any],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> bool:
    """Watch the heartbeat of an owner whose process we cannot see; our clock alone counts."""
    until = clock() + LEASE_SECONDS
    while clock() < until:
        sleep(1.0)
        if records.load(fs, path) != seen:
            return True
    return False
