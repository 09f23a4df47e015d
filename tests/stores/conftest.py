from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from modelcall.mock.tos.thread import LocalTos
from tests.cli.conftest import server, shell
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


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in the store of fsspec that lives in this process."""
    store = fsspec.filesystem("memory")
    yield "memory://corpus"
    store.store.clear()
    store.pseudo_dirs[:] = [""]
