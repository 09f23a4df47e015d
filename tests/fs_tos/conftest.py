from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.fs.tos import writing
from modelcall.mock.tos.thread import LocalTos
from tests.fs_tos.kit import PART, store
from tests.mock_tos.sdk import small

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.fs.tos.filesystem import TosFileSystem


@pytest.fixture
def tos(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTos]:
    with LocalTos(small()) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(writing, "PART_BYTES", PART)
        yield server


@pytest.fixture
def fs(tos: LocalTos) -> Iterator[TosFileSystem]:
    made = store(tos)
    yield made
    made.close()
