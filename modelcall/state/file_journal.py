"""The recorded outcomes of one input file: what its owners wrote, and what this one adds.

A row has one outcome, unless it failed and was asked again: then :func:`~modelcall.state.outcomes.fold` says what its
outcomes come to.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from modelcall.errors import FatalError
from modelcall.fs.append import AppendFile
from modelcall.state import outcomes
from modelcall.state.frames import Damage, frame, parse, read_frames
from modelcall.state.merge import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.types import Outcome

_HEADER_KEY = 0
_PUBLISHED = "published"
PUBLISHED = f".{_PUBLISHED}.log"
"""Ends the name of what was read back from an output."""


def file_key(name: str) -> str:
    """Return the name under which a file's journals are kept: safe on every disk, whatever the input is called."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def journal_header(file: str, *, fingerprint: str, content: str, run: str) -> bytes:
    """Return what the first frame of a journal says: whose answers these are, and to which very content."""
    return orjson.dumps({"journal": 1, "file": file, "input": fingerprint, "content": content, "run": run})


def published_header(header: bytes, checksum: str) -> bytes:
    """Return what the first frame says of answers that were read back from an output."""
    return orjson.dumps({**orjson.loads(header), _PUBLISHED: checksum})


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

    def dump(self) -> str:
        """Return the set as text: its bits, compressed, in base 64."""
        return base64.b64encode(zlib.compress(self._bits.rstrip(b"\0"))).decode() if self.count else ""

    @classmethod
    def load(cls, text: str) -> Self:
        """Return the set that :meth:`dump` wrote."""
        rows = cls()
        rows._bits = bytearray(zlib.decompress(base64.b64decode(text))) if text else bytearray()
        rows.count = int.from_bytes(rows._bits).bit_count()
        return rows

    def covers(self, first: int, count: int) -> bool:
        """Whether each of ``count`` rows from ``first`` on is in the set."""
        bits = int.from_bytes(self._bits[first >> 3 : (first + count + 7) >> 3], "little") >> (first & 7)
        every = (1 << count) - 1
        return bits & every == every


@dataclass(frozen=True, slots=True)
class Segment:
    """What one owner wrote about one file, or read back from its output."""

    path: str
    size: int
    """So many bytes count."""
    epoch: int = 0
    """Whose it is."""
    published: str | None = None
    """Checksum of the output that it was read back from; None: an owner's journal."""


class FileJournal:
    """The recorded outcomes of one input file."""

    def __init__(
        self,
        path: str,
        *,
        header: bytes,
        earlier: list[Segment],
        content: str = "",
        leftovers: list[Segment] | None = None,
        retry_since: int = 0,
    ) -> None:
        self._log = AppendFile(path)
        self._header: bytes | None = frame(_HEADER_KEY, header)
        self._earlier = earlier
        self.content = content
        """Digest of what the input file held when it was opened."""
        self._leftovers = leftovers or []
        self._retry_since = retry_since
        self._buffer: list[bytes] = []
        self._written = 0
        self.unsynced = False
        self.recorded = RowSet()
        self.damage = Damage()

    def load(self) -> None:
        """Learn which rows earlier owners recorded. Blocking.

        Failures from before a retry do not count, so that their rows are asked again; those of an output that was read
        back are such.
        """
        for segment in self._earlier:
            retried = segment.published is not None or segment.epoch < self._retry_since
            for row, payload in records(segment, self.damage):
                if not (retried and outcomes.may_succeed(payload)):
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

    def outcomes(
        self, spill_folder: str, *, superseded: Callable[[int, Outcome], object] | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield each recorded row once, by row index, with what its outcomes come to. Bounded memory. Blocking.

        ``superseded`` is called with each failure that was asked again.
        """
        own = Segment(self._log.path, self._written)
        return folded([*self._earlier, own], spill_folder, superseded=superseded)

    def retire(self) -> None:
        """Remove the journal of a file that is published whole. Blocking."""
        for segment in (*self._leftovers, *self._earlier):
            Path(segment.path).unlink(missing_ok=True)
        self._log.remove()


def folded(
    segments: list[Segment], spill_folder: str, *, superseded: Callable[[int, Outcome], object] | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Yield each row of some segments, the earliest first, once: see :meth:`FileJournal.outcomes`."""
    frames = (record for segment in segments for record in records(segment, Damage()))
    for row, same in groupby(in_order(frames, spill_folder), key=itemgetter(0)):
        recorded = [outcomes.decode(payload) for _, payload in same]
        outcome = recorded[0]
        if len(recorded) > 1:
            outcome, failures = outcomes.fold(recorded)
            if superseded is not None:
                for failure in failures:
                    superseded(row, failure)
        yield row, outcome


def records(segment: Segment, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield row and payload of each whole record of a segment; nothing if it is gone."""
    with suppress(FileNotFoundError), Path(segment.path).open("rb") as stream:
        stream.readline()  # the header
        yield from read_frames(stream, size=segment.size - stream.tell(), damage=damage)


def header_of(segment: Segment) -> bytes | None:
    """Return what a journal says of the file it is about, or None if that is damaged."""
    facts = _facts(segment)
    return None if facts is None else orjson.dumps({name: fact for name, fact in facts.items() if name != _PUBLISHED})


def _facts(segment: Segment) -> dict[str, Any] | None:
    with Path(segment.path).open("rb") as stream:
        header = parse(stream.readline())
    return None if header is None else dict(orjson.loads(header[1]))


def marked(segment: Segment) -> Segment:
    """Return the segment with the checksum of the output that it was read back from, if it was."""
    return replace(segment, published=(_facts(segment) or {}).get(_PUBLISHED))


def believed(segment: Segment, expected: bytes, file: str) -> Segment:
    """Return what an earlier owner wrote, if it is about this very content of the file.

    A first line that is not whole tells nothing against it: the name says which file of which run it is about, a run
    reads one content of each file (what was recorded of another is set aside), and every record answers for itself.
    Power lost before the first sync leaves such.

    Raises:
        FatalError: It says that it is about another content, or was read back from an output and is damaged there.
    """
    header = header_of(segment)
    if header is None and segment.path.endswith(PUBLISHED):  # then it cannot say of which output it is
        message = f"{segment.path}: what was read back from the output of {file} is damaged at its start"
        raise FatalError(message, hint="Start over with --fresh, or restore the file.")
    if header is not None and header != expected:
        message = f"{segment.path}: this journal belongs to another input or run than {file} has now"
        raise FatalError(message, hint="Start over with --fresh.")
    return marked(segment)
