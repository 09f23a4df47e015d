"""Requests out of bytes: HTTP/1.1 (RFC 9112) with Content-Length and chunked bodies, and limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_HEAD = 64 << 10
_MAX_CHUNK_LINE = 4 << 10
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/1\.[01]")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")


class BadHttp(Exception):  # noqa: N818  the client's mistake
    """The bytes are no request this server reads; ``status`` is the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body."""

    method: str
    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """By lower-case name; repeated ones joined with commas."""
    keep_alive: bool
    length: int | None
    """Bytes of the body; None: it comes in chunks."""
    expects_continue: bool


class RequestReader:
    """Fed with bytes, gives heads and bodies in turn. Whatever follows a request stays for the next."""

    def __init__(self, *, max_body: int) -> None:
        self._buffer = bytearray()
        self._max_body = max_body
        self._body = bytearray()
        self._in_trailers = False

    @property
    def waiting(self) -> int:
        """Bytes not read yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data

    def head(self) -> Head | None:
        """Return the next request's head, or None if it is not all there.

        Raises:
            BadHttp: It is malformed or too large.
        """
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request are ignored
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end > _MAX_HEAD or (end < 0 and len(self._buffer) > _MAX_HEAD):
            raise BadHttp(431, f"The request's headers are larger than {_MAX_HEAD} bytes.")
        if end < 0:
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        return _head(lines)

    def body(self, head: Head) -> bytes | None:
        """Return the body that belongs to ``head``, or None if it is not all there.

        Raises:
            BadHttp: It is malformed or too large.
        """
        if head.length is None:
            return self._chunks()
        if head.length > self._max_body:
            raise BadHttp(413, f"The body is larger than {self._max_body} bytes.")
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        return body

    def _chunks(self) -> bytes | None:
        while not self._in_trailers:
            line_end = self._buffer.find(b"\r\n", 0, _MAX_CHUNK_LINE)
            if line_end < 0:
                self._check_line()
                return None
            size = _chunk_size(bytes(self._buffer[:line_end]))
            if len(self._body) + size > self._max_body:
                raise BadHttp(413, f"The body is larger than {self._max_body} bytes.")
            if not self._take_chunk(line_end + 2, size):
                return None
        return self._end_of_chunks()

    def _take_chunk(self, start: int, size: int) -> bool:
        """Move one chunk to the body; False if it is not all there."""
        if size == 0:
            del self._buffer[:start]
            self._in_trailers = True
            return True
        end = start + size
        if len(self._buffer) < end + 2:
            return False
        if self._buffer[end : end + 2] != b"\r\n":
            raise BadHttp(400, "A chunk is longer than its size says.")
        self._body += self._buffer[start:end]
        del self._buffer[: end + 2]
        return True

    def _end_of_chunks(self) -> bytes | None:
        """Skip trailers up to the empty line."""
        while (line_end := self._buffer.find(b"\r\n", 0, _MAX_CHUNK_LINE)) >= 0:
            del self._buffer[: line_end + 2]
            if line_end == 0:
                body, self._body, self._in_trailers = bytes(self._body), bytearray(), False
                return body
        self._check_line()
        return None

    def _check_line(self) -> None:
        if len(self._buffer) >= _MAX_CHUNK_LINE:
            raise BadHttp(400, "A line of a chunked body is too long.")


def _chunk_size(line: bytes) -> int:
    found = _CHUNK_SIZE.fullmatch(line)
    if found is None:
        raise BadHttp(400, "A chunk has no valid size.")
    return int(found[1], 16)


def _head(lines: list[bytes]) -> Head:
    parts = lines[0].split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1]:  # noqa: PLR2004  method, target, version
        raise BadHttp(400, "The request line is malformed.")
    if not _VERSION.fullmatch(parts[2]):
        raise BadHttp(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    headers = _headers(lines[1:])
    modern = parts[2] == b"HTTP/1.1"
    if modern and "host" not in headers:
        raise BadHttp(400, "The Host header is missing.")
    return Head(
        method=parts[0].decode("ascii"),
        path=parts[1].partition(b"?")[0].decode("latin-1"),
        headers=headers,
        keep_alive=modern and "close" not in headers.get("connection", "").lower(),
        length=_length(headers),
        expects_continue=modern and headers.get("expect", "").lower() == "100-continue",
    )


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or b"\r" in value or b"\n" in value or b"\0" in value:
            raise BadHttp(400, "A header line is malformed.")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _length(headers: Mapping[str, str]) -> int | None:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length", "0")
    if coding is not None:
        if "content-length" in headers:
            raise BadHttp(400, "Both Transfer-Encoding and Content-Length are given.")
        if coding.strip().lower() != "chunked":
            raise BadHttp(501, "The only Transfer-Encoding known here is chunked.")
        return None
    if not _LENGTH.fullmatch(length):
        raise BadHttp(400, "The Content-Length is no single number.")
    return int(length)
