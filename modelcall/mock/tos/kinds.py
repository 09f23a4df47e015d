"""The faults, by name: what each does to one request, and to which operations it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_UPLOADS: Final = "put_object|upload_part|append_object"
_BODIES: Final = "get_object"
_CHANGES: Final = (
    "put_object|delete_object|delete_multi_objects|append_object|copy_object|rename_object|set_object_meta"
    "|create_multipart_upload|upload_part|upload_part_copy|complete_multipart_upload|abort_multipart_upload"
)
_LISTS: Final = "list_objects|list_objects_type2"
_ALL: Final = ".*"


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that stores and networks do."""

    name: str
    description: str
    operations: str = _ALL
    """Pattern of the operations that it strikes, unless a rule says otherwise."""
    status: int = 0
    """Of a refusal."""
    code: str = ""
    seconds: float = 0.0
    """Default duration."""
    after: int | None = None
    """Default number of bytes; None: half of them."""
    mixed: bool = False
    """Part of ``mix``: a client that tries again gets over it, and can tell that it has to."""


_KINDS: Final = (
    Kind("status", "refuses with the status, code and ec of the rule", status=500, code="InternalError"),
    Kind("internal_error", "500", status=500, code="InternalError", mixed=True),
    Kind("bad_gateway", "502", status=502, code="BadGateway", mixed=True),
    Kind("unavailable", "503", status=503, code="ServiceUnavailable", mixed=True),
    Kind("throttled", "429; seconds: what Retry-After says", status=429, code="ExceedBucketQPSLimit", mixed=True),
    Kind("skewed", "403: the clocks differ too much", status=403, code="RequestTimeTooSkewed"),
    Kind("expired_token", "403: the security token has expired", status=403, code="ExpiredToken"),
    Kind("delay", "waits for seconds before it does anything", seconds=0.05, mixed=True),
    Kind("drop", "drops the connection before it does anything", mixed=True),
    Kind("lost_ack", "does it, then drops the connection", _CHANGES, mixed=True),
    Kind("cut", "drops the connection after so many bytes of the answer's body", _BODIES, mixed=True),
    Kind(
        "trickle",
        "sends the answer's body in pieces of so many bytes, seconds apart",
        _BODIES,
        seconds=0.01,
        after=1024,
    ),
    Kind("truncate", "drops the connection after so many bytes of the upload", _UPLOADS, mixed=True),
    Kind("corrupt", "flips one bit of the upload or the answer's body, after so many bytes", f"{_UPLOADS}|{_BODIES}"),
    Kind(
        "bad_crc",
        "answers with a wrong CRC64",
        f"{_UPLOADS}|{_BODIES}|head_object|complete_multipart_upload",
        mixed=True,
    ),
    Kind("stale_etag", "answers with the ETag of the version before", f"{_BODIES}|head_object|{_LISTS}"),
    Kind("stale_listing", "lists without the latest change (changes: so many)", _LISTS),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _KINDS}
MIX: Final = "mix"
"""One of :data:`MIXED` that belongs to the operation, drawn anew for each request."""
MIXED: Final = tuple(kind for kind in _KINDS if kind.mixed)
