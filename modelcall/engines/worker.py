"""What happens in a worker process: it asks for jobs, and sends back what comes of them.

It heeds no signals: whoever stops the run tells its owner, who tells the worker. If the owner dies the worker does so
at once, too; what it was doing is unfinished then, as after any kill.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from contextlib import aclosing, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelcall.errors import ModelCallError
from modelcall.garbage import collect_less, hold_less
from modelcall.log import setup
from modelcall.loops import run_fast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from multiprocessing.connection import Connection

    from modelcall.engines.base import Job, Result, Work
    from modelcall.log import LogSettings

OWNER_GONE: Final = 70
"""Exit code of a worker that has nobody to report to."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a worker does not heed."""


class WorkerError(RuntimeError):
    """Something that nobody foresaw was raised in a worker; the text is its traceback."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The worker is ready for a job."""


@dataclass(frozen=True, slots=True)
class Given:
    """A job for the worker; None: there are no more."""

    job: Any


@dataclass(frozen=True, slots=True)
class Came:
    """A result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The work has ended, by itself, as it was told to, or with an error."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The work is to end now."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the work and who looks after it say to each other."""

    message: Any


class _Line:
    """A worker's end of its connection."""

    def __init__(self, connection: Connection, worker: int) -> None:
        self.worker = worker
        self._connection = connection
        self._sending = threading.Lock()
        self._unheard: list[Any] = []
        self._hear: Callable[[Any], None] = self._unheard.append

    def send(self, message: object) -> None:
        with self._sending:
            self._connection.send(message)

    def tell(self, message: object) -> None:
        self.send(Told(message))

    def heed(self, hear: Callable[[Any], None]) -> None:
        self._hear = hear
        while self._unheard:
            hear(self._unheard.pop(0))

    def hear(self, message: object) -> None:
        self._hear(message)


def serve(connection: Connection, worker: int, work: Work[Job, Result], log: LogSettings | None) -> None:
    """Work until there are no more jobs; what a process is started with. What a user's code prints is no result."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    hold_less()
    collect_less()
    try:
        with redirect_stdout(sys.stderr), setup(log) if log is not None else nullcontext():
            run_fast(_serve(connection, _Line(connection, worker), work))
    except OSError:  # the owner is gone
        os._exit(OWNER_GONE)


def listen(connection: Connection, hear: Callable[[], None]) -> None:
    """Call ``hear`` on the event loop when there is something to receive, which is then received whole.

    Fast event loops make what they watch non-blocking, and half a message would be an error then.
    """
    asyncio.get_running_loop().add_reader(connection.fileno(), hear)
    os.set_blocking(connection.fileno(), True)


async def _serve(connection: Connection, line: _Line, work: Work[Job, Result]) -> None:
    loop = asyncio.get_running_loop()
    jobs: asyncio.Queue[Any] = asyncio.Queue()
    working = loop.create_task(_work(line, work, jobs))

    def hear() -> None:
        try:
            while connection.poll():
                told = connection.recv()
                if isinstance(told, Told):
                    line.hear(told.message)
                elif isinstance(told, Given):
                    jobs.put_nowait(told.job)
                else:
                    working.cancel()
        except (EOFError, OSError):
            os._exit(OWNER_GONE)

    listen(connection, hear)
    try:
        await working
    except asyncio.CancelledError:
        line.send(Ended())
    except Exception as error:  # noqa: BLE001  the worker's boundary: the owner raises it
        line.send(Ended(_portable(error)))
    else:
        line.send(Ended())
    finally:
        loop.remove_reader(connection.fileno())


async def _work(line: _Line, work: Work[Job, Result], jobs: asyncio.Queue[Any]) -> None:
    async with aclosing(work(_given(line, jobs), line)) as results:
        async for result in results:
            line.send(Came(result))


async def _given(line: _Line, jobs: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while True:
        line.send(Wanted())
        job = await jobs.get()
        if job is None:
            return
        yield job


def _portable(error: Exception) -> Exception:
    """Return an error that the owner can unpickle: our own as they are, any other as its traceback."""
    if isinstance(error, ModelCallError):
        return error
    return WorkerError("".join(traceback.format_exception(error)).strip())
