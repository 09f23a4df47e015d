"""What kept a reply from arriving, in words: no class of a library, no dump of one."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

from modelcall.llm.transport import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORDS: Final[Mapping[FaultKind, str]] = {
    FaultKind.CONNECT: "cannot connect",
    FaultKind.TLS: "no trusted connection",
    FaultKind.TIMEOUT: "no reply in time",
    FaultKind.DISCONNECTED: "the connection broke before the reply was whole",
    FaultKind.PROTOCOL: "the reply is not HTTP as we can read it",
    FaultKind.PROXY: "the proxy failed",
    FaultKind.URL: "the URL cannot be used",
}
_MAX_CHARS: Final = 200


def told(kind: FaultKind, error: BaseException) -> str:
    """Say what happened, with the system's reason where there is one, else what the library's first line tells."""
    reasons = (reason for step in _steps(error) if (reason := _system_reason(step)))
    reason = next(reasons, "" if kind is FaultKind.DISCONNECTED else _first_line(error))
    return ": ".join(filter(None, (_WORDS.get(kind, kind.value), reason)))


def _steps(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it wraps, the innermost first: libraries rewrite what the system said."""
    if error is None:
        return
    inner = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    yield from _steps(inner)
    yield error


def _system_reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return (error.reason or "").replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower() if error.errno > 0 else str(error.strerror)
    return ""


def _first_line(error: BaseException) -> str:
    text = getattr(error, "message", None) or str(error)
    lines = str(text).splitlines()
    return lines[0].rstrip(":")[:_MAX_CHARS] if lines else ""
