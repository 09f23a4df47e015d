"""Preflight: a look at every file of a shard before anything is asked, so that what cannot work costs nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError, FileFailure, Mistake
from modelcall.formats.base import BadRow
from modelcall.formats.detect import file_type
from modelcall.formats.drift import Drift
from modelcall.formats.opening import open_source
from modelcall.formats.unify import type_names
from modelcall.log import Message, say
from modelcall.pipeline.columns import clash
from modelcall.pipeline.table import refuse_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from modelcall.formats.base import Source
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.state.listing import ListedFile

LOOKED_AT = 1000
"""So many files are opened and understood; of the others the first byte is read."""
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
    for number, file in enumerate(files):
        try:
            types = _types(file, _opener(fs, file.path), deep=number < LOOKED_AT, wanted=wanted)
        except (FileFailure, OSError) as error:
            mistakes.append(mistake(file, error))
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


def _opener(fs: FileSystem, path: str) -> Callable[[], BinaryIO]:
    return lambda: fs.open(path)


def _types(
    file: ListedFile, opener: Callable[[], BinaryIO], *, deep: bool, wanted: Sequence[str] | None
) -> dict[str, str]:
    """Return a file's columns with their types, which are empty where they are not known."""
    if not deep:
        with opener() as stream:
            stream.read(1)
        return {}
    with closing(open_source(opener, name=file.name)) as source:
        if file_type(file.name).format != "parquet":
            return _sampled(source)
        types = type_names(source.types())
        refuse_missing(list(types), wanted or (), name=file.name)
        return types


def _sampled(source: Source) -> dict[str, str]:
    rows = next(source.rows(None, chunk_rows=_SAMPLE_ROWS), [])
    return {name: "" for row in rows if not isinstance(row, BadRow) for name in row}
