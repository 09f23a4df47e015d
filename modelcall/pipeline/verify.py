"""Verify: read again what a run wrote, and tell everything that is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError, FatalError, FileFailure, ModelCallError
from modelcall.formats.base import BadRow
from modelcall.formats.opening import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.formats.base import AnyRow, Source
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord
    from modelcall.state.shard import OutputFolder
    from modelcall.types import Row

_CHUNK = 2000


@dataclass(slots=True)
class Findings:
    """What a verification saw."""

    files: int = 0
    rows: int = 0
    scored: int = 0
    failed: int = 0
    partial: int = 0
    """Files published under a debug limit."""
    compared: int = 0
    """Files whose input is still there unchanged, and was compared row by row."""
    problems: list[str] = field(default_factory=list)


def verify(output: OutputFolder, runs: Sequence[RunRecord]) -> Findings:
    """Check every file of a run's listing: published once, whole, as the manifest says, all rows in the input's order.

    ``runs`` are the run and those it extends. Blocking.

    Raises:
        ConfigError: No run wrote here.
    """
    if not runs:
        raise ConfigError(f"{output.folder}: no run wrote here", hint="Name the output folder or file of a run.")
    findings = Findings()
    ids = {record.run for record in runs}
    expected = {record.output_of(file): file.name for record in reversed(runs) for file in record.files}
    for name, file in expected.items():
        findings.problems += _verify_file(output, name, file, ids, findings)
    return findings


def _verify_file(output: OutputFolder, name: str, file: str, runs: set[str], findings: Findings) -> list[str]:
    try:
        entry = output.manifest.get(name)
    except FatalError as error:
        return [error.message]
    if entry is None or entry.run not in runs:
        return [f"{name}: not published: {file} is unfinished"]
    if not output.fs.exists(output.path(name)):
        return [f"{name}: published, but the file is gone"]
    findings.files += 1
    findings.rows += entry.rows
    findings.scored += entry.scored
    findings.failed += entry.failed
    findings.partial += not entry.whole
    try:
        return [f"{name}: {problem}" for problem in _problems(output, entry, findings)]
    except (FileFailure, OSError) as error:
        return [f"{name}: cannot be read: {error}"]


def _problems(output: OutputFolder, entry: Entry, findings: Findings) -> Iterator[str]:
    path = output.path(entry.output)
    size, digest = _checksum(output, path)
    if (size, digest) != (entry.size, entry.sha256):
        yield f"changed since it was published: {size:,} bytes with another checksum, {entry.size:,} were written"
        return
    published = open_source(lambda: output.fs.open(path), name=entry.output)
    try:
        missing = [name for name in entry.columns if name not in published.column_names()]
        if missing and entry.rows:  # JSON Lines without rows have no columns
            yield f"lacks the column(s) {', '.join(missing)}"
            return
        yield from _count(published, entry)
        original = _input(output, entry)
        if original is not None:
            findings.compared += 1
            yield from _compare(published, original, entry)
    finally:
        published.close()


def _checksum(output: OutputFolder, path: str) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with output.fs.open(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _count(published: Source, entry: Entry) -> Iterator[str]:
    """Count the rows, and the failed ones by their status column."""
    status = next(name for name in entry.columns if name.endswith("api_status"))
    rows = failed = 0
    for chunk in published.rows([status], chunk_rows=_CHUNK):
        rows += len(chunk)
        failed += sum(isinstance(row, BadRow) or row.get(status) != "success" for row in chunk)
    if rows != entry.rows:
        yield f"has {rows:,} rows, {entry.rows:,} expected"
    if failed != entry.failed:
        yield f"has {failed:,} failed rows, {entry.failed:,} expected"


def _input(output: OutputFolder, entry: Entry) -> Source | None:
    """Return the input as it was scored, or None if it is gone or changed since."""
    try:
        stat = output.fs.stat(entry.input_path)
    except (OSError, ModelCallError):
        return None
    if f"{stat.size}-{stat.etag}" != entry.input:
        return None
    return open_source(lambda: output.fs.open(entry.input_path), name=entry.file)


def _compare(published: Source, original: Source, entry: Entry) -> Iterator[str]:
    """Compare the input columns row by row; the first row that differs is told."""
    names = [name for name in original.column_names() if name in set(published.column_names()) - set(entry.columns)]
    names = [name for name in names if name not in entry.json_text_columns]
    try:
        ours = (row for chunk in published.rows(names, chunk_rows=_CHUNK) for row in chunk)
        theirs = (row for chunk in original.rows(names, chunk_rows=_CHUNK, limit=entry.row_limit) for row in chunk)
        for index, (our, their) in enumerate(zip(ours, theirs, strict=False)):
            if not isinstance(their, BadRow) and not _same(our, their, names):
                yield f"row {index}: input columns differ from {entry.input_path}"
                return
    finally:
        original.close()


def _same(our: AnyRow, their: Row, names: Sequence[str]) -> bool:
    """Whether the values agree; an absent one is null, and NaN equals itself."""
    if isinstance(our, BadRow):
        return False
    pairs = ((our.get(name), their.get(name)) for name in names)
    return all(ours == theirs or repr(ours) == repr(theirs) for ours, theirs in pairs)
