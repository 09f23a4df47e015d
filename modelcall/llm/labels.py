"""What attempts are called on the wire, so that servers' logs can be matched with ours.

``x-request-id`` is ``<stem>-<attempt>`` in the form of a UUID (RFC 9562), because some servers answer 400 to anything
else: all that are built on starlette-context, llama-cpp-python's among them.
"""

from __future__ import annotations

from hashlib import blake2b

_STEM_BYTES = 10


def stem(request_id: str) -> str:
    """Return what all attempts of a request share: four groups of a UUID, of version 8, for the fifth to number."""
    digits = blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=_STEM_BYTES).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}"


def label(request_id: str, attempt: int) -> str:
    """Return the ``x-request-id`` of an attempt, which is counted from 1."""
    return f"{stem(request_id)}-{attempt:012d}"
