"""Names and places of files that other tools trip over."""

from __future__ import annotations

import gzip
import json
import os
import unicodedata
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from tests.bad_inputs.cases import LINE, PARQUET
from tests.task_manager.test_task_run import Desk

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "two words",
    " space around ",
    "a%20b",
    "a#b",
    "a?b",
    "a*b",
    "[a]",
    "{a}",
    "{timestamp}",
    "-rf",
    "--help",
    "a=b",
    "a;b",
    "a'b\"c",
    "a\\b",
    "a:b",
    "a\tb",
    "a\nb",
    "\x1b[2J",
    "~",
    "$HOME",
    "a.parquet",
    "a.jsonl.gz",
    "..a",
    "con",
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
    "行",
    "x" * 200,
    "folder/with space/#a",
    "folder/..b/a",
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    return made


def test_odd_names_keep_their_files_apart_and_their_names(desk: Desk) -> None:
    for number, name in enumerate(NAMES):
        path = desk.folder / f"in/{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"text": name, "n": number}) + "\n")
    summary = desk.start()
    hidden = [name for name in NAMES if any(part.startswith((".", "_")) for part in name.split("/"))]
    assert summary.exit_code == 0
    assert hidden == ["..a", "folder/..b/a"]
    for number, name in enumerate(NAMES):
        if name not in hidden:
            (row,) = pq.read_table(desk.folder / f"out/{name}.parquet", partitioning=None).to_pylist()
            assert (row["text"], row["n"]) == (name, number)
    assert len(desk.tree()) == len(NAMES) - len(hidden)
    findings = desk.verify("out")
    assert (findings.problems, findings.strangers, findings.compared) == ([], [], len(NAMES) - len(hidden))
    assert desk.start().worked is False


@pytest.mark.parametrize("folder", ["./in/", "./in//", "./x/../in", ".//in", "in/."])
def test_a_folder_is_the_same_however_it_is_written(desk: Desk, folder: str) -> None:
    desk.file("a.jsonl")
    (desk.folder / "x").mkdir()
    desk.set("data.input_folder", folder)
    assert desk.start().exit_code == 0
    assert list(desk.tree()) == ["a.parquet"]
    desk.set("data.input_folder", "./in")
    assert desk.start().worked is False


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("./in", "lies in the input folder"),
        ("./in/out", "lies in the input folder"),
        ("./link/out", "lies in the input folder"),
        ("./in/../in/x/", "lies in the input folder"),
    ],
)
def test_output_in_the_input_is_refused(desk: Desk, output: str, message: str) -> None:
    desk.file("a.jsonl")
    (desk.folder / "link").symlink_to(desk.folder / "in")
    desk.set("data.output_folder", output)
    with pytest.raises(ConfigError, match=message):
        desk.start()
    assert sorted(path.name for path in (desk.folder / "in").iterdir()) == ["a.jsonl"]


def test_output_that_is_the_input_is_refused(desk: Desk) -> None:
    desk.file("a.jsonl")
    before = (desk.folder / "in/a.jsonl").read_bytes()
    desk.set("data.input_folder", "./in/a.jsonl")
    desk.set("data.output_folder", "./in/a.jsonl")
    desk.set("data.output_format", "jsonl")
    with pytest.raises(ConfigError):
        desk.start()
    assert (desk.folder / "in/a.jsonl").read_bytes() == before


@pytest.mark.parametrize("names", [("a.jsonl", "a.parquet"), ("a.jsonl", "a.jsonl.gz"), ("a.json", "a.ndjson")])
def test_two_inputs_of_one_output_name_are_refused(desk: Desk, names: tuple[str, str]) -> None:
    contents = {".parquet": PARQUET, ".gz": gzip.compress(LINE)}
    for name in names:
        path = desk.folder / "in" / name
        path.write_bytes(contents.get(path.suffix, LINE))
    with pytest.raises(ConfigError, match="input files would share an output name") as raised:
        desk.start()
    told = "".join(map(str, raised.value.mistakes))
    assert all(name in told for name in names)
    assert not (desk.folder / "out").exists()


def test_loops_dead_links_and_pipes_hold_nothing_up(desk: Desk) -> None:
    desk.file("a.jsonl")
    (desk.folder / "in/loop").symlink_to(desk.folder / "in")
    (desk.folder / "in/self.jsonl").symlink_to(desk.folder / "in/self.jsonl")
    (desk.folder / "in/dead.jsonl").symlink_to(desk.folder / "in/nowhere")
    os.mkfifo(desk.folder / "in/pipe.jsonl")
    (desk.folder / "in/folder.jsonl").mkdir()
    assert desk.start().exit_code == 0
    assert list(desk.tree()) == ["a.parquet"]


def test_a_read_only_input_is_enough(desk: Desk) -> None:
    desk.file("a.jsonl")
    (desk.folder / "in/a.jsonl").chmod(0o444)
    (desk.folder / "in").chmod(0o555)
    try:
        assert desk.start().exit_code == 0
    finally:
        (desk.folder / "in").chmod(0o755)


def test_an_output_folder_that_is_a_file_is_refused(desk: Desk) -> None:
    desk.file("a.jsonl")
    (desk.folder / "out").write_text("mine")
    with pytest.raises(ConfigError, match=r"data\.output_folder|is a file|not a folder"):
        desk.start()
    assert (desk.folder / "out").read_text() == "mine"
