from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.environment import Environment
from modelcall.config.paths import (
    NO_BUCKET,
    DataRoot,
    data_path,
    data_root,
    fill,
    fixed_prefix,
    placeholders_in,
    safe_name,
    unknown_placeholders,
)

HERE = Environment({"HOME": "/home/u"}, cwd=Path("/work"))
WITH_ROOT = Environment({"DATA_ROOT": "/data"}, cwd=Path("/work"))


def root(
    environment: Environment = WITH_ROOT,
    *,
    flag: str | None = None,
    fs: str | None = None,
    task_root: str | None = None,
    task_fs: str | None = None,
) -> DataRoot:
    return data_root(environment=environment, root=flag, fs=fs, task_root=task_root, task_fs=task_fs)


def test_data_root_by_precedence() -> None:
    assert root(flag="/flag", fs="local", task_root="/task") == DataRoot("/flag")
    assert root(fs="local", task_root="/task") == DataRoot("/work")
    assert root(task_root="/task", task_fs="local") == DataRoot("/task")
    assert root(task_fs="local") == DataRoot("/work")
    assert root() == DataRoot("/data")
    assert root(HERE) == DataRoot("/work")
    assert root(task_root="corpora") == DataRoot("/work/corpora")


WITH_BUCKET = Environment({"TOS_BUCKET": "corpus", "DATA_ROOT": "/data"}, cwd=Path("/work"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fs": "tos"}, "tos://corpus"),
        ({"task_fs": "tos"}, "tos://corpus"),
        ({"fs": "tos", "task_root": "/task"}, "tos://corpus"),
        ({"flag": "users/x/", "fs": "tos"}, "tos://corpus/users/x"),
        ({"task_root": "users/x", "task_fs": "tos"}, "tos://corpus/users/x"),
        ({"flag": "TOS://other/a/", "fs": "local"}, "tos://other/a"),
        ({"flag": "/x", "fs": "tos"}, "/x"),
        ({"fs": "local", "task_fs": "tos"}, "/work"),
        ({"task_root": "s3://bucket/x"}, "s3://bucket/x"),
    ],
)
def test_roots_in_stores(options: dict[str, str], expected: str) -> None:
    assert root(WITH_BUCKET, **options) == DataRoot(expected)


def test_the_root_of_a_plug_in_is_the_one_given_beside_it() -> None:
    assert root(fs="my.store:Store", task_root="mine://a") == DataRoot("mine://a", "my.store:Store")
    assert root(task_fs="my.store:Store") == DataRoot("/data", "my.store:Store")
    assert root(HERE, task_fs="my.store:Store") == DataRoot("/work", "my.store:Store")
    assert root(fs="tos", task_fs="my.store:Store").plugin is None


def test_a_root_without_its_bucket_says_what_is_missing() -> None:
    assert root(HERE, fs="tos").base == f"tos://{NO_BUCKET}"


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
    assert data_path(path, root="/data", environment=HERE) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("users/x", "tos://b/r/users/x"),
        ("users/x/", "tos://b/r/users/x"),
        ("a/../b", "tos://b/r/b"),
        ("a/*.jsonl", "tos://b/r/a/*.jsonl"),
        ("a%20b", "tos://b/r/a%20b"),
        ("/abs/x", "/abs/x"),
        ("./x", "/work/x"),
        ("~/x", "/home/u/x"),
        ("file:///x", "/x"),
        ("S3://b/x/", "s3://b/x"),
        ("tos://c/a//b", "tos://c/a//b"),
    ],
)
def test_path_below_a_remote_root(path: str, expected: str) -> None:
    assert data_path(path, root="tos://b/r", environment=HERE) == expected


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/a/b/{timestamp}/c", "/a/b"),
        ("/a/run-{timestamp}", "/a"),
        ("/a/{task_name}/{timestamp}", "/a"),
        ("/{timestamp}", "/"),
        ("tos://b/{timestamp}", "tos://b"),
        ("memory://{timestamp}/x", "memory://"),
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
