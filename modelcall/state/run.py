"""The run: one execution of a task, shared by its shards and all its restarts.

Beside the output, in ``.modelcall/runs/<key>/<number>/`` at the longest prefix of the output folder without
placeholders; the key is made of the task's name and the output folder as written. All by put-if-absent, so shards need
no coordinator::

    run.json                what the run is: id, timestamp, identity, world size, listing
    settled.json            what the endpoint settled before row one
    joined-r1-job000.json   this shard takes part, and keeps its journal there
    done-r1-job000.json     this shard went through all its files
    file-<key>.json         this file failed, or was repaired after it had

A fixed output folder may hold a chain of runs: each later one ``extends`` the last by the files that were new.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from modelcall.formats.detect import output_name
from modelcall.state import records
from modelcall.state.listing import ListedFile
from modelcall.state.segments import file_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.types import OutputFormat

STATE = ".modelcall"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What all shards and restarts of a run agree on."""

    run: str
    """Id, unique over all runs."""
    number: int
    """Place among the runs of this task and output, from 1."""
    timestamp: str
    """What ``{timestamp}`` stands for."""
    created: str
    fresh: bool
    """Started with ``--fresh``: shards that start so, too, may join."""
    world_size: int
    num_runs: int
    identity: Mapping[str, str]
    """What a resume must find unchanged."""
    input: str
    files: tuple[ListedFile, ...]
    """The listing: the files this run brings out."""
    output_format: OutputFormat
    output_file: str | None = None
    """Name of the only output file, where the task names a file and not a folder."""
    extends: int | None = None
    """Number of the run whose output this one adds files to."""
    version: str = ""

    def output_of(self, file: ListedFile) -> str:
        """Return the name of a file's output, relative to the output folder."""
        return self.output_file or output_name(file.name, self.output_format)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What became of a listed file: it failed, or another version of it was taken because it had."""

    file: str
    """Its name."""
    fingerprint: str
    failed: bool


@dataclass(frozen=True, slots=True)
class ShardKey:
    """Which part of a run: its scoring pass and its shard."""

    run_index: int
    job_index: int

    def __str__(self) -> str:
        """As in file names: ``r1-job000``."""
        return f"r{self.run_index}-job{self.job_index:03d}"


def run_key(task_name: str, output: str) -> str:
    """Return the folder name for the runs of a task into an output folder, both as written."""
    digest = hashlib.blake2b(f"{task_name}\0{output}".encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", task_name).strip("-.")[:60]
    return f"{slug or 'task'}-{digest}"


class RunStore:
    """The runs of one task and output folder, as files."""

    def __init__(self, fs: FileSystem, folder: str) -> None:
        self._fs = fs
        self._folder = folder

    def newest(self) -> RunRecord | None:
        """Return the last run, or None."""
        number = 0
        while self._fs.is_file(self._path(number + 1, "run")):
            number += 1
        return self.get(number) if number else None

    def get(self, number: int) -> RunRecord:
        """Return a run by its number.

        Raises:
            FatalError: Its record is damaged.
            KeyError: There is no such run.
        """
        record = records.load(self._fs, self._path(number, "run"))
        if record is None:
            raise KeyError(number)
        return _unpack(record)

    def chain(self, record: RunRecord) -> list[RunRecord]:
        """Return a run and the runs it extends, the newest first."""
        chain = [record]
        while chain[-1].extends is not None:
            chain.append(self.get(chain[-1].extends))
        return chain

    def create(self, record: RunRecord) -> RunRecord | None:
        """Store a run under the next number; None if another shard was first."""
        data = records.dump(_pack(record))
        return record if self._fs.put_if_absent(self._path(record.number, "run"), data) else None

    def settled(self, record: RunRecord) -> Mapping[str, str] | None:
        """Return what the endpoint settled for this run, or None."""
        return records.load(self._fs, self._path(record.number, "settled"))

    def settle(self, record: RunRecord, settled: Mapping[str, str]) -> Mapping[str, str]:
        """Store what the endpoint settled; if another shard was first, return what that one stored."""
        first = self._fs.put_if_absent(self._path(record.number, "settled"), records.dump(settled))
        return settled if first else self.settled(record) or settled

    def has_joined(self, record: RunRecord, shard: ShardKey) -> bool:
        """Whether a shard took part in a run."""
        return self._fs.is_file(self._path(record.number, f"joined-{shard}"))

    def join(self, record: RunRecord, shard: ShardKey, *, stat_folder: str) -> None:
        """Note that a shard takes part, and where it keeps what it records."""
        facts = {"stat_folder": stat_folder}
        self._fs.replace(self._path(record.number, f"joined-{shard}"), records.dump(facts))

    def stat_folder(self, record: RunRecord, shard: ShardKey) -> str | None:
        """Return where a shard keeps what it records; None if it has not joined."""
        facts = records.load(self._fs, self._path(record.number, f"joined-{shard}"))
        return None if facts is None else facts.get("stat_folder")

    def is_done(self, record: RunRecord, shard: ShardKey) -> bool:
        """Whether a shard went through all its files."""
        return self._fs.is_file(self._path(record.number, f"done-{shard}"))

    def version(self, record: RunRecord, name: str) -> FileVersion | None:
        """Return the version of a file that replaced the listed one, or failed; None if it is as listed."""
        found = records.load(self._fs, self._version_path(record, name))
        return None if found is None else FileVersion(**found)

    def note_version(self, record: RunRecord, version: FileVersion) -> None:
        """Note which version of a file counts from now on."""
        self._fs.replace(self._version_path(record, version.file), records.dump(asdict(version)))

    def _version_path(self, record: RunRecord, name: str) -> str:
        return self._path(record.number, f"file-{file_key(name)}")

    def mark_done(self, record: RunRecord, shard: ShardKey, facts: Mapping[str, Any]) -> None:
        """Note that a shard went through all its files."""
        self._fs.replace(self._path(record.number, f"done-{shard}"), records.dump(facts))

    def unmark_done(self, record: RunRecord, shard: ShardKey) -> None:
        """Note that a shard has files to go through again."""
        path = self._path(record.number, f"done-{shard}")
        if self._fs.is_file(path):
            self._fs.remove(path)

    def is_finished(self, record: RunRecord) -> bool:
        """Whether every shard of every pass went through all its files."""
        return all(
            self.is_done(record, ShardKey(run_index, job_index))
            for run_index in range(1, record.num_runs + 1)
            for job_index in range(record.world_size)
        )

    def sweep(self) -> None:
        """Clear away what shards that were killed left of records they were writing."""
        self._fs.sweep(self._folder, deep=True)

    def _path(self, number: int, name: str) -> str:
        return f"{self._folder}/{number:06d}/{name}.json"


def note_runs(fs: FileSystem, state: str, chain: Sequence[RunRecord]) -> None:
    """Write beside an output which runs made it, so that it can be verified wherever it goes."""
    fs.replace(f"{state}/run.json", records.dump({"runs": [_pack(record) for record in chain]}))


def noted_runs(fs: FileSystem, state: str) -> list[RunRecord]:
    """Return the runs that made an output, the newest first; empty if none did."""
    noted = records.load(fs, f"{state}/run.json")
    return [] if noted is None else [_unpack(record) for record in noted["runs"]]


def _pack(record: RunRecord) -> dict[str, Any]:
    files = [(file.name, file.path, file.size, file.etag) for file in record.files]
    return {**asdict(replace(record, files=())), "files": files}


def _unpack(record: dict[str, Any]) -> RunRecord:
    return RunRecord(**{**record, "files": tuple(ListedFile(*file) for file in record["files"])})
