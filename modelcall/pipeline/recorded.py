"""What is recorded of files, against what these files are now: before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from modelcall.errors import ConfigError
from modelcall.log import Message, say
from modelcall.pipeline.input import content_of
from modelcall.state.run import FileVersion
from modelcall.state.segments import earlier_segments, file_key, header_of, journal_header, set_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.state.listing import ListedFile
    from modelcall.state.run import RunRecord, RunStore
    from modelcall.state.segments import Segment


def refuse_edited(fs: FileSystem, folder: str, files: Sequence[ListedFile], *, run: str) -> None:
    """Refuse files that were edited behind their size and time, if answers to what they held are recorded. Blocking.

    Raises:
        ConfigError: All such files.
    """
    segments = earlier_segments(folder)
    edited: list[str] = []
    for file in files:
        headers = {header_of(segment) for segment in segments.get(file_key(file.name), [])} - {None}
        if headers and headers != {_header(fs, file, run)}:
            edited.append(file.name)
    if edited:
        raise ConfigError(
            f"{len(edited)} input file(s) changed since answers were recorded, though size and time are the same:"
            f" {', '.join(edited[:5])}",
            hint="Restore them, or start over with --fresh.",
        )


def _header(fs: FileSystem, file: ListedFile, run: str) -> bytes:
    try:
        content = content_of(fs, file.path)
    except OSError as error:
        raise ConfigError(f"{file.path}: cannot be read: {error.strerror or error}", hint="Restore it.") from error
    return journal_header(file.name, fingerprint=file.fingerprint, content=content, run=run)


def take_repaired(
    store: RunStore, record: RunRecord, files: Sequence[ListedFile], repaired: Collection[str], *, folder: str
) -> None:
    """Take files that failed and were repaired since. What was recorded of them as they were is set aside. Blocking."""
    segments = earlier_segments(folder)
    for file in files:
        if file.name in repaired:
            rows = sum(
                set_aside(segment) for segment in segments.get(file_key(file.name), []) if _of_other(segment, file)
            )
            store.note_version(record, FileVersion(file.name, file.fingerprint, failed=False))
            kept = f"; {rows} recorded answers to what it held before are set aside" if rows else ""
            text = f"{file.path}: failed before and was replaced since; it is taken as it is now{kept}"
            say(Message.WARNING, text=text, cause=file.name)


def _of_other(segment: Segment, file: ListedFile) -> bool:
    header = header_of(segment)
    return header is None or orjson.loads(header)["input"] != file.fingerprint
