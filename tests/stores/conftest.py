from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING
from uuid import uuid4

import fsspec
import pytest

from modelcall.mock.tos.thread import LocalTos
from tests.cli.conftest import server, shell
from tests.fs.moto import moto_server
from tests.mock_tos.sdk import small
from tests.stores.kit import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.shell import Shell

__all__ = ["server", "shell"]


@pytest.fixture
def desk(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("MODELCALL_WORK_DIR", str(tmp_path / "work"))
    return Desk(shell)


@pytest.fixture
def tos(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTos]:
    with LocalTos(small()) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 that is not ours."""
    reach = {"AWS_ENDPOINT_URL": s3_url, "AWS_CONFIG_FILE": os.devnull, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**reach, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"corpus-{uuid4().hex}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    yield f"s3://{bucket}"
    gc.collect()  # a client of s3fs that goes later is closed by a task in whatever loop runs then


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in the store of fsspec that lives in this process."""
    store = fsspec.filesystem("memory")
    yield "memory://corpus"
    store.store.clear()
    store.pseudo_dirs[:] = [""]
