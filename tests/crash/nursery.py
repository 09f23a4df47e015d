"""Processes that are born warm, in milliseconds: one that has imported everything forks those that are to be killed."""

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
COMMAND_LINE = (
    "modelcall.cli.run_task",
    "modelcall.cli.running",
    "modelcall.engines.inline",
    "modelcall.formats.jsonl",
    "modelcall.formats.parquet",
    "modelcall.formats.writers",
    "modelcall.scorers.custom",
    "modelcall.scorers.rule_plan",
    "modelcall.task_manager.task_run",
    "uvloop",
)
"""What a start from the command line imports when it comes to that."""


class Child:
    """A process of the nursery, as its tests see it."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.code: int | None = None
        """Once it is dead; negative: of the signal that killed it."""
        self.stopped = False

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has died: then its number may be another's."""
        self.stopped = self.stopped and number != signal.SIGCONT
        self._nursery.ask("signal", self.pid, number)

    def wait(self, *, seconds: float | None = None, look: Callable[[], None] = lambda: None) -> bool:
        """Wait for its end, or for it to stop still; return whether that came. Without ``seconds`` it must come.

        ``look`` is called every millisecond.
        """
        until = time.monotonic() + (PATIENCE if seconds is None else seconds)
        while self.code is None and not self.stopped:
            look()
            if (left := until - time.monotonic()) <= 0:
                assert seconds is not None, f"process {self.pid} neither ends nor stops"
                return False
            self._nursery.listen(min(left, 0.001))
        return True


class Nursery:
    """Forks children from a process that has imported ``preload``; they end with it."""

    def __init__(self, *preload: str) -> None:
        ours, theirs = os.pipe(), os.pipe()
        command = f"from tests.crash.nursery import serve; serve({ours[0]}, {theirs[1]}, {preload})"
        self._parent = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, pass_fds=(ours[0], theirs[1]))
        os.close(ours[0])
        os.close(theirs[1])
        self._to = Connection(ours[1], readable=False)
        self._from = Connection(theirs[0], writable=False)
        self._children: dict[int, Child] = {}
        self._born: Child | None = None

    def fork(self, work: Callable[..., int], *args: object) -> Child:
        """Let a new process do ``work(*args)`` and exit with what that returns."""
        self._born = None
        self.ask("fork", work, args)
        until = time.monotonic() + PATIENCE
        while self._born is None:
            self.listen(1.0)
            assert time.monotonic() < until, "no child is born"
        return self._born

    def ask(self, *words: object) -> None:
        self._to.send_bytes(pickle.dumps(words))

    def listen(self, seconds: float) -> None:
        """Take in what happened, if anything did within so many seconds."""
        if not self._from.poll(seconds):
            return
        what, pid, code = pickle.loads(self._from.recv_bytes())  # noqa: S301  from our own child
        if what == "born":
            self._born = self._children[pid] = Child(self, pid)
        elif what == "stopped":
            self._children[pid].stopped = True
        else:
            self._children.pop(pid).code = code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._to.close()
        self._parent.wait(PATIENCE)
        self._from.close()


def serve(requests: int, reports: int, preload: tuple[str, ...]) -> None:
    """Be the warm parent until nobody listens any more, then end the children that are left."""
    for module in preload:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of the parent
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    inbox, outbox = Connection(requests, writable=False), Connection(reports, readable=False)
    alive: set[int] = set()
    with suppress(EOFError, BrokenPipeError):
        while True:
            ready, _, _ = select.select([requests, wake], [], [])
            if wake in ready:
                os.read(wake, 4096)
                for event in _news(alive):
                    outbox.send_bytes(pickle.dumps(event))
            if requests in ready:
                _obey(pickle.loads(inbox.recv_bytes()), alive, outbox)  # noqa: S301  from our own parent
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _obey(words: tuple[Any, ...], alive: set[int], outbox: Connection) -> None:
    what, first, second = words
    if what == "signal":
        if first in alive:
            os.kill(first, second)
        return
    pid = os.fork()
    if not pid:
        _live(first, second)
    alive.add(pid)
    outbox.send_bytes(pickle.dumps(("born", pid, None)))


def _live(work: Callable[..., int], args: tuple[object, ...]) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        code = work(*args)
    except BaseException:  # noqa: BLE001  the nursery's own stack must not be unwound in a child
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _news(alive: set[int]) -> list[tuple[str, int, int | None]]:
    news: list[tuple[str, int, int | None]] = []
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if not pid:
            break
        if os.WIFSTOPPED(status):
            news.append(("stopped", pid, None))
        else:
            alive.discard(pid)
            news.append(("dead", pid, os.waitstatus_to_exitcode(status)))
    return news
