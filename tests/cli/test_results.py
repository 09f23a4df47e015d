from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.config.loading import load_task
from modelcall.fs.local import LocalFileSystem
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.observe.distribution import Distribution
from modelcall.state import ordered
from modelcall.state.frames import frame
from modelcall.state.manifest import Manifest
from modelcall.state.outcomes import encode
from modelcall.state.segments import file_key, journal_header, published_header
from modelcall.task_manager.answers import answers
from modelcall.types import Outcome
from tests.cli.test_run_task import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.state.manifest import Entry
    from tests.cli.shell import Done, Shell


@pytest.fixture
def slow() -> EmbeddedServer:
    return EmbeddedServer(MockOptions(latency=0.05))


def objects(done: Done) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_finished_run_is_shown_file_by_file_and_row_by_row(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/b.jsonl", 2)
    path = shell.rows("in/a.jsonl", 3)
    path.write_text(path.read_text() + '{"id": 3, "text": null}\n')
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml").code == 3
    before = tree(shell.folder)
    told = shell("results", "task.yaml")
    assert told.code == 0
    assert "a.jsonl  published: 4 rows recorded: 3 scored, 1 failed (bad_row 1)" in told.out
    assert "b.jsonl  published: 2 rows recorded: 2 scored, 0 failed" in told.out
    assert "in all   6 rows recorded: 5 scored, 1 failed (bad_row 1)" in told.out
    assert "  score  mean " in told.out
    rows = objects(shell("results", "task.yaml", "--json"))
    assert [(row["file"], row["row_index"]) for row in rows] == [
        *(("a.jsonl", row) for row in range(4)),
        ("b.jsonl", 0),
        ("b.jsonl", 1),
    ]
    published = shell.read("out/a.jsonl")
    assert [(row["values"] or {}).get("score") for row in rows[:4]] == [row["score"] for row in published]
    assert [row["raw"] for row in rows[:4]] == [row["api_return"] for row in published]
    failed = objects(shell("results", "task.yaml", "--json", "--failed"))
    assert [(row["row_index"], row["status"], row["error_type"], row["attempts"]) for row in failed] == [
        (3, "error", "bad_row", 0)
    ]
    assert len(objects(shell("results", "task.yaml", "--json", "--limit", "2"))) == 2
    assert "a.jsonl row 3  bad_row: " in shell("results", "task.yaml", "--failed").out
    assert tree(shell.folder) == before


def test_a_run_is_shown_while_it_goes_on_and_after_it_was_killed(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 60)
    shell.rows("in/b.jsonl", 60)
    journals = shell.folder / "out/.modelcall"
    with slow as server:
        shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml", "--set", "concurrency.max_concurrent_files=1")
        wait_for(lambda: any(path.stat().st_size > 2000 for path in journals.glob("*/journal/*.log")))
        live = objects(shell("results", "task.yaml", "--json"))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        [journal] = journals.glob("*/journal/*.log")
        journal.write_bytes(journal.read_bytes()[:-7])  # a torn tail
        rows = objects(shell("results", "task.yaml", "--json"))
        told = shell("results", "task.yaml")
        sharded = shell("results", "task.yaml", "--job_index", "0")
        assert shell("run-task", "task.yaml").code == 0
    assert 0 < len(live) <= len(rows) + 1
    assert {row["file"] for row in rows} == {"a.jsonl"}
    assert f"a.jsonl  unfinished: {len(rows)} rows recorded: {len(rows)} scored, 0 failed" in told.out
    assert "b.jsonl  not begun" in told.out
    assert sharded.out == told.out
    after = {row["row_index"]: row["values"] for row in objects(shell("results", "task.yaml", "--json"))[:60]}
    assert all(after[row["row_index"]] == row["values"] for row in rows)


def test_a_file_that_is_published_while_it_is_shown_is_shown_whole(
    shell: Shell, slow: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered, "BLOCK_BYTES", 100)
    shell.rows("in/a.jsonl", 60)
    journals = shell.folder / "out/.modelcall"
    with slow as server:
        task = shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml")
        wait_for(lambda: any(path.stat().st_size > 4000 for path in journals.glob("*/journal/*.log")))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        [found] = answers(load_task(task)).files
        begun = [next(found.rows) for _ in range(3)]
        assert shell("run-task", "task.yaml").code == 0
    shown = [*begun, *found.rows]
    assert [row for row, _ in shown] == list(range(60))
    published = shell.read("out/a.jsonl")
    assert [outcome.raw for _, outcome in shown] == [row["api_return"] for row in published]


def with_copies_of_a_retry(shell: Shell, server: EmbeddedServer) -> Entry:
    """Have an output, and what another machine has of a retry of its last row; return its entry."""
    path = shell.rows("in/a.jsonl", 3)
    path.write_text(path.read_text() + '{"id": 3, "text": null}\n')
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml").code == 3
    entry = manifest_of(shell).get("a.jsonl")
    assert entry is not None
    (journal,) = (shell.folder / "out/.modelcall").glob("*/journal")
    header = journal_header("a.jsonl", fingerprint=entry.input, content="", run=entry.run)
    key = file_key("a.jsonl")
    (journal / f"{key}.000002.published.log").write_bytes(frame(0, published_header(header, entry.sha256)))
    again = Outcome(values={"score": 5}, raw="5", attempts=2)
    (journal / f"{key}.000002.log").write_bytes(frame(0, header) + frame(3, encode(again)))
    return entry


def manifest_of(shell: Shell) -> Manifest:
    return Manifest(LocalFileSystem(), str(shell.folder / "out/.modelcall"))


def test_answers_of_a_retry_are_shown_with_those_of_the_output_that_copies_do_not_repeat(
    shell: Shell, server: EmbeddedServer
) -> None:
    with_copies_of_a_retry(shell, server)

    rows = objects(shell("results", "task.yaml", "--json"))

    assert [(row["row_index"], row["status"], row["attempts"]) for row in rows] == [
        (0, "success", 1),
        (1, "success", 1),
        (2, "success", 1),
        (3, "success", 2),
    ]
    assert "a.jsonl  published: 4 rows recorded: 4 scored, 0 failed" in shell("results", "task.yaml").out


def test_an_output_that_a_retry_is_replacing_is_not_taken_for_the_one_before(
    shell: Shell, server: EmbeddedServer
) -> None:
    entry = with_copies_of_a_retry(shell, server)
    output = shell.folder / "out/a.jsonl"
    output.write_bytes(output.read_bytes() + b" ")

    edited = shell("results", "task.yaml")
    manifest_of(shell).put(replace(entry, replacing=(replace(entry, sha256="new"),)))
    replaced = shell("results", "task.yaml")

    assert (edited.code, replaced.code) == (4, 4)
    assert f"stopped: {output}: changed since it was published" in edited.err
    assert f"stopped: {output}: a retry of its failed rows is taking its place" in replaced.err
    assert "Nothing is lost" in replaced.last


def test_one_shard_or_all_of_them(shell: Shell, server: EmbeddedServer) -> None:
    for name in ("a", "b", "c"):
        shell.rows(f"in/{name}.jsonl", 3)
    shell.task(server.base_url)
    for index in ("0", "1"):
        assert shell("run-task", "task.yaml", "--job_index", index, "--world_size", "2").code == 0
    every = objects(shell("results", "task.yaml", "--json"))
    assert sorted({row["file"] for row in every}) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    one, other = (
        {row["file"] for row in objects(shell("results", "task.yaml", "--json", "--job_index", str(index)))}
        for index in range(2)
    )
    assert (one | other, one & other) == ({"a.jsonl", "b.jsonl", "c.jsonl"}, set())
    assert shell("results", "task.yaml", "--job_index", "2").code == 2


def test_without_a_run_there_is_nothing_to_show_and_no_key_is_needed(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task("http://127.0.0.1:9/v1")
    done = shell("results", "task.yaml")
    assert (done.code, done.last) == (2, "next: Start it with modelcall run-task.")


def test_a_distribution_counts_few_values_and_bounds_many() -> None:
    numbers = Distribution()
    rows = [{"score": value % 3, "share": value / 7, "flag": True, "tag": "x", "none": None} for value in range(100)]
    for some in (rows[:7], [], rows[7:]):
        numbers.add(some)
    assert dict(numbers.lines()) == {
        "score": "mean 0.99; 0: 34, 1: 33, 2: 33",
        "share": "mean 7.07, from 0 to 14.1429",
    }


@pytest.mark.parametrize("rows", ["fewer", "more"])
def test_an_output_that_somebody_edited_is_named_with_the_way_out(
    shell: Shell, server: EmbeddedServer, rows: str
) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml").code == 0
    output = shell.folder / "out/a.jsonl"
    lines = output.read_text().splitlines(keepends=True)
    output.write_text("".join(lines[1:] if rows == "fewer" else [*lines, lines[0]]))
    for how in ((), ("--json",), ("--failed",)):
        told = shell("results", "task.yaml", *how)
        assert told.code == 4
        assert f"stopped: {output}: it, or the list of its failed rows, is not what was published" in told.err
        assert told.last == "next: Restore what the run wrote, or start over with --fresh."


def test_answers_are_found_where_they_were_recorded_whatever_stat_folder_is_set_now(
    shell: Shell, server: EmbeddedServer
) -> None:
    path = shell.rows("in/a.jsonl", 3)
    path.write_text(path.read_text() + '{"id": 3, "text": null}\n')
    shell.task(server.base_url)
    limits = ["--set", "concurrency.chunk_size=1", "--set", "options.bad_rows=stop"]
    assert shell("run-task", "task.yaml", *limits, "--set", "data.stat_folder=./then").code == 4
    rows = objects(shell("results", "task.yaml", "--json", "--set", "data.stat_folder=./now"))
    assert [row["row_index"] for row in rows] == [0, 1, 2]
    (shell.folder / "then").rename(shell.folder / "now")
    assert objects(shell("results", "task.yaml", "--json", "--set", "data.stat_folder=./now")) == rows
