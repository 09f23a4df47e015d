"""Clients that leave, and clients that are refused while they send."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
import requests
from tos.enum import HttpMethodType
from tos.exceptions import TosClientError

from tests.mock_tos.sdk import BUCKET, connected, refused

if TYPE_CHECKING:
    from tos import TosClientV2

    from modelcall.mock.tos.thread import LocalTos

PATIENCE = 10.0
LARGE = bytes(8 << 20)


def wait_until_idle(tos: LocalTos, requests: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        report = tos.log.report()
        if (report["requests"], report["in_flight"]) == (requests, 0):
            return
    raise AssertionError(tos.log.report())


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_client_that_dies_while_it_sends_leaves_nothing(client: TosClientV2, tos: LocalTos, how: str) -> None:
    url = client.pre_signed_url(HttpMethodType.Http_Method_Put, BUCKET, "k").signed_url
    frame = "Content-Length: 100000" if how == "length" else "Transfer-Encoding: chunked"
    body = bytes(50_000) if how == "length" else b"c350\r\n" + bytes(50_000) + b"\r\n"
    with socket.create_connection(("127.0.0.1", tos.port)) as line:
        line.sendall(f"PUT {url} HTTP/1.1\r\nHost: {BUCKET}.tos.test\r\n{frame}\r\n\r\n".encode() + body)
    wait_until_idle(tos, 1)
    assert tos.keys() == []
    assert list(tos.store.blobs.folder.iterdir()) == []
    assert tos.requests()[0].status == 0


def test_a_large_upload_hears_why_it_is_refused(tos: LocalTos) -> None:
    with connected(tos, sk="wrong") as stranger:
        assert refused(lambda: stranger.put_object(BUCKET, "k", content=LARGE)).code == "SignatureDoesNotMatch"
    tos.put("k", b"1")
    with connected(tos) as client:
        taken = refused(lambda: client.put_object(BUCKET, "k", content=LARGE, forbid_overwrite=True))
        assert taken.code == "ObjectAlreadyExists"
        tos.set_faults("unavailable,times=1")
        assert refused(lambda: client.put_object(BUCKET, "k", content=LARGE)).status_code == 503
        client.put_object(BUCKET, "k", content=LARGE)
    assert tos.read("k") == LARGE


def test_an_outage_ends_by_itself(client: TosClientV2, tos: LocalTos) -> None:
    client.put_object(BUCKET, "k", content=b"1")
    tos.go_down(0.2)
    failures = 0
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client.head_object(BUCKET, "k")
        except TosClientError as error:
            failures += isinstance(error.cause, requests.exceptions.ProxyError)
        else:
            if failures:
                break
    assert failures
    assert tos.read("k") == b"1"


def test_lines_that_are_no_http_do_not_hurt(client: TosClientV2, tos: LocalTos) -> None:
    for junk in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET http://[bad HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", tos.port), timeout=PATIENCE) as line:
            line.sendall(junk)
            assert line.recv(12) in {b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 403"}
    assert client.head_bucket(BUCKET).status_code == 200
