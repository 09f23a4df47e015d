"""What the server puts on the wire: replies as bytes, and scripts of steps for everything that is no plain reply.

A script is data. The player (:mod:`modelcall.mock.player`) carries it out, and multiplies all its durations by the
server's time scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import orjson

Headers: TypeAlias = Mapping[str, str]

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"

REASONS = {
    **{int(status): status.phrase for status in HTTPStatus},
    413: "Request Entity Too Large",
    498: "Invalid Token",
    499: "Client Closed Request",
    520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down",
    522: "Connection Timed Out",
    523: "Origin Is Unreachable",
    524: "A Timeout Occurred",
    529: "Site is overloaded",
}
"""Reason phrases, with those of nginx, Cloudflare and Anthropic."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes at once."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drip:
    """Bytes one at a time."""

    data: bytes
    every: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The same bytes again and again."""

    data: bytes
    every: float
    """Seconds; 0: as fast as the client reads."""
    times: int | None = None
    """None: until the client leaves."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing, until the client leaves."""


@dataclass(frozen=True, slots=True)
class Fin:
    """Close after all bytes are sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the connection with RST; sent bytes may be lost."""


@dataclass(frozen=True, slots=True)
class CloseIdle:
    """Keep the connection, and close it if it has been idle for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CloseOnNext:
    """Keep the connection, and close it when the next request begins to arrive."""


@dataclass(frozen=True, slots=True)
class GoDown:
    """Stop listening and drop all connections, then come back on the same port."""

    seconds: float
    how: Literal["refuse", "ignore"] = "refuse"
    """``refuse`` connections, or let them wait in a full backlog."""


Step: TypeAlias = Send | Wait | Drip | Beat | Hold | Fin | Reset | CloseIdle | CloseOnNext | GoDown
Script: TypeAlias = Sequence[Step]


def head(status: int, headers: Headers, *, version: str = "HTTP/1.1") -> bytes:
    """Status line and headers, with the blank line that ends them."""
    lines = [f"{version} {status} {REASONS.get(status, '')}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reply(status: int, body: bytes, headers: Headers | None = None, *, kind: str = JSON_TYPE) -> bytes:
    """Return a whole, correct response."""
    return head(status, {"content-type": kind, **(headers or {}), "content-length": str(len(body))}) + body


def json_reply(status: int, value: Any, headers: Headers | None = None) -> bytes:  # noqa: ANN401  any JSON value
    """Return a whole response with a JSON body."""
    return reply(status, orjson.dumps(value), headers)


def chunked_head(headers: Headers | None = None) -> bytes:
    """Return the head of a 200 whose body comes in chunks."""
    return head(200, {"content-type": JSON_TYPE, **(headers or {}), "transfer-encoding": "chunked"})


def chunk(data: bytes, *, extension: str = "") -> bytes:
    """Return one chunk of a chunked body."""
    return f"{len(data):x}{extension}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"


def error_body(message: str, *, kind: str, code: str | int | None = None, param: str | None = None) -> dict[str, Any]:
    """Return an error as OpenAI words it: ``{"error": {"message", "type", "param", "code"}}``."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
