import os
from pathlib import Path

import pytest

from modelcall.errors import ConfigError
from modelcall.formats.detect import is_data_file
from modelcall.fs.local import LocalFileSystem
from modelcall.state.listing import Listing, list_input


def names(path: str) -> list[str]:
    return [file.name for file in listed(path).files]


def listed(path: str) -> Listing:
    return list_input(LocalFileSystem(), path, is_data=is_data_file)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    for name in (
        "b.jsonl",
        "a.parquet",
        "sub/c.jsonl.gz",
        "sub/deep/d.jsonl",
        "_SUCCESS",
        ".x.jsonl",
        "_tmp/e.jsonl",
        "README.md",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    return str(tmp_path)


def test_a_folder_gives_its_data_files_sorted_and_shows_what_it_passed_over(corpus: str) -> None:
    listing = listed(corpus)
    assert [file.name for file in listing.files] == ["a.parquet", "b.jsonl", "sub/c.jsonl.gz", "sub/deep/d.jsonl"]
    assert listing.passed_over == ("README.md",)
    assert listing.files[1].size == 3
    assert listing.files[1].path == f"{corpus}/b.jsonl"


def test_a_file_stands_for_itself(corpus: str) -> None:
    assert names(f"{corpus}/sub/c.jsonl.gz") == ["c.jsonl.gz"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jsonl", ["b.jsonl"]),
        ("sub/*", ["c.jsonl.gz"]),
        ("**/*.jsonl", ["b.jsonl", "sub/deep/d.jsonl"]),
        ("sub/**", ["c.jsonl.gz", "deep/d.jsonl"]),
        ("[ab].*", ["a.parquet", "b.jsonl"]),
    ],
)
def test_a_glob_gives_names_below_its_longest_plain_prefix(corpus: str, pattern: str, expected: list[str]) -> None:
    assert names(f"{corpus}/{pattern}") == expected


def test_a_name_with_wildcard_characters_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "part[1]*.jsonl").write_text("{}\n")
    (tmp_path / "part1x.jsonl").write_text("{}\n")
    assert names(f"{tmp_path}/part[1]*.jsonl") == ["part[1]*.jsonl"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none", "no such file or folder"),
        ("README.md", "unknown file format"),
        ("*.csv", "no JSONL or Parquet file there"),
        ("empty", "no JSONL or Parquet file there"),
    ],
)
def test_what_is_not_there_is_said(corpus: str, path: str, message: str) -> None:
    (Path(corpus) / "empty").mkdir()
    with pytest.raises(ConfigError, match=message):
        listed(f"{corpus}/{path}")


def test_a_change_of_content_changes_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    first = listed(str(path)).files[0].fingerprint
    os.utime(path, ns=(1, 1))
    assert listed(str(path)).files[0].fingerprint != first
