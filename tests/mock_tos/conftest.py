from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.mock.tos.thread import LocalTos
from tests.mock_tos.sdk import connected, small

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tos import TosClientV2


@pytest.fixture
def tos() -> Iterator[LocalTos]:
    with LocalTos(small()) as server:
        yield server


@pytest.fixture
def client(tos: LocalTos) -> Iterator[TosClientV2]:
    with connected(tos) as client:
        yield client
