"""What exceptions of the SDK mean: whether to try again, after how long, and whom they concern.

What concerns one object is the fitting ``OSError``. What every other request would meet too (a wrong key, an expired
token, no such bucket, a wrong clock) is a ``FatalError``: the run stops, instead of failing file after file.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import requests
import urllib3
from tenacity import RetryCallState, wait_random_exponential
from tos.exceptions import TosClientError, TosError, TosServerError

from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_ABSENT: Final = 404
_DENIALS: Final = frozenset({401, 403})
_NO_BUCKET_EC: Final = "0006-00000001"
_OF_ONE_OBJECT: Final = frozenset({"", "AccessDenied", "InvalidObjectState"})
"""Codes of denials that may be of this object alone: by a policy, or because it is archived; none: a proxy's."""
_AGAIN: Final = "then start again: the run goes on where it stopped."
_BUCKET_HINT: Final = (
    f"Look at the bucket's name (TOS_BUCKET), and whether TOS_ENDPOINT and REGION are those it is in, {_AGAIN}"
)
_KEY_HINT: Final = f"Look at TOS_ACCESS_KEY and TOS_SECRET_KEY, and TOS_SECURITY_TOKEN if it is set, {_AGAIN}"
_TOKEN_HINT: Final = (
    f"Set TOS_SECURITY_TOKEN, TOS_ACCESS_KEY and TOS_SECRET_KEY anew; they are given out together, {_AGAIN}"
)
_HINTS: Final[Mapping[str, str]] = {
    "InvalidAccessKeyId": f"TOS does not know this TOS_ACCESS_KEY: correct it, {_AGAIN}",
    "SignatureDoesNotMatch": f"TOS_SECRET_KEY is not that of TOS_ACCESS_KEY, or REGION is wrong: correct it, {_AGAIN}",
    "ExpiredToken": _TOKEN_HINT,
    "InvalidSecurityToken": _TOKEN_HINT,
    "RequestTimeTooSkewed": f"The clock of this machine is wrong: set it, {_AGAIN}",
}
"""Of refusals that every other request would meet too, whatever their status."""


def is_passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, TosServerError):
        return error.status_code in PASSING or (error.status_code == 409 and _ec(error) == _LOCKED_EC)  # noqa: PLR2004
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


def meaning(error: BaseException, at: Place, *, who: str) -> OSError | FatalError:
    """Say what an exception of the SDK means; ``who`` tells which TOS was asked."""
    path = at.url(at.key)
    if isinstance(error, TosServerError):
        return _general_refusal(error, at, who) or _refusal(error, path, f"bucket {at.bucket}, {who}")
    cause = getattr(error, "cause", None)
    said = type(cause or error).__name__ if cause or not isinstance(error, TosClientError) else error.message
    if not is_passing(error):
        return OSError(errno.EINVAL, f"the SDK does not ask TOS for this ({said})", path)
    return TimeoutError(errno.ETIMEDOUT, f"TOS does not answer ({said}; {who})", path)


def is_without_reason(error: TosServerError) -> bool:
    """Whether an answer to a HEAD, which has no body, leaves open if it concerns the object or every request."""
    return error.status_code in _DENIALS or (error.status_code == _ABSENT and not _ec(error))


def _general_refusal(error: TosServerError, at: Place, who: str) -> FatalError | None:
    if error.code == "NoSuchBucket" or _ec(error) == _NO_BUCKET_EC:
        return FatalError(f"There is no bucket {at.bucket} ({who}).", hint=_BUCKET_HINT)
    general = error.status_code in _DENIALS and (error.code or "") not in _OF_ONE_OBJECT
    hint = _HINTS.get(error.code) or (_KEY_HINT if general else None)
    return FatalError(f"TOS refuses ({_said(error)}; bucket {at.bucket}, {who}).", hint=hint) if hint else None


def _refusal(error: TosServerError, path: str, who: str) -> OSError:
    said, status = _said(error), error.status_code
    if error.code == "NoSuchUpload":
        return OSError(errno.ECANCELED, "the upload is gone; somebody aborted it", path)
    if status == _ABSENT:
        return FileNotFoundError(errno.ENOENT, "no such object", path)
    if status in _DENIALS:
        return PermissionError(errno.EACCES, f"TOS refuses ({said}; {who})", path)
    if status in {409, 412}:
        return FileExistsError(errno.EEXIST, said, path)
    if status in PASSING:
        return TimeoutError(errno.ETIMEDOUT, f"TOS keeps failing ({said}; {who})", path)
    return OSError(errno.EIO, f"TOS refuses ({said}; {who})", path)


def _ec(error: TosServerError) -> str:
    """Return the detailed code. In an answer to a HEAD it is in a header, where the SDK does not look."""
    return str(error.ec or error.header.get("x-tos-ec") or "")


def _said(error: TosServerError) -> str:
    return ": ".join(filter(None, (error.code or _ec(error) or f"status {error.status_code}", error.message)))
