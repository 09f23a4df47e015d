"""The real SDK against a server of one's own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from tos import TosClientV2
from tos.exceptions import TosServerError

from modelcall.mock.tos.options import TosOptions
from modelcall.mock.tos.thread import LocalTos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.mock.tos.reach import Reachable

BUCKET = "corpus"
OTHER = "other"
PART = 1024
"""Smallest part here, instead of 5 MB."""


def small(**changes: Any) -> TosOptions:
    return TosOptions(**{"buckets": (BUCKET, OTHER), "min_part_size": PART, **changes})


@contextlib.contextmanager
def running(**changes: Any) -> Iterator[tuple[LocalTos, TosClientV2]]:
    with LocalTos(small(**changes)) as tos, connected(tos) as client:
        yield tos, client


@contextlib.contextmanager
def connected(tos: Reachable, **changes: Any) -> Iterator[TosClientV2]:
    client = TosClientV2(**{**tos.sdk_settings, **changes})
    try:
        yield client
    finally:
        client.close()


def refused(call: Callable[[], Any]) -> TosServerError:
    with pytest.raises(TosServerError) as caught:
        call()
    return caught.value


def crc64(content: bytes) -> int:
    """CRC-64/XZ, bit by bit, as its definition says."""
    register = (1 << 64) - 1
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xC96C5795D7870F42 if register & 1 else 0)
    return register ^ ((1 << 64) - 1)


def whole(client: TosClientV2, key: str, **asked: Any) -> bytes:
    """Read to the end, so that the SDK compares checksums."""
    return b"".join(client.get_object(BUCKET, key, **asked))
