from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelcall.mock.tos.checksum import Digests, combined_crc64, multipart_etag
from tests.mock_tos.sdk import crc64


def digests(*pieces: bytes) -> Digests:
    found = Digests(sha256=True)
    for piece in pieces:
        found.update(piece)
    return found


def test_known_digests() -> None:
    found = digests(b"1234", b"56789")
    assert found.crc64 == crc64(b"123456789") == 0x995DC9BBDF1939FA  # the check value of CRC-64/XZ
    assert found.etag == '"25f9e794323b453885f5181f1b624d0b"'
    assert found.content_md5 == "JfnnlDI7RTiF9RgfG2JNCw=="
    assert found.sha256 == "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
    assert multipart_etag(['"25f9e794323b453885f5181f1b624d0b"']) == '"5927c5d64d94a5786f90003aa26d0159-1"'


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_the_whole_of_parts(parts: list[bytes]) -> None:
    assert combined_crc64((crc64(part), len(part)) for part in parts) == crc64(b"".join(parts))
