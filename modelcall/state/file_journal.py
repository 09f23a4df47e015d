"""The recorded outcomes of one input file: what its owners wrote, and what this one adds."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from modelcall.errors import FatalError
from modelcall.fs.append import AppendFile
from modelcall.state import outcomes
from modelcall.state.frames import Damage, frame, parse, read_frames
from modelcall.state.merge import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.types import Outcome

_HEADER_KEY = 0


def file_key(name: str) -> str:
    """Return the name under which a file's journals are kept: safe on every disk, whatever the input is called."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def journal_header(file: str, *, fingerprint: str, content: str, run: str) -> bytes:
    """Return what the first frame of a journal says: whose answers these are, and to which very content."""
    return orjson.dumps({"journal": 1, "file": file, "input": fingerprint, "content": content, "run": run})


class RowSet:
    """A set of row indexes at one bit each."""

    __slots__ = ("_bits", "count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0

    def add(self, row: int) -> bool:
        """Add a row; False if it was there."""
        byte, bit = row >> 3, 1 << (row & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits) + (len(self._bits) >> 3)))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self.count += 1
        return True

    def __contains__(self, row: int) -> bool:
        """Whether a row is in the set."""
        byte = row >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (row & 7)))

    def covers(self, first: int, count: int) -> bool:
        """Whether each of ``count`` rows from ``first`` on is in the set."""
        bits = int.from_bytes(self._bits[first >> 3 : (first + count + 7) >> 3], "little") >> (first & 7)
        every = (1 << count) - 1
        return bits & every == every


@dataclass(frozen=True, slots=True)
class Segment:
    """What one owner wrote about one file."""

    path: str
    size: int
    """So many bytes count."""


class FileJournal:
    """The recorded outcomes of one input file."""

    def __init__(self, path: str, *, header: bytes, earlier: list[Segment], content: str = "") -> None:
        self._log = AppendFile(path)
        self._header: bytes | None = frame(_HEADER_KEY, header)
        self._earlier = earlier
        self.content = content
        """Digest of what the input file held when it was opened."""
        self._buffer: list[bytes] = []
        self._written = 0
        self.unsynced = False
        self.recorded = RowSet()
        self.damage = Damage()

    def load(self) -> None:
        """Learn which rows earlier owners recorded. Blocking."""
        for segment in self._earlier:
            for row, _ in _records(segment, self.damage):
                self.recorded.add(row)

    def record(self, row: int, outcome: Outcome) -> None:
        """Take a row's outcome over; it is written within 100 ms. A second outcome of a row is left out."""
        if self.recorded.add(row):
            self._buffer.append(frame(row, outcomes.encode(outcome)))

    @property
    def path(self) -> str:
        """The file this owner writes to."""
        return self._log.path

    @property
    def dirty(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._buffer)

    def take(self) -> list[bytes]:
        """Return what must be written, and forget it. On the event loop, where :meth:`record` is called."""
        buffer, self._buffer = self._buffer, []
        return buffer

    def write(self, buffer: list[bytes]) -> None:
        """Write what :meth:`take` returned. Blocking; one caller at a time."""
        data = b"".join(buffer)
        if self._header is not None:
            data, self._header = self._header + data, None
        self._log.append(data)
        self._written += len(data)
        self.unsynced = True

    def sync(self) -> None:
        """Make what was written survive a power loss. Blocking.

        Raises:
            FileNotFoundError: It was retired meanwhile.
        """
        if self.unsynced:
            self.unsynced = False
            self._log.sync()

    def outcomes(self, spill_folder: str) -> Iterator[tuple[int, Outcome]]:
        """Yield each recorded row once, by row index; the first recorded outcome counts. Bounded memory. Blocking."""
        segments = [*self._earlier, Segment(self._log.path, self._written)]
        frames = (record for segment in segments for record in _records(segment, Damage()))
        for row, payload in in_order(frames, spill_folder):
            yield row, outcomes.decode(payload)

    def retire(self) -> None:
        """Remove the journal of a file that is published whole. Blocking."""
        for segment in self._earlier:
            Path(segment.path).unlink(missing_ok=True)
        self._log.remove()


def _records(segment: Segment, damage: Damage) -> Iterator[tuple[int, bytes]]:
    with suppress(FileNotFoundError), Path(segment.path).open("rb") as stream:
        stream.readline()  # the header
        yield from read_frames(stream, size=segment.size - stream.tell(), damage=damage)


def header_of(segment: Segment) -> bytes | None:
    """Return what a journal says of itself, or None if that is damaged."""
    with Path(segment.path).open("rb") as stream:
        header = parse(stream.readline())
    return None if header is None else header[1]


def believed(segment: Segment, expected: bytes, file: str) -> Segment:
    """Return what an earlier owner wrote, if it is about this very content of the file.

    A first line that is not whole tells nothing against it: the name says which file of which run it is about, a run
    reads one content of each file (what was recorded of another is set aside), and every record answers for itself.
    Power lost before the first sync leaves such.

    Raises:
        FatalError: It says that it is about another content.
    """
    header = header_of(segment)
    if header is not None and header != expected:
        message = f"{segment.path}: this journal belongs to another input or run than {file} has now"
        raise FatalError(message, hint="Start over with --fresh.")
    return segment
