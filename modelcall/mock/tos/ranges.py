"""What a reader asks of an object: a range, and conditions on it."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from modelcall.mock.tos.replies import Refused
from modelcall.mock.tos.store import Conditions, precondition_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.mock.tos.store import Version

_RANGE: Final = re.compile(r"bytes=(?:(?P<start>\d+)-(?P<end>\d*)|-(?P<last>\d+))")


def wanted_range(header: str | None, size: int) -> range | None:
    """Return the bytes that a Range header asks for; None: all, also if it makes no sense (RFC 9110).

    Raises:
        Refused: There are no such bytes; 416.
    """
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or (found["end"] and int(found["end"]) < int(found["start"])):
        return None
    if found["last"] is not None:
        asked = range(max(size - int(found["last"]), 0), size)
    else:
        asked = range(int(found["start"]), min(int(found["end"]) + 1, size) if found["end"] else size)
    if not asked:
        headers = {"content-range": f"bytes */{size}"}
        raise Refused(416, "InvalidRange", "The requested range is not satisfiable.", headers=headers)
    return asked


def content_range(asked: range, size: int) -> str:
    """Return the header that goes with a 206."""
    return f"bytes {asked.start}-{asked.stop - 1}/{size}"


def check_reading(version: Version, headers: Mapping[str, str]) -> None:
    """Do nothing if the conditions of a GET, HEAD or copy hold.

    Raises:
        Refused: 412, or 304 for a version that the client has.
    """
    Conditions(if_match=headers.get("if-match")).check(version)
    if headers.get("if-none-match", "").strip('"') in {"*", version.etag.strip('"')}:
        raise _not_modified()
    modified = int(version.modified)
    since = _seconds(headers.get("if-modified-since"))
    if since is not None and "if-none-match" not in headers and modified <= since:
        raise _not_modified()
    until = _seconds(headers.get("if-unmodified-since"))
    if until is not None and "if-match" not in headers and modified > until:
        raise precondition_failed()


def _not_modified() -> Refused:
    return Refused(304, "NotModified", "The object is as the client has it.")


def _seconds(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
