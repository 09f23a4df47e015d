from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_ROOT", "OPENAI_API_KEY", "OPENAI_BASE_URL", "API_KEY", "BASE_URL", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "100")
    started = Shell(tmp_path, capfd)
    yield started
    started.clear()


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(MockOptions(latency=0.02, distribution="uniform")) as running:
        yield running
