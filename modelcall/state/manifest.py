"""The manifest: one small file for each published output file. Its presence is the commit mark."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from modelcall.state import records
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.fs.base import FileSystem

_STATUS = "api_status"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was published, of what."""

    run: str
    run_number: int
    job_index: int
    world_size: int
    epoch: int
    """The owner that published: the fencing token of its lock."""
    file: str
    """Input name, relative to the input folder."""
    input: str
    """Fingerprint of the input file."""
    input_path: str
    output: str
    """Output name, relative to the output folder."""
    size: int
    """Bytes of the output file."""
    sha256: str
    rows: int
    """Of the input; all of them are in the output but for the dropped ones."""
    scored: int
    failed: int
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failed rows by ``api_error_type``."""
    dropped: int = 0
    """Failed rows that were left out of the output (``options.on_error: drop``)."""
    dropped_rows: str = ""
    """Which they are, as :meth:`RowSet.dump` writes them."""
    columns: tuple[str, ...] = ()
    """Names of the columns that were added."""
    json_text_columns: tuple[str, ...] = ()
    """Input columns that settled on no type and became JSON text."""
    json_text_results: tuple[str, ...] = ()
    """Columns of the scorer that did."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Input columns as they were written, and their Arrow types; of JSON Lines none."""
    row_limit: int | None = None
    """Only the first rows were taken (debug); the file is partial."""
    whole: bool = True
    """All rows of the input are there."""
    blank_lines: int = 0
    replacing: tuple[Entry, ...] = ()
    """What is taking the place of this output: until its own entry does, this or one of those stands there, whole."""

    @property
    def may_succeed(self) -> int:
        """Failed rows that asking again may change."""
        return self.failed - self.failures.get(ErrorType.BAD_ROW, 0)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scorer's columns: those before the bookkeeping."""
        return self.columns[: self._status_at]

    @property
    def prefix(self) -> str:
        """What stands before the name of every added column."""
        return self.columns[self._status_at].removesuffix(_STATUS)

    @property
    def _status_at(self) -> int:
        return max(index for index, name in enumerate(self.columns) if name.endswith(_STATUS))


class Manifest:
    """The entries beside one output."""

    def __init__(self, fs: FileSystem, folder: str) -> None:
        self._fs = fs
        self._folder = folder

    def path(self, output: str) -> str:
        """Return where the entry of an output file stands."""
        return f"{self._folder}/manifest/{output}.json"

    def get(self, output: str) -> Entry | None:
        """Return the entry of an output file, or None."""
        record = records.load(self._fs, self.path(output))
        return None if record is None else _entry(record)

    def put(self, entry: Entry, *, check: Callable[[], None] | None = None) -> None:
        """Commit: what the entry tells is published from now on. ``check`` may refuse (raise) at the last moment."""
        with self._fs.sink(self.path(entry.output), overwrite=True) as sink:
            sink.write(records.dump(asdict(entry)))
            if check is not None:
                check()
            sink.commit()

    def announce(self, entry: Entry) -> None:
        """Note which partial file is about to appear: dying before its entry is put, we must know it for ours."""
        path = self._announced(entry.output)
        earlier = (records.load(self._fs, path) or {"sha256": []})["sha256"]
        self._fs.replace(path, records.dump({"sha256": [*earlier, entry.sha256]}))

    def was_announced(self, output: str, path: str) -> bool:
        """Whether the file that stands at ``path`` is a partial one that was announced for an output."""
        note = records.load(self._fs, self._announced(output))
        return note is not None and checksum(self._fs, path) in note["sha256"]

    def _announced(self, output: str) -> str:
        return f"{self._folder}/partial/{output}.json"

    def remove(self, output: str) -> None:
        """Remove an entry; no error if there is none."""
        if self._fs.is_file(self.path(output)):
            self._fs.remove(self.path(output))


def checksum(fs: FileSystem, path: str) -> str:
    """Return the SHA-256 of a file."""
    with fs.open(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # any readable will do


def _entry(record: dict[str, Any]) -> Entry:
    lists = {name: tuple(value) for name, value in record.items() if isinstance(value, list)}
    return Entry(**{**record, **lists, "replacing": tuple(map(_entry, record.get("replacing", ())))})
