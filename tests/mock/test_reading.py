"""Requests out of bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.mock.reading import BadHttp, RequestReader

SIZED = b"POST /x?y=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n02\r\nlo\r\n0\r\nx-sum: 1\r\n\r\n"
)
BARE = b"GET / HTTP/1.0\r\n\r\n"


def read_all(reader: RequestReader, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    head = None
    for piece in pieces:
        reader.feed(piece)
        while True:
            head = head or reader.head()
            body = reader.body(head) if head else None
            if head is None or body is None:
                break
            found.append((head.path, body))
            head = None
    return found


@given(st.lists(st.integers(0, len(SIZED + CHUNKED + BARE + SIZED)), max_size=30))
def test_requests_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    stream = SIZED + CHUNKED + BARE + SIZED
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    found = read_all(RequestReader(max_body=100), pieces)
    assert found == [("/x", b"hello"), ("/c", b"hello"), ("/", b""), ("/x", b"hello")]


def test_a_head_is_understood() -> None:
    reader = RequestReader(max_body=100)
    reader.feed(b"\r\n" + SIZED)
    head = reader.head()
    assert head is not None
    assert (head.method, head.path, head.length, head.keep_alive) == ("POST", "/x", 5, True)
    assert head.headers == {"host": "h", "x-a": "1,2", "content-length": "5"}
    assert not head.expects_continue


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1|Host: h|no colon", 400),
        ("GET / HTTP/1.1|Host : h", 400),
        ("GET / HTTP/1.1|Host: h| folded", 400),
        ("GET / HTTP/1.1|Host: h|a: b\nc: d", 400),
        ("GET / HTTP/1.1|Host: h|Content-Length: -1", 400),
        ("GET / HTTP/1.1|Host: h|Content-Length: 1|Content-Length: 2", 400),
        ("GET / HTTP/1.1|Host: h|Content-Length: 1|Transfer-Encoding: chunked", 400),
        ("GET / HTTP/1.1|Host: h|Transfer-Encoding: gzip", 501),
        ("GET / HTTP/1.1|Host: h|x: " + "y" * 70_000, 431),
    ],
)
def test_malformed_heads_are_refused(lines: str, status: int) -> None:
    reader = RequestReader(max_body=100)
    reader.feed((lines.replace("|", "\r\n") + "\r\n\r\n").encode())
    with pytest.raises(BadHttp) as caught:
        reader.head()
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"zz\r\n", 400),
        (b"-1\r\n", 400),
        (b"3\r\nabcd\r\n", 400),
        (b"65\r\n", 413),
        (b"3\r\nabc\r\n62\r\n", 413),
        (b"1" * 5000, 400),
        (b"0\r\n" + b"t" * 5000, 400),
    ],
)
def test_malformed_chunks_are_refused(body: bytes, status: int) -> None:
    reader = RequestReader(max_body=100)
    reader.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    head = reader.head()
    assert head is not None
    with pytest.raises(BadHttp) as caught:
        reader.body(head)
    assert caught.value.status == status


def test_an_announced_body_that_is_too_large_is_refused_before_it_comes() -> None:
    reader = RequestReader(max_body=100)
    reader.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n")
    head = reader.head()
    assert head is not None
    with pytest.raises(BadHttp) as caught:
        reader.body(head)
    assert caught.value.status == 413
