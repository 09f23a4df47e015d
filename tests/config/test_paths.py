from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.environment import Environment
from modelcall.config.paths import (
    data_root,
    fill,
    fixed_prefix,
    local_path,
    placeholders_in,
    safe_name,
    unknown_placeholders,
)
from modelcall.errors import ConfigError

HERE = Environment({"HOME": "/home/u"}, cwd=Path("/work"))
WITH_ROOT = Environment({"DATA_ROOT": "/data"}, cwd=Path("/work"))


def root(
    environment: Environment = WITH_ROOT,
    *,
    flag: str | None = None,
    fs: str | None = None,
    task_root: str | None = None,
    task_fs: str | None = None,
) -> str:
    return data_root(environment=environment, root=flag, fs=fs, task_root=task_root, task_fs=task_fs)


def test_data_root_by_precedence() -> None:
    assert root(flag="/flag", fs="local", task_root="/task") == "/flag"
    assert root(fs="local", task_root="/task") == "/work"
    assert root(task_root="/task", task_fs="local") == "/task"
    assert root(task_fs="local") == "/work"
    assert root() == "/data"
    assert root(HERE) == "/work"
    assert root(task_root="corpora") == "/work/corpora"


@pytest.mark.parametrize(("flag", "fs", "task_fs"), [("tos://b", None, None), (None, "tos", None), (None, None, "a:C")])
def test_remote_roots_are_refused_in_this_version(flag: str | None, fs: str | None, task_fs: str | None) -> None:
    with pytest.raises(ConfigError, match="this version does not support storage other than the local disk"):
        root(flag=flag, fs=fs, task_fs=task_fs)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("users/x", "/data/users/x"),
        ("users/x/", "/data/users/x"),
        ("/abs/x", "/abs/x"),
        ("./x", "/work/x"),
        ("../x", "/x"),
        (".", "/work"),
        (".hidden/x", "/data/.hidden/x"),
        ("a/../b", "/data/b"),
        ("~/x", "/home/u/x"),
        ("file:///a%20b/x", "/a b/x"),
        ("a/*.jsonl", "/data/a/*.jsonl"),
        ("out/{timestamp}", "/data/out/{timestamp}"),
    ],
)
def test_local_path(path: str, expected: str) -> None:
    assert local_path(path, root="/data", environment=HERE) == expected


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/a/b/{timestamp}/c", "/a/b"),
        ("/a/run-{timestamp}", "/a"),
        ("/a/{task_name}/{timestamp}", "/a"),
        ("/{timestamp}", "/"),
        ("/a/{other}/b", "/a/{other}/b"),
        ("/a/b", "/a/b"),
    ],
)
def test_longest_prefix_without_placeholders(path: str, prefix: str) -> None:
    assert fixed_prefix(path) == prefix


def test_placeholders() -> None:
    assert placeholders_in("/a/{timestamp}/{run_index}{x}") == {"timestamp", "run_index"}
    assert unknown_placeholders("/a/{timestamp}/{date}") == ["date"]


def test_fill_makes_one_safe_name_of_each_value_in_one_pass() -> None:
    filled = fill(
        "/o/{task_name}/{timestamp}/{run_index}/{x}",
        {"task_name": "../../etc/{timestamp}", "timestamp": "20241201_143022", "run_index": "1"},
    )

    assert filled == "/o/etc_{timestamp}/20241201_143022/1/{x}"


def test_fill_without_a_value() -> None:
    with pytest.raises(KeyError):
        fill("/o/{run_index}", {})


@given(st.text(max_size=300))
def test_safe_name_is_one_visible_component(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    name = safe_name(text)

    assert name
    assert name[0] not in "._"
    assert not set(name) & set("/\\\0\n")
    assert len(name.encode()) <= 120


def test_long_names_stay_apart() -> None:
    assert safe_name("任" * 200 + "a") != safe_name("任" * 200 + "b")
