"""A store that was made and used before a fork works in both processes, over connections of their own."""

from __future__ import annotations

import os
import signal
import traceback
from typing import TYPE_CHECKING

import pytest

from modelcall.fs.tos import writing
from modelcall.mock.tos.process import TosProcess
from tests.fs_tos.kit import PART, ROOT, store
from tests.mock_tos.sdk import small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.fs.tos.filesystem import TosFileSystem

ROUNDS = 8


@pytest.fixture
def fs(monkeypatch: pytest.MonkeyPatch) -> Iterator[TosFileSystem]:
    with TosProcess(small()) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(writing, "PART_BYTES", PART)
        made = store(server)
        yield made
        made.close()


def work(fs: TosFileSystem, mark: bytes) -> None:
    """Write in parts, read with a look ahead, list; what comes back must be this process's own."""
    for number in range(ROUNDS):
        path, data = f"{ROOT}/{mark.decode()}/{number}", mark * (2 * PART + number)
        with fs.sink(path) as sink:
            sink.write(data)
            sink.commit()
        with fs.open(path) as stream:
            assert b"".join(iter(lambda: stream.read(40_000), b"")) == data
        assert fs.stat(path).size == len(data)
    assert len(list(fs.walk(f"{ROOT}/{mark.decode()}"))) == ROUNDS
    fs.evict([f"{ROOT}/{mark.decode()}/never"])


def forked(work: Callable[[], None]) -> int:
    """Do it in a forked child, which cannot hang for ever; return its process id."""
    child = os.fork()
    if child:
        return child
    signal.alarm(60)
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001  told, and as the exit status
        traceback.print_exc()
    os._exit(status)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_store_made_before_a_fork_works_in_both_processes(fs: TosFileSystem) -> None:
    work(fs, b"b")  # so that there are connections and threads that could be shared
    child = forked(lambda: work(fs, b"c"))
    work(fs, b"p")
    assert os.waitpid(child, 0)[1] == 0, "the child failed or hung"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_closes_its_copy_leaves_the_parents_alone(fs: TosFileSystem) -> None:
    work(fs, b"b")
    child = forked(fs.close)
    assert os.waitpid(child, 0)[1] == 0
    work(fs, b"p")
