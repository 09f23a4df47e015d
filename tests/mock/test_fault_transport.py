"""Every fault of the connection and of HTTP, byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pytest
import uvloop

from modelcall.mock.faults.encodings import brotli, zstd
from modelcall.mock.faults.transport import TRANSPORT_FAULTS
from tests.mock.client import CONTENT, Raw, connected, fixed_server, payload, request_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modelcall.mock.serving import RunningServer

    Check = Callable[[RunningServer, Raw], Awaitable[None]]

CHECKS: dict[str, Check] = {}
FAST = 1e-4
"""60 s become 6 ms."""


def check(*names: str) -> Callable[[Check], Check]:
    def register(function: Check) -> Check:
        CHECKS.update(dict.fromkeys(names, function))
        return function

    return register


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("name", [fault.name for fault in TRANSPORT_FAULTS])
def test_transport(name: str, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(played(name))


async def played(name: str) -> None:
    rule = f"{name}=1,at:1" + (",1ms" if name == "drip" else "")
    async with fixed_server(rule, time_scale=FAST) as server, connected(server) as raw:
        headers = "Expect: 100-continue\r\n" if name == "no_continue" else ""
        raw.send(request_bytes(headers=headers)[: -len(payload()) if headers else None])
        await CHECKS[name](server, raw)
        assert server.referee.report().faults == {name: 1}


def split(data: bytes) -> tuple[bytes, bytes]:
    head, found, body = data.partition(b"\r\n\r\n")
    assert found
    return head + found, body


def is_good(body: bytes) -> bool:
    return bool(orjson.loads(body)["choices"][0]["message"]["content"] == CONTENT)


async def next_is_good(raw: Raw) -> None:
    """The connection is kept and works."""
    raw.send(request_bytes(label="row-2"))
    assert is_good((await raw.reply()).body)


async def resets(raw: Raw) -> None:
    with pytest.raises(ConnectionResetError):
        await raw.to_end()


@check("silence", "no_continue")
async def silent(server: RunningServer, raw: Raw) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.reader.read(1), 0.02)
    assert server.referee.in_flight == 1
    raw.writer.close()
    while server.referee.in_flight:
        await asyncio.sleep(0)
    assert server.referee.report().abandoned == 1


@check("refused", "restart")
async def refused(server: RunningServer, raw: Raw) -> None:
    await resets(raw)
    if not server.listener._accepting:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
    while not server.listener._accepting:
        await asyncio.sleep(0)
    async with connected(server) as again:
        await next_is_good(again)


@check("never_accepted")
async def never_accepted(server: RunningServer, raw: Raw) -> None:
    await resets(raw)
    while not server.listener._accepting:
        await asyncio.sleep(0)
    async with connected(server) as again:
        await next_is_good(again)


@check("late_headers", "late")
async def late(_server: RunningServer, raw: Raw) -> None:
    began = time.monotonic()
    assert is_good((await raw.reply()).body)
    assert time.monotonic() - began > 0.005
    await next_is_good(raw)


@check("drip")
async def drip(_server: RunningServer, raw: Raw) -> None:
    pieces: list[bytes] = []
    while b"\r\n\r\n" not in b"".join(pieces) or not b"".join(pieces).endswith(b"}}"):
        pieces.append(await raw.reader.read(1 << 16))
    head, body = split(b"".join(pieces))
    assert f"content-length: {len(body)}\r\n".encode() in head
    assert is_good(body)
    assert len(pieces) > 5


@check("blank_lines")
async def blank_lines(_server: RunningServer, raw: Raw) -> None:
    head, body = split(await raw.until(lambda data: data.endswith(b"0\r\n\r\n")))
    assert b"transfer-encoding: chunked\r\n" in head
    assert body.startswith(b"1\r\n\n\r\n" * 80)
    assert is_good(chunks(body[len(b"1\r\n\n\r\n") * 80 :]))


def chunks(data: bytes) -> bytes:
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return body
        body, data = body + data[:size], data[size + 2 :]


@check("blank_lines_for_ever")
async def blank_for_ever(_server: RunningServer, raw: Raw) -> None:
    await raw.until(lambda data: data.count(b"1\r\n\n\r\n") > 100)


@check("comments_for_ever")
async def comments_for_ever(_server: RunningServer, raw: Raw) -> None:
    await raw.until(lambda data: data.count(b"e\r\n: keep-alive\n\n\r\n") > 100)


@check("half_then_silence")
async def half(_server: RunningServer, raw: Raw) -> None:
    await raw.until(lambda data: b'{"id":"chatcmpl-row-1"' in data)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.reader.read(1), 0.02)


@check("reset")
async def reset(_server: RunningServer, raw: Raw) -> None:
    await resets(raw)
    assert raw.seen == b""


@check("reset_midway")
async def reset_midway(_server: RunningServer, raw: Raw) -> None:
    await resets(raw)


@check("closed")
async def closed(_server: RunningServer, raw: Raw) -> None:
    assert await raw.to_end() == b""


@check("closed_midway")
async def closed_midway(_server: RunningServer, raw: Raw) -> None:
    head, body = split(await raw.to_end())
    assert body.startswith(b'{"id":')
    announced = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert announced // 2 <= len(body) <= announced // 2 + 1


@check("closed_in_head")
async def closed_in_head(_server: RunningServer, raw: Raw) -> None:
    assert await raw.to_end() == b"HTTP/1.1 200 OK\r\ncontent-ty"


@check("idle_close", "idle_close_announced")
async def idle_close(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert is_good(reply.body)
    assert reply.headers.get("keep-alive") in {None, "timeout=5"}
    assert await raw.to_end() == b""


@check("stale")
async def stale(_server: RunningServer, raw: Raw) -> None:
    assert is_good((await raw.reply()).body)
    raw.send(request_bytes(label="row-2"))
    assert await raw.to_end() == b""


@check("connection_close")
async def connection_close(_server: RunningServer, raw: Raw) -> None:
    head, body = split(await raw.to_end())
    assert b"connection: close\r\n" in head
    assert is_good(body)


@check("short_body")
async def short_body(_server: RunningServer, raw: Raw) -> None:
    head, body = split(await raw.to_end())
    assert b"content-length: 5000\r\n" in head
    assert 300 < len(body) <= 312


@check("chunks_cut")
async def chunks_cut(_server: RunningServer, raw: Raw) -> None:
    _, body = split(await raw.to_end())
    assert is_good(chunks(body + b"0\r\n\r\n"))


@check("bad_chunk_size")
async def bad_chunk_size(_server: RunningServer, raw: Raw) -> None:
    assert b"\r\nZZ\r\n" in await raw.to_end()


@check("chunk_extension", "trailers", "chunked")
async def chunked(_server: RunningServer, raw: Raw) -> None:
    data = await raw.until(lambda data: b"\r\n0\r\n" in data and data.endswith(b"\r\n\r\n"))
    assert is_good(chunks(split(data)[1]))
    assert (b';a="b"\r\n' in data) or (b"0\r\nx-sum: 1\r\n\r\n" in data) or data.count(b"\r\n{") == 1
    raw.seen = b""
    await next_is_good(raw)


@check("gzip_garbage")
async def gzip_garbage(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert (reply.headers["content-encoding"], reply.body) == ("gzip", b"ABCD")


@check("gzip_plain")
async def gzip_plain(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert reply.headers["content-encoding"] == "gzip"
    assert is_good(reply.body)


@check("gzip_cut")
async def gzip_cut(_server: RunningServer, raw: Raw) -> None:
    body = (await raw.reply()).body
    with pytest.raises(EOFError):
        gzip.decompress(body)
    assert is_good(zlib.decompressobj(31).decompress(body))


@check("brotli", "zstd")
async def encoded(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    codec = {"br": "brotli", "zstd": "zstd"}[reply.headers["content-encoding"]]
    assert is_good(unpacked(reply.body, codec, 1 << 16))


def unpacked(data: bytes, codec: str, size: int) -> bytes:
    return bytes(pa.CompressedInputStream(pa.BufferReader(data), codec).read(size))


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 300_000])
def test_handmade_streams_are_valid(size: int) -> None:
    body = bytes(index * 7 % 251 for index in range(size))
    assert unpacked(brotli(body), "brotli", size + 1) == body
    assert unpacked(zstd(body), "zstd", size + 1) == body


@check("gzip_bomb")
async def gzip_bomb(_server: RunningServer, raw: Raw) -> None:
    data = await raw.until(lambda data: len(data) > 200_000)
    inflater, sent = zlib.decompressobj(31), b""
    rest = split(data)[1]
    while len(rest) > 20_000:
        size = int(rest.partition(b"\r\n")[0], 16)
        start = rest.index(b"\r\n") + 2
        sent, rest = sent + rest[start : start + size], rest[start + size + 2 :]
    inflated = sum(len(inflater.decompress(sent[at : at + 4096])) for at in range(0, len(sent), 4096))
    assert inflated > 500 * len(sent)


@check("garbage")
async def garbage(_server: RunningServer, raw: Raw) -> None:
    assert await raw.to_end() == b"\x00\x01not http\r\n\r\n"


@check("http_2")
async def http_2(_server: RunningServer, raw: Raw) -> None:
    assert (await raw.to_end()).startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


@check("no_reason")
async def no_reason(_server: RunningServer, raw: Raw) -> None:
    assert (await raw.until(lambda data: b"\r\n\r\n" in data)).startswith(b"HTTP/1.1 200\r\n")
    assert is_good((await raw.reply()).body)


@check("http_1_0")
async def http_1_0(_server: RunningServer, raw: Raw) -> None:
    head, body = split(await raw.to_end())
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert is_good(body)


@check("continue_twice")
async def continue_twice(_server: RunningServer, raw: Raw) -> None:
    assert [(await raw.reply()).status for _ in range(2)] == [100, 100]
    assert is_good((await raw.reply()).body)


@check("early_hints")
async def early_hints(_server: RunningServer, raw: Raw) -> None:
    hints = await raw.reply()
    assert (hints.status, hints.headers["link"]) == (103, "</style.css>; rel=preload")
    assert is_good((await raw.reply()).body)


@check("long_header")
async def long_header(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert len(reply.headers["x-long"]) == 70_000
    assert is_good(reply.body)


@check("header_injection")
async def header_injection(_server: RunningServer, raw: Raw) -> None:
    assert b"x-a: b\rc\nset-cookie: d\r\n" in await raw.to_end()


@check("two_lengths")
async def two_lengths(_server: RunningServer, raw: Raw) -> None:
    head = split(await raw.to_end())[0].lower()
    assert head.count(b"content-length: ") == 2
    assert b"content-length: 7\r\n" in head


@check("no_content")
async def no_content(_server: RunningServer, raw: Raw) -> None:
    assert await raw.until(lambda data: b"\r\n\r\n" in data) == b"HTTP/1.1 204 No Content\r\n\r\n"


@check("partial_content")
async def partial_content(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert reply.status == 206
    assert reply.headers["content-range"].startswith(f"bytes 0-{len(reply.body) - 1}/")


@check("skewed_date")
async def skewed_date(_server: RunningServer, raw: Raw) -> None:
    reply = await raw.reply()
    assert reply.headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert is_good(reply.body)


def test_every_transport_fault_is_checked() -> None:
    assert set(CHECKS) == {fault.name for fault in TRANSPORT_FAULTS}
