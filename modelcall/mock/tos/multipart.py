"""The operations on multipart uploads."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from modelcall.mock.tos.blobs import cut, pieces
from modelcall.mock.tos.checksum import Digests
from modelcall.mock.tos.objects import copy_source, json_object, named
from modelcall.mock.tos.ranges import wanted_range
from modelcall.mock.tos.replies import Answer, invalid, json_answer
from modelcall.mock.tos.times import iso_time
from modelcall.mock.tos.uploads import MOST_PARTS, Part, Upload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.mock.tos.blobs import Extent
    from modelcall.mock.tos.exchange import Exchange

_MOST_LISTED = 1000


async def create_multipart_upload(exchange: Exchange) -> Answer:
    """POST /key?uploads. A condition is checked here too, though only the completion decides."""
    call, store = exchange.call, exchange.store
    with store.lock:
        bucket = exchange.bucket
        exchange.conditions().check(bucket.versions.get(call.key))
        upload = Upload(uuid.uuid4().hex, call.key, exchange.kept_headers(), store.clock())
        bucket.uploads[upload.upload_id] = upload
    return json_answer({"Bucket": call.bucket, "Key": call.key, "UploadId": upload.upload_id})


async def upload_part(exchange: Exchange) -> Answer:
    """PUT /key?uploadId&partNumber."""
    number = _part_number(exchange)
    _upload(exchange)
    written = await exchange.body.stored(exchange.store)
    digests = written.digests
    part = Part(number, written.extents, written.size, digests.etag, digests.crc64, exchange.store.clock())
    _keep(exchange, part)
    return Answer(etag=part.etag, crc64=part.crc64)


async def upload_part_copy(exchange: Exchange) -> Answer:
    """PUT /key?uploadId&partNumber with a source: its bytes are read for their digest, not moved."""
    number = _part_number(exchange)
    source = copy_source(exchange)
    asked = wanted_range(exchange.call.headers.get("x-tos-copy-source-range"), source.size) or range(source.size)
    extents = cut(source.extents, asked.start, len(asked))
    digests = await asyncio.to_thread(_digested, extents)
    part = Part(number, extents, len(asked), digests.etag, digests.crc64, exchange.store.clock())
    _keep(exchange, part)
    return json_answer({"ETag": part.etag, "LastModified": iso_time(part.modified)}, crc64=part.crc64)


async def complete_multipart_upload(exchange: Exchange) -> Answer:
    """POST /key?uploadId: the object is there, whole, or nothing has changed."""
    call, store = exchange.call, exchange.store
    every = call.headers.get("x-tos-complete-all", "").lower() == "yes"
    asked = None if every else _asked_parts(await exchange.body.small())
    with store.lock:
        upload = _upload(exchange)
        parts = upload.chosen(asked, least=exchange.options.min_part_size)
        version = upload.assembled(parts, now=store.clock())
        store.commit(call.bucket, call.key, version, exchange.conditions())
        del exchange.bucket.uploads[upload.upload_id]
    answer: dict[str, Any] = {
        "Bucket": call.bucket,
        "Key": call.key,
        "ETag": version.etag,
        "Location": f"{call.bucket}.{exchange.options.endpoint}/{call.key}",
    }
    if every:
        answer["CompletedParts"] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
    return json_answer(answer, crc64=version.crc64)


async def abort_multipart_upload(exchange: Exchange) -> Answer:
    """DELETE /key?uploadId."""
    with exchange.store.lock:
        del exchange.bucket.uploads[_upload(exchange).upload_id]
    return Answer(204)


async def list_parts(exchange: Exchange) -> Answer:
    """GET /key?uploadId."""
    upload = _upload(exchange)
    most = exchange.number("max-parts", default=_MOST_LISTED, least=1, most=_MOST_LISTED)
    marker = exchange.number("part-number-marker", default=0, least=0, most=MOST_PARTS)
    parts = sorted((part for part in upload.parts.values() if part.number > marker), key=lambda part: part.number)
    shown = parts[:most]
    page = {
        "Bucket": exchange.call.bucket,
        "Key": upload.key,
        "UploadId": upload.upload_id,
        "PartNumberMarker": marker,
        "MaxParts": most,
        "IsTruncated": len(parts) > most,
        "StorageClass": "STANDARD",
        "Parts": [_listed(part) for part in shown],
    }
    if len(parts) > most:
        page["NextPartNumberMarker"] = shown[-1].number
    return json_answer(page)


def _listed(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": iso_time(part.modified),
        "ETag": part.etag,
        "Size": part.size,
        "HashCrc64ecma": str(part.crc64),
    }


def _upload(exchange: Exchange) -> Upload:
    return exchange.bucket.upload(exchange.call.query["uploadId"], exchange.call.key)


def _part_number(exchange: Exchange) -> int:
    return exchange.number("partNumber", default=0, least=1, most=MOST_PARTS) or _no_number()


def _no_number() -> int:
    raise invalid("partNumber is missing.")


def _keep(exchange: Exchange, part: Part) -> None:
    """The upload may be over since the part began."""
    with exchange.store.lock:
        _upload(exchange).parts[part.number] = part


def _asked_parts(body: bytes) -> list[tuple[int, str]]:
    parts = named(json_object(body), "Parts", list)
    return [(named(part, "PartNumber", int), named(part, "ETag", str)) for part in parts]


def _digested(extents: Iterable[Extent]) -> Digests:
    digests = Digests()
    for piece in pieces(extents):
        digests.update(piece)
    return digests
