"""Keys that look like something else: to shells, URLs, globs, folders."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.fs.tos.places import object_place, place
from tests.fs_tos.kit import ROOT
from tests.mock_tos.sdk import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.tos.filesystem import TosFileSystem
    from modelcall.mock.tos.thread import LocalTos

NAMES = [
    *("a b", " a", "a ", "a%20b", "a%2Fb", "%", "a+b", "a#b", "#", "a?b", "?versionId=1", "a*b", "[a]", "{a}", "-rf"),
    *("a\\b", "a'b\"c", "a\tb", "a\nb", "a&b=c", "a:b", "tos:", "…", "é", "e\u0301", "中文 文件", "\U0001f600", "a..b"),
]


def url(key: str) -> str:
    return f"tos://{BUCKET}/{key}"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_itself_whatever_is_asked(fs: TosFileSystem, tos: LocalTos, name: str) -> None:
    path = url(f"in {name}/{name}")
    with fs.sink(path) as sink:
        sink.write(name.encode())
        sink.commit()
    assert tos.keys() == [f"in {name}/{name}"]
    assert [stat.path for stat in fs.walk(url(f"in {name}"))] == [path]
    assert [stat.path for stat in fs.walk(url(""))] == [path]
    assert (fs.listdir(url(f"in {name}")), fs.listdir(f"tos://{BUCKET}")) == ([name], [f"in {name}/"])
    assert (fs.exists(path), fs.exists(url(f"in {name}")), fs.exists(path + "x")) == (True, True, False)
    assert fs.read_bytes(path) == name.encode()
    assert fs.stat(path).size == len(name.encode())
    assert not fs.put_if_absent(path, b"other")
    begun = fs.sink(path, overwrite=True)
    fs.evict([path])
    assert tos.uploads() == []
    begun.abort()
    fs.remove(path)
    assert tos.keys() == []


def test_twins_in_unicode_are_two_files(fs: TosFileSystem, tos: LocalTos) -> None:
    for name in ("é", "e\u0301"):
        fs.replace(url(name), name.encode())
    assert len(tos.keys()) == 2
    assert [fs.read_bytes(stat.path).decode() for stat in fs.walk(url(""))] == ["e\u0301", "é"]


@pytest.mark.parametrize("key", ["a//b", "/a", "//a", "a///b"])
def test_empty_names_between_slashes_stay(fs: TosFileSystem, tos: LocalTos, key: str) -> None:
    fs.replace(url(key), b"x")
    assert tos.keys() == [key]
    assert [stat.path for stat in fs.walk(url(""))] == [url(key)]
    assert fs.read_bytes(url(key)) == b"x"


def test_a_file_and_a_folder_may_have_one_name(fs: TosFileSystem) -> None:
    fs.replace(url("a"), b"file")
    fs.replace(url("a/b"), b"below")
    assert fs.listdir(url("")) == ["a", "a/"]
    assert [stat.path for stat in fs.walk(url("a"))] == [url("a/b")]
    assert fs.read_bytes(url("a")) == b"file"


def test_markers_of_folders_are_folders_and_no_files(fs: TosFileSystem, tos: LocalTos) -> None:
    for key in ("folder/", "folder/empty/", "folder/a"):
        tos.put(key, b"")
    assert [stat.path for stat in fs.walk(url("folder"))] == [url("folder/a")]
    assert fs.listdir(url("folder")) == ["a", "empty/"]
    assert fs.listdir(url("folder/empty")) == []
    assert (fs.exists(url("folder")), fs.exists(url("folder/empty"))) == (True, True)
    with pytest.raises(FileNotFoundError):
        fs.stat(url("folder/empty"))


@pytest.mark.parametrize("path", [url("a/"), url("a//"), url(""), f"tos://{BUCKET}"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda fs, path: fs.stat(path),
        lambda fs, path: fs.open(path),
        lambda fs, path: fs.remove(path),
        lambda fs, path: fs.sink(path),
        lambda fs, path: fs.replace(path, b"x"),
        lambda fs, path: fs.put_if_absent(path, b"x"),
    ],
    ids=["stat", "open", "remove", "sink", "replace", "put_if_absent"],
)
def test_what_ends_with_a_slash_is_no_file(
    fs: TosFileSystem, tos: LocalTos, path: str, ask: Callable[[TosFileSystem, str], Any]
) -> None:
    tos.put("a", b"keep")
    with pytest.raises(IsADirectoryError):
        ask(fs, path)
    assert (tos.read("a"), tos.keys(), tos.uploads()) == (b"keep", ["a"], [])


@pytest.mark.parametrize("key", ["..", "../a", "a/..", "a/../b", "./a", "a/.", "../../etc/passwd"])
def test_ways_up_are_refused_before_anything_is_asked(fs: TosFileSystem, tos: LocalTos, key: str) -> None:
    for ask in (fs.stat, fs.sink, fs.listdir, fs.exists, fs.makedirs, lambda path: fs.evict([path])):
        with pytest.raises(OSError, match="cannot be asked for") as caught:
            ask(f"{ROOT}/{key}")
        assert caught.value.errno == errno.EINVAL
    assert tos.requests() == []


def test_what_others_put_under_such_keys_harms_no_listing(fs: TosFileSystem, tos: LocalTos) -> None:
    for key in ("folder/../up", "folder/./here", "folder/a"):
        tos.put(key, b"x")
    assert [stat.path for stat in fs.walk(ROOT)] == [f"{ROOT}/a"], "names that begin with a dot are hidden"


def test_a_name_that_is_not_utf8_or_too_long_is_refused(fs: TosFileSystem, tos: LocalTos) -> None:
    for key, number in (("a\udcff", errno.EILSEQ), ("中" * 342, errno.ENAMETOOLONG)):
        with pytest.raises(OSError, match="a key") as caught:
            fs.replace(url(key), b"x")
        assert caught.value.errno == number
        str(caught.value).encode()  # can be logged
    fs.replace(url("中" * 341), b"x")
    assert len(tos.keys()) == 1


KEYS = st.text(min_size=1, max_size=30).filter(
    lambda key: not key.endswith("/") and {".", ".."}.isdisjoint(key.split("/"))
)


@given(KEYS)
def test_a_path_says_its_key_and_back(key: str) -> None:
    at = object_place(url(key))
    assert (at.bucket, at.key, at.url(at.key)) == (BUCKET, key, url(key))
    assert place(url(key) + "/") == at
