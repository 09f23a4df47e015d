"""What a fault of the transport is told as: words of the system, no class of a library."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.llm.telling import told
from modelcall.llm.transport import FaultKind
from tests.llm.raw_server import saying, serving
from tests.llm.test_lanes import attempt, lanes, reset, self_signed

if TYPE_CHECKING:
    from tests.llm.raw_server import Connection, Request, Script


async def reason(lane: str, url: str) -> str:
    answer = await attempt(lane, url)
    assert answer.fault is not None
    return answer.fault.message


async def half_a_head(connection: Connection, _: Request) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    connection.writer.close()


@lanes
async def test_a_refused_connection(lane: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert (
            await reason(lane, f"http://127.0.0.1:{port}/v1") == f"127.0.0.1:{port}: cannot connect: connection refused"
        )


@lanes
async def test_an_unknown_name(lane: str) -> None:
    told_as = await reason(lane, "http://no-such-host.invalid/v1")
    assert told_as.startswith("no-such-host.invalid: cannot connect: ")
    assert "Error" not in told_as


@lanes
async def test_a_certificate_that_nobody_vouches_for(lane: str, tmp_path: Any) -> None:
    context = self_signed(tmp_path)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        told_as = await reason(lane, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    assert told_as.endswith(": no trusted connection: self-signed certificate")


@lanes
@pytest.mark.parametrize(
    ("script", "words"),
    [
        (reset, "the connection broke before the reply was whole"),
        (half_a_head, "the connection broke before the reply was whole"),
        (saying(b"\x00\x01not http\r\n\r\n"), "the reply is not HTTP as we can read it"),
    ],
)
async def test_a_broken_reply_is_one_plain_line(lane: str, script: Script, words: str) -> None:
    async with serving(script) as server:
        told_as = await reason(lane, server.url)
    assert words in told_as
    for dumped in ("Error", "<", "\n", "url="):
        assert dumped not in told_as


def test_the_innermost_reason_of_the_system_is_told() -> None:
    outer = RuntimeError("All connection attempts failed")
    outer.__cause__ = OSError(errno.EHOSTUNREACH, "rewritten by a library")
    assert told(FaultKind.CONNECT, outer) == "cannot connect: no route to host"
    assert told(FaultKind.CONNECT, RuntimeError("first\nsecond")) == "cannot connect: first"
