from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from modelcall.fs.local import LocalFileSystem

FS = LocalFileSystem()


def _names(folder: Path) -> list[str]:
    return [os.path.relpath(found.path, folder) for found in FS.walk(str(folder))]


def test_walk_is_sorted_at_each_level(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a.jsonl", "c", "B", "b.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["B", "a.jsonl", "b/a", "b/z", "b.x", "c"]


def test_walk_takes_a_slash_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert [found.path for found in FS.walk(f"{tmp_path}/")] == [f"{tmp_path}/a"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "data").write_text("12345")
    (inside / "file").symlink_to(outside / "data")
    (inside / "folder").symlink_to(outside)
    (inside / "deep" / "up").symlink_to(inside)
    (inside / "self").symlink_to(inside / "self")
    (inside / "dead").symlink_to(tmp_path / "nothing")
    assert _names(inside) == ["file", "folder/data"]
    assert FS.stat(str(inside / "file")).size == 5
    assert [record.args[0] for record in caplog.records if record.args] == [  # type: ignore[index]
        f"{inside}/dead",
        f"{inside}/deep/up",
        f"{inside}/self",
    ]


def test_pipes_and_sockets_are_reported_never_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "data").touch()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # names of sockets are short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        assert _names(tmp_path) == ["data"]
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"{tmp_path}/pipe is no regular file and is left out",
        f"{tmp_path}/socket is no regular file and is left out",
    ]
    for ask in (FS.open, FS.stat):
        with pytest.raises(OSError, match="not a regular file") as raised:
            ask(str(tmp_path / "pipe"))
        assert raised.value.filename == str(tmp_path / "pipe")


def test_names_that_are_not_utf8_are_an_error(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.jsonl", os.O_CREAT))
    with pytest.raises(OSError, match="not UTF-8") as raised:
        _names(tmp_path)
    assert raised.value.errno == errno.EILSEQ


def test_an_unreadable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError, match="closed"):
        _names(tmp_path)


def test_etag_changes_with_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    os.utime(path, ns=(5, 5))
    first = FS.stat(str(path)).etag
    os.utime(path, ns=(5, 6))
    assert FS.stat(str(path)).etag != first
    path.write_bytes(b"123")
    os.utime(path, ns=(5, 5))
    assert FS.stat(str(path)).etag != first


def test_folders_are_no_files(tmp_path: Path) -> None:
    for ask in (FS.open, FS.stat, FS.read_bytes):
        with pytest.raises(IsADirectoryError):
            ask(str(tmp_path))


def test_writing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic") as raised:
        FS.open(str(tmp_path / "link"), "wb")
    assert raised.value.errno == errno.ELOOP
    FS.replace(str(tmp_path / "link"), b"new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "link").read_text() == "new"
    (tmp_path / "dead").symlink_to(tmp_path / "nothing")
    assert not FS.put_if_absent(str(tmp_path / "dead"), b"new")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("mode", ["r", "w", "a", "r+b", "ab"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        FS.open(str(tmp_path / "a"), mode)


@pytest.mark.parametrize(("private", "folder_mode", "file_mode"), [(False, 0o755, 0o644), (True, 0o700, 0o600)])
def test_modes(tmp_path: Path, *, private: bool, folder_mode: int, file_mode: int) -> None:
    store = LocalFileSystem(private=private)
    before = os.umask(0o022)
    try:
        store.makedirs(str(tmp_path / "x" / "y"))
        store.put_if_absent(str(tmp_path / "x" / "y" / "put"), b"1")
        store.replace(str(tmp_path / "x" / "y" / "replaced"), b"1")
        store.open(str(tmp_path / "x" / "y" / "opened"), "wb").close()
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x", "x/y")} == {folder_mode}
    files = list((tmp_path / "x" / "y").iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {file_mode}


def test_makedirs_over_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"):
        FS.makedirs(str(tmp_path / "a" / "b"))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced, by path."""
    found: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: found.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    return found


def test_a_folder_that_a_killed_process_may_have_made_is_made_durable_once(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "a").mkdir()
    store = LocalFileSystem()
    store.makedirs(str(tmp_path / "a" / "b"))
    store.makedirs(str(tmp_path / "a" / "b"))
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    LocalFileSystem().makedirs(str(tmp_path / "a" / "b"))
    assert synced == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a")]


def test_names_that_killed_processes_gave_are_made_durable(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    FS.sweep(str(tmp_path / "a"), deep=False)
    assert synced == [str(tmp_path / "a")]
    FS.sweep(str(tmp_path / "a"), deep=True)
    assert synced[1:] == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    FS.sweep(str(tmp_path / "none"), deep=True)
