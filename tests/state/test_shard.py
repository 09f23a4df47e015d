import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from modelcall.fs.local import LocalFileSystem
from modelcall.state import records
from modelcall.state.listing import ListedFile
from modelcall.state.manifest import Entry
from modelcall.state.shard import OutputFolder, progress

FILES = 2000


def entry(name: str) -> Entry:
    return Entry(
        run="run1",
        run_number=1,
        job_index=0,
        world_size=1,
        epoch=1,
        file=name,
        input="10-e",
        input_path=f"/in/{name}",
        output=name,
        size=1,
        sha256="a" * 64,
        rows=3,
        scored=2,
        failed=1,
        failures={"cut": 1},
        columns=tuple(f"column {number}" for number in range(14)),
    )


def test_finished_files_are_told_one_by_one_and_take_no_memory(tmp_path: Path) -> None:
    to = OutputFolder(LocalFileSystem(), str(tmp_path), f"{tmp_path}/.modelcall")
    (tmp_path / ".modelcall/manifest").mkdir(parents=True)
    files = [ListedFile(f"{number:05d}.parquet", "/in", 10, "e") for number in range(FILES)]
    for file in files:
        (tmp_path / file.name).touch()
        (tmp_path / f".modelcall/manifest/{file.name}.json").write_bytes(records.dump(asdict(entry(file.name))))
    rows: list[int] = []
    tracemalloc.start()
    try:
        left = progress(
            to, files, lambda file: file.name, runs={"run1"}, row_limit=None, done=lambda done: rows.append(done.rows)
        )
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (left.todo, rows) == ((), [3] * FILES)
    assert held < 100 * FILES


@pytest.mark.parametrize(
    ("changes", "limit", "expected"),
    [
        ({}, None, "done"),
        ({}, 5, "done"),
        ({"run": "another"}, None, "todo"),
        ({"whole": False, "row_limit": 5}, None, "republish"),
        ({"whole": False, "row_limit": 5}, 9, "republish"),
        ({"whole": False, "row_limit": 5}, 5, "done"),
        ({"whole": False, "row_limit": 5}, 2, "done"),
        ({"output": "gone.parquet"}, None, "todo"),
    ],
)
def test_what_is_left_of_a_file_is_told_by_its_entry(
    tmp_path: Path, changes: dict[str, object], limit: int | None, expected: str
) -> None:
    to = OutputFolder(LocalFileSystem(), str(tmp_path), f"{tmp_path}/.modelcall")
    (tmp_path / "a.parquet").touch()
    changed = replace(entry("a.parquet"), **changes)  # type: ignore[arg-type]
    to.fs.replace(f"{to.state}/manifest/a.parquet.json", records.dump(asdict(changed)))
    done: list[Entry] = []
    file = ListedFile("a.jsonl", "/in/a.jsonl", 10, "e")
    left = progress(to, [file], lambda _: "a.parquet", runs={"run1"}, row_limit=limit, done=done.append)
    found = "done" if done else "republish" if left.replaces else "todo"
    assert (found, left.todo) == (expected, () if done else (file,))
