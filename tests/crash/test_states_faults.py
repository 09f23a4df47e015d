"""Every call to the operating system fails once, or from then on: the run stops as documented and then goes on."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelcall.errors import ConfigError, FatalError
from tests.crash.states_seam import BY_PATH, Call, Watcher, watched
from tests.crash.states_starts import Desk, End, Ended, memory_folder, published

SHORT_WRITE = "short write"
NAMING = {"link", "rename", "replace"}
MAKING = NAMING | {"create", "mkdir"}
BY_NAME = {*BY_PATH, "open", "create"}
CALLS: dict[str, set[str]] = {
    "ENOSPC": MAKING | {"write", "fsync"},
    "EDQUOT": MAKING | {"write", "fsync"},
    "EROFS": MAKING | {"unlink"},
    "EIO": BY_NAME | {"read", "write", "fsync", "fstat", "close"},
    "EMFILE": {"open", "create", "scandir", "listdir"},
    "EINTR": {"open", "create", "fsync", "flock", "close"},  # reading and writing is repeated by Python itself
    "EACCES": BY_NAME,
    "ESTALE": BY_NAME | {"read", "write", "fsync", "fstat"},
    "EXDEV": NAMING,
    SHORT_WRITE: {"write"},
}
"""Which calls an error may come from."""
STRIDE = 46
"""Per commit every so many-th call fails, another one for each error; in the long suite every one."""
HOW = ["once", "for ever"]
MOST = 3000
"""Calls that fail in one start."""


class EndlessError(BaseException):
    """Whoever is told of a failure tries for ever."""


class Failing(Watcher):
    """Fails the k-th of the calls that may, and all after it if that is asked for."""

    def __init__(self, what: str, k: int, *, for_ever: bool) -> None:
        self._what, self._k, self._for_ever = what, k, for_ever
        self.count = 0
        self.failed: list[Call] = []
        self.unsynced: set[str] = set()
        self.again: list[str] = []

    def _fails(self, call: Call) -> bool:
        writes = call.flags & (os.O_WRONLY | os.O_RDWR)
        kind = "create" if call.kind == "open" and writes else call.kind
        if kind not in CALLS[self._what] or (kind == "close" and not writes):
            return False
        self.count += 1
        fails = self.count == self._k or (self._for_ever and self.count > self._k)
        if fails:
            self.failed.append(call)
            if len(self.failed) > MOST:
                raise EndlessError(call)
        return fails

    def before(self, call: Call) -> None:
        if call.kind == "fsync" and call.path in self.unsynced:
            self.again.append(call.path)
        if self._what == SHORT_WRITE or not self._fails(call):
            return
        if call.kind == "fsync" and not os.path.isdir(call.path):  # noqa: PTH112  pathlib would ask through here again
            self.unsynced.add(call.path)
        number = getattr(errno, self._what)
        by_name = (call.path,) if call.descriptor < 0 else ()
        raise OSError(number, os.strerror(number), *by_name)

    def most(self, call: Call) -> int:
        short = self._what == SHORT_WRITE and self._fails(call)
        return max(1, len(call.data) // 2) if short else len(call.data)


@dataclass
class Bench:
    desk: Desk
    end: End

    def wrong(self, failing: Failing) -> str | None:
        """What is wrong with a start that meets failures, and with the next one that does not."""
        self.desk.clear()
        with watched(self.desk.folder, failing):
            ended = self.desk.start()
        if not failing.failed:
            return None
        return self._wrong_stop(ended) or self._synced_again(failing) or self._wrong_resume()

    def _wrong_stop(self, ended: Ended) -> str | None:
        error = ended.error or (ended.summary and ended.summary.error)
        if isinstance(error, ConfigError):
            return f"rows were asked before {error!r}" if ended.asked else None
        if error is not None and not isinstance(error, FatalError):
            return f"not an error of ours: {error!r}"
        if repeated := [row for row, times in ended.asked.items() if times > 1]:
            return f"asked twice: {repeated}"
        wrong = [name for name, data in published(self.desk.tree()).items() if self.end.published.get(name) != data]
        if wrong:
            return f"published, but not whole: {wrong}"
        complete = error is None and ended.summary is not None and not ended.summary.passes[0].broken_files
        if complete and published(self.desk.tree()) != self.end.published:
            return "said that it is complete, and is not"
        return None

    @staticmethod
    def _synced_again(failing: Failing) -> str | None:
        return f"synced again: {failing.again}" if failing.again else None

    def _wrong_resume(self) -> str | None:
        recorded = self.desk.recorded()
        ended = self.desk.start()
        if ended.summary is None or ended.summary.error is not None:
            return f"does not go on: {ended.error!r} {ended.summary and ended.summary.error!r}"
        if again := set(ended.asked) & recorded:
            return f"asked again: {sorted(again)}"
        return None if self.desk.end() == self.end else f"ended otherwise: {self.desk.end().unlike(self.end)}"


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def bench(folder: Path, output_format: str) -> Bench:
    desk = Desk(folder, output_format=output_format, seed=0)
    assert desk.start().error is None
    return Bench(desk, desk.end())


def play(bench: Bench, fail: Callable[[int], Failing], *, first: int, stride: int) -> tuple[int, list[str]]:
    """Fail the k-th call, for every k of the stride until none is left to fail."""
    failures: list[str] = []
    k = first
    while True:
        failing = fail(k)
        wrong = bench.wrong(failing)
        if not failing.failed:
            return (k - first) // stride, failures
        if wrong:
            call = failing.failed[0]
            failures.append(f"{k}: {call.kind} {call.path} {call.to}: {wrong}")
        k += stride


def check(bench: Bench, whats: list[str], hows: list[str], stride: int) -> int:
    faults, failures = 0, []
    for number, (what, how) in enumerate((what, how) for what in whats for how in hows):
        fail = partial(Failing, what, for_ever=how == "for ever")
        played, wrong = play(bench, fail, first=1 + number % stride, stride=stride)
        faults += played
        failures += [f"{what} {how}, call {text}" for text in wrong]
    print(f"{faults} calls failed")
    assert not failures, f"{len(failures)} of {faults} faults:\n" + "\n".join(failures[:20])
    return faults


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
def test_a_call_that_fails_stops_the_run_as_documented_and_the_next_start_completes_it(
    output_format: str, folder: Path, record_property: Callable[[str, Any], None]
) -> None:
    record_property("faults", check(bench(folder, output_format), list(CALLS), HOW, STRIDE))


@pytest.mark.long
@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("what", list(CALLS))
def test_every_call_that_fails_stops_the_run_as_documented_and_the_next_start_completes_it(
    output_format: str, what: str, how: str, folder: Path, record_property: Callable[[str, Any], None]
) -> None:
    record_property("faults", check(bench(folder, output_format), [what], [how], 1))
