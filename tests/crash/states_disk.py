"""A disk that forgets as real ones do: what every crash may leave of the calls a run has made.

A process that is killed leaves what it called for, its last write perhaps in part. A machine that loses power leaves of
every file what was synced, and of what came after any part, zeros in the place of another; of every folder the names as
they were when it was last synced, with any of the later changes, whatever their order: making, linking, renaming and
removing is one change each.
"""

import copy
import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from modelcall.state.frames import parse
from tests.crash.states_seam import Call, Watcher

FOLDER = 0
"""The number that stands for a folder among the numbers of files."""
CUTS = 64
"""So many places at which a write of a file that is published whole is cut; a log's at every byte."""
Row: TypeAlias = tuple[str, int]
Names: TypeAlias = dict[str, int]


@dataclass
class Content:
    """A file's bytes, and how many of them a sync has reached."""

    data: bytes = b""
    synced: int = 0


@dataclass(frozen=True)
class Change:
    """A change of the names in one folder, whole or not at all."""

    folder: str
    removed: tuple[str, ...]
    set: tuple[tuple[str, int], ...]

    def apply(self, names: Names) -> None:
        for name in self.removed:
            names.pop(name, None)
        names.update(self.set)


@dataclass(frozen=True)
class Written:
    """Bytes at the end of a file."""

    file: int
    data: bytes
    log: bool


@dataclass(frozen=True)
class Synced:
    """A file, or a folder's names, made durable."""

    file: int = FOLDER
    folder: str = ""


@dataclass(frozen=True)
class Promised:
    """The run has said that what these rows cost is safe from a loss of power."""

    rows: frozenset[Row]


Step: TypeAlias = Change | Written | Synced | Promised


@dataclass(frozen=True)
class State:
    """What one crash leaves, and the rows that may not be asked again."""

    names: tuple[tuple[str, bytes | None, int], ...]
    """Path, content (None: a folder), and the number of the file: two names may have one."""
    recorded: frozenset[Row]
    story: str

    @property
    def key(self) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for path, data, _ in self.names:
            digest.update(b"%d %s %d " % (len(path), path.encode(), -1 if data is None else len(data)) + (data or b""))
        digest.update(repr(sorted(self.recorded)).encode())
        return digest.digest()

    def put(self, folder: Path) -> None:
        """Make the disk so."""
        first: dict[int, str] = {}
        for name, data, file in self.names:
            path = f"{folder}/{name}"
            if data is None:
                Path(path).mkdir()
            elif file in first:
                os.link(first[file], path)
            else:
                first[file] = path
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
                os.write(descriptor, data)
                os.close(descriptor)


@dataclass
class Disk:
    """Names and files as programs see them, and as the power's loss would leave them."""

    files: dict[int, Content] = field(default_factory=dict)
    now: Names = field(default_factory=dict)
    durable: Names = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    recorded: frozenset[Row] = frozenset()
    """Rows in the journals, or once in one."""
    promised: frozenset[Row] = frozenset()

    @classmethod
    def after(cls, state: State) -> "Disk":
        """The disk of a machine that started again: all that is there has survived."""
        disk = cls(recorded=state.recorded, promised=state.recorded)
        for path, data, file in state.names:
            disk.now[path] = FOLDER if data is None else file
            if data is not None:
                disk.files[file] = Content(data, len(data))
        disk.durable = dict(disk.now)
        return disk

    def apply(self, step: Step) -> None:
        if isinstance(step, Change):
            step.apply(self.now)
            self.pending.append(step)
            for _, file in step.set:
                if file:
                    self.files.setdefault(file, Content())
        elif isinstance(step, Written):
            self.files[step.file].data += step.data
            self.recorded |= rows_in(self.files[step.file].data) if step.log else frozenset()
        elif isinstance(step, Promised):
            self.promised |= step.rows
            self.recorded |= step.rows
        elif step.file:
            self.files[step.file].synced = len(self.files[step.file].data)
        else:
            for change in [change for change in self.pending if change.folder == step.folder]:
                change.apply(self.durable)
                self.pending.remove(change)

    def state(self, names: Names, data: dict[int, bytes], recorded: frozenset[Row], story: str) -> State:
        found: list[tuple[str, bytes | None, int]] = []
        folders = {""}
        for path in sorted(names):
            if path.rpartition("/")[0] not in folders:
                continue  # its folder is lost
            if names[path] == FOLDER:
                folders.add(path)
                found.append((path, None, FOLDER))
            else:
                found.append((path, data.get(names[path], self.files[names[path]].data), names[path]))
        return State(tuple(found), recorded, story)

    def killed(self, story: str) -> State:
        """The disk after the death of the process."""
        return self.state(self.now, {}, self.recorded, story)


def rows_in(journal: bytes) -> frozenset[Row]:
    """Rows whose whole record a journal holds; nothing for another log."""
    head, *lines = journal.splitlines(keepends=True) or [b""]
    header = parse(head)
    if header is None or b'"journal"' not in header[1]:
        return frozenset()
    file = header[1].partition(b'"file":"')[2].partition(b'"')[0].decode()
    return frozenset((file, frame[0]) for line in lines if (frame := parse(line)))


class Recorder(Watcher):
    """Writes down what a run does to a disk, from the state that this one has."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.base = copy.deepcopy(disk)
        self.disk = disk
        self.steps: list[Step] = []
        self._folder = str(folder)
        self._files: dict[int, int] = {}
        self._next = max(disk.files, default=FOLDER) + 1

    def take(self, step: Step) -> None:
        self.steps.append(step)
        self.disk.apply(step)

    def promise(self, rows: frozenset[Row]) -> None:
        self.take(Promised(rows))

    def _name(self, path: str) -> str:
        return path.removeprefix(self._folder).removeprefix("/")

    def _change(self, path: str, *, removed: tuple[str, ...] = (), to: int | None = None) -> None:
        name = self._name(path)
        self.take(Change(name.rpartition("/")[0], removed, () if to is None else ((name, to),)))

    def after(self, call: Call) -> None:
        name = self._name(call.path)
        if call.kind == "open":
            self._opened(call, name)
        elif call.kind == "mkdir":
            self._change(call.path, to=FOLDER)
        elif call.kind == "unlink":
            self._change(call.path, removed=(name,))
        elif call.kind == "link":
            self._change(call.to, to=self.disk.now[name])
        elif call.kind in {"rename", "replace"}:
            self._change(call.to, removed=(name,), to=self.disk.now[name])
        elif call.kind == "write":
            self.take(Written(self._files[call.descriptor], call.data, log=name.endswith(".log")))
        elif call.kind == "fsync":
            file = self._files[call.descriptor]
            self.take(Synced(file) if file else Synced(folder=name))
        elif call.kind == "close":
            del self._files[call.descriptor]

    def _opened(self, call: Call, name: str) -> None:
        if not name:  # the folder itself
            self._files[call.descriptor] = FOLDER
            return
        if call.flags & os.O_CREAT and name not in self.disk.now:
            self._change(call.path, to=self._next)
            self._next += 1
        assert not call.flags & os.O_TRUNC
        self._files[call.descriptor] = self.disk.now[name]


def states(recorder: Recorder, rng: random.Random) -> Iterator[State]:
    """Every state of a crash of what was recorded; of those after a loss of power with many changes at large, some."""
    disk = copy.deepcopy(recorder.base)
    for number, step in enumerate(recorder.steps):
        if isinstance(step, Written):
            yield from _torn(disk, step, number)
        disk.apply(step)
        yield disk.killed(f"killed after step {number}")
        yield from _powerless(disk, number, rng)


def _torn(disk: Disk, step: Written, number: int) -> Iterator[State]:
    length = len(step.data)
    before = disk.files[step.file].data
    cuts = range(1, length) if step.log or length <= CUTS else sorted({length * at // CUTS for at in range(1, CUTS)})
    for cut in cuts:
        data = before + step.data[:cut]
        recorded = disk.recorded | (rows_in(data) if step.log else frozenset())
        yield disk.state(disk.now, {step.file: data}, recorded, f"killed {cut} bytes into write {number}")


def _powerless(disk: Disk, number: int, rng: random.Random) -> Iterator[State]:
    for kept in _subsets(len(disk.pending), rng):
        names = dict(disk.durable)
        for index in sorted(kept):
            disk.pending[index].apply(names)
        loose = {file for file in names.values() if file and disk.files[file].synced < len(disk.files[file].data)}
        for how in ("dropped", "kept", "zeros", "any", "any") if loose else ("kept",):
            data = {file: _remains(disk.files[file], how, rng) for file in sorted(loose)}
            story = f"power lost after step {number}, changes {sorted(kept)} of {len(disk.pending)}, data {how}"
            yield disk.state(names, data, disk.promised, story)


def _subsets(count: int, rng: random.Random) -> set[frozenset[int]]:
    """All subsets of few changes; of many: none, all, each alone, all but each, each beginning, and some at random."""
    if count <= 4:
        return {frozenset(index for index in range(count) if bits >> index & 1) for bits in range(1 << count)}
    whole = frozenset(range(count))
    found = {frozenset(), whole}
    for index in range(count):
        found |= {frozenset({index}), whole - {index}, frozenset(range(index))}
    return found | {frozenset(index for index in range(count) if rng.random() < 0.5) for _ in range(8)}


def _remains(content: Content, how: str, rng: random.Random) -> bytes:
    """What is left of a file whose end was not synced."""
    safe, loose = content.data[: content.synced], content.data[content.synced :]
    if how == "any":  # a part of it, or all with a hole
        start, end = sorted(rng.randrange(len(loose) + 1) for _ in range(2))
        return safe + (loose[:end] if rng.random() < 0.5 else loose[:start] + bytes(end - start) + loose[end:])
    return {"dropped": safe, "kept": content.data, "zeros": safe + bytes(len(loose))}[how]
