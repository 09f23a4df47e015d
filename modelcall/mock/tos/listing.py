"""The operations that list names, page by page."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from modelcall.mock.tos.replies import Refused, invalid, json_answer
from modelcall.mock.tos.times import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.mock.tos.exchange import Exchange
    from modelcall.mock.tos.replies import Answer
    from modelcall.mock.tos.store import Bucket, Version
    from modelcall.mock.tos.uploads import Upload

_MOST: Final = 1000
_ASKED: Final = 2**31 - 1
"""Of a page; more than it can hold, as the SDK asks for the rest of a long listing."""
_OWNER: Final = {"ID": "1", "DisplayName": "modelcall"}


@dataclass(slots=True)
class _Page:
    """Keys and common prefixes, in order, up to a number of both."""

    keys: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False


async def list_objects_type2(exchange: Exchange) -> Answer:
    """GET /?list-type=2."""
    query = exchange.call.query
    token = query.get("continuation-token", "")
    after = _from_token(token) if token else query.get("start-after", "")
    listed = _listed_objects(exchange, after)
    if listed.page.truncated:
        listed.answer["NextContinuationToken"] = _to_token(listed.page.last)
    count = len(listed.page.keys) + len(listed.page.prefixes)
    return json_answer({**listed.answer, "ContinuationToken": token, "KeyCount": count})


async def list_objects(exchange: Exchange) -> Answer:
    """GET /, the first form: pages by name."""
    marker = exchange.call.query.get("marker", "")
    listed = _listed_objects(exchange, marker)
    listed.answer["Marker"] = marker
    if listed.page.truncated:
        listed.answer["NextMarker"] = listed.page.last
    return json_answer(listed.answer)


async def list_multipart_uploads(exchange: Exchange) -> Answer:
    """GET /?uploads: by key, then by id."""
    query = exchange.call.query
    missing = sorted({"delimiter", "encoding-type"}.intersection(query))
    if missing:
        raise Refused(501, "NotImplemented", f"The local TOS lists uploads without {' and '.join(missing)}.")
    most = exchange.number("max-uploads", default=_MOST, least=1, most=_MOST)
    after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
    with exchange.store.lock:
        found = _open_uploads(exchange.bucket, query.get("prefix", ""), after)
    shown = found[:most]
    page: dict[str, Any] = {
        "Bucket": exchange.call.bucket,
        "Prefix": query.get("prefix", ""),
        "KeyMarker": after[0],
        "UploadIdMarker": after[1],
        "MaxUploads": most,
        "IsTruncated": len(found) > most,
        "Uploads": [_listed_upload(upload) for upload in shown],
    }
    if len(found) > most:
        page |= {"NextKeyMarker": shown[-1].key, "NextUploadIdMarker": shown[-1].upload_id}
    return json_answer(page)


@dataclass(frozen=True, slots=True)
class _Listed:
    page: _Page
    answer: dict[str, Any]


def _listed_objects(exchange: Exchange, after: str) -> _Listed:
    query = exchange.call.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = min(exchange.number("max-keys", default=_MOST, least=1, most=_ASKED), _MOST)
    with exchange.store.lock:
        bucket = exchange.strike.listed(exchange.bucket)
        page = _page(bucket, prefix, delimiter, after=after, most=most)
        contents = [_listed_object(key, bucket.versions[key], exchange) for key in page.keys]
    answer = {
        "Name": exchange.call.bucket,
        "Prefix": prefix,
        "Delimiter": delimiter,
        "MaxKeys": most,
        "IsTruncated": page.truncated,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": name} for name in page.prefixes],
    }
    return _Listed(page, answer)


def _page(bucket: Bucket, prefix: str, delimiter: str, *, after: str, most: int) -> _Page:
    page = _Page()
    for name, is_prefix in _names(bucket.keys, prefix, delimiter, after=after):
        if len(page.keys) + len(page.prefixes) == most:
            page.truncated = True
            break
        (page.prefixes if is_prefix else page.keys).append(name)
        page.last = name
    return page


def _names(keys: list[str], prefix: str, delimiter: str, *, after: str) -> Iterator[tuple[str, bool]]:
    """Yield keys, and each common prefix once, with whether it is one."""
    index = max(bisect_left(keys, prefix), bisect_right(keys, after))
    while index < len(keys) and keys[index].startswith(prefix):
        key = keys[index]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield key, False
            index += 1
            continue
        common = key[: end + len(delimiter)]
        if common > after:
            yield common, True
        index = bisect_left(keys, common + chr(0x10FFFF), index)
        while index < len(keys) and keys[index].startswith(common):  # names that begin with that very character
            index += 1


def _listed_object(key: str, version: Version, exchange: Exchange) -> dict[str, Any]:
    entry = {
        "Key": key,
        "LastModified": iso_time(version.modified),
        "ETag": exchange.strike.etag(version.etag, exchange.bucket, key),
        "Size": version.size,
        "HashCrc64ecma": str(version.crc64),
        "Type": version.kind,
        "StorageClass": "STANDARD",
        "Owner": _OWNER,
    }
    if exchange.call.query.get("fetch-meta", "").lower() == "true":
        meta = {name: text for name, text in version.headers.items() if name.startswith("x-tos-meta-")}
        entry["UserMeta"] = [{"Key": name.removeprefix("x-tos-meta-"), "Value": text} for name, text in meta.items()]
    return entry


def _open_uploads(bucket: Bucket, prefix: str, after: tuple[str, str]) -> list[Upload]:
    found = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    chosen = [upload for upload in found if upload.key.startswith(prefix)]
    if after[1]:
        return [upload for upload in chosen if (upload.key, upload.upload_id) > after]
    return [upload for upload in chosen if upload.key > after[0]]


def _listed_upload(upload: Upload) -> dict[str, Any]:
    return {
        "Key": upload.key,
        "UploadId": upload.upload_id,
        "Initiated": iso_time(upload.initiated),
        "StorageClass": "STANDARD",
        "Owner": _OWNER,
    }


def _to_token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode("ascii")


def _from_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode("utf-8", "surrogatepass")
    except ValueError as error:
        raise invalid("The continuation token is not one of this server's.") from error
