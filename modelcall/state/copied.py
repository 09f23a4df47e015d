"""What of a journal is in its copies, and how copies become journal files again."""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import orjson

from modelcall.errors import FatalError
from modelcall.fs.local_sink import LocalSink, sync_folder
from modelcall.state.lock import this_process
from modelcall.state.segments import key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NOTE: Final = "copies.json"
_BLOCK: Final = 1 << 20


class Copied:
    """Which journal files are still of use in which copy, and how much of each was copied.

    This machine notes it beside its journal, so that a restart here fetches nothing that is here already.
    """

    def __init__(self) -> None:
        self._held: defaultdict[int, dict[int, set[str]]] = defaultdict(dict)
        """Names of journal files, by epoch and number of a copy."""
        self._sizes: dict[str, int] = {}

    def add(self, epoch: int, number: int, sizes: Mapping[str, int]) -> None:
        """A copy is there; with it these files are copied up to these sizes."""
        self._held[epoch][number] = set(sizes)
        self._sizes.update(sizes)

    def forget(self, keys: Collection[str]) -> bool:
        """Journals of these file keys are of no use any more; whether any of them had been copied."""
        gone = {name for name in self._sizes if key_of(name) in keys}
        for name in gone:
            del self._sizes[name]
        for numbers in self._held.values() if gone else ():
            for names in numbers.values():
                names.difference_update(gone)
        return bool(gone)

    def epochs(self) -> list[int]:
        """Owners of whom copies are there."""
        return list(self._held)

    def last(self, epoch: int) -> int:
        """Number of an owner's last copy that is known; 0: none is."""
        return max(self._held[epoch], default=0)

    def useless(self, epoch: int) -> list[int]:
        """Numbers of an owner's copies, from the first, that hold nothing that is not published."""
        held = self._held[epoch]
        return list(takewhile(lambda number: not held[number], sorted(held)))

    def drop(self, epoch: int, number: int) -> None:
        """A copy is gone."""
        del self._held[epoch][number]

    def drop_before(self, epoch: int, first: int) -> None:
        """Copies before this one are gone."""
        for number in [number for number in self._held[epoch] if number < first]:
            self.drop(epoch, number)

    def note(self, folder: str) -> None:
        """Write down beside the journal what is known. Blocking."""
        held = {
            str(epoch): {str(number): sorted(names) for number, names in copies.items()}
            for epoch, copies in self._held.items()
        }
        with LocalSink(f"{folder}/{_NOTE}", overwrite=True, mode=0o600) as sink:
            sink.write(orjson.dumps({"boot": this_process().boot, "sizes": self._sizes, "held": held}))
            sink.commit()

    @classmethod
    def noted(cls, folder: str) -> Self:
        """Return what is noted, if all of it is here still; after a start of the machine nothing is sure. Blocking."""
        known = cls()
        with suppress(OSError, ValueError, KeyError):
            note = orjson.loads(Path(folder, _NOTE).read_bytes())
            if note["boot"] == this_process().boot and all(
                Path(folder, name).stat().st_size >= size for name, size in note["sizes"].items()
            ):
                known._sizes = note["sizes"]
                for epoch, copies in note["held"].items():
                    known._held[int(epoch)] = {int(number): set(names) for number, names in copies.items()}
        return known


class Restored:
    """Journal files being put together; they take their names when all is there."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._mark = f".{secrets.token_hex(8)}.tmp"
        self._made: dict[str, int] = {}
        """So many bytes of a file are put together, where what is here was not enough."""

    def add(self, name: str, begin: int, piece: bytes) -> bool:
        """Take in the next piece of a file; whether it is of use: without the file's beginning it is not.

        Raises:
            FatalError: Pieces before it are missing.
        """
        if name not in self._made:
            if self._is_here(name, begin, piece):
                return True
            if not self._start(name, begin):
                return False
        if begin != self._made[name]:
            raise FatalError(f"copies of {name}: a piece is missing", hint="Start over with --fresh.")
        with self._temporary(name).open("ab") as stream:
            stream.write(piece)
        self._made[name] += len(piece)
        return True

    def _is_here(self, name: str, begin: int, piece: bytes) -> bool:
        try:
            with (self._folder / name).open("rb") as stream:
                stream.seek(begin)
                return stream.read(len(piece)) == piece
        except FileNotFoundError:
            return False

    def _start(self, name: str, begin: int) -> bool:
        """Begin with what is here up to a piece; whether that is enough."""
        with suppress(FileNotFoundError), (self._folder / name).open("rb") as stream:
            self._append(name, stream, begin)
        made = self._temporary(name)
        if begin and (not made.exists() or made.stat().st_size < begin):
            made.unlink(missing_ok=True)
            return False
        self._made[name] = begin
        return True

    def _append(self, name: str, stream: BinaryIO, size: int | None = None) -> None:
        with self._temporary(name).open("ab") as made:
            while block := stream.read(_BLOCK if size is None else min(_BLOCK, size)):
                made.write(block)
                size = None if size is None else size - len(block)

    def forget(self) -> None:
        """Put nothing together after all."""
        for name in self._made:
            self._temporary(name).unlink(missing_ok=True)
        self._made.clear()

    def _temporary(self, name: str) -> Path:
        return self._folder / f".{name}{self._mark}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.forget()
        for name, size in self._made.items():
            self._finish(name, size)
        if self._made:
            sync_folder(str(self._folder))

    def _finish(self, name: str, size: int) -> None:
        """Add what is here beyond the last piece, and give the file its name."""
        with suppress(FileNotFoundError), (self._folder / name).open("rb") as stream:
            stream.seek(size)
            self._append(name, stream)
        made = self._temporary(name)
        with made.open("rb") as stream:
            os.fsync(stream.fileno())
        made.replace(self._folder / name)
