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
    from collections.abc import Callable, Iterator, Mapping

    from modelcall.types import Outcome

_HEADER_KEY = 0


def file_key(name: str) -> str:
    """Return the name under which a file's journals are kept: safe on every disk, whatever the input is called."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


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


@dataclass(frozen=True, slots=True)
class Segment:
    """What one owner wrote about one file, or read back from its output."""

    path: str
    size: int
    """So many bytes are believed; 0 if it was killed during its first write."""
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
        leftovers: list[Segment] | None = None,
        retry_since: int = 0,
    ) -> None:
        self._log = AppendFile(path)
        self._header: bytes | None = frame(_HEADER_KEY, header)
        self._earlier = earlier
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
        """Make what was written survive a power loss. Blocking."""
        if self.unsynced:
            self.unsynced = False
            with suppress(FileNotFoundError):  # retired meanwhile
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
        stream.readline()  # the header was checked when the journal was opened
        yield from read_frames(stream, size=segment.size - stream.tell(), damage=damage)


def believed(segment: Segment, expected: Mapping[str, Any], file: str) -> Segment:
    """Return what an earlier owner wrote, if it is about this very content of the file.

    Raises:
        FatalError: It is about another, or damaged.
    """
    with Path(segment.path).open("rb") as stream:
        line = stream.readline()
    header = parse(line)
    if header is None:
        if segment.size <= len(line):
            return replace(segment, size=0)  # nothing was recorded
        message = f"{segment.path}: the journal of {file} is damaged at its start"
        raise FatalError(message, hint="Start over with --fresh, or restore the file.")
    facts = orjson.loads(header[1])
    published = facts.pop("published", None)
    if facts != expected:
        message = f"{segment.path}: this journal belongs to another input or run than {file} has now"
        raise FatalError(message, hint="Start over with --fresh.")
    return replace(segment, published=published)
