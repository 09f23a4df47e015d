"""Lives of one run in processes that are really killed, and the referee's record of what they asked."""

import asyncio
import multiprocessing
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline.publish import Publisher
from modelcall.pipeline.runner import RunnerSettings
from modelcall.state import journal
from modelcall.state.file_journal import FileJournal
from modelcall.state.frames import Damage, read_frames
from modelcall.state.manifest import Manifest
from modelcall.types import ErrorType, Outcome, Permit, RowRef
from tests.pipeline.harness import Bench, FakeJudge

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT = 6

WINDOWS: dict[str, tuple[type, str]] = {
    "journal written": (FileJournal, "write"),
    "journal synced": (FileJournal, "sync"),
    "file published": (Publisher, "publish"),
    "manifest written": (Manifest, "put"),
    "journal retired": (FileJournal, "retire"),
    "small file written": (LocalFileSystem, "replace"),
    "small file created": (LocalFileSystem, "put_if_absent"),
}
"""Steps of a run in whose middle a process may die: right before them or right after."""


@dataclass(frozen=True)
class Fate:
    """How a life ends: after so many seconds, or at the n-th time of a step. None: in peace."""

    seconds: float | None = None
    window: str | None = None
    nth: int = 0
    after: bool = False


def any_fate(rng: random.Random) -> Fate:
    """A fate that most lives do not survive."""
    if rng.random() < 0.5:
        return Fate(seconds=rng.random() * 0.7)
    return Fate(window=rng.choice(list(WINDOWS)), nth=rng.randrange(4), after=rng.random() < 0.5)


def kill_at(fate: Fate) -> None:
    """Arrange this process's death at a step."""
    if fate.window is None:
        return
    owner, name = WINDOWS[fate.window]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        mine, calls = calls == fate.nth, calls + 1
        if mine and not fate.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def live(folder: str, output_format: str, seed: int, fate: Fate) -> None:
    """One life: in a process of its own."""
    journal.SYNC_SECONDS = 0.2  # so that even short lives see a sync
    kill_at(fate)
    rng = random.Random(seed)
    record = os.open(f"{folder}/asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def ask(ref: RowRef, permit: Permit) -> Outcome | None:
        del permit
        os.write(record, f"{ref.file} {ref.row_index}\n".encode())
        await asyncio.sleep(rng.random() * 0.03)
        if ref.row_index % 17 == 5:
            return Outcome(error_type=ErrorType.REFUSED, fail_reason="refused", raw="no", attempts=1)
        return None

    settings = RunnerSettings(max_concurrent_files=rng.randrange(1, 4), chunk_rows=rng.randrange(1, 50))
    bench = Bench(Path(folder), output_format=output_format)
    asyncio.run(bench.start(FakeJudge(ceiling=IN_FLIGHT, act=ask), settings=settings))


class Run:
    """A run that is killed and started again."""

    def __init__(self, folder: Path, *, output_format: str = "parquet") -> None:
        self.folder = folder
        self.kills = 0
        self._format = output_format
        self.bench = Bench(folder, output_format=output_format)
        self._context = forkserver()

    def life(self, seed: int, fate: Fate) -> bool:
        """Start a process; return whether it lived to the end. Nothing recorded before may be asked in it."""
        recorded, asked_before = self.recorded(), self.asked()
        child = self._context.Process(target=live, args=(str(self.folder), self._format, seed, fate))
        child.start()
        child.join(fate.seconds)
        if child.is_alive() and fate.seconds is not None:
            child.kill()
        child.join(60)
        assert child.exitcode in {0, -signal.SIGKILL}, child.exitcode
        self.kills += child.exitcode != 0
        again = set(self.asked() - asked_before) & recorded
        assert not again, f"{len(again)} recorded rows were asked again, the first is {min(again)}"
        return child.exitcode == 0

    def asked(self) -> Counter[tuple[str, int]]:
        """How often each row was asked, over all lives."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter((name, int(row)) for name, row in (line.split() for line in lines))

    def recorded(self) -> set[tuple[str, int]]:
        """Rows whose outcome is on disk: in a journal, or published."""
        found: set[tuple[str, int]] = set()
        for path in self.folder.glob("out/.modelcall/*/journal/*.log"):
            with path.open("rb") as stream:
                frames = list(read_frames(stream, size=path.stat().st_size, damage=Damage()))
            for _, header in frames[:1]:
                found |= {(orjson.loads(header)["file"], row) for row, _ in frames[1:]}
        manifest = Manifest(LocalFileSystem(), f"{self.folder}/out/.modelcall")
        for source in (self.folder / "in").iterdir():
            entry = manifest.get(source.stem + (".parquet" if self._format == "parquet" else ".jsonl"))
            found |= {(source.name, row) for row in range(entry.rows)} if entry else set()
        return found

    def tree(self) -> dict[str, bytes]:
        """The published files."""
        return {path.name: path.read_bytes() for path in (self.folder / "out").iterdir() if path.is_file()}


def forkserver() -> ForkServerContext:
    """Processes that start warm, in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.lives"])
    return context
