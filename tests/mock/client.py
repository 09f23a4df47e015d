"""A client that shows every byte: raw sockets, no HTTP library."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.mock.completion import Answer
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.serving import RunningServer, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from modelcall.mock.asking import ChatAsk

CONTENT = '{"score":4,"quality_tags":["a"]}'
PATIENCE = 10.0
"""Seconds until a test gives up."""


def fixed_judge(_: ChatAsk) -> Answer:
    return Answer(CONTENT, "stop", 9, 4)


def options(*faults: str, **changes: Any) -> MockOptions:
    return MockOptions(faults=parse_faults(faults), **changes)


@contextlib.asynccontextmanager
async def fixed_server(*faults: str, **changes: Any) -> AsyncIterator[RunningServer]:
    async with serve(options(*faults, **changes), judge=fixed_judge) as server:
        yield server


def payload(text: str = "a text", **fields: Any) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields})


def request_bytes(body: bytes | None = None, *, label: str | None = "row-1", headers: str = "") -> bytes:
    body = payload() if body is None else body
    lines = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{headers}"
    return f"{lines}{f'x-request-id: {label}' if label else 'x-none: 1'}\r\n\r\n".encode() + body


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def message(self) -> Any:
        return self.json["choices"][0]["message"]


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.seen = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, enough: Callable[[bytes], bool]) -> bytes:
        """Read until the bytes are enough; the connection may stay open."""
        while not enough(self.seen):
            data = await asyncio.wait_for(self.reader.read(1 << 16), PATIENCE)
            if not data:
                raise AssertionError(f"closed after {self.seen[:200]!r}")
            self.seen += data
        return self.seen

    async def to_end(self) -> bytes:
        """Read until FIN; RST raises ConnectionResetError."""
        return self.seen + await asyncio.wait_for(self.reader.read(-1), PATIENCE)

    async def reply(self) -> Reply:
        """Read one response with a Content-Length; what follows stays."""
        seen = await self.until(lambda data: b"\r\n\r\n" in data)
        start, _, rest = seen.partition(b"\r\n\r\n")
        lines = start.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        whole = len(start) + 4 + length
        await self.until(lambda data: len(data) >= whole)
        self.seen, body = self.seen[whole:], self.seen[whole - length : whole]
        del rest
        return Reply(int(lines[0].split(" ")[1]), headers, body)


@contextlib.asynccontextmanager
async def connected(server: RunningServer) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(
    server: RunningServer, body: bytes | None = None, *, label: str | None = "row-1", headers: str = ""
) -> Reply:
    async with connected(server) as raw:
        raw.send(request_bytes(body, label=label, headers=headers))
        return await raw.reply()


async def get(server: RunningServer, path: str, *, method: str = "GET", body: bytes = b"") -> Reply:
    async with connected(server) as raw:
        raw.send(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return await raw.reply()
