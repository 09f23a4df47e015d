"""The contract of stores, over TOS: well, and with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.fs.contract import FileSystemContract
from tests.fs_tos.kit import ROOT

if TYPE_CHECKING:
    from modelcall.fs.base import FileSystem
    from modelcall.fs.tos.filesystem import TosFileSystem
    from modelcall.mock.tos.thread import LocalTos


class TestTos(FileSystemContract):
    @pytest.fixture(autouse=True)
    def _store(self, fs: TosFileSystem) -> None:
        self.fs, self.root = fs, ROOT

    def setup_method(self) -> None:
        """A fixture makes the store."""

    def make(self) -> tuple[FileSystem, str]:
        return self.fs, self.root


class TestTosWithFaults(TestTos):
    @pytest.fixture(autouse=True)
    def _faults(self, tos: LocalTos) -> None:
        tos.set_faults("mix=0.2")
