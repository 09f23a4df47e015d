"""Bodies are decompressed within a bound."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.bodies import decode
from modelcall.llm.transport import TransportFault


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate", "identity", " GZIP ", "gzip, deflate"]))
def test_what_was_encoded_comes_back(body: bytes, encoding: str) -> None:
    sent = body
    for name in [part.strip().lower() for part in encoding.split(",")]:
        sent = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[name](sent)  # type: ignore[operator]
    assert decode(sent, encoding, limit=4000) == body


def test_a_bomb_does_not_fill_the_memory() -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    tracemalloc.start()
    with pytest.raises(TransportFault, match="larger than 100000 bytes"):
        decode(bomb, "gzip", limit=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_limit_itself_is_allowed() -> None:
    assert len(decode(gzip.compress(b"x" * 100), "gzip", limit=100)) == 100


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "br", "zstd", "x"]))
def test_garbage_is_a_fault_and_nothing_else(body: bytes, encoding: str) -> None:
    with suppress(TransportFault):
        assert len(decode(body, encoding, limit=1000)) <= 1000
