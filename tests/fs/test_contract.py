from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from uuid import uuid4

from modelcall.fs.base import Capabilities, FileSystem
from modelcall.fs.contract import FileSystemContract
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.remote import PROMISES, RemoteFileSystem


class _FiveMethods(FileSystem):
    """The least an author writes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        if mode == "wb":
            return _Upload(self.files, path)
        if path not in self.files:
            raise FileNotFoundError(path)
        return io.BytesIO(self.files[path])

    def exists(self, path: str) -> bool:
        return path in self.files or any(name.startswith(path + "/") for name in self.files)

    def listdir(self, path: str) -> list[str]:
        below = [name.removeprefix(path + "/") for name in self.files if name.startswith(path + "/")]
        return list({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})

    def makedirs(self, path: str) -> None:
        pass

    def remove(self, path: str) -> None:
        try:
            del self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None


class _Upload(io.BytesIO):
    def __init__(self, files: dict[str, bytes], path: str) -> None:
        super().__init__()
        self._files = files
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self._files[self._path] = self.getvalue()
        super().close()


class TestFiveMethods(FileSystemContract):
    def make(self) -> tuple[FileSystem, str]:
        return _FiveMethods(), "mine://bucket/folder"


class TestLocalFileSystem(FileSystemContract):
    def make(self) -> tuple[FileSystem, str]:
        self.folder = TemporaryDirectory()
        return LocalFileSystem(), str(Path(self.folder.name).resolve())

    def teardown_method(self) -> None:
        self.folder.cleanup()


class TestPrivateLocalFileSystem(TestLocalFileSystem):
    def make(self) -> tuple[FileSystem, str]:
        return LocalFileSystem(private=True), super().make()[1]


class TestMemory(FileSystemContract):
    def make(self) -> tuple[FileSystem, str]:
        return RemoteFileSystem("memory"), f"memory://{uuid4().hex}/folder"


class TestAnyUrlOnTheLocalDisk(FileSystemContract):
    def make(self) -> tuple[FileSystem, str]:
        self.folder = TemporaryDirectory()
        return RemoteFileSystem("file"), f"file://{self.folder.name}"

    def teardown_method(self) -> None:
        self.folder.cleanup()


def test_five_methods_promise_little() -> None:
    assert _FiveMethods().capabilities == Capabilities(
        atomic=False, put_if_absent=False, append=False, content_etags=False
    )


def test_only_stores_with_etags_of_their_own_vouch_for_content() -> None:
    vouching = {name for name, promises in PROMISES.items() if promises.content_etags}
    assert vouching == {"s3", "s3a", "gs", "gcs", "az", "abfs"}
    assert not LocalFileSystem().capabilities.content_etags, "a time of change can be set back"
    assert not RemoteFileSystem("memory").capabilities.content_etags


def test_authors_need_neither_our_tests_nor_pytest_to_import_it(tmp_path: Path) -> None:
    code = "import sys, modelcall.fs.contract; print({'pytest', 'tests'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


AUTHORS = """
from modelcall.fs.contract import FileSystemContract
from modelcall.fs.local import LocalFileSystem

class Careless(LocalFileSystem):
    def exists(self, path):
        return False
    def put_if_absent(self, path, data):
        self.replace(path, data)
        return True

class TestCareless(FileSystemContract):
    def make(self):
        import tempfile
        return Careless(), tempfile.mkdtemp(dir=".")
"""


def test_an_authors_mistakes_are_found_and_explained(tmp_path: Path) -> None:
    (tmp_path / "test_careless.py").write_text(AUTHORS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_careless.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    failed = set(re.findall(r"FAILED .*::(test_\w+)", ran.stdout))
    assert failed == {
        "test_folders_are_made_as_needed",
        "test_put_if_absent_keeps_the_first",
        "test_put_if_absent_has_one_winner",
    }
    assert "8 writers believe that they were first" in ran.stdout
