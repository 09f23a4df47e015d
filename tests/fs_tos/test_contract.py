"""The contract of stores, over TOS: well, and with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.fs.contract import FileSystemContract
from modelcall.registry import load
from modelcall.types import Secret, TosAccess
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


def test_the_registrys_name_leads_to_a_store(tos: LocalTos) -> None:
    options = tos.options
    make = load("filesystems", "tos").target
    key, secret = Secret(options.access_key), Secret(options.secret_key)
    fs = make(TosAccess(f"http://{options.endpoint}", options.region, key, secret))
    fs.replace(f"{ROOT}/a", b"x")
    assert tos.read("folder/a") == b"x"
    assert fs.capabilities.content_etags
    fs.close()
