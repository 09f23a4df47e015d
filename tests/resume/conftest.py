from collections.abc import Iterator

import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.cli.shell import Shell
from tests.resume.killed import Killed, Picture


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(MockOptions(latency=0.02)) as running:
        yield running


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory, server: EmbeddedServer) -> Picture:
    return Picture(tmp_path_factory.mktemp("killed"), server)


@pytest.fixture
def killed(picture: Picture, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Killed:
    for name in ("DATA_ROOT", "OPENAI_API_KEY", "OPENAI_BASE_URL", "API_KEY", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(picture.folder)
    return Killed(picture, Shell(picture.folder, capfd))
