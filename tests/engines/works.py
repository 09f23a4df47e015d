"""What workers do in these tests; they import it by name."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.engines.processes import ProcessEngine
from modelcall.errors import ConfigError, FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from modelcall.engines.base import Channel


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    job: Job
    said: str


async def square(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Answer at once."""
    async for job in jobs:
        yield Result(job, f"{int(job.name) ** 2}")


async def pid(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Say which process it is, when all who are needed are there."""
    async for job in jobs:
        (Path(job.folder) / f"{os.getpid()}").touch()
        while len(list(Path(job.folder).iterdir())) < int(job.name):
            await asyncio.sleep(0.01)
        yield Result(job, str(os.getpid()))


async def two_at_once(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Take two jobs, answer the second first."""
    held: list[Job] = []
    async for job in jobs:
        held.append(job)
        if len(held) == 2:
            for taken in reversed(held):
                yield Result(taken, "pair")
            held.clear()


async def raises(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    async for job in jobs:
        if job.name == "ours":
            raise FatalError("disk full", hint="free space")
        if job.name == "other":
            raise ZeroDivisionError("by nothing")
        if job.name == "unpicklable":
            yield Result(job, lambda: 1)  # type: ignore[arg-type]  # what cannot be sent
        yield Result(job, "fine")


async def dies(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Die with jobs named ``once`` the first time, with ``always`` each time."""
    async for job in jobs:
        mark = Path(job.folder) / job.name
        tries = int(mark.read_text()) if mark.exists() else 0
        mark.write_text(str(tries + 1))
        if job.name == "always" or (job.name.startswith("once") and not tries):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.name == "leaves":
            sys.stdout.flush()
            os._exit(3)
        yield Result(job, f"try {tries + 1}")


async def dies_apart(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Die with the job ``dies`` once the job ``waits`` has begun in another process, which ends after ``dies`` has."""
    async for job in jobs:
        began, died, done = (Path(job.folder) / name for name in ("began", "died", "done"))
        waits_for = done if job.name == "waits" else began
        if job.name == "waits":
            began.touch()
        async with asyncio.timeout(20):
            while not waits_for.exists():
                await asyncio.sleep(0.01)
        if job.name == "dies" and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        done.touch()
        yield Result(job, "fine")


async def dies_beside(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Hold all jobs that there are; each ends after a moment, but for ``poison``, with which to die at once."""
    ended: asyncio.Queue[Result | None] = asyncio.Queue()

    async def end(job: Job) -> None:
        await asyncio.sleep(0.05)
        ended.put_nowait(Result(job, "fine"))

    async def take() -> None:
        ending = []
        async for job in jobs:
            if job.name == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            ending.append(asyncio.create_task(end(job)))
        await asyncio.gather(*ending)
        ended.put_nowait(None)

    taking = asyncio.create_task(take())
    while (result := await ended.get()) is not None:
        yield result
    await taking


async def dies_talking(jobs: AsyncIterator[Job], channel: Channel) -> AsyncGenerator[Result, None]:
    """Say something and die, four times."""
    async for job in jobs:
        if channel.worker < 5:
            channel.tell("a row is done")
            os.kill(os.getpid(), signal.SIGKILL)
        yield Result(job, f"try {channel.worker}")


async def converses(jobs: AsyncIterator[Job], channel: Channel) -> AsyncGenerator[Result, None]:
    """Say what is heard; end when told to, or fail when told to."""
    stopped, heard = asyncio.Event(), list[str]()

    def hear(message: str) -> None:
        heard.append(message)
        channel.tell(f"heard {message}")
        if message == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if message in {"stop", "fail"}:
            stopped.set()

    channel.heed(hear)
    async for job in jobs:
        if job.name == "last words":
            channel.tell("waiting")
            await stopped.wait()
            if heard[-1] == "fail":
                raise FatalError("as told")
            yield Result(job, "after the end")
            return
        yield Result(job, str(channel.worker))


async def asks(jobs: AsyncIterator[Job], channel: Channel) -> AsyncGenerator[Result, None]:
    """Ask for help with ``ask``, whose result comes when somebody says something, and for more jobs; say who did it."""
    ended: asyncio.Queue[Result | None] = asyncio.Queue()
    asking: list[Job] = []
    channel.heed(lambda _: ended.put_nowait(Result(asking.pop(), str(channel.worker))))

    async def take() -> None:
        async for job in jobs:
            if job.name == "ask":
                asking.append(job)
                asyncio.get_running_loop().call_soon(channel.tell, "help")
            else:
                ended.put_nowait(Result(job, str(channel.worker)))
        ended.put_nowait(None)

    taking = asyncio.create_task(take())
    while (result := await ended.get()) is not None:
        yield result
    await taking


async def waits(jobs: AsyncIterator[Job], _: Channel) -> AsyncGenerator[Result, None]:
    """Take what is sent, wait for ever, and leave a note on the way out."""
    async for job in jobs:
        (Path(job.folder) / f"began-{os.getpid()}").touch()
        if job.name == "quick":
            yield Result(job, "done")
            continue
        try:
            (Path(job.folder) / f"waits-{job.name}").touch()
            await asyncio.sleep(3600)
        finally:
            (Path(job.folder) / f"ended-{os.getpid()}").touch()
            if job.name == "stubborn":
                await asyncio.sleep(3600)


class Unloadable:
    """Cannot be made in another process."""

    def __call__(self, jobs: AsyncIterator[Job], channel: Channel) -> AsyncGenerator[Result, None]:
        return square(jobs, channel)

    def __reduce__(self) -> tuple[object, ...]:
        return (_refuse, ())


def _refuse() -> None:
    raise ConfigError("cannot be made here")


async def own(folder: str) -> None:
    """Be the owner of two workers that wait."""
    engine = ProcessEngine(2)
    jobs = [Job("a", folder), Job("b", folder)]
    async for _ in engine.run(waits, jobs):
        pass


if __name__ == "__main__":
    from tests.engines import works

    asyncio.run(works.own(sys.argv[1]))
