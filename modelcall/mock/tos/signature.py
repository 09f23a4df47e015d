"""TOS4-HMAC-SHA256: who sent this, and is it as it was sent? In headers, or in the query of a pre-signed URL."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from modelcall.mock.tos.replies import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelcall.mock.tos.call import Call

ALGORITHM: Final = "TOS4-HMAC-SHA256"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
PAYLOAD: Final = "x-tos-content-sha256"
SKEW: Final = 15 * 60
"""Seconds that a client's clock may differ."""
_LONGEST: Final = 7 * 24 * 3600
_PREFIX: Final = "x-tos-"
_HEADER: Final = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<credential>[^,\s]+)\s*,\s*SignedHeaders=(?P<names>[^,\s]+)\s*,"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SIGNATURE: Final = "x-tos-signature"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom the server knows."""

    access_key: str
    secret_key: str
    region: str
    security_token: str | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its signature."""

    credential: str
    names: str
    signature: str
    date: str
    token: str | None
    expires: int | None
    """Seconds from the date on; None: the date is now, but for the skew."""


def verify(call: Call, credentials: Credentials, *, now: float) -> None:
    """Do nothing if the request is signed by the one client this server knows.

    Raises:
        Refused: It is not; 403.
    """
    claim = _from_query(call.query) if "X-Tos-Signature" in call.query else _from_headers(call.headers)
    key, _, scope = claim.credential.partition("/")
    if key != credentials.access_key:
        raise _denied("InvalidAccessKeyId", "The access key is not known here.")
    _check_time(claim, now)
    if scope != f"{claim.date[:8]}/{credentials.region}/tos/request":
        raise _denied("SignatureDoesNotMatch", f"The scope of the credential is wrong: {scope}")
    _check_names(claim.names.split(";"), call.headers)
    expected = signature_of(call, claim.names.split(";"), date=claim.date, scope=scope, secret=credentials.secret_key)
    if not hmac.compare_digest(expected, claim.signature):
        raise _denied("SignatureDoesNotMatch", "The signature is not that of this request and secret key.")
    _check_token(claim.token, credentials.security_token)


def signature_of(call: Call, names: Iterable[str], *, date: str, scope: str, secret: str) -> str:
    """Return the right signature, with the headers of these names signed."""
    canonical = hashlib.sha256(canonical_request(call, list(names)).encode("utf-8", "surrogateescape")).hexdigest()
    key = secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, f"{ALGORITHM}\n{date}\n{scope}\n{canonical}".encode(), "sha256").hex()


def canonical_request(call: Call, names: list[str]) -> str:
    """Return the text whose digest is signed."""
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(call.query.items())
        if name.lower() != _SIGNATURE
    )
    headers = "".join(f"{name}:{call.headers.get(name, '')}\n" for name in names)
    path = quote(unquote(call.path), safe="/~")
    return "\n".join([call.method, path, query, headers, ";".join(names), call.headers.get(PAYLOAD, UNSIGNED)])


def _from_headers(headers: Mapping[str, str]) -> _Claim:
    if "authorization" not in headers:
        raise _denied("AccessDenied", "The request is not signed.")
    found = _HEADER.fullmatch(headers["authorization"].strip())
    if found is None:
        raise _denied("InvalidAuthorization", "The Authorization header is malformed.")
    date, token = headers.get("x-tos-date", ""), headers.get("x-tos-security-token")
    return _Claim(found["credential"], found["names"], found["signature"], date, token, None)


def _from_query(query: Mapping[str, str]) -> _Claim:
    if query.get("X-Tos-Algorithm") != ALGORITHM:
        raise _denied("InvalidAuthorization", f"The algorithm must be {ALGORITHM}.")
    expires = query.get("X-Tos-Expires", "")
    if not expires.isdecimal() or not 0 < int(expires) <= _LONGEST:
        raise _denied("InvalidAuthorization", f"X-Tos-Expires must be from 1 to {_LONGEST}.")
    return _Claim(
        credential=query.get("X-Tos-Credential", ""),
        names=query.get("X-Tos-SignedHeaders", ""),
        signature=query["X-Tos-Signature"],
        date=query.get("X-Tos-Date", ""),
        token=query.get("X-Tos-Security-Token"),
        expires=int(expires),
    )


def _check_time(claim: _Claim, now: float) -> None:
    try:
        date = datetime.strptime(claim.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _denied("InvalidAuthorization", f"The date is malformed: {claim.date!r}") from error
    if claim.expires is None and abs(now - date) > SKEW:
        raise skewed()
    if claim.expires is not None and not date - SKEW <= now < date + claim.expires:
        raise _denied("AccessDenied", "The pre-signed URL has expired, or is not valid yet.")


def _check_names(names: list[str], headers: Mapping[str, str]) -> None:
    missing = {name for name in headers if name.startswith(_PREFIX)} | {"host"}
    missing -= set(names)
    if missing:
        raise _denied("SignatureDoesNotMatch", f"Headers are not signed: {', '.join(sorted(missing))}")


def _check_token(token: str | None, expected: str | None) -> None:
    if token != expected:
        raise _denied("InvalidSecurityToken", "The security token is wrong, missing, or not expected here.")


def skewed() -> Refused:
    """Return the refusal of a clock that is wrong."""
    return _denied("RequestTimeTooSkewed", "The time of the request and of the server differ too much.")


def _denied(code: str, message: str) -> Refused:
    return Refused(403, code, message)
