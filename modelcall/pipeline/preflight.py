"""Preflight: a look at every file of a shard before anything is asked, so that what cannot work costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError, FileFailure, Mistake
from modelcall.formats.base import BadRow
from modelcall.formats.detect import file_type
from modelcall.formats.opening import open_source
from modelcall.fs.base import FileStat
from modelcall.fs.side_by_side import side_by_side
from modelcall.pipeline.columns import clash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.formats.base import Source
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.state.listing import ListedFile

LOOKED_AT = 1000
"""So many files are opened and understood; the others are touched."""
_SAMPLE_ROWS = 20
_HINT = "Repair them, or take them away; a run that has begun goes without them only if you start over with --fresh."


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files hold."""

    columns: tuple[str, ...]
    """Input columns of all files looked at, in order of first appearance; of JSONL those of the first rows."""


def look(fs: FileSystem, files: Sequence[ListedFile], plan: ResultPlan) -> Seen:
    """Open the files and collect their columns. Blocking.

    Raises:
        ConfigError: Files that cannot be read, or that have a column the run would add: all of them at once.
    """
    mistakes: list[Mistake] = []
    columns: dict[str, None] = {}
    for file, found in zip(files, side_by_side(fs, partial(_seen, fs), enumerate(files)), strict=True):
        if isinstance(found, Mistake):
            mistakes.append(found)
        else:
            columns.update(dict.fromkeys(found))
            if problem := clash(plan, found):
                mistakes.append(Mistake(problem, where=file.path))
    if mistakes:
        raise ConfigError(f"{len(mistakes)} input file(s) cannot be used", hint=_HINT, mistakes=mistakes)
    return Seen(tuple(columns))


def _seen(fs: FileSystem, numbered: tuple[int, ListedFile]) -> list[str] | Mistake:
    number, file = numbered
    try:
        return _columns(fs, file) if number < LOOKED_AT else _touched(fs, file)
    except FileFailure as failure:
        return _mistake(file, failure)
    except OSError as error:
        return Mistake(f"cannot be read: {error.strerror or error}", where=file.path)


def _mistake(file: ListedFile, failure: FileFailure) -> Mistake:
    """Say once which file it is, and what to do about it."""
    text = failure.message.removeprefix(f"{file.name}: ").removeprefix(f"{file.path}: ")
    return Mistake(f"{text}; {failure.hint[0].lower()}{failure.hint[1:]}" if failure.hint else text, where=file.path)


def require_column(name: str, seen: Seen) -> None:
    """Refuse an input in which no file has the column that holds the document.

    Raises:
        ConfigError: With the columns there are, and the nearest.
    """
    if not seen.columns or name in seen.columns:
        return
    near = get_close_matches(name, seen.columns, n=1)
    raise ConfigError(
        f"no input file has the column {name!r}; there are {', '.join(seen.columns[:20])}",
        hint=f"Set data.input_key to the column that holds the document{f': {near[0]}?' if near else '.'}",
    )


def _touched(fs: FileSystem, file: ListedFile) -> list[str]:
    """See that a file may be read. Where a call costs more than a byte, being told of it is enough."""
    if fs.capabilities.calls_at_once > 1:
        fs.stat(file.path)
    else:
        with fs.open(file.path) as stream:
            stream.read(1)
    return []


def _columns(fs: FileSystem, file: ListedFile) -> list[str]:
    source = open_source(lambda: fs.open_listed(FileStat(file.path, file.size, file.etag)), name=file.name)
    try:
        return source.column_names() if file_type(file.name).format == "parquet" else _sampled(source)
    finally:
        source.close()


def _sampled(source: Source) -> list[str]:
    rows = next(source.rows(None, chunk_rows=_SAMPLE_ROWS), [])
    return list(dict.fromkeys(name for row in rows if not isinstance(row, BadRow) for name in row))
