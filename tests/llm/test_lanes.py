"""Both lanes against real sockets: every fault of the transport gets the same verdict in either."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import ssl
import warnings
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, get_args

import aiohttp
import pytest

from modelcall.llm import aiohttp_lane
from modelcall.llm.attempt import Answer, Attempts
from modelcall.llm.endpoint import Endpoint
from modelcall.llm.limits import AdaptiveLimit
from modelcall.llm.settings import Adaptive, Lane
from modelcall.llm.transport import LANES, FaultKind, Transport, TransportFault, is_forbidden, open_lane, tls_context
from modelcall.llm.verdicts import Kind
from modelcall.types import ErrorType
from tests.llm.kit import KEY, completion, with_settings
from tests.llm.raw_server import Connection, RawServer, Request, Script, http, saying, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

lanes = pytest.mark.parametrize("lane", get_args(Lane))

BODY = b'{"model":"m","temperature":0,"messages":[{"role":"user","content":"x"}]}'


@asynccontextmanager
async def opened(lane: str, **changes: Any) -> AsyncIterator[Transport]:
    transport = open_lane(with_settings(lane=lane, **changes))
    try:
        yield transport
    finally:
        await transport.close()


async def attempt(lane: str, url: str, *, body: bytes = BODY, **changes: Any) -> Answer:
    settings = with_settings(lane=lane, **{"timeout": 5.0, **changes})
    async with opened(lane, **{"timeout": 5.0, **changes}) as transport:
        attempts = Attempts(settings, transport=transport, wall=lambda: 1.8e9)
        endpoint = Endpoint(url, AdaptiveLimit(ceiling=1, adaptive=Adaptive()))
        return await attempts.make(endpoint, body, "r1-1")


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def encoded(body: bytes, name: str) -> bytes:
    return http(body, headers=f"Content-Encoding: {name}\r\n")


async def reset(connection: Connection, _: Request) -> None:
    connection.reset()


async def reset_in_body(connection: Connection, _: Request) -> None:
    await connection.send(http(b"x" * 100, length=5000))
    await asyncio.sleep(0.01)
    connection.reset()


async def drip(connection: Connection, _: Request) -> None:
    await connection.send(http(b"", length=5000))
    while True:
        await connection.send(b"\n")
        await asyncio.sleep(0.01)


async def no_chunk_behind_the_head(connection: Connection, _: Request) -> None:
    await connection.send(chunked(b"{", end=b""))
    await asyncio.sleep(0.01)
    await connection.send(b"<html>\r\n")
    await connection.reader.read()


async def silence(connection: Connection, _: Request) -> None:
    await connection.reader.read()


GOOD = http()[http().index(b"\r\n\r\n") + 4 :]
RAW_DEFLATE = zlib.compressobj(wbits=-15)
DEFLATED = RAW_DEFLATE.compress(GOOD) + RAW_DEFLATE.flush()
BOMB = gzip.compress(b"\0" * 40_000_000)

BROKEN: dict[str, tuple[Script, str]] = {
    "closed without a byte": (saying(close=True), "disconnected"),
    "reset before the reply": (reset, "disconnected"),
    "reset in the body": (reset_in_body, "disconnected"),
    "short content-length": (saying(http(b"{}", length=5000), close=True), "disconnected"),
    "chunks without end": (saying(chunked(b"{", b"}", end=b""), close=True), "disconnected"),
    "bad chunk size": (saying(chunked(end=b"ZZ\r\n")), ""),
    "no chunk behind the head": (no_chunk_behind_the_head, "protocol"),
    "garbage": (saying(b"\x00\x01not http\r\n\r\n", close=True), "protocol"),
    "huge header": (saying(http(headers=f"X: {'y' * 300_000}\r\n"), close=True), ""),
    "two lengths": (saying(http(headers="Content-Length: 7\r\n"), close=True), "protocol"),
    "no gzip": (saying(encoded(b"ABCD", "gzip")), "body"),
    "cut gzip": (saying(encoded(gzip.compress(GOOD)[:-8], "gzip")), "body"),
    "unannounced brotli": (saying(encoded(b"\x0b\x02\x80", "br")), "body"),
    "bomb": (saying(encoded(BOMB, "gzip")), "body"),
    "too large": (saying(http(b"x" * 17_000_000)), "body"),
    "too large in chunks": (saying(chunked(*[b"x" * 1_000_000] * 17)), "body"),
    "html with 200": (saying(http(b"<html><title>502: Bad gateway</title></html>")), "not_json_reply"),
    "204": (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "not_json_reply"),
    "empty object": (saying(http({})), "no_choices"),
    "502 of nginx": (
        saying(http(b"<html><title>502 Bad Gateway</title></html>", status="502 Bad Gateway")),
        "server_down",
    ),
}


@lanes
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_reply_is_the_networks_fault(lane: str, name: str) -> None:
    script, cause = BROKEN[name]
    async with serving(script) as server:
        answer = await attempt(lane, server.url)
    assert answer.fault is not None
    assert answer.fault.verdict.kind is Kind.NETWORK
    assert answer.fault.verdict.cause == (cause or answer.fault.verdict.cause)
    assert not answer.fault.stale


WHOLE: dict[str, Script] = {
    "plain": saying(http()),
    "gzip": saying(encoded(gzip.compress(GOOD), "gzip")),
    "deflate": saying(encoded(zlib.compress(GOOD), "deflate")),
    "raw deflate": saying(encoded(DEFLATED, "deflate")),
    "chunks": saying(chunked(GOOD[:7], GOOD[7:])),
    "trailers": saying(chunked(GOOD, end=b"0\r\nX-T: 1\r\n\r\n")),
    "no reason": saying(http().replace(b"200 OK", b"200 ")),
    "100 twice": saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + http()),
    "old http": saying(http().replace(b"HTTP/1.1", b"HTTP/1.0"), close=True),
    "until close": saying(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD, close=True),
    "70 kB header": saying(http(headers=f"X: {'y' * 70_000}\r\n")),
    "bytes one by one": saying(*[bytes([byte]) for byte in http()]),
    "blank lines first": saying(chunked(b"\n", b"\n\n", GOOD)),
}


@lanes
@pytest.mark.parametrize("name", WHOLE)
async def test_an_odd_but_whole_reply_is_accepted(lane: str, name: str) -> None:
    async with serving(WHOLE[name]) as server:
        answer = await attempt(lane, server.url)
    assert answer.fault is None
    assert answer.reply is not None
    assert answer.reply.content == '{"score": 7}'


@lanes
@pytest.mark.parametrize("script", [drip, silence], ids=["drip", "silence"])
async def test_the_deadline_is_total(lane: str, script: Script) -> None:
    async with serving(script) as server:
        begun = asyncio.get_running_loop().time()
        answer = await attempt(lane, server.url, timeout=0.1)
        took = asyncio.get_running_loop().time() - begun
    assert answer.fault is not None
    assert answer.fault.verdict.cause == "timeout"
    assert took < 2.0


@lanes
async def test_a_refused_connection_and_an_unknown_name_are_connect_faults(lane: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refused = await attempt(lane, f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    unknown = await attempt(lane, "http://no-such-host.invalid/v1")
    assert [answer.fault.verdict.cause for answer in (refused, unknown) if answer.fault] == ["connect", "connect"]


@lanes
@pytest.mark.parametrize("name", ["a..b", "x" * 70 + ".com"])
async def test_a_name_that_none_can_have_is_a_connect_fault(lane: str, name: str) -> None:
    answer = await attempt(lane, f"http://{name}:8000/v1")
    assert answer.fault is not None
    assert answer.fault.verdict.cause == "connect"
    assert "cannot connect" in answer.fault.message


@lanes
async def test_headers_that_carry_a_key_do_not_stand_in_a_reason(lane: str) -> None:
    said = {"error": {"message": "wrong key canary-header-1 for canary-extra-2, canary-token-3, canary-query-4"}}
    async with serving(saying(http(said, status="401 Unauthorized"))) as server:
        extra = {
            "extra_headers": {"api-key": "canary-extra-2", "proxy-authorization": "Basic canary-token-3"},
            "extra_query": {"subscription": "canary-query-4"},
        }
        answer = await attempt(lane, server.url, headers={"X-Key": "canary-header-1"}, completions_params=extra)
    assert answer.fault is not None
    assert answer.fault.message.endswith("wrong key *** for ***, ***, ***")


@lanes
@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://[fe80::1]/v1"])
async def test_link_local_addresses_are_not_connected_to(lane: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: tried.append(address))
    answer = await attempt(lane, url, timeout=1.0)
    assert answer.fault is not None
    assert answer.fault.verdict.kind is Kind.FATAL
    assert answer.fault.verdict.cause == "address"
    assert tried == []


@pytest.mark.parametrize(
    ("address", "verdict"),
    [
        ("169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.1.1", True),
        ("10.0.0.1", False),
        ("x", False),
    ],
)
def test_link_local_addresses_are_known(address: str, verdict: bool) -> None:
    assert is_forbidden(address) is verdict


@lanes
async def test_the_sdk_lane_sends_nothing_to_a_forbidden_address(lane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"modelcall.llm.{lane}_lane.is_forbidden", lambda address: address == "127.0.0.1")
    async with serving(saying(http())) as server:
        answer = await attempt(lane, server.url)
        assert server.requests == []
    assert answer.fault is not None
    assert answer.fault.verdict.cause == "address"


@lanes
async def test_the_key_goes_to_its_host_and_not_along_a_redirect(lane: str) -> None:
    async with serving(saying(http())) as thief:
        moved = f"Location: {thief.url}/chat/completions\r\n"
        async with serving(saying(http(b"", status="307 Temporary Redirect", headers=moved))) as server:
            answer = await attempt(lane, server.url)
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert thief.requests == []
    assert answer.fault is not None
    assert (answer.fault.verdict.kind, answer.fault.verdict.cause) == (Kind.FATAL, "redirect")


@lanes
async def test_what_is_sent(lane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "ambient")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    params = {"extra_headers": {"X-Mine": "1"}, "extra_query": {"api-version": "7"}}
    async with serving(saying(http())) as server:
        await attempt(lane, server.url, completions_params=params, headers={"X-Team": "a"})
        [request] = server.requests
    assert request.head == "POST /v1/chat/completions?api-version=7 HTTP/1.1"
    sent = {name: request.headers[name] for name in ("x-request-id", "x-mine", "x-team", "content-type")}
    assert sent == {"x-request-id": "r1-1", "x-mine": "1", "x-team": "a", "content-type": "application/json"}
    assert "openai-organization" not in request.headers
    assert request.headers.get("x-stainless-retry-count", "0") == "0"
    assert request.json == {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "x"}]}


@lanes
async def test_without_a_key_no_authorization_is_sent(lane: str) -> None:
    async with serving(saying(http())) as server:
        await attempt(lane, server.url, api_key=None)
        assert "authorization" not in server.requests[0].headers


@lanes
async def test_a_large_body_is_sent_whole_and_without_a_warning(lane: str) -> None:
    text = "y" * 3_000_000
    body = BODY.replace(b'"x"', f'"{text}"'.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with serving(saying(http())) as server:
            answer = await attempt(lane, server.url, body=body)
            assert server.requests[0].json["messages"][0]["content"] == text
    assert answer.fault is None


@lanes
async def test_a_connection_closed_while_idle_is_nobodys_fault(lane: str) -> None:
    """The second request on a kept connection meets a server that closes it without an answer."""
    seen: set[int] = set()

    async def once(connection: Connection, _: Request) -> None:
        if id(connection.writer) in seen:
            connection.writer.close()
        else:
            seen.add(id(connection.writer))
            await connection.send(http())

    settings = with_settings(lane=lane)
    async with serving(once) as server, opened(lane) as transport:
        attempts = Attempts(settings, transport=transport, wall=lambda: 0.0)
        endpoint = Endpoint(server.url, AdaptiveLimit(ceiling=1, adaptive=Adaptive()))
        answers = [await attempts.make(endpoint, BODY, f"r1-{n}") for n in (1, 2)]
    assert answers[0].fault is None
    assert answers[1].fault is not None
    assert answers[1].fault.stale


@lanes
@pytest.mark.parametrize("status", ["500 no", "429 no", "408 no", "409 no", "503 no"])
async def test_nothing_below_us_asks_twice(lane: str, status: str) -> None:
    async with serving(saying(http(status=status, headers="retry-after-ms: 1\r\n"))) as server:
        await attempt(lane, server.url)
        assert len(server.requests) == 1


@lanes
async def test_connections_are_kept_and_used_again(lane: str) -> None:
    async with serving(saying(http())) as server, opened(lane) as transport:
        for number in range(5):
            await transport.send(server.url, {"x-request-id": f"r-{number}"}, BODY)
        assert server.connections == 1


@lanes
async def test_connections_that_the_server_closes_are_not_kept(lane: str) -> None:
    async with serving(saying(http(headers="Connection: close\r\n"))) as server, opened(lane) as transport:
        for number in range(3):
            await transport.send(server.url, {"x-request-id": f"r-{number}"}, BODY)
        assert server.connections == 3


@pytest.mark.parametrize(("lane", "late"), [("aiohttp", False), ("aiohttp", True), ("openai", True)])
async def test_a_reply_that_nobody_asked_for_answers_no_other_request(lane: str, late: bool) -> None:
    """The SDK's client takes one that comes with the asked one for the next (httpcore keeps what h11 has left)."""
    idle = asyncio.Event()

    async def twice(connection: Connection, request: Request) -> None:
        name = request.headers["x-request-id"]
        reply, unasked = http(completion(name)), http(completion("unasked"))
        await connection.send(reply if late else reply + unasked)
        if late:
            await idle.wait()
            await connection.send(unasked)

    async with serving(twice) as server, opened(lane) as transport:
        for name in ("r-1", "r-2", "r-3"):
            idle.clear()
            reply = await transport.send(server.url, {"x-request-id": name}, BODY)
            assert name.encode() in reply.body
            idle.set()
            for _ in range(5):
                await asyncio.sleep(0)


@lanes
async def test_closing_leaves_no_task_and_no_socket(lane: str) -> None:
    async with serving(saying(http())) as server:
        async with opened(lane) as transport:
            await transport.send(server.url, {}, BODY)
        await asyncio.sleep(0.01)
        ours = [task for task in asyncio.all_tasks() if "serve" not in repr(task.get_coro())]
        assert ours == [asyncio.current_task()]


@lanes
async def test_an_untrusted_certificate_is_a_tls_fault(lane: str, tmp_path: Any) -> None:
    context = self_signed(tmp_path)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        answer = await attempt(lane, f"https://127.0.0.1:{port}/v1")
    finally:
        server.close()
        await server.wait_closed()
    assert answer.fault is not None
    assert (answer.fault.verdict.kind, answer.fault.verdict.cause) == (Kind.FATAL, "tls")


@lanes
async def test_a_tls_connection_is_used_again_and_closed_with_the_lane(
    lane: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = self_signed(tmp_path, name="subjectAltName=IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    tls_context.cache_clear()  # it is made once a process
    raw = RawServer(saying(http()))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=context)
    try:
        async with opened(lane) as transport:
            for _ in range(3):
                port = server.sockets[0].getsockname()[1]
                assert (await transport.send(f"https://127.0.0.1:{port}/v1", {}, BODY)).status == 200
            assert raw.connections == 1
        await asyncio.gather(*raw.tasks)  # they end when the client has closed
        gc.collect()  # an open transport would warn
    finally:
        tls_context.cache_clear()
        server.close()
        await server.wait_closed()


def self_signed(folder: Any, *, name: str = "") -> ssl.SSLContext:
    import subprocess  # noqa: PLC0415  only here

    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", name] if name else []
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@lanes
async def test_a_refusal_before_the_body_was_read_is_the_rows(lane: str) -> None:
    """nginx answers 413 and closes while the body is still on its way."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = b"<html><title>413 Request Entity Too Large</title></html>"
        writer.write(http(page, status="413 Request Entity Too Large", headers="Connection: close\r\n"))
        await writer.drain()
        await reader.read(4_000_000)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        answer = await attempt(lane, url, body=BODY.replace(b'"x"', b'"' + b"y" * 500_000 + b'"'))
    finally:
        server.close()
    assert answer.fault is not None
    assert answer.fault.verdict.error_type is ErrorType.TOO_LONG


@lanes
async def test_the_key_never_stands_in_a_reason(lane: str) -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEY}, or Bearer {KEY}", "code": "invalid_api_key"}}
    async with serving(saying(http(said, status="401 Unauthorized"))) as server:
        answer = await attempt(lane, server.url)
    assert answer.fault is not None
    assert KEY not in answer.fault.message
    assert "Incorrect API key provided: ***" in answer.fault.message


@lanes
async def test_a_proxy_is_used_if_the_settings_name_one(lane: str) -> None:
    async with serving(saying(http())) as proxy:
        await attempt(lane, "http://model.invalid/v1", proxy=f"http://127.0.0.1:{proxy.port}")
        assert proxy.requests[0].head.startswith("POST http://model.invalid/v1/chat/completions")


@lanes
async def test_a_proxy_gets_its_credentials_with_every_request(lane: str) -> None:
    async with serving(saying(http())) as proxy:
        settings = {"proxy": f"http://user:secret@127.0.0.1:{proxy.port}"}
        async with opened(lane, **settings) as transport:
            for number in range(2):
                await transport.send("http://model.invalid/v1", {"x-request-id": f"r-{number}"}, BODY)
        sent = [request.headers["proxy-authorization"] for request in proxy.requests]
    assert sent == ["Basic dXNlcjpzZWNyZXQ="] * 2


@lanes
async def test_a_header_cannot_bring_another_one_along(lane: str) -> None:
    async with serving(saying(http())) as server, opened(lane) as transport:
        with pytest.raises((ValueError, TransportFault)):
            await transport.send(server.url, {"x-request-id": "r-1\r\nx-other: 1"}, BODY)
        assert server.requests == []


def test_every_exception_of_aiohttp_has_a_kind() -> None:
    known = tuple(kind for kind, _ in aiohttp_lane.FAULTS)
    errors = [
        value for value in vars(aiohttp).values() if isinstance(value, type) and issubclass(value, aiohttp.ClientError)
    ]
    assert len(errors) > 20
    assert [error.__name__ for error in errors if not issubclass(error, known)] == []


def test_a_reply_that_aiohttp_cannot_parse_is_no_answer_of_the_server() -> None:
    """aiohttp reports it with an invented status 400, which would make it the row's fault."""
    made_up = aiohttp.ClientResponseError(None, (), status=400)  # type: ignore[arg-type]
    assert next(kind for known, kind in aiohttp_lane.FAULTS if isinstance(made_up, known)) is FaultKind.PROTOCOL


def test_the_table_of_lanes_is_whole() -> None:
    assert set(LANES) == set(get_args(Lane))
    assert TransportFault(FaultKind.BODY, "x").stale is False
    assert completion()["choices"]
