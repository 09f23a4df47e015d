"""Preflight: a look at every file of a shard before anything is asked, so that what cannot work costs nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError, FileFailure, Mistake
from modelcall.formats.base import BadRow
from modelcall.formats.detect import file_type
from modelcall.formats.drift import Drift
from modelcall.formats.opening import open_source
from modelcall.formats.unify import type_names
from modelcall.fs.side_by_side import side_by_side
from modelcall.log import Message, say
from modelcall.pipeline.columns import clash
from modelcall.pipeline.table import refuse_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.formats.base import Source
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.state.listing import ListedFile

LOOKED_AT = 1000
"""So many files are opened and understood; the others are touched."""
_SAMPLE_ROWS = 20
_TOLD = 5
_HINT = "Repair them, or take them away; a run that has begun goes without them only if you start over with --fresh."


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files hold."""

    columns: tuple[str, ...]
    """Input columns of all files looked at, in order of first appearance; of JSONL those of the first rows."""
    drift: Drift = field(default_factory=Drift)
    """Where the types of their columns differ; those of JSONL are not known yet."""


def look(fs: FileSystem, files: Sequence[ListedFile], plan: ResultPlan, *, wanted: Sequence[str] | None = None) -> Seen:
    """Open the files and collect their columns. Blocking.

    Raises:
        ConfigError: Files that cannot be read, that have a column the run would add, or that are Parquet and lack one
            that is ``wanted`` in the output: all of them at once.
    """
    mistakes: list[Mistake] = []
    columns: dict[str, None] = {}
    drift = Drift()
    seen = partial(_seen, fs, wanted or ())
    for file, types in zip(files, side_by_side(fs, seen, enumerate(files)), strict=True):
        if isinstance(types, Mistake):
            mistakes.append(types)
        else:
            columns.update(dict.fromkeys(types))
            if any(types.values()):
                drift.add(file.name, types)
            if problem := clash(plan, types):
                mistakes.append(Mistake(problem, where=file.path))
    if mistakes:
        raise ConfigError(f"{len(mistakes)} input file(s) cannot be used", hint=_HINT, mistakes=mistakes)
    return Seen(tuple(columns), drift)


def say_drift(drift: Drift, what: str) -> None:
    """Warn that schemas differ."""
    lines = drift.lines()
    more = f"; and {len(lines) - _TOLD:,} more" if len(lines) > _TOLD else ""
    say(Message.DRIFT, what=what, unlike=len(lines), columns="; ".join(lines[:_TOLD]) + more)


def _seen(fs: FileSystem, wanted: Sequence[str], numbered: tuple[int, ListedFile]) -> dict[str, str] | Mistake:
    number, file = numbered
    try:
        return _types(fs, file, wanted) if number < LOOKED_AT else _touched(fs, file)
    except (FileFailure, OSError) as error:
        return mistake(file, error)


def mistake(file: ListedFile, failure: FileFailure | OSError) -> Mistake:
    """Say once which file it is, and what to do about it."""
    if isinstance(failure, OSError):
        return Mistake(f"cannot be read: {failure.strerror or failure}", where=file.path)
    text = failure.message.removeprefix(f"{file.name}: ").removeprefix(f"{file.path}: ")
    return Mistake(f"{text}; {failure.hint[0].lower()}{failure.hint[1:]}" if failure.hint else text, where=file.path)


def require_column(name: str, seen: Seen, *, key: str = "data.input_key", what: str = "holds the document") -> None:
    """Refuse an input in which no file has the column that ``key`` of the task names.

    Raises:
        ConfigError: With the columns there are, and the nearest.
    """
    if not seen.columns or name in seen.columns:
        return
    near = get_close_matches(name, seen.columns, n=1)
    raise ConfigError(
        f"no input file has the column {name!r}; there are {', '.join(seen.columns[:20])}",
        hint=f"Set {key} to the column that {what}{f': {near[0]}?' if near else '.'}",
    )


def _touched(fs: FileSystem, file: ListedFile) -> dict[str, str]:
    """See that a file may be read. Where a call costs more than a byte, being told of it is enough."""
    if fs.capabilities.calls_at_once > 1:
        fs.stat(file.path)
    else:
        with fs.open(file.path) as stream:
            stream.read(1)
    return {}


def _types(fs: FileSystem, file: ListedFile, wanted: Sequence[str]) -> dict[str, str]:
    """Return a file's columns with their types, which are empty where they are not known."""
    with closing(open_source(lambda: fs.open_listed(file.stat), name=file.name)) as source:
        if file_type(file.name).format != "parquet":
            return _sampled(source)
        types = type_names(source.types())
        refuse_missing(list(types), wanted, name=file.name)
        return types


def _sampled(source: Source) -> dict[str, str]:
    rows = next(source.rows(None, chunk_rows=_SAMPLE_ROWS), [])
    return {name: "" for row in rows if not isinstance(row, BadRow) for name in row}
