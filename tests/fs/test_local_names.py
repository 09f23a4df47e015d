"""Hostile names on the local disk, and ways to a folder that are written oddly."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from modelcall.fs.local import LocalFileSystem

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "a b",
    " ",
    "a%20b",
    "#",
    "?",
    "a*b",
    "[a]",
    "-rf",
    "a\\b",
    "a\nb",
    "a'b\"c",
    "a:b",
    "~",
    "$HOME",
    "...a",
    "中文",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_itself_whatever_is_asked(tmp_path: Path, name: str) -> None:
    fs, path = LocalFileSystem(), f"{tmp_path}/in {name}/{name}"
    with fs.sink(path) as sink:
        sink.write(name.encode())
        sink.commit()
    assert os.listdir(f"{tmp_path}/in {name}") == [name]  # noqa: PTH208  another way to look than pathlib's
    hidden = name.startswith(".")
    assert [stat.path for stat in fs.walk(str(tmp_path))] == ([] if hidden else [path])
    assert fs.listdir(f"{tmp_path}/in {name}") == [name]
    assert fs.read_bytes(path) == name.encode()
    assert not fs.put_if_absent(path, b"other")
    begun = fs.sink(path, overwrite=True)
    fs.evict([path])
    with pytest.raises(FileNotFoundError), begun:
        begun.commit()
    fs.remove(path)
    assert list(fs.walk(str(tmp_path))) == []


def test_names_that_look_alike_are_evicted_apart(tmp_path: Path) -> None:
    fs = LocalFileSystem()
    kept = {name: fs.sink(f"{tmp_path}/{name}") for name in ("a*", "ab", "A", "a.b", "é", "e\u0301")}
    evicted = kept.pop("a*"), kept.pop("é")
    fs.evict([f"{tmp_path}/a*", f"{tmp_path}/é"])
    for sink in evicted:
        with pytest.raises(FileNotFoundError), sink:
            sink.commit()
    for sink in kept.values():
        with sink:
            sink.commit()
    assert sorted(fs.listdir(str(tmp_path))) == sorted(kept)


@pytest.mark.parametrize("oddly", ["{root}//sub///a", "{root}/sub/../sub/a", "{root}/./sub/a"])
def test_one_file_however_its_path_is_written(tmp_path: Path, oddly: str) -> None:
    fs = LocalFileSystem()
    fs.replace(f"{tmp_path}/sub/a", b"one")
    path = oddly.format(root=tmp_path)
    assert (fs.read_bytes(path), fs.put_if_absent(path, b"two")) == (b"one", False)
    fs.replace(path, b"three")
    assert fs.read_bytes(f"{tmp_path}/sub/a") == b"three"
    assert fs.listdir(f"{tmp_path}/sub") == ["a"]
