"""Raw files and what becomes of them in stores that are not the local disk."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from modelcall.fs.remote import RemoteFileSystem
from tests.fs_tos.kit import store
from tests.mock_tos.sdk import BUCKET
from tests.stores.kit import TEXTS, lines
from tests.stores.test_runs import ROOT, put

if TYPE_CHECKING:
    from modelcall.fs.base import FileSystem
    from modelcall.mock.tos.thread import LocalTos
    from tests.cli.shell import Done
    from tests.stores.kit import Desk


def preprocess(desk: Desk, root: str, *more: str) -> Done:
    paths = ("--raw_path", f"{root}/raw", "--output_dir", f"{root}/clean")
    return desk.shell("preprocess", "github", *paths, "-q", "--json", *more)


def texts(fs: FileSystem, path: str) -> list[Any]:
    found: list[Any] = pq.read_table(io.BytesIO(fs.read_bytes(path))).column("text").to_pylist()
    return found


def test_worker_processes_read_and_write_tos(desk: Desk, tos: LocalTos) -> None:
    fs = store(tos)
    put(fs, f"{ROOT}/raw/a.jsonl", lines(TEXTS))
    put(fs, f"{ROOT}/raw/more/b.jsonl", lines(TEXTS[:5]))

    done = preprocess(desk, ROOT, "--num_proc", "2", "--stat_dir", f"{ROOT}/stats")

    assert done.code == 0, done.err
    assert done.json["processes"] == 2
    assert texts(fs, f"{ROOT}/clean/a.parquet") == TEXTS
    assert texts(fs, f"{ROOT}/clean/more/b.parquet") == TEXTS[:5]
    assert json.loads(fs.read_bytes(f"{ROOT}/stats/a.jsonl.json"))["rows_out"] == len(TEXTS)
    assert tos.uploads() == []
    put(fs, f"{ROOT}/raw/c.jsonl", lines(TEXTS[:2]))
    again = preprocess(desk, f"tos://{BUCKET}", "--num_proc", "1", "--stat_dir", f"{ROOT}/stats")
    assert (again.code, again.json["done_before"], again.json["files"]) == (0, 2, 3)


def test_a_store_without_locks_has_them_on_this_machine(desk: Desk, memory: str) -> None:
    fs = RemoteFileSystem("memory")
    put(fs, f"{memory}/raw/a.jsonl", lines(TEXTS))

    done = preprocess(desk, memory, "--num_proc", "1")

    assert done.code == 0, done.err
    assert texts(fs, f"{memory}/clean/a.parquet") == TEXTS
    assert done.json["stat"].startswith(str(desk.shell.folder / "work"))
    assert preprocess(desk, memory, "--num_proc", "1").json["done_before"] == 1
