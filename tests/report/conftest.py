from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import server, shell
from tests.cli.shell import Shell
from tests.report.runs import prepare, scored

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["server", "shell"]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, made once."""
    folder = tmp_path_factory.mktemp("counted")
    made = Shell(folder, captured=None)  # type: ignore[arg-type]  # only processes of their own
    prepare(made)
    scored(made)
    return folder


@pytest.fixture
def counted(shell: Shell, template: Path) -> Shell:
    """A folder with a copy of the finished run."""
    shutil.copytree(template, shell.folder, dirs_exist_ok=True)
    return shell
