"""S3 through fsspec, against moto's server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from modelcall.errors import FatalError
from modelcall.fs.contract import FileSystemContract
from modelcall.fs.errors import storage_failure
from modelcall.fs.remote import RemoteFileSystem
from tests.fs.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelcall.fs.base import FileSystem

BUCKET = "corpus"
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
BLOCK = bytes(range(256)) * 4096
BLOCKS = 11
"""MiB; s3fs sends in parts what is as long as two of them."""
PART = 5 << 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with moto_server() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": url, "AWS_CONFIG_FILE": os.devnull}.items():
            patch.setenv(name, value)
        RemoteFileSystem("s3")._fs.mkdir(BUCKET)
        yield url


@pytest.fixture(scope="module")
def s3(url: str) -> RemoteFileSystem:
    return RemoteFileSystem("s3", {"endpoint_url": url, "key": "any", "secret": "any"})


@pytest.fixture
def root() -> str:
    return f"s3://{BUCKET}/{uuid4().hex}"


class TestS3(FileSystemContract):
    @pytest.fixture(autouse=True)
    def _store(self, s3: RemoteFileSystem, root: str) -> None:
        self.fs, self.root = s3, root

    def setup_method(self) -> None:
        """A fixture makes the store."""

    def make(self) -> tuple[FileSystem, str]:
        return self.fs, self.root


def test_of_many_writers_one_is_first_every_time(s3: RemoteFileSystem, root: str) -> None:
    for number in range(10):
        path, barrier, winners = f"{root}/{number}", threading.Barrier(8), list[int]()

        def write(
            writer: int, path: str = path, barrier: threading.Barrier = barrier, winners: list[int] = winners
        ) -> None:
            barrier.wait()
            if s3.put_if_absent(path, str(writer).encode()):
                winners.append(writer)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1
        assert s3.read_bytes(path) == str(winners[0]).encode()


def write_big(fs: RemoteFileSystem, path: str, *, overwrite: bool = False) -> None:
    with fs.sink(path, overwrite=overwrite) as sink:
        for _ in range(BLOCKS):
            sink.write(BLOCK)
        sink.commit()


def test_large_files_go_in_parts_and_still_overwrite_nothing(
    s3: RemoteFileSystem, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: PART)  # 50 MiB, if it is let
    path = f"{root}/big"
    write_big(s3, path)
    stat = s3.stat(path)
    assert stat.size == BLOCKS << 20
    assert "-" in stat.etag, "not sent in parts"
    with s3.open(path) as stream:
        stream.seek(PART - 7)
        assert stream.read(20) == (BLOCK + BLOCK)[len(BLOCK) - 7 :][:20]
    call = s3._fs._call_s3

    async def beaten(method: str, *arguments: Any, **options: Any) -> Any:
        if method == "complete_multipart_upload":
            await call("put_object", Bucket=BUCKET, Key=options["Key"], Body=b"first")
        return await call(method, *arguments, **options)

    monkeypatch.setattr(s3._fs, "_call_s3", beaten)
    with pytest.raises(FileExistsError):
        write_big(s3, f"{root}/lost")
    assert s3.read_bytes(f"{root}/lost") == b"first"
    assert s3._fs.list_multipart_uploads(BUCKET) == []


@pytest.mark.long
def test_listings_do_not_end_at_a_thousand(s3: RemoteFileSystem, root: str) -> None:
    key = root.removeprefix("s3://")
    s3._fs.pipe({f"{key}/many/{number:05d}.jsonl": b"x" for number in range(1100)})
    assert [stat.path for stat in s3.walk(f"{root}/many")] == [
        f"{root}/many/{number:05d}.jsonl" for number in range(1100)
    ]
    assert len(s3.listdir(f"{root}/many")) == 1100


@pytest.mark.parametrize(
    "name", ["a b", "a+b", "a%20b", "a#b", "a?b", "a*b", "[a]", "é", "e\u0301", "中文/日 本.jsonl"]
)
def test_names_are_what_they_are(s3: RemoteFileSystem, root: str, name: str) -> None:
    path = f"{root}/{name}"
    with s3.sink(path) as sink:
        sink.write(name.encode())
        sink.commit()
    assert s3.read_bytes(path) == name.encode()
    assert not s3.put_if_absent(path, b"other")
    assert [stat.path for stat in s3.walk(root)] == [path]
    assert s3.stat(path).path == path
    s3.remove(path)
    assert list(s3.walk(root)) == []


def aws_config(folder: Path, url: str) -> dict[str, str]:
    (folder / "config").write_text(f"[default]\nendpoint_url = {url}\n")
    return {"AWS_CONFIG_FILE": str(folder / "config")}


def fsspec_config(folder: Path, url: str) -> dict[str, str]:
    (folder / "conf.json").write_text(json.dumps({"s3": {"endpoint_url": url}}))
    return {"FSSPEC_CONFIG_DIR": str(folder)}


WAYS = {
    "AWS_ENDPOINT_URL": lambda _, url: {"AWS_ENDPOINT_URL": url},
    "AWS_ENDPOINT_URL_S3": lambda _, url: {"AWS_ENDPOINT_URL_S3": url},
    "aws config": aws_config,
    "FSSPEC_S3_ENDPOINT_URL": lambda _, url: {"FSSPEC_S3_ENDPOINT_URL": url},
    "fsspec config": fsspec_config,
}
READ = """
from modelcall.fs.remote import RemoteFileSystem
print(RemoteFileSystem("s3").read_bytes("s3://corpus/hello").decode())
"""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_ways_to_name_an_endpoint_that_the_docstring_promises(
    s3: RemoteFileSystem, url: str, tmp_path: Path, way: Any
) -> None:
    s3.replace(f"s3://{BUCKET}/hello", b"hello")
    here = os.environ  # noqa: TID251  a child's environment
    inherited = {name: value for name, value in here.items() if not name.startswith(("AWS_", "FSSPEC_"))}
    told = {"AWS_CONFIG_FILE": os.devnull, "FSSPEC_CONFIG_DIR": str(tmp_path), **way(tmp_path, url)}
    ran = subprocess.run(
        [sys.executable, "-c", READ],
        env={**inherited, **KEYS, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.stdout.strip(), ran.returncode) == ("hello", 0), ran.stderr


def test_a_store_that_cannot_be_reached_fails_no_file(url: str) -> None:
    nowhere = url.rpartition(":")[0] + ":1"
    config = {"retries": {"max_attempts": 0}, "connect_timeout": 2}
    away = RemoteFileSystem("s3", {"endpoint_url": nowhere, "key": "a", "secret": "b", "config_kwargs": config})
    away._fs.retries = 1
    with pytest.raises(OSError, match="s3://corpus/a") as caught:
        away.stat(f"s3://{BUCKET}/a")
    for writing in (True, False):
        assert type(storage_failure(caught.value, writing=writing)) is FatalError
