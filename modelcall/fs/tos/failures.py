"""What exceptions of the SDK mean: whether to try again, after how long, and which ``OSError`` they are."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import requests
import urllib3
from tenacity import RetryCallState, wait_random_exponential
from tos.exceptions import TosClientError, TosError, TosServerError

if TYPE_CHECKING:
    from modelcall.fs.tos.places import Place

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be another next time."""
BROKEN: Final = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
"""What is raised when a connection cannot be made or breaks; from under a body not even wrapped."""
FAILURES: Final = (TosError, *BROKEN)
_LOCKED_EC: Final = "0026-00000022"
"""409: a path of a hierarchical bucket is locked for a moment."""
_CHECKS: Final = ("content-length", "crc")
"""In messages of the SDK about a body that arrived damaged; there is no field to tell."""
_LONGEST_WAIT: Final = 10.0


def is_passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, TosServerError):
        return error.status_code in PASSING or (error.status_code == 409 and error.ec == _LOCKED_EC)  # noqa: PLR2004
    if isinstance(error, TosClientError):
        damaged = any(word in str(error.message).lower() for word in _CHECKS)
        return damaged or isinstance(error.cause, BROKEN)
    return isinstance(error, BROKEN)


_jittered = wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT)


def wait(state: RetryCallState) -> float:
    """Return seconds to wait: full jitter, but not less than the server asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.header.get("retry-after", "") if isinstance(error, TosServerError) else ""
    return max(float(asked) if asked.isdigit() else 0.0, _jittered(state))


def os_error(error: BaseException, at: Place, *, who: str) -> OSError:
    """Say what an exception of the SDK means; ``who`` tells which TOS was asked."""
    path = at.url(at.key)
    if isinstance(error, TosServerError):
        return _refusal(error, at, path, who)
    cause = getattr(error, "cause", None) or error
    return TimeoutError(errno.ETIMEDOUT, f"TOS does not answer ({type(cause).__name__}; {who})", path)


def _refusal(error: TosServerError, at: Place, path: str, who: str) -> OSError:
    said = ": ".join(filter(None, (error.code or error.ec or f"status {error.status_code}", error.message)))
    status = error.status_code
    if status == 404:  # noqa: PLR2004  HTTP's own numbers, here and below
        missing = f"there is no bucket {at.bucket} ({who})" if error.code == "NoSuchBucket" else "no such object"
        return FileNotFoundError(errno.ENOENT, missing, path)
    if status in {401, 403}:
        return PermissionError(errno.EACCES, f"TOS refuses ({said}; bucket {at.bucket}, {who})", path)
    if status in {409, 412}:
        return FileExistsError(errno.EEXIST, said, path)
    if status in PASSING:
        return TimeoutError(errno.ETIMEDOUT, f"TOS keeps failing ({said}; {who})", path)
    return OSError(errno.EIO, f"TOS refuses ({said}; {who})", path)
