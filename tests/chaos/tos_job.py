"""A task of a user whose data is in TOS: its machine may be lost, and somebody reads meanwhile what it brings out."""

import hashlib
import random
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from itertools import count
from typing import Any, Self

import orjson

from modelcall.cli.main import run
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.tos import filesystem, writing
from modelcall.fs.tos.client import TosCalls
from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.fs.tos.writing import TosSink
from modelcall.mock.tos.process import TosProcess
from modelcall.state import copies, journal, lock
from modelcall.state.copied import Copied
from modelcall.state.copies import Copies
from modelcall.state.frames import parse
from modelcall.state.manifest import Manifest
from tests.chaos import job
from tests.chaos.job import Job, Process, Warm, values
from tests.crash.fates import STEPS, Fate, await_fate
from tests.crash.nursery import Child
from tests.crash.run import Place, journaled, published
from tests.mock_tos.sdk import BUCKET

GLANCE = 0.02
ASLEEP = "asleep"
"""Where a start that is to be replaced tells."""
CALL = "call of the store"
TOS_STEPS: dict[str, tuple[Any, str]] = {
    CALL: (TosCalls, "again"),
    "record put": (filesystem, "put"),
    "object put": (writing, "put"),
    "part sent": (TosSink, "_send"),
    "parts completed": (TosSink, "_complete"),
    "copies sent": (Copies, "send"),
    "copies noted": (Copied, "note"),
    "copies restored": (Copies, "restore"),
    "copies retired": (Copies, "retire"),
    **{
        step: STEPS[step]
        for step in ("journal written", "lock taken", "lock checked", "file published", "manifest written")
    },
    **{step: STEPS[step] for step in ("failed rows listed", "journal retired", "owners before evicted")},
}
"""Steps of a run over TOS in whose middle its process may be struck."""
_CALLS = 200
"""About so many calls of the store a start makes."""
_STATE = r"(run|runs/.+|locks/.+|manifest/.+|retry)\.json|config\..+\.yaml|failed/.+\.jsonl"
_EXPECTED = re.compile(
    rf"in/.+|out/(\d+_\d+/)?(part\d+\.parquet|\.modelcall/({_STATE}))"
    r"|(out/(\d+_\d+/)?\.modelcall|stat)/[^/]+/journal/\d{6}/(base\.json|\d{8}\.copy)"
)
"""What may be in the bucket when a run is over; of copies, those that hold nothing and keep others away."""


@dataclass(frozen=True)
class Sending:
    """How a start sends what it writes; with real sizes and times a test would take hours to get anywhere."""

    part_bytes: int = 1 << 10
    """Smaller files go up whole."""
    copy_seconds: float = 0.1
    copy_bytes: int = 4 << 20
    budget: float = 60.0
    """Seconds that a call of the store is tried again."""

    @staticmethod
    def drawn(rng: random.Random) -> "Sending":
        return Sending(
            part_bytes=rng.choice([1 << 10, 3 << 10, 8 << 20]),
            copy_seconds=rng.choice([0.05, 0.3, 7.0]),
            copy_bytes=rng.choice([2 << 10, 4 << 20]),
        )

    def take_over(self) -> None:
        """Let this process send so."""
        changes = (
            (writing, "PART_BYTES", self.part_bytes),
            (copies, "COPY_SECONDS", self.copy_seconds),
            (copies, "COPY_BYTES", self.copy_bytes),
            (journal, "LOOK_SECONDS", min(self.copy_seconds, journal.LOOK_SECONDS)),
            (filesystem, "TosCalls", lambda access, **_: TosCalls(access, budget=self.budget)),
        )
        for module, name, value in changes:
            setattr(module, name, value)


def run_task(
    folder: str, options: tuple[str, ...], environment: Mapping[str, str], sending: Sending, fate: Fate
) -> int:
    """`modelcall run-task`, in a process that has imported it."""
    sending.take_over()
    await_fate(fate, lambda: None, steps=TOS_STEPS)
    return job.run_task(folder, options, environment)


def sleep_through(folder: str, environment: Mapping[str, str], sending: Sending, fate: Fate) -> int:
    """A start in a container of its own, as far as others can tell."""
    lock._namespace = lambda: "pid:[of another container]"
    sending.take_over()
    await_fate(fate, lambda: None, steps=TOS_STEPS)
    return job.run_task(folder, (), environment, ASLEEP)


def run_as_heir(
    folder: str, options: tuple[str, ...], environment: Mapping[str, str], sending: Sending, fate: Fate
) -> int:
    """A start whose clock makes the wait for another's heartbeat short."""
    clock = count()
    patient = partial(lock.acquire, clock=lambda: float(next(clock)), sleep=lambda _: None)
    setattr(*STEPS["lock taken"], patient)
    return run_task(folder, options, environment, sending, fate)


def any_fate(rng: random.Random) -> Fate:
    """Struck at a step, or at any call of the store."""
    step = rng.choice([CALL, *TOS_STEPS])
    return Fate(step=step, nth=rng.randrange(_CALLS if step == CALL else 4), after=rng.random() < 0.5)


def is_remote(path: str) -> bool:
    return not path.startswith("./")


@dataclass
class TosJob(Job):
    """A folder, and a task in it whose data paths are in TOS unless they begin with ``./``."""

    output: str = "out"
    input: str = "in"
    stat: str | None = None
    sending: Sending = field(default_factory=Sending)
    fate: Fate = field(default_factory=Fate)
    """Of the next start from the nursery."""
    as_heir: bool = False
    """Whether the next start may have to wait for a heartbeat."""
    machine: str = "work"
    """Folder of what the next start keeps on its disk beside its data."""
    lost: int = 0
    """Recorded answers that went with their machine."""
    tos: TosProcess = field(kw_only=True)
    store: TosFileSystem = field(kw_only=True)
    """The tests' own way in."""

    def __post_init__(self) -> None:
        self.prefix = f"{self.folder.parent.name}-{self.folder.name}/"
        self.root = f"tos://{BUCKET}/{self.prefix.rstrip('/')}"
        self._copies: dict[str, bytes] = {}
        self._safe: set[Place] = set()
        super().__post_init__()
        if is_remote(self.input):
            for path in (self.folder / "in").iterdir():
                self.store.replace(f"{self.root}/in/{path.name}", path.read_bytes())

    def data(self) -> dict[str, str]:
        stat = {"stat_folder": self.stat} if self.stat else {}
        return {"root": self.root, "input_folder": self.input, "output_folder": self.output, **stat}

    def environment(self) -> dict[str, str]:
        return {**self.tos.environment, "MODELCALL_WORK_DIR": str(self.folder / self.machine)}

    def start(self, *options: str) -> Process:
        if self.launcher:
            return super().start(*options)
        work = run_as_heir if self.as_heir else run_task
        child = self.nursery.fork(work, str(self.folder), options, self.environment(), self.sending, self.fate)
        return Warm(child, self.folder / "err")

    def put_to_sleep(self, fate: Fate) -> Child:
        """Start, until fate stops it or it ends."""
        child = self.nursery.fork(sleep_through, str(self.folder), self.environment(), self.sending, fate)
        child.wait()
        return child

    def objects(self, pattern: str = "") -> dict[str, str]:
        """Keys, below the job's, in which a pattern is found, and the etags of their objects."""
        found = self.tos.control("GET", "/objects")
        etags = {entry["key"]: entry["etag"] for entry in found if entry["key"].startswith(self.prefix)}
        own = {key.removeprefix(self.prefix): etag for key, etag in etags.items()}
        return {key: etag for key, etag in own.items() if re.search(pattern, key)}

    def read(self, key: str) -> bytes:
        return self.store.read_bytes(f"{self.root}/{key}")

    def lose_machine(self) -> None:
        """Let all be gone that is on the disk and no output."""
        before = self.recorded()
        shutil.rmtree(self.folder / self.machine, ignore_errors=True)
        self._left_with(before)

    def move_to(self, machine: str) -> None:
        """Start on another machine from now on, which sees nothing of this one."""
        before, self.machine = self.recorded(), machine
        self._left_with(before)

    def _left_with(self, before: set[Place]) -> None:
        """What has once left its machine may not be lost with another."""
        left = self.recorded()
        assert self._safe <= left, f"{len(self._safe - left)} answers are lost that had been copied"
        self._safe = left
        self.lost += len(before - left)

    def recorded(self) -> set[Place]:
        """Rows whose outcome is on this machine, in copies of what was recorded elsewhere, or published."""
        folders = [self.folder / name for name in (self.machine, "stat", "out")]
        here = (path.read_bytes() for folder in folders for path in folder.rglob("journal/*.log"))
        entries = (published(manifest, self.folder / "in", suffix=".parquet") for manifest in self._manifests())
        return set().union(*map(journaled, here), *entries, self.copied())

    def copied(self) -> set[Place]:
        """Rows whose outcome is in a copy."""
        there = self.objects(r"/journal/\d+/\d+\.copy$")
        self._copies = {key: self._copies[key] if key in self._copies else self.read(key) for key in sorted(there)}
        return set().union(*map(journaled, put_together(self._copies)))

    def _manifests(self) -> list[Manifest]:
        if not is_remote(self.output):
            return [Manifest(LocalFileSystem(), f"{out}/.modelcall") for out in self.outputs()]
        return [Manifest(self.store, f"{self.root}/{out}/.modelcall") for out in self._folders()]

    def _folders(self) -> list[str]:
        """Folders of outputs in TOS."""
        return [key.removesuffix("/.modelcall/run.json") for key in self.objects(r"/\.modelcall/run\.json$")]

    def final_objects(self) -> dict[str, str]:
        """Keys and etags of outputs."""
        return self.objects(r"^out/(\d+_\d+/)?[^/.]+\.parquet$")

    def scored(self) -> dict[str, Any]:
        if not is_remote(self.output):
            return super().scored()
        (folder,) = self._folders()
        assert run(["verify", f"{self.root}/{folder}"]) == 0
        return {key.rpartition("/")[2]: values(self.read(key)) for key in sorted(self.final_objects())}

    def excused(self) -> int:
        return super().excused() + self.lost

    def end(self) -> dict[str, Any]:
        self.fate = Fate()
        scored = super().end()
        self._clear_uploads()
        assert [key for key in self.objects() if not _EXPECTED.fullmatch(key)] == []
        assert self.copied() == set()
        assert set(self._copies.values()) <= {b""}
        return scored

    def _clear_uploads(self) -> None:
        """Let one more start abort uploads that nobody heard of being begun; no other is left by then."""
        if self._uploads():
            assert (self.life(lambda _: None).code, self._uploads()) == (0, [])

    def _uploads(self) -> list[str]:
        uploads = self.tos.control("GET", "/uploads")
        return [upload["key"] for upload in uploads if upload["key"].startswith(self.prefix)]


def put_together(copied: Mapping[str, bytes]) -> list[bytes]:
    """Return the journals that copies, by key, hold from their beginning on."""
    journals: defaultdict[tuple[str, str], bytearray] = defaultdict(bytearray)
    for key, data in sorted(copied.items()):
        left = data
        while left:
            line, _, left = left.partition(b"\n")
            head = parse(line + b"\n")
            assert head is not None, f"{key} is damaged"
            size, facts = head[0], orjson.loads(head[1])
            whole = journals[key.rpartition("/")[0], facts["journal"]]
            if len(whole) == facts["begin"]:
                whole += left[:size]
            left = left[size:]
    return [bytes(whole) for whole in journals.values()]


class Reader:
    """Somebody who looks at a job's outputs all the time, and reads what is new."""

    def __init__(self, watched: TosJob) -> None:
        self._job = watched
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reader")
        self._etags: dict[str, str] = {}
        self._digests: defaultdict[str, set[str]] = defaultdict(set)
        self.problems: list[str] = []
        self.early = 0
        """Outputs that were read before the end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self.early = len(self._digests)
            self._look()
            assert self.problems == []
            assert len(self._digests) == self._job.files
            assert [key for key, contents in self._digests.items() if len(contents) != 1] == [], "outputs that changed"

    def _watch(self) -> None:
        while not self._over.wait(GLANCE):
            with suppress(OSError, HTTPException):  # the server may be away
                self._look()

    def _look(self) -> None:
        there = self._job.final_objects()
        self.problems += [f"{key} is gone" for key in self._etags.keys() - there.keys()]
        for key, etag in there.items():
            if self._etags.get(key) != etag:
                self._read(key)
                self._etags[key] = etag

    def _read(self, key: str) -> None:
        content = self._job.read(key)
        self._digests[key].add(hashlib.sha256(content).hexdigest())
        try:
            rows = len(values(content))
        except OSError as error:  # Arrow's for what is no Parquet, too
            self.problems.append(f"{key} cannot be read: {error}")
            return
        if rows != self._job.rows:
            self.problems.append(f"{key} has {rows} rows")
