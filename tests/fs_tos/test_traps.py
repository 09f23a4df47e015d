"""What the SDK or TOS get wrong if they are let."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import pytest

from modelcall.errors import ConfigError, FatalError
from modelcall.fs.tos import reading
from modelcall.fs.tos.client import TosCalls
from modelcall.types import Secret, TosAccess
from tests.fs_tos.kit import PART, ROOT, store
from tests.mock_tos.sdk import BUCKET

if TYPE_CHECKING:
    from modelcall.fs.tos.filesystem import TosFileSystem
    from modelcall.mock.tos.thread import LocalTos

DATA = random.Random(1).randbytes(5 * PART + 123)


def put(fs: TosFileSystem, data: bytes, *, overwrite: bool = False) -> None:
    with fs.sink(f"{ROOT}/a", overwrite=overwrite) as sink:
        for start in range(0, len(data), 10_000):
            sink.write(data[start : start + 10_000])
        sink.commit()


@pytest.mark.parametrize("size", [100, len(DATA)])
@pytest.mark.parametrize(
    "operation", ["put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload"]
)
def test_a_write_whose_answer_was_lost_is_known_for_our_own(
    fs: TosFileSystem, tos: LocalTos, operation: str, size: int
) -> None:
    tos.set_faults(f"lost_ack,op={operation},times=1")
    put(fs, DATA[:size])
    assert tos.read("folder/a") == DATA[:size]
    with pytest.raises(FileExistsError):
        put(fs, DATA[:size])
    assert len(tos.uploads()) <= (operation == "create_multipart_upload")


def test_put_if_absent_knows_its_own(fs: TosFileSystem, tos: LocalTos) -> None:
    tos.set_faults("lost_ack,op=put_object,times=1")
    assert fs.put_if_absent(f"{ROOT}/lock", b"one")
    assert not fs.put_if_absent(f"{ROOT}/lock", b"one")


@pytest.mark.parametrize("size", [100, len(DATA)])
def test_what_is_not_committed_leaves_nothing(fs: TosFileSystem, tos: LocalTos, size: int) -> None:
    with fs.sink(f"{ROOT}/a") as sink:
        sink.write(DATA[:size])
    assert (tos.keys(), tos.uploads()) == ([], [])


@pytest.mark.parametrize("after", [0, 1, 1000, len(DATA) - 1])
def test_a_body_that_is_cut_is_read_on(
    fs: TosFileSystem, tos: LocalTos, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1000)
    put(fs, DATA)
    tos.set_faults(f"cut,op=get_object,after={after},times=1")
    with fs.open(f"{ROOT}/a") as stream:
        assert stream.read() == DATA
    ranges = [entry.range for entry in tos.requests("get_object")]
    assert ranges[-1] == f"bytes={after // 1000 * 1000}-{len(DATA) - 1}"
    tos.set_faults(f"cut,op=get_object,after={after},times=1")
    assert fs.read_bytes(f"{ROOT}/a") == DATA


def test_an_object_that_is_replaced_while_it_is_read_is_an_error_and_never_a_mixture(fs: TosFileSystem) -> None:
    put(fs, DATA)
    with fs.open(f"{ROOT}/a") as stream:
        assert stream.read(1000) == DATA[:1000]
        put(fs, DATA[::-1], overwrite=True)
        with pytest.raises(OSError, match="replaced") as caught:
            stream.read(1000)
    assert caught.value.errno == errno.ESTALE


def test_reads_that_go_on_are_fetched_ahead_and_no_more_than_was_read(fs: TosFileSystem, tos: LocalTos) -> None:
    put(fs, DATA)
    with fs.open(f"{ROOT}/a") as stream:
        read = b"".join(iter(lambda: stream.read(7_000), b""))
    assert read == DATA
    asked = len(tos.requests("get_object"))
    assert asked == -(-len(DATA) // 7_000)
    with fs.open(f"{ROOT}/a") as stream:  # as columns are read: two at a time, in turn
        for begin in (0, 2 * PART):
            for piece in range(3):
                stream.seek(begin + piece * 5_000)
                assert stream.read(5_000) == DATA[begin + piece * 5_000 :][:5_000]
    assert len(tos.requests("get_object")) - asked <= 12


@pytest.mark.parametrize("name", ["a b", "a+b", "a%20b", "ä/中文", "a//b", "#?", "日 本.jsonl"])
def test_keys_are_what_they_are(fs: TosFileSystem, tos: LocalTos, name: str) -> None:
    fs.replace(f"tos://{BUCKET}/{name}", b"x")
    assert tos.keys() == [name]
    assert [stat.path for stat in fs.walk(f"tos://{BUCKET}")] == [f"tos://{BUCKET}/{name}"]
    assert fs.read_bytes(f"tos://{BUCKET}/{name}") == b"x"


@pytest.mark.parametrize("path", ["tos://corpus/a/../b", "tos://corpus/./a", "tos://UP/a", "s3://corpus/a", "tos://x"])
def test_paths_that_cannot_be_asked_for_are_refused(fs: TosFileSystem, path: str) -> None:
    with pytest.raises(OSError, match=r"\.\.|of the form") as caught:
        fs.stat(path)
    assert caught.value.errno == errno.EINVAL


def test_listings_do_not_end_at_a_thousand(fs: TosFileSystem, tos: LocalTos) -> None:
    for number in range(2100):
        tos.put(f"many/{number:05d}.jsonl", b"x")
    tos.put("many/", b"")
    assert len(list(fs.walk(f"tos://{BUCKET}/many"))) == 2100
    assert sum("list" in entry.operation for entry in tos.requests()) == 3


def test_a_wrong_key_is_named_at_once(tos: LocalTos) -> None:
    fs = store(tos, secret="another-secret-key")
    with pytest.raises(FatalError, match=r"bucket corpus, endpoint http://tos\.test/, region cn-local") as caught:
        fs.read_bytes(f"{ROOT}/a")
    assert "another-secret-key" not in f"{caught.value} {caught.value.hint}"
    assert "TOS_SECRET_KEY is not that of TOS_ACCESS_KEY" in (caught.value.hint or "")
    assert len(tos.requests()) == 1, "nothing is tried again"
    fs.close()


def test_what_keeps_failing_is_given_up_after_the_budget(tos: LocalTos) -> None:
    fs = store(tos, budget=0.5)
    tos.set_faults("unavailable")
    with pytest.raises(TimeoutError, match="keeps failing"):
        fs.stat(f"{ROOT}/a")
    fs.close()


def test_an_endpoint_of_another_protocol_is_refused() -> None:
    secret = Secret("x")
    with pytest.raises(ConfigError, match="speaks S3"):
        TosCalls(TosAccess("https://tos-s3-cn-beijing.volces.com", "cn-beijing", secret, secret))
