"""Verify: read again what a run wrote, and tell everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from modelcall.errors import ConfigError, FatalError, FileFailure, ModelCallError
from modelcall.formats.base import BadRow
from modelcall.formats.detect import file_type, is_data_file
from modelcall.formats.drift import Drift
from modelcall.formats.opening import open_source
from modelcall.formats.unify import Unified, type_names
from modelcall.pipeline.comparing import same, text_rows, unlike_columns, value_rows
from modelcall.pipeline.failed import read_failures
from modelcall.pipeline.table import kept_schema
from modelcall.pipeline.unify import UNIFIED
from modelcall.state.manifest import checksum
from modelcall.state.row_set import RowSet
from modelcall.state.run import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from modelcall.formats.base import Source
    from modelcall.fs.base import FileStat, FileSystem
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord
    from modelcall.state.shard import OutputFolder

_CHUNK = 2000
_END = object()
_UNLIKE = "lacks the input column(s) {}, or has them in another type"


@dataclass(slots=True)
class Findings:
    """What a verification saw."""

    files: int = 0
    rows: int = 0
    scored: int = 0
    failed: int = 0
    dropped: int = 0
    """Failed rows that are not in the output but listed beside it."""
    partial: int = 0
    """Files published under a debug limit."""
    compared: int = 0
    """Files whose input is still there unchanged, and was compared row by row."""
    problems: list[str] = field(default_factory=list)
    drift: Drift = field(default_factory=Drift)
    """Where the input columns of the outputs differ from file to file."""
    strangers: list[str] = field(default_factory=list)
    """Data files in the output folder that none of these runs brought out: whoever loads the folder reads them too."""

    def count(self, entry: Entry) -> None:
        """Count a published file."""
        self.files += 1
        self.rows += entry.rows
        self.scored += entry.scored
        self.failed += entry.failed
        self.dropped += entry.dropped
        self.partial += not entry.whole

    def add(self, other: Findings) -> None:
        """Count what was seen of one file."""
        for name in ("files", "rows", "scored", "failed", "dropped", "partial", "compared"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def verify(
    output: OutputFolder, runs: Sequence[RunRecord], *, store_of: Callable[[str], FileSystem] | None = None
) -> Findings:
    """Check every file of a run's listing: published once, whole, as the manifest says, all rows in the input's order.

    ``runs`` are the run and those it extends; ``store_of`` finds the store of an input by its path, if that may be
    another than the output's. Blocking.

    Raises:
        ConfigError: No run wrote here.
    """
    if not runs:
        raise ConfigError(f"{output.folder}: no run wrote here", hint="Name the output folder or file of a run.")
    findings = Findings()
    places = _Places(output, store_of or (lambda _: output.fs))
    by_id = {record.run: record for record in runs}
    expected = {record.output_of(file): file.name for record in reversed(runs) for file in record.files}
    for name, file in expected.items():
        findings.problems += _verify_file(places, name, file, by_id, findings)
    if findings.drift and any(UNIFIED in run.identity for run in runs):
        findings.problems += (f"the outputs are to have one schema: {line}" for line in findings.drift.lines())
    findings.strangers += _strangers(output, expected)
    return findings


def _strangers(output: OutputFolder, expected: Collection[str]) -> list[str]:
    if output.state != f"{output.folder}/{STATE}":  # a single file, in a folder that is not ours
        return []
    names = (stat.path.removeprefix(f"{output.folder}/") for stat in output.fs.walk(output.folder))
    return sorted(name for name in names if is_data_file(name) and name not in expected)


@dataclass(frozen=True, slots=True)
class _Places:
    output: OutputFolder
    store_of: Callable[[str], FileSystem]

    def input(self, entry: Entry, unified: Unified | None) -> Source | None:
        """Return the input as it was scored, or None if it is gone, changed since, or out of reach."""
        try:
            fs = self.store_of(entry.input_path)
            stat = fs.stat(entry.input_path)
        except (OSError, ModelCallError):
            return None
        if stat.fingerprint != entry.input:
            return None
        return open_source(lambda: fs.open(entry.input_path), name=entry.file, unified=unified)


def _verify_file(places: _Places, name: str, file: str, runs: Mapping[str, RunRecord], findings: Findings) -> list[str]:
    output = places.output
    try:
        entry, stat = _standing(output, name)
        if entry is None or entry.run not in runs:
            return [f"{name}: not published: {file} is unfinished"]
        seen = Findings()
        problems = list(_entry_problems(places, entry, runs[entry.run], seen))
        if problems and _standing(output, name) != (entry, stat):  # replaced meanwhile: what was read is of both
            return _verify_file(places, name, file, runs, findings)
    except FatalError as error:
        return [error.message]
    findings.add(seen)
    if entry.types:
        findings.drift.add(name, entry.types)
    return [f"{name}: {problem}" for problem in problems]


def _standing(output: OutputFolder, name: str) -> tuple[Entry | None, FileStat | None]:
    """Return what is told of an output, and what tells it apart from one that replaces it."""
    try:
        stat = output.fs.stat(output.path(name))
    except (OSError, ModelCallError):
        stat = None
    return output.manifest.get(name), stat


def _entry_problems(places: _Places, entry: Entry, run: RunRecord, seen: Findings) -> Iterator[str]:
    output = places.output
    if not output.fs.is_file(output.path(entry.output)):
        yield "published, but the file is gone"
        return
    try:
        found = checksum(output.fs, output.path(entry.output))
        standing = next((one for one in (entry, *entry.replacing) if one.sha256 == found), None)
        seen.count(standing or entry)
        if standing is not None:
            yield from _problems(places, standing, run, seen)
            yield from () if entry.replacing else _list_problems(output, entry)
        else:
            size = output.fs.stat(output.path(entry.output)).size
            yield f"changed since it was published: {size:,} bytes with another checksum, {entry.size:,} were written"
    except (FileFailure, OSError) as error:
        yield f"cannot be read: {error}"


def _list_problems(output: OutputFolder, entry: Entry) -> Iterator[str]:
    """Compare the list of failed rows with those that were dropped: it is all that is left of them."""
    dropped = RowSet.load(entry.dropped_rows)
    listed = RowSet()
    try:
        for row, _ in read_failures(output.fs, output.failed_list(entry.output)) if entry.dropped else ():
            if row not in dropped or not listed.add(row):
                yield f"row {row}: listed as dropped, but was not, or is listed twice"
                return
    except ValueError as error:
        yield f"the list of its dropped rows is damaged: {error}"
        return
    if listed.count != entry.dropped:
        yield f"lists {listed.count:,} dropped rows, {entry.dropped:,} expected"


def _problems(places: _Places, entry: Entry, run: RunRecord, findings: Findings) -> Iterator[str]:
    path, fs = places.output.path(entry.output), places.output.fs
    published = open_source(lambda: fs.open(path), name=entry.output)
    try:
        missing = sorted(set(entry.columns).difference(published.column_names()))
        if missing and entry.rows > entry.dropped:  # JSON Lines without rows have no columns
            yield f"lacks the column(s) {', '.join(missing)}"
            return
        if wrong := list(_results(published, entry)):
            yield from wrong
            return
        types = type_names(published.schema()[0]) if entry.types else {}
        if unlike := [name for name, kind in entry.types.items() if types.get(name) != kind]:
            yield _UNLIKE.format(", ".join(unlike))
            return
        original = places.input(entry, _unified(published, entry) if UNIFIED in run.identity else None)
        if original is not None:
            findings.compared += 1
            yield from _compare(published, original, entry, run)
    finally:
        published.close()


def _results(published: Source, entry: Entry) -> Iterator[str]:
    """Count the rows, and the failed ones by their status column; these have no value in the scorer's columns."""
    status, scores = f"{entry.prefix}api_status", entry.scores
    rows = failed = 0
    for chunk in published.rows([*scores, status], chunk_rows=_CHUNK):
        for row in chunk:
            if isinstance(row, BadRow) or row.get(status) != "success":
                failed += 1
                if not isinstance(row, BadRow) and any(row.get(name) is not None for name in scores):
                    yield f"row {rows}: failed, but has a result"
                    return
            rows += 1
    found = rows, rows - failed, failed
    told = entry.rows - entry.dropped, entry.scored, entry.failed - entry.dropped
    for what, count, expected in zip(("rows", "scored rows", "failed rows"), found, told, strict=True):
        if count != expected:
            yield f"has {count:,} {what}, {expected:,} expected"
            return


def _unified(published: Source, entry: Entry) -> Unified:
    """Return the schema that the columns of all inputs were brought to."""
    columns = published.schema()[0]
    return Unified(pa.schema([columns.field(name) for name in entry.types]), entry.json_text_columns)


def _compare(published: Source, original: Source, entry: Entry, run: RunRecord) -> Iterator[str]:
    """Compare the input columns row by row; the first row that differs, or has no partner, is told."""
    wanted: list[str] | None = orjson.loads(run.identity.get("data.output_columns", "null"))
    limit = None if entry.whole else entry.row_limit
    try:
        if file_type(entry.output).format == "parquet":
            schema = kept_schema(original, wanted, name=entry.file)
            if UNIFIED in run.identity and (misfits := _unified(published, entry).misfits(original.types(), wanted)):
                yield f"its input has {misfits[0]}"
                return
            if unlike := unlike_columns(published.schema()[0], schema):
                yield _UNLIKE.format(", ".join(unlike))
                return
            ours, theirs = value_rows(published, schema, limit=None), value_rows(original, schema, limit=limit)
        else:
            names = original.column_names() if wanted is None else wanted
            ours, theirs = text_rows(published, names, limit=None), text_rows(original, names, limit=limit)
        dropped = RowSet.load(entry.dropped_rows)
        left = ((index, row) for index, row in enumerate(theirs) if index not in dropped)
        for number, our in enumerate(ours):
            index, their = next(left, (number, _END))
            if their is _END or not same(our, their):
                what = "not in" if their is _END else "input columns differ from"
                yield f"row {index}: {what} {entry.input_path}"
                return
        for index, _ in left:
            yield f"row {index}: missing, it is in {entry.input_path}"
            return
    finally:
        original.close()
