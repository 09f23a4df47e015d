"""A request, understood: which bucket and key it means, whatever form its target has."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import unquote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

Level: TypeAlias = Literal["service", "bucket", "object"]

_IDENTITY: Final = ("partNumber", "offset", "prefix", "continuation-token", "start-after", "marker")
"""Parameters that tell one request from another; an upload's id, drawn anew in every run, does not."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks for."""

    method: str
    bucket: str
    key: str
    path: str
    """As sent, without scheme and host."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""

    @property
    def level(self) -> Level:
        """What it is about."""
        return "object" if self.key else "bucket" if self.bucket else "service"

    @property
    def identity(self) -> tuple[str, ...]:
        """The same for all attempts at one thing, in every run."""
        inner = (f"{name}={self.query[name]}" for name in _IDENTITY if name in self.query)
        return (self.bucket, self.key, self.headers.get("range", ""), *inner)


def read_call(method: str, target: str, headers: Mapping[str, str], *, endpoint: str, default_bucket: str) -> Call:
    """Understand a request. ``target`` may be a whole URL, as proxies get it.

    The bucket is the first label of the host, the rest being ``endpoint`` or any other name: the client may have an
    endpoint of its own in mind. A host that is an address means the default bucket.
    """
    path, _, query = target.partition("?")
    host = headers.get("host", "")
    if "://" in path:
        host, slash, path = path.partition("://")[2].partition("/")
        path = slash + path
    return Call(
        method=method,
        bucket=_bucket(host.partition(":")[0].lower(), endpoint, default_bucket),
        key=unquote(path.removeprefix("/")),
        path=path or "/",
        query=_query(query),
        headers=headers,
    )


def _bucket(host: str, endpoint: str, default: str) -> str:
    if host == endpoint:
        return ""
    label, dot, _ = host.partition(".")
    return label if dot and not _is_address(host) else default


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _query(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}
