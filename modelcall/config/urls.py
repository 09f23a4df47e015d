"""URLs of endpoints: one form, and only where a request may go."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from modelcall.config.fields import looks_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA_HOSTS: Final = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA_ADDRESSES: Final = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "100.96.0.96", "192.0.0.192", "fd00:ec2::254", "168.63.129.16"))
)
"""Where clouds serve credentials of the machine, beside the link-local 169.254.169.254."""
_LOOKS_LOCAL: Final = re.compile(
    r"(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[|[^./:@]+(?::\d+)?(?:/|$))"
)


class UrlRefusedError(ValueError):
    """A URL that no request goes to; the message says why and what to write."""


def normal_url(url: str) -> str:
    """Return a base URL without trailing slash and without ``/chat/completions``; nothing else is changed.

    Raises:
        UrlRefusedError: It has no scheme, holds credentials, or points where no endpoint is.
    """
    text = url.strip()
    may_show = text.isprintable() and not looks_secret(text) and not set(text) & set("@?#")
    named = repr(text[:100]) if may_show else "the URL"
    if "://" not in text:
        scheme = "http" if _LOOKS_LOCAL.match(text) else "https"
        instead = f"{scheme}://{text.lstrip('/')[:100]}" if "@" not in text else f"{scheme}://HOST/v1"
        raise UrlRefusedError(f"{named} has no scheme; write {instead}")
    for problem in _problems(text):
        raise UrlRefusedError(f"{named} {problem}")
    path = text.rstrip("/")
    return path.removesuffix("/chat/completions").rstrip("/")


def host_of(url: str) -> str:
    """Return the host of a URL in lower case."""
    return (urlsplit(url).hostname or "").lower()


def is_loopback(url: str) -> bool:
    """Whether requests to this URL stay on this machine."""
    host = host_of(url)
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _problems(text: str) -> Iterator[str]:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        yield f"is no URL: {error}"
        return
    yield from _shape_problems(text, parts)
    if not host:
        yield "names no host; write https://HOST/v1"
    elif _is_metadata(host.lower().rstrip(".")):
        yield f"points at {host}, a link-local or metadata address; no model answers there"


def _shape_problems(text: str, parts: SplitResult) -> Iterator[str]:
    if parts.username is not None or parts.password is not None:
        yield "holds a user name or password; write the URL without it and put the key in api_key_env"
    if not text.isprintable() or " " in text or "\\" in text:
        yield "holds a space, a backslash or a control character"
    if parts.scheme not in ("http", "https"):
        yield f"must begin with https:// or http://, not {parts.scheme}://"
    if parts.query or parts.fragment:
        yield "must end before `?` or `#`; put query parameters in completions_params.extra_query"


def _is_metadata(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host in _METADATA_HOSTS
    return address.is_link_local or address in _METADATA_ADDRESSES


def _address(host: str) -> Address | None:
    """The IP address a host stands for, in any spelling a resolver takes (``0xa9fea9fe``, ``2852039166``)."""
    try:
        address: Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeEncodeError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
