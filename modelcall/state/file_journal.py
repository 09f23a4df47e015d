"""The recorded outcomes of one input file: what its owners wrote, and what this one adds.

A row has one outcome, unless it failed and was asked again: then :func:`~modelcall.state.outcomes.fold` says what its
outcomes come to.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.fs.append import AppendFile
from modelcall.state import outcomes
from modelcall.state.frames import Damage, frame
from modelcall.state.ordered import by_row
from modelcall.state.row_set import RowSet
from modelcall.state.segments import Segment, key_of, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.state.journal import Sends
    from modelcall.types import Outcome

_HEADER_KEY = 0


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
        copies: Sends | None = None,
    ) -> None:
        self._log = AppendFile(path)
        self._copies = copies
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
        if self._copies is not None:
            self._copies.add(Path(self.path).name, data)

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
        if self._copies is not None:
            self._copies.retire({key_of(self.path)})


def folded(
    segments: list[Segment], spill_folder: str, *, superseded: Callable[[int, Outcome], object] | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Yield each row of some segments, the earliest first, once: see :meth:`FileJournal.outcomes`."""
    for row, same in groupby(by_row(segments, spill_folder), key=itemgetter(0)):
        recorded = [outcomes.decode(payload) for _, payload in same]
        outcome = recorded[0]
        if len(recorded) > 1:
            outcome, failures = outcomes.fold(recorded)
            if superseded is not None:
                for failure in failures:
                    superseded(row, failure)
        yield row, outcome
