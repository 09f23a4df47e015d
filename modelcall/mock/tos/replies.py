"""Answers and refusals, in the form that the SDK reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from modelcall.mock.wire import JSON_TYPE

if TYPE_CHECKING:
    from modelcall.mock.tos.blobs import Extent

Headers: TypeAlias = "dict[str, str]"

CRC64: Final = "x-tos-hash-crc64ecma"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, before a fault may spoil it."""

    status: int = 200
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    extents: tuple[Extent, ...] = ()
    """What follows the body, from the disk."""
    length: int | None = None
    """Content-Length, if it is not that of body and extents: of a HEAD."""
    etag: str | None = None
    crc64: int | None = None
    code: str = ""
    """Of a refusal."""

    @property
    def size(self) -> int:
        """Bytes that are sent after the headers."""
        return len(self.body) + sum(extent.length for extent in self.extents)


def json_answer(value: Any, *, crc64: int | None = None) -> Answer:  # noqa: ANN401  any JSON value
    """Return a 200 with a JSON body."""
    return Answer(headers={"content-type": JSON_TYPE}, body=orjson.dumps(value), crc64=crc64)


class Refused(Exception):  # noqa: N818  an answer of the server, not its failure
    """The request is answered with an error."""

    def __init__(self, status: int, code: str, message: str, *, ec: str = "", headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.ec = status, code, message, ec
        self.headers = headers or {}

    def answer(self, *, method: str, request_id: str, resource: str) -> Answer:
        """Return it as a reply; to a HEAD without a body, which the SDK could not read."""
        headers = {**self.headers, "content-type": JSON_TYPE, **({"x-tos-ec": self.ec} if self.ec else {})}
        details = {
            "Code": self.code,
            "Message": self.message,
            "RequestId": request_id,
            "HostId": "modelcall",
            "Resource": resource,
            "EC": self.ec,
        }
        body = b"" if method == "HEAD" or self.status == 304 else orjson.dumps(details)  # noqa: PLR2004  no body there
        return Answer(self.status, headers, body, code=self.code)


class Dropped(Exception):  # noqa: N818  what happened, on purpose or by the client
    """The connection is over; there is nobody to answer."""


def no_such_key(key: str) -> Refused:
    """Return the refusal of a key that is not there."""
    return Refused(404, "NoSuchKey", f"The specified key does not exist: {key}", ec="0017-00000003")


def no_such_bucket(bucket: str) -> Refused:
    """Return the refusal of a bucket that is not there."""
    return Refused(404, "NoSuchBucket", f"The specified bucket does not exist: {bucket}", ec="0006-00000001")


def invalid(message: str, *, code: str = "InvalidArgument") -> Refused:
    """Return the refusal of a request that makes no sense."""
    return Refused(400, code, message)
