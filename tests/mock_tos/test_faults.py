"""Each fault, as the SDK meets it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tos.exceptions import TosClientError, TosError

from tests.mock_tos.sdk import BUCKET, connected, refused, running, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tos import TosClientV2

    from modelcall.mock.tos.thread import LocalTos

BODY = bytes(range(256)) * 40


def broken(call: Callable[[], Any]) -> TosClientError:
    with pytest.raises(TosClientError) as caught:
        call()
    error: TosClientError = caught.value
    return error


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ("internal_error", 500, "InternalError"),
        ("bad_gateway", 502, "BadGateway"),
        ("unavailable", 503, "ServiceUnavailable"),
        ("throttled", 429, "ExceedBucketQPSLimit"),
        ("skewed", 403, "RequestTimeTooSkewed"),
        ("expired_token", 403, "ExpiredToken"),
        ("408", 408, "Status408"),
        ("409,code=PathLockConflict,ec=0026-00000022", 409, "PathLockConflict"),
    ],
)
def test_refusals_come_before_anything_is_done(
    client: TosClientV2, tos: LocalTos, rule: str, status: int, code: str
) -> None:
    tos.set_faults(rule)
    error = refused(lambda: client.put_object(BUCKET, "k", content=BODY))
    assert (error.status_code, error.code) == (status, code)
    assert refused(lambda: client.head_object(BUCKET, "k")).status_code == status
    assert tos.keys() == []
    if "ec=" in rule:
        assert error.ec == "0026-00000022"


def test_retry_after(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults({"fault": "throttled", "seconds": 3})
    assert refused(lambda: client.head_bucket(BUCKET)).header["retry-after"] == "3"
    tos.set_faults("throttled")
    assert "retry-after" not in refused(lambda: client.head_bucket(BUCKET)).header


def test_a_dropped_request_does_nothing_and_a_lost_ack_everything(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults("drop,times=1")
    broken(lambda: client.put_object(BUCKET, "k", content=b"1"))
    assert tos.keys() == []
    tos.set_faults("lost_ack,times=1")
    broken(lambda: client.put_object(BUCKET, "k", content=b"2", forbid_overwrite=True))
    assert tos.read("k") == b"2"
    assert refused(lambda: client.put_object(BUCKET, "k", content=b"2", forbid_overwrite=True)).status_code == 409
    assert [entry.status for entry in tos.requests("put_object")] == [0, 0, 409]
    assert [entry.fault for entry in tos.requests("put_object")] == ["drop", "lost_ack", ""]


def test_a_lost_ack_of_a_completion(client: TosClientV2, tos: LocalTos) -> None:
    upload_id = client.create_multipart_upload(BUCKET, "k").upload_id
    client.upload_part(BUCKET, "k", upload_id, 1, content=BODY)
    tos.set_faults("lost_ack,op=complete_multipart_upload,times=1")
    broken(lambda: client.complete_multipart_upload(BUCKET, "k", upload_id, complete_all=True))
    error = refused(lambda: client.complete_multipart_upload(BUCKET, "k", upload_id, complete_all=True))
    assert (error.code, tos.read("k")) == ("NoSuchUpload", BODY)


@pytest.mark.parametrize("after", [0, 1, 5000, len(BODY) - 1])
def test_a_cut_answer(client: TosClientV2, tos: LocalTos, after: int) -> None:
    tos.put("k", BODY)
    tos.set_faults(f"cut,after={after}")
    answer = client.get_object(BUCKET, "k")
    assert answer.content_length == len(BODY)
    received = b""
    with pytest.raises((requests.exceptions.RequestException, TosClientError)):  # noqa: PT012  the loop is the read
        while piece := answer.read(100):
            received += piece
    assert received == BODY[: len(received)]
    assert len(received) <= after
    assert tos.requests("get_object")[0].sent == after


def test_half_of_an_answer_is_cut_if_nothing_is_said(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("k", BODY)
    tos.set_faults("cut,times=1")
    with pytest.raises(requests.exceptions.RequestException):
        client.get_object(BUCKET, "k").read()
    assert tos.requests("get_object")[0].sent == len(BODY) // 2
    assert whole(client, "k") == BODY


def test_a_trickling_answer_comes_whole(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("k", BODY)
    tos.set_faults({"fault": "trickle", "after": 2048, "seconds": 0.02})
    begun = time.monotonic()
    assert whole(client, "k") == BODY
    assert time.monotonic() - begun >= 0.07  # four pauses, by a clock of milliseconds


def test_an_answer_without_a_body_is_cut_before_it_begins(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults("cut,op=put_object|head_object")
    broken(lambda: client.put_object(BUCKET, "k", content=b"1"))
    broken(lambda: client.head_object(BUCKET, "k"))
    assert tos.read("k") == b"1"


def test_an_upload_in_chunks_is_truncated_too(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults("truncate,after=150")
    client.put_object(BUCKET, "short", content=iter([b"a" * 100]))
    broken(lambda: client.put_object(BUCKET, "k", content=iter([b"a" * 100, b"b" * 100])))
    assert tos.keys() == ["short"]


@pytest.mark.parametrize("after", [0, 1, 5000, len(BODY) - 1])
def test_a_truncated_upload_leaves_nothing(client: TosClientV2, tos: LocalTos, after: int) -> None:
    tos.put("k", b"before")
    tos.set_faults(f"truncate,after={after}")
    broken(lambda: client.put_object(BUCKET, "k", content=BODY))
    upload_id = client.create_multipart_upload(BUCKET, "k").upload_id
    broken(lambda: client.upload_part(BUCKET, "k", upload_id, 1, content=BODY))
    assert (tos.read("k"), tos.uploads()[0].parts) == (b"before", {})


def test_corruption_on_the_way_in_is_what_checksums_are_for(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults("corrupt,after=300")
    assert "crc" in str(broken(lambda: client.put_object(BUCKET, "k", content=BODY))).lower()
    stored = tos.read("k")
    assert stored is not None
    assert [at for at, pair in enumerate(zip(stored, BODY, strict=True)) if pair[0] != pair[1]] == [300]
    with connected(tos, enable_crc=False) as unwary:
        unwary.put_object(BUCKET, "k", content=BODY)
        error = refused(lambda: unwary.put_object(BUCKET, "k", content=BODY, content_md5="AAAAAAAAAAAAAAAAAAAAAA=="))
        assert error.code == "BadDigest"


def test_corruption_on_the_way_out(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("k", BODY)
    tos.set_faults("corrupt,after=300,op=get_object")
    assert "crc" in str(broken(lambda: whole(client, "k"))).lower()


def test_a_wrong_checksum(client: TosClientV2, tos: LocalTos) -> None:
    tos.set_faults("bad_crc")
    assert "crc" in str(broken(lambda: client.put_object(BUCKET, "k", content=BODY))).lower()
    assert tos.read("k") == BODY
    assert "crc" in str(broken(lambda: whole(client, "k"))).lower()
    tos.set_faults()
    true = client.head_object(BUCKET, "k").hash_crc64_ecma
    tos.set_faults("bad_crc")
    assert client.head_object(BUCKET, "k").hash_crc64_ecma == true ^ 1


def test_stale_etags(client: TosClientV2, tos: LocalTos) -> None:
    first = client.put_object(BUCKET, "k", content=b"1").etag
    second = client.put_object(BUCKET, "k", content=b"2").etag
    tos.put("only", b"1")
    tos.set_faults("stale_etag")
    assert client.head_object(BUCKET, "k").etag == first
    assert client.head_object(BUCKET, "only").etag == "0" * 32
    assert [entry.etag for entry in client.list_objects_type2(BUCKET).contents] == [first, "0" * 32]
    assert refused(lambda: client.get_object(BUCKET, "k", if_match=first)).status_code == 412
    tos.set_faults()
    assert client.head_object(BUCKET, "k").etag == second


def test_stale_listings(client: TosClientV2, tos: LocalTos) -> None:
    for key in ("a", "b", "c"):
        client.put_object(BUCKET, key, content=b"1")
    client.put_object(BUCKET, "a", content=b"22")
    client.delete_object(BUCKET, "b")

    def listed(changes: int) -> list[tuple[str, int]]:
        tos.set_faults({"fault": "stale_listing", "changes": changes})
        return [(entry.key, entry.size) for entry in client.list_objects_type2(BUCKET).contents]

    assert listed(0) == [("a", 2), ("c", 1)]
    assert listed(1) == [("a", 2), ("b", 1), ("c", 1)]
    assert listed(2) == [("a", 1), ("b", 1), ("c", 1)]
    assert listed(3) == [("a", 1), ("b", 1)]
    assert listed(99) == []


def test_rules_choose_by_operation_key_and_count(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("in/1", b"1")
    tos.put("out/1", b"1")
    tos.set_faults("503,op=head_object,key=^out/,skip=1,times=2")

    def heads(key: str) -> list[int]:
        for _ in range(5):
            with contextlib.suppress(TosError):  # the log tells
                client.head_object(BUCKET, key)
        return [entry.status for entry in tos.requests("head_object")][-5:]

    assert heads("in/1") == [200] * 5
    assert heads("out/1") == [200, 503, 503, 200, 200]
    assert [entry.attempt for entry in tos.requests("head_object")] == [1, 2, 3, 4, 5] * 2
    assert client.get_object(BUCKET, "out/1").read() == b"1"


def struck(seed: int) -> list[str]:
    with running(seed=seed) as (tos, client):
        tos.set_faults("mix=0.3")
        for number in range(40):
            for _ in range(2):
                with contextlib.suppress(TosError):  # the log tells
                    client.put_object(BUCKET, f"k{number}", content=BODY)
        return [entry.fault for entry in tos.requests()]


def test_a_rate_strikes_the_same_requests_in_every_run() -> None:
    first = struck(7)
    assert first == struck(7)
    assert first != struck(8)
    assert 10 <= sum(map(bool, first)) <= 40
    assert {"cut", "trickle", "corrupt"}.isdisjoint(first)
    assert len(set(first)) >= 6


def test_latency_and_delay_are_added() -> None:
    with running(latency=0.05) as (tos, client):
        tos.set_faults({"fault": "delay", "seconds": 0.1})
        begun = time.monotonic()
        client.head_bucket(BUCKET)
        assert time.monotonic() - begun >= 0.14
