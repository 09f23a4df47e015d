"""The journals of one file as they stand in a folder: whose they are, in which order, and which of them count."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from modelcall.state.file_journal import Segment, believed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PUBLISHED = ".published.log"
"""Ends the name of what was read back from an output."""


def segments_in(folder: str, *, before: int | None = None) -> dict[str, list[Segment]]:
    """Return what stands in a folder of journals by file key, of owners ``before`` one (None: of all). Blocking."""
    found: dict[str, list[Segment]] = {}
    for entry in os.scandir(folder):
        key, _, rest = entry.name.partition(".")
        epoch = rest.removesuffix(PUBLISHED).removesuffix(".log")
        if rest.endswith(".log") and epoch.isdigit() and (before is None or int(epoch) < before):
            found.setdefault(key, []).append(Segment(entry.path, entry.stat().st_size, int(epoch)))
    for segments in found.values():
        segments.sort(key=lambda segment: (segment.epoch, not segment.path.endswith(PUBLISHED)))
    return found


def journal_facts(file: str, *, fingerprint: str, identity: str) -> dict[str, Any]:
    """Return what the header of a journal says of the file it is about."""
    return {"journal": 1, "file": file, "input": fingerprint, "run": identity}


def marked(segments: Iterable[Segment], facts: Mapping[str, Any], file: str) -> list[Segment]:
    """Return the segments of a file as their headers say what they are; one that is gone meanwhile is left out.

    Raises:
        FatalError: One is damaged at its start, or about another content of the file.
    """
    found: list[Segment] = []
    for segment in segments:
        with suppress(FileNotFoundError):
            found.append(believed(segment, facts, file))
    return found


def since_published(segments: list[Segment], checksum: str) -> list[Segment]:
    """Return what has been recorded since an output was read back, that included; empty if it was not."""
    at = [index for index, segment in enumerate(segments) if segment.published == checksum]
    return segments[at[-1] :] if at else []
