"""The answers of a run as they are at the moment: read without a lock, and without writing anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from tempfile import gettempdir
from typing import TYPE_CHECKING, Literal

from modelcall.errors import FatalError, FileFailure
from modelcall.pipeline.reading_back import read_back
from modelcall.state.file_journal import folded
from modelcall.state.manifest import checksum
from modelcall.state.outcomes import fold
from modelcall.state.segments import earlier_segments, file_key, is_bare, marked, since_published

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from modelcall.state.listing import ListedFile
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord
    from modelcall.state.segments import Segment
    from modelcall.state.shard import OutputFolder
    from modelcall.types import Outcome

_row = itemgetter(0)


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """What is known of one input file."""

    file: str
    run_index: int
    state: Literal["waiting", "unfinished", "published"]
    rows: Iterator[tuple[int, Outcome]]
    """By row index; to be read before the next file's."""


def file_answers(
    to: OutputFolder, runs: Sequence[RunRecord], file: ListedFile, journals: str, *, run_index: int
) -> FileAnswers:
    """Look at one file of a run (the first of ``runs``, with those it extends). Blocking, bounded memory.

    The run may be going on: whatever has been written whole by now is seen.
    """
    output, ids = runs[0].output_of(file), {record.run for record in runs}
    while True:
        entry = _published(to, output, ids)
        segments = _segments(journals, file)
        rows = _rows(to, entry, segments, published=lambda: _published(to, output, ids))
        first = next(rows, None)  # by now all journals have been looked through
        if _published(to, output, ids) == entry:
            break
    state: Literal["waiting", "unfinished", "published"] = "unfinished" if segments else "waiting"
    found = chain(() if first is None else (first,), rows)
    return FileAnswers(file.name, run_index, state if entry is None or not entry.whole else "published", found)


def _published(to: OutputFolder, output: str, runs: Collection[str]) -> Entry | None:
    entry = to.manifest.get(output)
    return entry if entry and entry.run in runs and to.fs.is_file(to.path(output)) else None


def _segments(journals: str, file: ListedFile) -> list[Segment]:
    found = []
    for segment in earlier_segments(journals).get(file_key(file.name), []):
        with suppress(FileNotFoundError):  # retired meanwhile
            found.append(marked(segment))
    return found


def _rows(
    to: OutputFolder, entry: Entry | None, segments: list[Segment], *, published: Callable[[], Entry | None]
) -> Iterator[tuple[int, Outcome]]:
    """Journals know more than an output, but for those that are left over from before it.

    Raises:
        FatalError: The output is not what was published any more, or the run was started over.
    """
    since = since_published(segments, entry.sha256) if entry and entry.whole else segments
    given = 0
    if not entry or since:
        try:
            for row, outcome in _recorded(to, entry, since, published=published):
                yield row, outcome
                given = row + 1
        except FileNotFoundError as error:  # retired while we read: the output has them now
            entry = published()
            if entry is None:
                raise FatalError(f"{error.filename}: gone while it was read", hint="Ask again.") from error
        else:
            return
    yield from (answer for answer in _read_back(to, entry) if answer[0] >= given)


def _recorded(
    to: OutputFolder, entry: Entry | None, since: list[Segment], *, published: Callable[[], Entry | None]
) -> Iterator[tuple[int, Outcome]]:
    """Yield what journals hold; copies of one that was read back from an output leave it to the output to tell.

    Raises:
        FileNotFoundError: A journal has been retired.
        FatalError: The output is not what was published any more.
    """
    if not entry or not entry.whole or not is_bare(since[0]):
        yield from folded(since, gettempdir())
        return
    if checksum(to.fs, to.path(entry.output)) != entry.sha256:
        now = published()
        if now == entry and not entry.replacing:
            raise FatalError(
                f"{to.path(entry.output)}: changed since it was published", hint="Restore what was written."
            )
        raise FatalError(
            f"{to.path(entry.output)}: a retry of its failed rows is taking its place",
            hint="Ask again when that has ended; if it was cut off, start it again. Nothing is lost.",
        )
    both = merge(_read_back(to, entry), folded(since[1:], gettempdir()), key=_row)
    for row, same in groupby(both, key=_row):
        yield row, fold([outcome for _, outcome in same])[0]


def _read_back(to: OutputFolder, entry: Entry) -> Iterator[tuple[int, Outcome]]:
    try:
        yield from read_back(to, entry)
    except FileFailure as failure:  # nothing goes on without it here
        raise FatalError(failure.message, hint=failure.hint) from failure
