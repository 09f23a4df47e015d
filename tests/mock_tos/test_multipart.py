"""Multipart uploads, through the SDK."""

from __future__ import annotations

import hashlib
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tos.models2 import UploadedPart

from tests.mock_tos.sdk import BUCKET, PART, crc64, refused, whole

if TYPE_CHECKING:
    from pathlib import Path

    from tos import TosClientV2
    from tos.models2 import UploadPartOutput

    from modelcall.mock.tos.thread import LocalTos

PIECES = [bytes([65 + index]) * (PART + index) for index in range(3)]
WHOLE = b"".join(PIECES)


def begin(client: TosClientV2, key: str = "big", **asked: object) -> str:
    upload_id: str = client.create_multipart_upload(BUCKET, key, **asked).upload_id
    return upload_id


def upload(client: TosClientV2, upload_id: str, key: str = "big") -> list[UploadPartOutput]:
    return [client.upload_part(BUCKET, key, upload_id, index + 1, content=piece) for index, piece in enumerate(PIECES)]


def test_parts_in_any_order_become_one_object(client: TosClientV2, tos: LocalTos) -> None:
    upload_id = begin(client, meta={"run": "7"}, content_type="text/x")
    parts = upload(client, upload_id)
    assert tos.keys() == []
    done = client.complete_multipart_upload(BUCKET, "big", upload_id, parts=[parts[2], parts[0], parts[1]])
    digests = b"".join(hashlib.md5(piece, usedforsecurity=False).digest() for piece in PIECES)
    assert done.etag == f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-3"
    assert (done.bucket, done.key, done.hash_crc64_ecma) == (BUCKET, "big", crc64(WHOLE))
    head = client.head_object(BUCKET, "big")
    assert (head.meta, head.content_type, head.object_type, head.etag) == (
        {"run": "7"},
        "text/x",
        "Multipart",
        done.etag,
    )
    assert whole(client, "big") == WHOLE
    across = client.get_object(BUCKET, "big", range_start=PART - 2, range_end=2 * PART + 2)
    assert across.read() == WHOLE[PART - 2 : 2 * PART + 3]
    assert tos.uploads() == []


def test_complete_all_takes_what_is_there(client: TosClientV2) -> None:
    upload_id = begin(client)
    upload(client, upload_id)
    client.upload_part(BUCKET, "big", upload_id, 2, content=b"again" * PART)
    done = client.complete_multipart_upload(BUCKET, "big", upload_id, complete_all=True)
    assert [part.part_number for part in done.complete_parts] == [1, 2, 3]
    assert whole(client, "big") == PIECES[0] + b"again" * PART + PIECES[2]


def test_copied_parts(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("source", WHOLE)
    upload_id = begin(client)
    first = client.upload_part_copy(BUCKET, "big", upload_id, 1, BUCKET, "source")
    second = client.upload_part_copy(
        BUCKET, "big", upload_id, 2, BUCKET, "source", copy_source_range_start=1, copy_source_range_end=4
    )
    assert first.etag == hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    parts = [UploadedPart(1, etag=first.etag), UploadedPart(2, etag=second.etag)]
    done = client.complete_multipart_upload(BUCKET, "big", upload_id, parts=parts)
    assert whole(client, "big") == WHOLE + WHOLE[1:5]
    assert done.hash_crc64_ecma == crc64(WHOLE + WHOLE[1:5])


def test_uploads_and_parts_are_listed_page_by_page(client: TosClientV2) -> None:
    ids = {key: begin(client, key) for key in ("p/a", "p/b", "q")}
    second = begin(client, "p/a")
    page = client.list_multipart_uploads(BUCKET, prefix="p/", max_uploads=2)
    assert [entry.key for entry in page.uploads] == ["p/a", "p/a"]
    assert {entry.upload_id for entry in page.uploads} == {ids["p/a"], second}
    rest = client.list_multipart_uploads(
        BUCKET, prefix="p/", key_marker=page.next_key_marker, upload_id_marker=page.next_upload_id_marker
    )
    assert ([entry.key for entry in rest.uploads], rest.is_truncated) == (["p/b"], False)
    upload(client, ids["q"], "q")
    parts = client.list_parts(BUCKET, "q", ids["q"], max_parts=2)
    assert [(part.part_number, part.size) for part in parts.parts] == [(1, PART), (2, PART + 1)]
    last = client.list_parts(BUCKET, "q", ids["q"], part_number_marker=parts.next_part_number_marker)
    assert ([part.part_number for part in last.parts], last.is_truncated) == ([3], False)


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_every_page_of_uploads_goes_on_where_the_last_one_ended(client: TosClientV2, most: int) -> None:
    wanted = sorted((key, begin(client, key)) for key in ("p/a", "p/a", "p/a", "p/a b", "p/é", "p/é", "p/中"))
    begin(client, "q")
    found: list[tuple[str, str]] = []
    markers: dict[str, str] = {}
    while True:
        page = client.list_multipart_uploads(BUCKET, prefix="p/", max_uploads=most, **markers)
        assert len(page.uploads) <= most
        found += [(entry.key, entry.upload_id) for entry in page.uploads]
        if not page.is_truncated:
            break
        markers = {"key_marker": page.next_key_marker, "upload_id_marker": page.next_upload_id_marker}
    assert found == wanted
    behind = client.list_multipart_uploads(BUCKET, prefix="p/", key_marker="p/a")
    assert [entry.key for entry in behind.uploads] == ["p/a b", "p/é", "p/é", "p/中"], "without an id, the key is over"


def test_what_the_listing_of_uploads_cannot_do_is_refused(client: TosClientV2) -> None:
    error = refused(lambda: client.list_multipart_uploads(BUCKET, delimiter="/"))
    assert (error.status_code, error.code) == (501, "NotImplemented")


def test_an_aborted_or_unknown_upload_is_404(client: TosClientV2, tos: LocalTos) -> None:
    upload_id = begin(client)
    upload(client, upload_id)
    assert client.abort_multipart_upload(BUCKET, "big", upload_id).status_code == 204
    for call in (
        lambda: client.upload_part(BUCKET, "big", upload_id, 1, content=b"x"),
        lambda: client.complete_multipart_upload(BUCKET, "big", upload_id, complete_all=True),
        lambda: client.abort_multipart_upload(BUCKET, "big", upload_id),
        lambda: client.list_parts(BUCKET, "other-key", upload_id),
    ):
        error = refused(call)
        assert (error.status_code, error.code) == (404, "NoSuchUpload")
    assert (tos.keys(), tos.uploads()) == ([], [])


def test_what_cannot_be_completed_changes_nothing(client: TosClientV2, tos: LocalTos) -> None:
    upload_id = begin(client)
    parts = upload(client, upload_id)
    wrong = [UploadedPart(1, etag="0" * 32)]
    unknown = [UploadedPart(9, etag=parts[0].etag)]
    for bad in (wrong, unknown, [], [parts[0], parts[0]]):
        error = refused(partial(client.complete_multipart_upload, BUCKET, "big", upload_id, parts=bad))
        assert (error.status_code, error.code) == (400, "InvalidPart")
    client.upload_part(BUCKET, "big", upload_id, 1, content=b"small")
    error = refused(lambda: client.complete_multipart_upload(BUCKET, "big", upload_id, complete_all=True))
    assert (error.status_code, error.code) == (400, "EntityTooSmall")
    assert (tos.keys(), len(tos.uploads())) == ([], 1)
    for number in (0, 10_001):
        bad_number = refused(partial(client.upload_part, BUCKET, "big", upload_id, number, content=b"x"))
        assert bad_number.status_code == 400


def test_put_if_absent_is_decided_at_the_completion(client: TosClientV2, tos: LocalTos) -> None:
    upload_id = begin(client, forbid_overwrite=True)
    parts = upload(client, upload_id)
    tos.put("big", b"first")
    assert refused(lambda: begin(client, forbid_overwrite=True)).status_code == 409
    error = refused(
        lambda: client.complete_multipart_upload(BUCKET, "big", upload_id, parts=parts, forbid_overwrite=True)
    )
    assert (error.status_code, tos.read("big"), len(tos.uploads())) == (409, b"first", 1)
    client.complete_multipart_upload(BUCKET, "big", upload_id, parts=parts)
    assert tos.read("big") == WHOLE


def test_the_sdks_own_helpers(client: TosClientV2, tos: LocalTos, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(12 << 20)
    (tmp_path / "source").write_bytes(content)
    client.upload_file(BUCKET, "up", str(tmp_path / "source"), part_size=5 << 20, task_num=3, enable_checkpoint=False)
    assert tos.read("up") == content
    client.download_file(BUCKET, "up", str(tmp_path / "down"), part_size=1 << 20, task_num=3, enable_checkpoint=False)
    assert (tmp_path / "down").read_bytes() == content
    client.resumable_copy_object(BUCKET, "copy", BUCKET, "up", part_size=5 << 20, task_num=3, enable_checkpoint=False)
    assert tos.read("copy") == content
    assert tos.uploads() == []
