"""The one schema of a run's outputs: settled over all its input files before row one, then fixed.

Of Parquet the footers are read, of JSON Lines every row: their types are known only then. That is the pass over the
file which publishing it makes otherwise. The first shard records the schema where all shards and restarts find it. A
later run that adds files to the same output keeps it, and takes only files that fit.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import orjson

from modelcall.errors import ConfigError, FatalError, FileFailure, Mistake
from modelcall.formats.opening import open_source
from modelcall.formats.unify import Unified, Unifier, type_names
from modelcall.log import Message, say
from modelcall.pipeline.columns import clash
from modelcall.pipeline.preflight import mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from modelcall.formats.unify import Types
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.state.listing import ListedFile
    from modelcall.state.run import RunRecord, RunStore

UNIFIED = "data.unify_schema"
"""In the identity of a run whose outputs have one schema."""
_SCHEMA, _DRIFT = "schema", "drift"
_TOLD = 20
_MOST_COLUMNS = 10_000
_HINT = "Convert the files to one type, or leave out data.unify_schema: each output then has the schema of its input."


class SchemaOfRun:
    """Finds the schema of a run, or settles it. Blocking."""

    def __init__(self, fs: FileSystem, store: RunStore, plan: ResultPlan, *, stopped: Callable[[], bool]) -> None:
        self._fs = fs
        self._store = store
        self._plan = plan
        self._stopped = stopped
        self._settled: dict[tuple[ListedFile, ...], Mapping[str, str]] = {}

    def facts(self, chain: Sequence[RunRecord], repaired: Mapping[str, ListedFile]) -> Mapping[str, str]:
        """Return what is to be recorded of the schema of a run (the first of ``chain``) and those it extends.

        Raises:
            ConfigError: The files have no common schema, do not fit the one there is, or cannot be read.
            FatalError: The run is to stop.
        """
        files = tuple(repaired.get(file.name, file) for file in chain[0].files)
        if files not in self._settled:
            self._settled[files] = self._found(chain, files, repaired)
        return self._settled[files]

    def _found(
        self, chain: Sequence[RunRecord], files: Sequence[ListedFile], repaired: Collection[str]
    ) -> Mapping[str, str]:
        """Look for it in the records; files that were not there when it was settled must fit."""
        own, *earlier = map(self._store.settled, chain)
        known = own or next(filter(None, earlier), None)
        if known is None:
            return self._settle(files)
        self._check(known, [file for file in files if own is None or file.name in repaired])
        return {name: known[name] for name in (_SCHEMA, _DRIFT)}

    def _settle(self, files: Sequence[ListedFile]) -> Mapping[str, str]:
        say(Message.SCHEMA_READ, files=len(files))
        unifier = Unifier()
        for file, types in self._types(files):
            unifier.add(file.name, types)
        unified, unlike = unifier.unified()
        _refuse([Mistake(line) for line in unlike], f"{len(unlike)} column(s) have types that no one type holds")
        problem = clash(self._plan, unified.schema.names)
        if problem is None and len(unified.schema) > _MOST_COLUMNS:
            problem = f"the input files have more than {_MOST_COLUMNS:,} different columns together"
        if problem:
            raise ConfigError(problem, hint=_HINT)
        lines = unifier.drift.lines()
        say(Message.SCHEMA_SETTLED, files=len(files), columns=len(unified.schema), unlike=len(lines))
        for line in lines[:_TOLD]:
            say(Message.NOTE, text=f"   {line}")
        return {_SCHEMA: unified.dump(), _DRIFT: orjson.dumps(unifier.drift.as_json()).decode()}

    def _check(self, known: Mapping[str, str], files: Sequence[ListedFile]) -> None:
        unified = unified_in(known)
        misfits = [
            Mistake(line, where=file.path) for file, types in self._types(files) for line in unified.misfits(types)
        ]
        _refuse(misfits, f"{len(misfits)} column(s) of new files do not fit the schema of the output")

    def _types(self, files: Sequence[ListedFile]) -> Iterator[tuple[ListedFile, Types]]:
        mistakes: list[Mistake] = []
        for file in files:
            if self._stopped():
                raise FatalError("stopped while the schema was settled; no row was asked", hint="Start again.")
            try:
                with closing(open_source(partial(self._fs.open_listed, file.stat), name=file.name)) as source:
                    types = source.types()
            except (FileFailure, OSError) as error:
                mistakes.append(mistake(file, error))
            else:
                yield file, types
        _refuse(mistakes, f"{len(mistakes)} input file(s) cannot be read")


def unified_in(known: Mapping[str, str]) -> Unified:
    """Return the schema that is recorded with what a run settled."""
    return Unified.load(known[_SCHEMA])


def schema_note(known: Mapping[str, str]) -> bytes:
    """Return the side file that tells users of the schema, and of what differs between the input files."""
    unified = unified_in(known)
    note = {
        "columns": type_names(unified.schema),
        "json_text_columns": unified.json_text,
        "drift": orjson.loads(known[_DRIFT]),
    }
    return orjson.dumps(note, option=orjson.OPT_INDENT_2) + b"\n"


def _refuse(mistakes: Sequence[Mistake], what: str) -> None:
    if mistakes:
        raise ConfigError(what, hint=_HINT, mistakes=mistakes)
