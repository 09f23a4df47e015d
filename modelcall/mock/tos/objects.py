"""The operations on single objects."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from modelcall.mock.tos.blobs import cut
from modelcall.mock.tos.checksum import combined_crc64
from modelcall.mock.tos.ranges import check_reading, content_range, wanted_range
from modelcall.mock.tos.replies import Answer, Refused, invalid, json_answer
from modelcall.mock.tos.store import Conditions, Version
from modelcall.mock.tos.times import iso_time

if TYPE_CHECKING:
    from modelcall.mock.tos.exchange import Exchange
    from modelcall.mock.tos.replies import Headers

_OVERRIDES: Final = "response-"
_MOST_DELETED: Final = 1000
_APPEND_MOST: Final = 5 << 30
SOURCE: Final = "x-tos-copy-source"


async def put_object(exchange: Exchange) -> Answer:
    """PUT /key."""
    call, store = exchange.call, exchange.store
    conditions = exchange.conditions()
    conditions.check(exchange.bucket.versions.get(call.key))  # spares the body of a request that is lost already
    written = await exchange.body.stored(store)
    version = Version.of(written, exchange.kept_headers(), now=store.clock())
    store.commit(call.bucket, call.key, version, conditions)
    return Answer(etag=version.etag, crc64=version.crc64)


async def get_object(exchange: Exchange) -> Answer:
    """GET /key, whole or a range."""
    version = exchange.bucket.get(exchange.call.key)
    check_reading(version, exchange.call.headers)
    asked = wanted_range(exchange.call.headers.get("range"), version.size)
    headers = _shown(version) | _overrides(exchange)
    answer = Answer(headers=headers, extents=version.extents, etag=_etag(version), crc64=version.crc64)
    if asked is None:
        return answer
    headers["content-range"] = content_range(asked, version.size)
    return replace(answer, status=206, extents=cut(version.extents, asked.start, len(asked)))


async def head_object(exchange: Exchange) -> Answer:
    """HEAD /key."""
    version = exchange.bucket.get(exchange.call.key)
    check_reading(version, exchange.call.headers)
    return Answer(headers=_shown(version), length=version.size, etag=_etag(version), crc64=version.crc64)


async def delete_object(exchange: Exchange) -> Answer:
    """DELETE /key; a key that is not there is deleted too."""
    exchange.store.remove(exchange.call.bucket, exchange.call.key)
    return Answer(204)


async def delete_multi_objects(exchange: Exchange) -> Answer:
    """POST /?delete."""
    body = await exchange.body.small()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
    if exchange.call.headers.get("content-md5") != md5:
        raise Refused(400, "BadDigest", "The Content-MD5 is missing, or not that of what arrived.")
    asked = json_object(body)
    keys = [named(value, "Key", str) for value in named(asked, "Objects", list)]
    if not 1 <= len(keys) <= _MOST_DELETED:
        raise invalid(f"From 1 to {_MOST_DELETED} objects can be deleted at once, got {len(keys)}.")
    for key in keys:
        exchange.store.remove(exchange.call.bucket, key)
    return json_answer({"Deleted": [] if asked.get("Quiet") else [{"Key": key} for key in keys], "Error": []})


async def append_object(exchange: Exchange) -> Answer:
    """POST /key?append&offset=N."""
    call, store = exchange.call, exchange.store
    if exchange.body.chunked:
        raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    offset = exchange.number("offset", default=0, least=0, most=_APPEND_MOST)
    written = await exchange.body.stored(store)
    with store.lock:
        before = exchange.bucket.versions.get(call.key)
        _check_append(before, offset)
        version = Version(
            extents=(*(before.extents if before else ()), *written.extents),
            size=offset + written.size,
            etag=written.digests.etag,
            crc64=combined_crc64([(before.crc64 if before else 0, offset), (written.digests.crc64, written.size)]),
            modified=store.clock(),
            headers=before.headers if before else exchange.kept_headers(),
            kind="Appendable",
        )
        store.commit(call.bucket, call.key, version, exchange.conditions())
    return Answer(headers={"x-tos-next-append-offset": str(version.size)}, crc64=version.crc64)


async def copy_object(exchange: Exchange) -> Answer:
    """PUT /key with a source. No byte is moved."""
    call, store = exchange.call, exchange.store
    replaced = call.headers.get("x-tos-metadata-directive", "").upper() == "REPLACE"
    with store.lock:
        source = copy_source(exchange)
        version = replace(
            source,
            modified=store.clock(),
            headers=exchange.kept_headers() if replaced else source.headers,
            kind="Multipart" if source.kind == "Multipart" else "Normal",
        )
        store.commit(call.bucket, call.key, version, exchange.conditions())
    return json_answer({"ETag": version.etag, "LastModified": iso_time(version.modified)}, crc64=version.crc64)


async def rename_object(exchange: Exchange) -> Answer:
    """PUT /key?rename&name=NEW."""
    new_key = exchange.call.query.get("name", "")
    if not new_key:
        raise invalid("The new name is missing.")
    exchange.store.rename(exchange.call.bucket, exchange.call.key, new_key, exchange.conditions())
    return Answer(204)


async def set_object_meta(exchange: Exchange) -> Answer:
    """POST /key?metadata: the same bytes with other headers."""
    call, store = exchange.call, exchange.store
    with store.lock:
        version = replace(exchange.bucket.get(call.key), headers=exchange.kept_headers(), modified=store.clock())
        store.commit(call.bucket, call.key, version, Conditions())
    return Answer()


def copy_source(exchange: Exchange) -> Version:
    """Return the object that ``x-tos-copy-source`` names, if the conditions on it hold.

    Raises:
        Refused: There is none, or they do not hold.
    """
    headers = exchange.call.headers
    bucket, _, key = headers[SOURCE].partition("?")[0].removeprefix("/").partition("/")
    version = exchange.store.bucket(bucket).get(unquote(key))
    start = f"{SOURCE}-"
    check_reading(version, {name.removeprefix(start): text for name, text in headers.items() if name.startswith(start)})
    return version


def json_object(body: bytes) -> dict[str, Any]:
    """Return a body that must be a JSON object.

    Raises:
        Refused: It is none.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid("The body is not JSON.", code="MalformedBody") from error
    if not isinstance(value, dict):
        raise invalid("The body is no JSON object.", code="MalformedBody")
    return value


def named(value: Any, name: str, kind: type) -> Any:  # noqa: ANN401  JSON
    """Return a member of a JSON object, checked for its type.

    Raises:
        Refused: It is not so.
    """
    member = value.get(name) if isinstance(value, dict) else None
    if not isinstance(member, kind):
        raise invalid(f"{name} is missing, or no {kind.__name__}.", code="MalformedBody")
    return member


def _check_append(before: Version | None, offset: int) -> None:
    if before is not None and before.kind != "Appendable":
        raise Refused(409, "ObjectNotAppendable", "The object is not appendable.", ec="0017-00000209")
    if offset != (before.size if before else 0):
        raise Refused(409, "AppendOffsetNotMatch", "The append offset does not match.", ec="0017-00000208")


def _etag(version: Version) -> str | None:
    """Appendable objects show none."""
    return None if version.kind == "Appendable" else version.etag


def _shown(version: Version) -> Headers:
    kind = {} if version.kind != "Appendable" else {"x-tos-next-append-offset": str(version.size)}
    return {
        **version.headers,
        **kind,
        "last-modified": formatdate(version.modified, usegmt=True),
        "accept-ranges": "bytes",
        "x-tos-object-type": version.kind,
        "x-tos-storage-class": "STANDARD",
    }


def _overrides(exchange: Exchange) -> Headers:
    """Parameters such as ``response-content-type`` replace headers of the answer."""
    query = exchange.call.query
    return {name[len(_OVERRIDES) :]: query[name] for name in query if name.startswith(_OVERRIDES)}
