"""What attempts are called on the wire: ``x-request-id``, so that servers' logs can be matched with ours."""

from __future__ import annotations


def label(request_id: str, attempt: int) -> str:
    """Return the ``x-request-id`` of an attempt, which is counted from 1: the last group of a UUID."""
    return f"{request_id}-{attempt:012d}"
