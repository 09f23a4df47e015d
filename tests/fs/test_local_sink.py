from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelcall.fs import local_sink
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.local_sink import clean_temporaries

FS = LocalFileSystem()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that make a commit durable, in order."""
    seen: list[str] = []
    fsync, replace, link = os.fsync, Path.replace, Path.hardlink_to

    def spy_fsync(descriptor: int) -> None:
        seen.append("fsync folder" if os.fstat(descriptor).st_mode & 0o040000 else "fsync file")
        fsync(descriptor)

    def spy_replace(self: Path, target: str) -> Path:
        seen.append("replace")
        return replace(self, target)

    def spy_link(self: Path, target: str) -> None:
        seen.append("link")
        link(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    monkeypatch.setattr(Path, "hardlink_to", spy_link)
    return seen


@pytest.mark.parametrize(("overwrite", "naming"), [(False, "link"), (True, "replace")])
def test_synced_before_named_and_named_before_the_folder_is_synced(
    tmp_path: Path, calls: list[str], *, overwrite: bool, naming: str
) -> None:
    FS.makedirs(str(tmp_path))
    calls.clear()
    with FS.sink(str(tmp_path / "a"), overwrite=overwrite) as sink:
        sink.write(b"x")
        sink.commit()
    assert calls == ["fsync file", naming, "fsync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_temporary_files_are_hidden_and_beside_the_target(tmp_path: Path) -> None:
    with FS.sink(str(tmp_path / "a.parquet")):
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.startswith(".a.parquet.")
        assert temporary.name.endswith(".tmp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 255, "文" * 85, "-a b#?*.jsonl"])
def test_every_name_a_disk_takes_can_be_written(tmp_path: Path, name: str) -> None:
    FS.replace(str(tmp_path / name), b"1")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failed_sync_publishes_nothing_is_not_repeated_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    syncs = []

    def failing(descriptor: int) -> None:
        syncs.append(descriptor)
        raise OSError(number, os.strerror(number))

    FS.makedirs(str(tmp_path))
    monkeypatch.setattr(os, "fsync", failing)
    sink = FS.sink(str(tmp_path / "a"))
    with sink:
        sink.write(b"x")
        with pytest.raises(OSError, match=r".") as raised:
            sink.commit()
    assert (raised.value.errno, raised.value.filename) == (number, str(tmp_path / "a"))
    assert len(syncs) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sink_that_cannot_remove_its_temporary_file_lets_go_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, **_: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    sink = FS.sink(str(tmp_path / "a"))
    monkeypatch.setattr(Path, "unlink", read_only)
    sink.abort()
    monkeypatch.undo()
    FS.sweep(str(tmp_path), deep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_cannot_be_looked_at_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fstat", failing)
    with pytest.raises(OSError, match="Input/output"):
        FS.sink(str(tmp_path / "a"))
    monkeypatch.undo()
    FS.sweep(str(tmp_path), deep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_writing_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    sink = FS.sink(str(tmp_path / "a"))
    with sink, full.open("wb", buffering=0) as device:
        os.dup2(device.fileno(), sink._stream.fileno())
        with pytest.raises(OSError, match="No space left") as raised:
            sink.write(bytes(4 << 20))
    assert raised.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_commit_is_a_file_exists_error_with_the_final_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")
    sink = FS.sink(str(tmp_path / "a"))
    with sink, pytest.raises(FileExistsError) as raised:
        sink.commit()
    assert raised.value.filename == str(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _no_links(self: Path, target: str) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted", str(self), None, target)


def test_without_hard_links_files_are_still_published_whole_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", _no_links)
    for data in (b"first", b"second"):
        sink = FS.sink(str(tmp_path / "a"))
        with sink:
            sink.write(data)
            if data == b"first":
                sink.commit()
            else:
                with pytest.raises(FileExistsError):
                    sink.commit()
    assert (tmp_path / "a").read_bytes() == b"first"
    assert FS.put_if_absent(str(tmp_path / "lock"), b"1")
    with pytest.raises(FileExistsError):
        local_sink.publish_exclusive(str(tmp_path / "a"), str(tmp_path / "lock"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "lock"]
    assert (tmp_path / "lock").read_bytes() == b"1"


_DIES = """
import os, signal, sys
from modelcall.fs.local import LocalFileSystem
LocalFileSystem().sink(sys.argv[1]).write(b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_the_dead_are_cleaned_and_the_living_spared(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _DIES, str(tmp_path / "dead.parquet")], check=False)
    for stranger in (".a.tmp", "x.0123456789abcdef.tmp", ".hidden"):
        (tmp_path / stranger).touch()
    (leftover,) = (path.name for path in tmp_path.iterdir() if path.name.startswith(".dead"))
    with FS.sink(str(tmp_path / "alive")) as sink:
        assert clean_temporaries(str(tmp_path)) == [leftover]
        sink.write(b"whole")
        sink.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.tmp",
        ".hidden",
        "alive",
        "x.0123456789abcdef.tmp",
    ]


def test_a_temporary_file_cleaned_at_birth_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    births: list[Path] = []

    def clean_first(descriptor: int, operation: int) -> None:
        if not births:
            births.extend(tmp_path.iterdir())
            births[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", clean_first)
    FS.replace(str(tmp_path / "a"), b"1")
    assert len(births) == 1
    assert (tmp_path / "a").read_bytes() == b"1"


def test_folders_that_know_no_sync_are_fine_and_failing_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    number = errno.EINVAL
    local_sink.sync_folder(str(tmp_path))
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output") as raised:
        local_sink.sync_folder(str(tmp_path))
    assert raised.value.filename == str(tmp_path)
