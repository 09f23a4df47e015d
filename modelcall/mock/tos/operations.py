"""The table of operations. Their names are those of the SDK's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from modelcall.mock.tos import buckets, listing, multipart, objects
from modelcall.mock.tos.replies import Answer, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.exchange import Exchange

    Operation: TypeAlias = Callable[[Exchange], Awaitable[Answer]]

_TABLE: Final[Mapping[tuple[str, str, str], Operation]] = {
    ("GET", "service", ""): buckets.list_buckets,
    ("HEAD", "bucket", ""): buckets.head_bucket,
    ("PUT", "bucket", ""): buckets.create_bucket,
    ("DELETE", "bucket", ""): buckets.delete_bucket,
    ("GET", "bucket", ""): listing.list_objects,
    ("GET", "bucket", "list-type"): listing.list_objects_type2,
    ("GET", "bucket", "uploads"): listing.list_multipart_uploads,
    ("POST", "bucket", "delete"): objects.delete_multi_objects,
    ("PUT", "object", ""): objects.put_object,
    ("PUT", "object", "copy"): objects.copy_object,
    ("PUT", "object", "rename"): objects.rename_object,
    ("GET", "object", ""): objects.get_object,
    ("HEAD", "object", ""): objects.head_object,
    ("DELETE", "object", ""): objects.delete_object,
    ("POST", "object", "append"): objects.append_object,
    ("POST", "object", "metadata"): objects.set_object_meta,
    ("POST", "object", "uploads"): multipart.create_multipart_upload,
    ("PUT", "object", "uploadId"): multipart.upload_part,
    ("PUT", "object", "uploadId copy"): multipart.upload_part_copy,
    ("POST", "object", "uploadId"): multipart.complete_multipart_upload,
    ("DELETE", "object", "uploadId"): multipart.abort_multipart_upload,
    ("GET", "object", "uploadId"): multipart.list_parts,
}
_FLAGS: Final = ("list-type", "uploads", "uploadId", "append", "delete", "rename", "metadata")
_ELSEWHERE: Final = {
    "acl",
    "bucketInfo",
    "cors",
    "lifecycle",
    "location",
    "policy",
    "restore",
    "stat",
    "symlink",
    "tagging",
}
"""Parameters of operations that this server does not have; ignoring one would do something else instead."""


def find(call: Call) -> Operation:
    """Return the operation that is asked for."""
    flags = [name for name in _FLAGS if name in call.query]
    if call.method == "PUT" and objects.SOURCE in call.headers:
        flags.append("copy")
    if _ELSEWHERE.intersection(call.query):
        return not_implemented
    return _TABLE.get((call.method, call.level, " ".join(flags)), not_implemented)


async def not_implemented(exchange: Exchange) -> Answer:
    """Answer what the real TOS may know and this one does not."""
    call = exchange.call
    raise Refused(501, "NotImplemented", f"The local TOS has no {call.method} of this kind: {sorted(call.query)}")
