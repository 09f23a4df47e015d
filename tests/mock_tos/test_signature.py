"""TOS4-HMAC-SHA256: a vector that openssl computed, and the SDK signing for itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tos.enum import HttpMethodType
from tos.models2 import GenericInput

from modelcall.mock.tos.call import read_call
from modelcall.mock.tos.replies import Refused
from modelcall.mock.tos.signature import Credentials, canonical_request, verify
from modelcall.mock.tos.thread import LocalTos
from tests.mock_tos.sdk import BUCKET, connected, refused, running, small, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.mock.tos.call import Call

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
KNOWN = Credentials("AK", "a-secret", "cn-beijing")
NAMES = "content-type;host;x-tos-content-sha256;x-tos-date"
CANONICAL = """\
GET
/a%20b/%C3%BC~x
list-type=2&prefix=a%20b%2F%2B
content-type:text/plain
host:corpus.tos.test
x-tos-content-sha256:UNSIGNED-PAYLOAD
x-tos-date:20240102T030405Z

content-type;host;x-tos-content-sha256;x-tos-date
UNSIGNED-PAYLOAD"""
SIGNATURE = "179ea122747fffe47ade03353483afb805e703dfb786276fe5d4827e3449e7f8"
"""Of CANONICAL: ``openssl dgst -sha256 -mac HMAC``, four times for the key and once for the text."""


def signed_call(**headers: str) -> Call:
    scope = "20240102/cn-beijing/tos/request"
    given = {
        "host": "corpus.tos.test",
        "content-type": "text/plain",
        "x-tos-date": "20240102T030405Z",
        "x-tos-content-sha256": "UNSIGNED-PAYLOAD",
        "authorization": f"TOS4-HMAC-SHA256 Credential=AK/{scope}, SignedHeaders={NAMES}, Signature={SIGNATURE}",
    }
    target = "http://corpus.tos.test/a%20b/%C3%BC~x?prefix=a+b%2F%2B&list-type=2"
    return read_call("GET", target, given | headers, endpoint="tos.test", default_bucket="none")


def test_the_vector() -> None:
    call = signed_call()
    assert canonical_request(call, NAMES.split(";")) == CANONICAL
    verify(call, KNOWN, now=NOW)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda call: replace(call, method="PUT"), "SignatureDoesNotMatch"),
        (lambda call: replace(call, path="/a%20b/x"), "SignatureDoesNotMatch"),
        (lambda call: replace(call, query={**call.query, "prefix": "a b/"}), "SignatureDoesNotMatch"),
        (lambda _: signed_call(host="other.tos.test"), "SignatureDoesNotMatch"),
        (lambda _: signed_call(**{"content-type": "text/html"}), "SignatureDoesNotMatch"),
        (lambda _: signed_call(**{"x-tos-meta-a": "not signed"}), "SignatureDoesNotMatch"),
        (lambda _: signed_call(**{"x-tos-date": "20240102T030406Z"}), "SignatureDoesNotMatch"),
        (lambda _: signed_call(**{"x-tos-date": "yesterday"}), "InvalidAuthorization"),
        (lambda _: signed_call(authorization="Bearer x"), "InvalidAuthorization"),
    ],
)
def test_any_change_is_noticed(spoil: Callable[[Call], Call], code: str) -> None:
    with pytest.raises(Refused) as caught:
        verify(spoil(signed_call()), KNOWN, now=NOW)
    assert (caught.value.status, caught.value.code) == (403, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_key": "BK"}, "InvalidAccessKeyId"),
        ({"secret_key": "another"}, "SignatureDoesNotMatch"),
        ({"region": "cn-shanghai"}, "SignatureDoesNotMatch"),
        ({"security_token": "t"}, "InvalidSecurityToken"),
    ],
)
def test_others_are_not_let_in(changes: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        verify(signed_call(), replace(KNOWN, **changes), now=NOW)
    assert caught.value.code == code


@pytest.mark.parametrize(("late", "accepted"), [(-901, False), (-899, True), (899, True), (901, False)])
def test_fifteen_minutes_of_skew(late: float, accepted: bool) -> None:
    if accepted:
        verify(signed_call(), KNOWN, now=NOW + late)
        return
    with pytest.raises(Refused) as caught:
        verify(signed_call(), KNOWN, now=NOW + late)
    assert caught.value.code == "RequestTimeTooSkewed"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"ak": "somebody"}, "InvalidAccessKeyId"),
        ({"sk": "wrong"}, "SignatureDoesNotMatch"),
        ({"region": "cn-beijing"}, "SignatureDoesNotMatch"),
        ({"security_token": "t"}, "InvalidSecurityToken"),
    ],
)
def test_what_the_sdk_is_told(tos: LocalTos, settings: dict[str, Any], code: str) -> None:
    tos.put("k", b"1")
    with connected(tos, **settings) as client:
        error = refused(lambda: client.get_object(BUCKET, "k"))
        assert (error.status_code, error.code) == (403, code)
        assert refused(lambda: client.head_object(BUCKET, "k")).status_code == 403


def test_a_clock_that_is_wrong() -> None:
    with running(clock_offset=16 * 60) as (_, client):
        assert refused(lambda: client.head_bucket(BUCKET)).status_code == 403
        later = GenericInput(request_date=datetime.now(UTC) + timedelta(minutes=16))
        assert client.head_bucket(BUCKET, generic_input=later).status_code == 200


def test_a_security_token() -> None:
    with running(security_token="session") as (tos, client):
        client.put_object(BUCKET, "k", content=b"1")
        assert whole(client, "k") == b"1"
        assert tos.environment["TOS_SECURITY_TOKEN"] == "session"


def test_unsigned_requests_are_refused(tos: LocalTos) -> None:
    with requests.get(f"http://127.0.0.1:{tos.port}/k", timeout=10) as answer:
        assert (answer.status_code, answer.json()["Code"]) == (403, "AccessDenied")


def test_a_presigned_url_ends() -> None:
    with running() as (tos, client):
        tos.put("k", b"1")
        url = client.pre_signed_url(HttpMethodType.Http_Method_Get, BUCKET, "k", expires=60).signed_url
        call = read_call("GET", url, {"host": "corpus.tos.test"}, endpoint="tos.test", default_bucket="none")
        now = tos.store.clock()
        verify(call, tos.options.credentials, now=now + 50)
        with pytest.raises(Refused) as caught:
            verify(call, tos.options.credentials, now=now + 61)
        assert caught.value.message == "The pre-signed URL has expired, or is not valid yet."


def test_a_server_of_ones_own_name() -> None:
    with LocalTos(small(endpoint="tos-cn-x.example")) as tos, connected(tos) as client:
        client.put_object(BUCKET, "k", content=b"1")
        assert [bucket.name for bucket in client.list_buckets().buckets] == [BUCKET, "other"]
    custom = {"endpoint": f"http://127.0.0.1:{tos.port}", "is_custom_domain": True, "proxy_host": None}
    with LocalTos(small(port=tos.port)) as again, connected(again, **custom) as client:
        client.put_object("any", "k", content=b"2")
        assert again.read("k", bucket=BUCKET) == b"2"
