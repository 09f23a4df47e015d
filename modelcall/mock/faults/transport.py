"""Faults of the connection and of HTTP itself."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from modelcall.mock.faults.base import Fault, Scene, Verdict
from modelcall.mock.faults.encodings import ENCODING_FAULTS
from modelcall.mock.wire import (
    JSON_TYPE,
    LAST_CHUNK,
    Beat,
    CloseIdle,
    CloseOnNext,
    Drip,
    Fin,
    GoDown,
    Hold,
    Reset,
    Send,
    Wait,
    chunk,
    chunked_head,
    head,
    reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Script

_BEAT = 0.25
_LONG_HEADER = "x" * 70_000


def _network(
    name: str,
    number: int,
    about: str,
    script: Callable[[Scene], Script],
    *,
    also: Verdict | None = None,
    brief: bool = True,
) -> Fault:
    return Fault(name, number, about, Verdict.NETWORK, script, also=also, brief=brief)


def _accept(
    name: str, number: int, about: str, script: Callable[[Scene], Script], *, also: Verdict | None = None
) -> Fault:
    return Fault(name, number, about, Verdict.ACCEPT, script, also=also, brief=False)


def _silence() -> Iterable[Fault]:
    yield _network("silence", 45, "the request is read, nothing ever comes", lambda _: (Hold(),), brief=False)
    yield _network(
        "refused", 45, "connections are refused, up again 10 s later", lambda s: (GoDown(s.lasting(10)),), brief=False
    )
    yield _network(
        "never_accepted",
        45,
        "connections wait in a full backlog, up again 10 s later",
        lambda s: (GoDown(s.lasting(10), "ignore"),),
        brief=False,
    )
    yield _network(
        "restart", 59, "all connections drop, up again 1 s later", lambda s: (GoDown(s.lasting(1)),), brief=False
    )
    yield _accept(
        "late_headers",
        46,
        "the reply begins after 60 s",
        lambda s: (Wait(s.lasting(60)), Send(s.good())),
        also=Verdict.NETWORK,
    )
    yield _network(
        "late",
        60,
        "the reply comes 1.5 s after a deadline of 300 s",
        lambda s: (Wait(s.lasting(301.5)), Send(s.good())),
        brief=False,
    )
    yield _network("drip", 47, "the body comes one byte a second", _drip, brief=False)
    yield _accept("blank_lines", 48, "blank lines for 20 s, then the body", _blank_lines, also=Verdict.NETWORK)
    yield _network(
        "blank_lines_for_ever",
        48,
        "blank lines for ever",
        lambda _: (Send(chunked_head()), Beat(chunk(b"\n"), _BEAT)),
        brief=False,
    )
    comments = Beat(chunk(b": keep-alive\n\n"), _BEAT)
    yield _network(
        "comments_for_ever",
        48,
        "`: keep-alive` lines for ever",
        lambda _: (Send(chunked_head()), comments),
        brief=False,
    )
    yield _network(
        "half_then_silence", 45, "half of the reply, then nothing", lambda s: (Send(_half(s)), Hold()), brief=False
    )


def _half(scene: Scene) -> bytes:
    data = scene.good()
    return data[: len(data) - len(scene.body()) // 2]


def _drip(scene: Scene) -> Script:
    body = scene.body()
    start = head(200, {"content-type": JSON_TYPE, "content-length": str(len(body))})
    return (Send(start), Drip(body, scene.lasting(1)))


def _blank_lines(scene: Scene) -> Script:
    beats = max(1, round(scene.lasting(20) / _BEAT))
    return (Send(chunked_head()), Beat(chunk(b"\n"), _BEAT, beats), Send(chunk(scene.body()) + LAST_CHUNK))


def _closed() -> Iterable[Fault]:
    yield _network("reset", 49, "RST before the reply", lambda _: (Reset(),))
    yield _network("reset_midway", 49, "RST after half of the body", lambda s: (Send(_half(s)), Reset()))
    yield _network("closed", 49, "closed with no byte sent", lambda _: (Fin(),))
    yield _network("closed_midway", 49, "closed after half of the body", lambda s: (Send(_half(s)), Fin()))
    yield _network(
        "closed_in_head",
        49,
        "closed in the middle of the headers",
        lambda _: (Send(b"HTTP/1.1 200 OK\r\ncontent-ty"), Fin()),
    )
    yield _accept(
        "idle_close",
        55,
        "a good reply; the idle connection is closed 1 s later",
        lambda s: (Send(s.good()), CloseIdle(s.lasting(1))),
    )
    promised = {"keep-alive": "timeout=5"}
    yield _accept(
        "idle_close_announced",
        55,
        "as idle_close after 5 s, announced as timeout=5",
        lambda s: (Send(s.good(promised)), CloseIdle(s.lasting(5))),
    )
    yield _accept(
        "stale",
        55,
        "a good reply; closed while the next request is being written",
        lambda s: (Send(s.good()), CloseOnNext()),
    )
    yield _accept(
        "connection_close",
        55,
        "a good reply with connection: close",
        lambda s: (Send(s.good({"connection": "close"})), Fin()),
    )


def _framing() -> Iterable[Fault]:
    short = head(200, {"content-type": JSON_TYPE, "content-length": "5000"})
    yield _network(
        "short_body",
        50,
        "content-length 5000, at most 312 bytes, closed",
        lambda s: (Send(short + s.body()[:312]), Fin()),
    )
    yield _network("chunks_cut", 50, "two chunks, closed without the last one", lambda s: (Send(_chunks(s)), Fin()))
    yield _network(
        "bad_chunk_size", 50, "a chunk of size ZZ", lambda s: (Send(_chunks(s) + b"ZZ\r\nabc\r\n" + LAST_CHUNK), Fin())
    )
    yield _accept(
        "chunk_extension",
        50,
        "chunks with an extension",
        lambda s: (Send(chunked_head() + chunk(s.body(), extension=';a="b"') + LAST_CHUNK),),
    )
    yield _accept(
        "trailers",
        50,
        "a trailer after the chunks",
        lambda s: (Send(chunked_head({"trailer": "x-sum"}) + chunk(s.body()) + b"0\r\nx-sum: 1\r\n\r\n"),),
    )
    yield _accept("chunked", 50, "a good reply in chunks", lambda s: (Send(_chunks(s) + LAST_CHUNK),))


def _chunks(scene: Scene) -> bytes:
    body = scene.body()
    middle = len(body) // 2
    return chunked_head() + chunk(body[:middle]) + chunk(body[middle:])


def _protocol() -> Iterable[Fault]:
    yield _network("garbage", 53, "bytes that are no HTTP", lambda _: (Send(b"\x00\x01not http\r\n\r\n"), Fin()))
    yield _accept(
        "no_reason", 53, "a status line without a reason", lambda s: (Send(s.good().replace(b"200 OK", b"200", 1)),)
    )
    yield _accept(
        "http_1_0", 53, "HTTP/1.0, closed", lambda s: (Send(s.good().replace(b"HTTP/1.1", b"HTTP/1.0", 1)), Fin())
    )
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    yield _network("http_2", 53, "an HTTP/2 preface", lambda _: (Send(preface), Fin()))
    yield _accept(
        "continue_twice", 53, "100 Continue twice before the reply", lambda s: (Send(head(100, {}) * 2 + s.good()),)
    )
    hints = head(103, {"link": "</style.css>; rel=preload"})
    yield _accept(
        "early_hints", 53, "103 Early Hints before the reply", lambda s: (Send(hints + s.good()),), also=Verdict.NETWORK
    )
    yield Fault(
        "no_continue",
        53,
        "100 Continue is never sent to who waits for it",
        Verdict.NETWORK,
        lambda _: (Hold(),),
        early=True,
        brief=False,
    )
    yield _network(
        "long_header", 53, "a header of 70 kB", lambda s: (Send(s.good({"x-long": _LONG_HEADER})),), also=Verdict.ACCEPT
    )
    yield _network(
        "header_injection",
        53,
        "a bare CR and LF in a header",
        lambda s: (Send(s.good({"x-a": "b\rc\nset-cookie: d"})), Fin()),
        also=Verdict.ACCEPT,
    )
    yield _network(
        "two_lengths",
        53,
        "two content-lengths that differ",
        lambda s: (Send(s.good({"Content-Length": "7"})), Fin()),
        also=Verdict.VALIDATION,
    )
    yield _network("no_content", 53, "204", lambda _: (Send(head(204, {})),))
    yield _network("partial_content", 53, "206 with half of the body", _partial)
    skewed = {"date": formatdate(0, usegmt=True)}
    yield _accept("skewed_date", 62, "a Date header of 1970", lambda s: (Send(s.good(skewed)),))


def _partial(scene: Scene) -> Script:
    body = scene.body()
    half = body[: len(body) // 2]
    return (Send(reply(206, half, {"content-range": f"bytes 0-{len(half) - 1}/{len(body)}"})),)


TRANSPORT_FAULTS = (*_silence(), *_closed(), *_framing(), *ENCODING_FAULTS, *_protocol())
