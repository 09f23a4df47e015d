"""A run that is killed and started again, and the judge of what it does meanwhile and brings out."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import orjson

from modelcall.fs.local import LocalFileSystem
from modelcall.state.frames import Damage, read_frames
from modelcall.state.manifest import Manifest
from tests.crash.fates import Fate
from tests.crash.lives import STOPPED, Ways, live
from tests.crash.nursery import Nursery
from tests.pipeline.harness import Bench

Place = tuple[str, int]
_PARTIAL = 5
"""Rows of each file, while a run is only tried out."""
_SLACK = 0.1
"""Seconds that a busy machine may keep an answer from the journal, beside the flush window."""


@dataclass(frozen=True)
class Noted:
    """A line of a life's record."""

    what: str
    file: str
    row: int
    time: float

    @property
    def place(self) -> Place:
        return self.file, self.row


def recorded(source: Path, output: Path, *, suffix: str) -> set[Place]:
    """Rows whose outcome is in a journal, or published."""
    journals = (path.read_bytes() for path in output.glob(".modelcall/*/journal/*.log"))
    manifest = Manifest(LocalFileSystem(), f"{output}/.modelcall")
    return set().union(*map(journaled, journals), published(manifest, source, suffix=suffix))


def journaled(journal: bytes) -> set[Place]:
    """Rows whose outcome is in a journal."""
    frames = list(read_frames(BytesIO(journal), size=len(journal), damage=Damage()))
    return {(orjson.loads(header)["file"], row) for _, header in frames[:1] for row, _ in frames[1:]}


def published(manifest: Manifest, source: Path, *, suffix: str) -> set[Place]:
    """Rows of files that are published."""
    entries = {file.name: manifest.get(file.stem + suffix) for file in source.iterdir()}
    return {(name, row) for name, entry in entries.items() if entry for row in range(entry.rows)}


class Run:
    """A run over files of so many rows each."""

    def __init__(self, folder: Path, nursery: Nursery, shape: dict[str, int], *, output_format: str) -> None:
        folder.mkdir(exist_ok=True)
        self.bench = Bench(folder, output_format=output_format)
        self.kills = self.repeats = self.excused = 0
        self._folder = folder
        self._nursery = nursery
        self._format = output_format
        self._record = folder / "record"
        self._seen: dict[str, tuple[int, int]] = {}
        self.allowed: dict[str, set[bytes]] = {}
        """What may stand under each final name, if that is known."""
        self.unkilled: dict[str, bytes] = {}
        """What must stand there in the end."""
        for name, rows in shape.items():
            texts = [f"{name} {row}" for row in range(rows)]
            (self.bench.jsonl if name.endswith("jsonl") else self.bench.parquet)(name, texts)

    def life(self, seed: int, fate: Fate, *, tried: bool = False) -> bool:
        """Start a process; return whether it lived to the end. It must ask nothing that was recorded before."""
        recorded, start = self.recorded(), self._record.stat().st_size if self._record.exists() else 0
        child = self._nursery.fork(live, str(self._folder), self._format, seed, fate, _PARTIAL if tried else None)
        if not child.wait(seconds=fate.seconds, look=self.look):
            killed_at = time.monotonic()
            child.send(signal.SIGKILL)
            child.wait(look=self.look)
        else:
            killed_at = None
        self.look()
        assert child.code in {0, STOPPED, -signal.SIGKILL}, child.code
        noted = self._noted(start)
        self._judge(seed, noted, recorded, killed_at=killed_at, code=child.code)
        return child.code == 0

    def _judge(self, seed: int, noted: list[Noted], before: set[Place], *, killed_at: float | None, code: int) -> None:
        ways = Ways.drawn(seed)
        asked = Counter(line.place for line in noted if line.what == "asked")
        answered = [line for line in noted if line.what == "answered"]
        assert max(asked.values(), default=1) == 1, "a row was asked twice in one life"
        assert not asked.keys() & before, f"{len(asked.keys() & before)} recorded rows were asked again"
        lost = asked.keys() - self.recorded()
        if code != -signal.SIGKILL:
            assert not lost & {line.place for line in answered}, "an answer is lost though nobody was killed"
            return
        self.kills += 1
        self.repeats += len(lost)
        died_at = killed_at or max(line.time for line in noted if line.what == "struck")
        window = died_at - ways.flush_seconds - _SLACK
        self.excused += ways.ceiling + sum(line.time > window for line in answered)

    def _noted(self, start: int) -> list[Noted]:
        if not self._record.exists():
            return []
        with self._record.open("rb") as stream:
            stream.seek(start)
            lines = [line.decode().split() for line in stream]
        return [Noted(what, file, int(row), float(when)) for what, file, row, when in lines]

    def recorded(self) -> set[Place]:
        """Rows whose outcome is on disk."""
        return recorded(self._folder / "in", self._folder / "out", suffix=f".{self._format}")

    def look(self) -> None:
        """Read as a user of the output would at any moment: a final name is absent or whole."""
        if not self.allowed:
            return
        for path in self._published():
            facts = path.stat()
            identity = (facts.st_ino, facts.st_mtime_ns)
            if self._seen.get(path.name) != identity:
                assert path.read_bytes() in self.allowed[path.name], f"{path} is partial, or wrong"
                self._seen[path.name] = identity

    def _published(self) -> list[Path]:
        out = self._folder / "out"
        return [path for path in out.iterdir() if not path.name.startswith(".")] if out.exists() else []

    def tree(self) -> dict[str, bytes]:
        """The published files."""
        return {path.name: path.read_bytes() for path in self._published()}

    def side_files(self) -> dict[str, bytes]:
        """What a later start and `verify` go by."""
        state = self._folder / "out/.modelcall"
        return {str(path): path.read_bytes() for of in ("manifest", "failed") for path in (state / of).rglob("*.json*")}

    def end(self, rng: random.Random) -> None:
        """Live on in peace, to the end; assert what must be true then, however often it was killed."""
        while not self.life(rng.randrange(10**6), Fate()):
            pass
        assert self.tree() == self.unkilled
        assert self.bench.verify().problems == []
        assert self.repeats <= self.excused, f"{self.repeats} repeats in {self.kills} kills"
        assert self.bench.leftovers() == []
