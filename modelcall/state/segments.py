"""The files that a journal consists of: their names, what their first lines say, and how much of them counts."""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from modelcall.errors import FatalError
from modelcall.fs.local_sink import sync_folder
from modelcall.state.frames import parse, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelcall.state.frames import Damage

_PUBLISHED = "published"
PUBLISHED = f".{_PUBLISHED}.log"
"""Ends the name of what was read back from an output."""


class Writer(NamedTuple):
    """Who writes a journal for the owner of an epoch. No two ever write the same: none needs to mend another's."""

    worker: int
    """From 1: a worker that takes a dead one's place has another number."""
    part: int
    """Of the file, from 0: a worker may have several in hand."""

    def __str__(self) -> str:
        """As it stands in names."""
        return f"{self.worker:04d}-{self.part:05d}"


@dataclass(frozen=True, slots=True)
class Segment:
    """What one owner wrote about one file, or read back from its output."""

    path: str
    size: int
    """So many bytes count."""
    epoch: int = 0
    """Whose it is."""
    writer: Writer | None = None
    """Which of that owner's workers wrote it; None: the owner itself."""
    published: str | None = None
    """Checksum of the output that it was read back from; None: an owner's journal."""


def file_key(name: str) -> str:
    """Return the name under which a file's journals are kept: safe on every disk, whatever the input is called."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def key_of(journal: str) -> str:
    """Return the key of the file that a journal, named by its path or its name alone, is about."""
    return Path(journal).name.partition(".")[0]


def journal_header(file: str, *, fingerprint: str, content: str, run: str) -> bytes:
    """Return what the first frame of a journal says: whose answers these are, and to which very content."""
    return orjson.dumps({"journal": 1, "file": file, "input": fingerprint, "content": content, "run": run})


def published_header(header: bytes, checksum: str) -> bytes:
    """Return what the first frame says of answers that were read back from an output."""
    return orjson.dumps({**orjson.loads(header), _PUBLISHED: checksum})


def records(segment: Segment, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield row and payload of each whole record of a segment; nothing if it is gone."""
    with suppress(FileNotFoundError), Path(segment.path).open("rb") as stream:
        stream.readline()  # the header
        yield from read_frames(stream, size=segment.size - stream.tell(), damage=damage)


def header_of(segment: Segment) -> bytes | None:
    """Return what a journal says of the file it is about, or None if that is damaged."""
    facts = _facts(segment)
    return None if facts is None else orjson.dumps({name: fact for name, fact in facts.items() if name != _PUBLISHED})


def is_bare(segment: Segment) -> bool:
    """Whether only the first line of a journal is here, as copies have it of one that was read back."""
    with Path(segment.path).open("rb") as stream:
        return len(stream.readline()) == segment.size


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


def earlier_segments(folder: str, *, before: int = sys.maxsize) -> dict[str, list[Segment]]:
    """Return what the owners before an epoch wrote, by file key, the oldest first. Blocking."""
    found: dict[str, list[Segment]] = {}
    if not Path(folder).is_dir():
        return found
    for path in Path(folder).iterdir():
        segment = _segment(path)
        if segment is not None and segment.epoch < before:
            found.setdefault(key_of(path.name), []).append(segment)
    for segments in found.values():
        segments.sort(key=_age)
    return found


def segments_of(folder: str, key: str, *, epoch: int) -> list[Segment]:
    """Return what an owner and its workers have written about a file so far, the oldest first. Blocking."""
    found = (_segment(path) for path in Path(folder).glob(f"{key}.{epoch:06d}.*"))
    return sorted((segment for segment in found if segment is not None), key=_age)


def journal_name(key: str, epoch: int, writer: Writer | None = None) -> str:
    """Return the name of the journal that an owner, or a worker of it, writes about a file."""
    return f"{key}.{epoch:06d}.{writer}.log" if writer is not None else f"{key}.{epoch:06d}.log"


_NAME = re.compile(r"[^.]+\.(?P<epoch>\d+)(?:\.(?P<worker>\d+)-(?P<part>\d+))?(?:\.published)?\.log")


def _segment(path: Path) -> Segment | None:
    """Return the journal that stands at a path; None: it is none, or it has just been retired."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        return None
    writer = Writer(int(name["worker"]), int(name["part"])) if name["worker"] else None
    with suppress(FileNotFoundError):
        return Segment(str(path), path.stat().st_size, int(name["epoch"]), writer)
    return None


def _age(segment: Segment) -> tuple[int, bool, Writer]:
    return segment.epoch, not segment.path.endswith(PUBLISHED), segment.writer or Writer(0, 0)


def since_published(segments: list[Segment], checksum: str) -> list[Segment]:
    """Return what has been recorded since an output was read back, that included; empty if it was not."""
    at = [index for index, segment in enumerate(segments) if segment.published == checksum]
    return segments[at[-1] :] if at else []


def set_aside(segment: Segment) -> int:
    """Take the journal of a content that no longer exists out of the way; return how many rows it holds. Blocking."""
    path = Path(segment.path)
    with path.open("rb") as stream:
        rows = sum(1 for _ in stream) - 1
    path.rename(path.with_suffix(".aside"))
    return rows


def retire_published(folder: str, files: Iterable[str]) -> None:
    """Remove journals that a process killed right after publishing left, for good. Blocking."""
    keys = {file_key(name) for name in files}
    if Path(folder).is_dir():
        for path in list(Path(folder).iterdir()):
            if key_of(path.name) in keys:
                path.unlink(missing_ok=True)
        sync_folder(folder)
