"""The SDK's operations on single objects, and on buckets."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from tos.enum import HttpMethodType, MetadataDirectiveType
from tos.models2 import ObjectTobeDeleted

from tests.mock_tos.sdk import BUCKET, OTHER, crc64, refused, whole

if TYPE_CHECKING:
    from tos import TosClientV2

    from modelcall.mock.tos.thread import LocalTos

BODY = b"0123456789"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_what_was_put_is_there_with_its_digests_and_headers(client: TosClientV2) -> None:
    done = client.put_object(BUCKET, "a/b.txt", content=BODY, content_type="text/x", meta={"who": "名字", "b": "1 2"})
    assert (done.status_code, done.etag, len(done.request_id)) == (200, md5(BODY), 32)
    assert done.hash_crc64_ecma == crc64(BODY)
    head = client.head_object(BUCKET, "a/b.txt")
    assert (head.content_length, head.etag, head.content_type) == (10, md5(BODY), "text/x")
    assert (head.meta, head.object_type, head.hash_crc64_ecma) == (
        {"who": "名字", "b": "1 2"},
        "Normal",
        done.hash_crc64_ecma,
    )
    assert abs(head.last_modified - datetime.now(UTC)) < timedelta(seconds=60)
    assert whole(client, "a/b.txt") == BODY


def test_an_empty_object_is_an_object(client: TosClientV2) -> None:
    client.put_object(BUCKET, "empty", content=b"")
    assert client.head_object(BUCKET, "empty").content_length == 0
    assert whole(client, "empty") == b""
    assert refused(lambda: client.get_object(BUCKET, "empty", range="bytes=0-9")).status_code == 416


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=3-5", b"345", "bytes 3-5/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-4", b"6789", "bytes 6-9/10"),
        ("bytes=-99", BODY, "bytes 0-9/10"),
        ("bytes=5-3", BODY, None),
        ("lines=1-2", BODY, None),
    ],
)
def test_ranges(client: TosClientV2, asked: str, content: bytes, told: str | None) -> None:
    client.put_object(BUCKET, "k", content=BODY)
    answer = client.get_object(BUCKET, "k", range=asked)
    assert (answer.read(), answer.content_range, answer.status_code) == (content, told, 206 if told else 200)


def test_a_range_beyond_the_end_is_416(client: TosClientV2) -> None:
    client.put_object(BUCKET, "k", content=BODY)
    error = refused(lambda: client.get_object(BUCKET, "k", range="bytes=10-"))
    assert (error.status_code, error.code, error.header["content-range"]) == (416, "InvalidRange", "bytes */10")


def test_errors_have_what_the_sdk_reads_and_none_of_it_on_head(client: TosClientV2) -> None:
    error = refused(lambda: client.get_object(BUCKET, "nothing"))
    assert (error.status_code, error.code, error.ec, error.resource) == (
        404,
        "NoSuchKey",
        "0017-00000003",
        "/corpus/nothing",
    )
    assert error.request_id == error.header["x-tos-request-id"]
    bare = refused(lambda: client.head_object(BUCKET, "nothing"))
    assert (bare.status_code, bare.code, bare.header["x-tos-ec"]) == (404, "", "0017-00000003")
    assert client.does_object_exist(BUCKET, "nothing") is False
    assert client.does_bucket_exist("nobody") is False


def test_conditions_of_writes(client: TosClientV2) -> None:
    etag = client.put_object(BUCKET, "k", content=b"1", forbid_overwrite=True).etag
    error = refused(lambda: client.put_object(BUCKET, "k", content=b"2", forbid_overwrite=True))
    assert (error.status_code, error.code) == (409, "ObjectAlreadyExists")
    error = refused(lambda: client.put_object(BUCKET, "k", content=b"2", if_match="0" * 32))
    assert (error.status_code, error.code) == (412, "PreconditionFailed")
    assert refused(lambda: client.put_object(BUCKET, "absent", content=b"2", if_match=etag)).status_code == 412
    client.put_object(BUCKET, "k", content=b"2", if_match=etag)
    assert whole(client, "k") == b"2"


def test_conditions_of_reads(client: TosClientV2) -> None:
    etag = client.put_object(BUCKET, "k", content=BODY).etag
    assert whole(client, "k", if_match=etag) == BODY
    assert refused(lambda: client.get_object(BUCKET, "k", if_match="0" * 32)).status_code == 412
    assert refused(lambda: client.head_object(BUCKET, "k", if_none_match=etag)).status_code == 304
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert refused(lambda: client.get_object(BUCKET, "k", if_modified_since=now + hour)).status_code == 304
    assert refused(lambda: client.get_object(BUCKET, "k", if_unmodified_since=now - hour)).status_code == 412
    assert whole(client, "k", if_modified_since=now - hour, if_unmodified_since=now + hour) == BODY


def test_an_upload_that_is_not_what_was_announced_is_refused(client: TosClientV2, tos: LocalTos) -> None:
    right = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
    client.put_object(BUCKET, "k", content=BODY, content_md5=right)
    error = refused(lambda: client.put_object(BUCKET, "k", content=b"other", content_md5=right))
    assert (error.status_code, error.code) == (400, "BadDigest")
    client.put_object(BUCKET, "k", content=BODY, content_sha256=hashlib.sha256(BODY).hexdigest())
    wrong = hashlib.sha256(b"x").hexdigest()
    assert refused(lambda: client.put_object(BUCKET, "k", content=BODY, content_sha256=wrong)).code == "BadDigest"
    assert tos.read("k") == BODY


def test_deleting_is_idempotent_alone_and_in_a_batch(client: TosClientV2, tos: LocalTos) -> None:
    for key in ("a", "b c", "d"):
        tos.put(key, b"1")
    assert client.delete_object(BUCKET, "a").status_code == 204
    assert client.delete_object(BUCKET, "a").status_code == 204
    done = client.delete_multi_objects(BUCKET, [ObjectTobeDeleted("b c"), ObjectTobeDeleted("nothing")])
    assert ([entry.key for entry in done.deleted], done.error) == (["b c", "nothing"], [])
    assert client.delete_multi_objects(BUCKET, [ObjectTobeDeleted("d")], quiet=True).deleted == []
    assert tos.keys() == []


def test_appending(client: TosClientV2, tos: LocalTos) -> None:
    first = client.append_object(BUCKET, "log", 0, content=b"abc", meta={"a": "1"}, pre_hash_crc64_ecma=0)
    second = client.append_object(BUCKET, "log", 3, content=b"de", pre_hash_crc64_ecma=first.hash_crc64_ecma)
    assert (first.next_append_offset, second.next_append_offset) == (3, 5)
    head = client.head_object(BUCKET, "log")
    assert (head.object_type, head.etag, head.meta, head.content_length) == ("Appendable", None, {"a": "1"}, 5)
    assert whole(client, "log") == b"abcde"
    error = refused(lambda: client.append_object(BUCKET, "log", 3, content=b"x"))
    assert (error.status_code, error.ec) == (409, "0017-00000208")
    tos.put("plain", b"1")
    error = refused(lambda: client.append_object(BUCKET, "plain", 1, content=b"x"))
    assert (error.status_code, error.ec) == (409, "0017-00000209")
    chunked = iter([b"a", b"b"])
    assert refused(lambda: client.append_object(BUCKET, "new", 0, content=chunked)).status_code == 411


def test_copies_share_bytes_and_keep_or_replace_headers(client: TosClientV2, tos: LocalTos) -> None:
    etag = client.put_object(BUCKET, "ä b", content=BODY, meta={"a": "1"}).etag
    done = client.copy_object(OTHER, "kept", BUCKET, "ä b", copy_source_if_match=etag)
    assert (done.etag, client.head_object(OTHER, "kept").meta) == (etag, {"a": "1"})
    replace = MetadataDirectiveType.Metadata_Directive_Replace
    client.copy_object(OTHER, "new", BUCKET, "ä b", metadata_directive=replace, meta={"b": "2"})
    assert client.head_object(OTHER, "new").meta == {"b": "2"}
    client.delete_object(BUCKET, "ä b")
    assert tos.read("kept", bucket=OTHER) == BODY
    assert refused(lambda: client.copy_object(OTHER, "x", BUCKET, "ä b")).status_code == 404
    stale = refused(lambda: client.copy_object(OTHER, "x", OTHER, "new", copy_source_if_match="0" * 32))
    assert stale.status_code == 412
    taken = refused(lambda: client.copy_object(OTHER, "kept", OTHER, "new", forbid_overwrite=True))
    assert taken.status_code == 409


def test_renaming(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("a", b"1")
    tos.put("taken", b"2")
    assert refused(lambda: client.rename_object(BUCKET, "a", "taken", forbid_overwrite=True)).status_code == 409
    client.rename_object(BUCKET, "a", "b/ü")
    assert (tos.keys(), tos.read("b/ü")) == (["b/ü", "taken"], b"1")
    assert refused(lambda: client.rename_object(BUCKET, "a", "c")).status_code == 404


def test_meta_can_be_changed_without_the_bytes(client: TosClientV2) -> None:
    client.put_object(BUCKET, "k", content=BODY, meta={"a": "1"})
    client.set_object_meta(BUCKET, "k", meta={"b": "2"})
    assert (client.head_object(BUCKET, "k").meta, whole(client, "k")) == ({"b": "2"}, BODY)


def test_a_body_of_unknown_length(client: TosClientV2, tos: LocalTos) -> None:
    client.put_object(BUCKET, "k", content=iter([b"ab", b"cd"]))
    assert tos.read("k") == b"abcd"


def test_buckets(client: TosClientV2, tos: LocalTos) -> None:
    assert client.head_bucket(BUCKET).region == "cn-local"
    client.create_bucket("third")
    assert refused(lambda: client.create_bucket("third")).code == "BucketAlreadyOwnedByYou"
    assert [bucket.name for bucket in client.list_buckets().buckets] == [BUCKET, OTHER, "third"]
    client.put_object("third", "k", content=b"1")
    assert refused(lambda: client.delete_bucket("third")).code == "BucketNotEmpty"
    client.delete_object("third", "k")
    client.delete_bucket("third")
    missing = refused(lambda: client.put_object("third", "k", content=b"1"))
    assert (missing.status_code, missing.code, missing.ec) == (404, "NoSuchBucket", "0006-00000001")
    assert "third" not in tos.store.buckets


def test_presigned_urls_and_overridden_headers(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("a b", BODY)
    url = client.pre_signed_url(
        HttpMethodType.Http_Method_Get, BUCKET, "a b", query={"response-content-type": "text/y"}
    ).signed_url
    proxies = {"http": f"http://127.0.0.1:{tos.port}"}
    with requests.get(url, proxies=proxies, timeout=10) as answer:
        assert (answer.content, answer.headers["content-type"]) == (BODY, "text/y")
    with requests.get(url.replace("text", "next"), proxies=proxies, timeout=10) as answer:
        assert (answer.status_code, answer.json()["Code"]) == (403, "SignatureDoesNotMatch")


def test_what_it_does_not_have_is_said(client: TosClientV2) -> None:
    assert refused(lambda: client.get_bucket_policy(BUCKET)).status_code == 501
    assert refused(lambda: client.get_object_tagging(BUCKET, "k")).code == "NotImplemented"
