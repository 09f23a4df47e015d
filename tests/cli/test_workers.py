"""Several processes for one invocation: to the user, and to the server, they are one."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.cli.test_run_task import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.cli.shell import Shell

WORKERS = ("--set", "concurrency.num_workers=2")


@pytest.fixture
def slow() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(MockOptions(latency=0.04)) as server:
        yield server


def workers_of(pid: int) -> list[int]:
    """Process numbers of the workers of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def begun(shell: Shell, server: EmbeddedServer) -> subprocess.Popen[str]:
    """A run over four files of 60 rows, a quarter of which are answered."""
    for name in "abcd":
        shell.rows(f"in/{name}.jsonl", 60)
    shell.task(server.base_url)
    child = shell.start("run-task", "task.yaml", "--json", *WORKERS)
    wait_for(lambda: server.referee().answered_rows >= 60)
    return child


def rows_of(shell: Shell, name: str) -> list[tuple[int, Any]]:
    return [(row["id"], row["score"]) for row in shell.read(f"out/{name}")]


def test_files_are_scored_once_and_in_order_under_one_ceiling(shell: Shell, slow: EmbeddedServer) -> None:
    for number in range(5):
        shell.rows(f"in/{number}.jsonl", 60)
    shell.task(slow.base_url, more="logging: {batch_size: 50}\n")

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS)

    assert done.code == 0, done.err
    assert done.json["rows"] == {"total": 300, "scored": 300, "failed": 0}
    assert done.json["tokens"]["prompt"] > 0
    referee = slow.referee()
    assert (referee.requests, referee.rows, referee.answered_rows) == (300, 300, 300)
    assert referee.max_in_flight == 4
    assert [[row for row, _ in rows_of(shell, f"{number}.jsonl")] for number in range(5)] == [list(range(60))] * 5
    assert shell("verify", "out").code == 0
    assert list((shell.folder / "out").rglob("*.tmp")) == []
    log = next((shell.folder / "logs").glob("rivers*.log")).read_text()
    assert log.count("Processing file") == log.count("File finished") == 5
    details = (shell.folder / "logs/rivers_batch_details.jsonl").read_text().splitlines()
    assert [json.loads(line)["rows_so_far"] for line in details] == [50, 100, 150, 200, 250, 300]


def test_a_large_file_is_scored_in_parts_and_comes_out_as_of_one_process(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 60, text="Silt. " * 30_000)
    shell.task(server.base_url)
    server.reset()

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS)

    assert (done.code, done.json["rows"]["scored"]) == (0, 60), done.err
    assert "⚙️ 2 processes share the work: 2 jobs, 1 file(s) in parts" in done.err
    assert (server.referee().requests, server.referee().rows) == (60, 60)
    many = rows_of(shell, "a.jsonl")
    assert shell("verify", "out").code == 0
    assert list((shell.folder / "out/.modelcall").rglob("journal/*")) == []
    alone = shell("run-task", "task.yaml", "-q", "--fresh", "--delete_existing")
    assert alone.code == 0
    assert rows_of(shell, "a.jsonl") == many


def test_a_large_file_is_read_by_one_and_published_by_another(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 60, text="Silt. " * 30_000)
    shell.task(server.base_url, more="logging: {level: DEBUG}\n")
    parquet = ("--set", "data.output_format=parquet", "--delete_existing")

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS, *parquet)

    assert (done.code, done.json["rows"]["scored"]) == (0, 60), done.err
    log = next((shell.folder / "logs").glob("rivers*.log")).read_text()
    assert log.count("While a.jsonl is published, a process that is free reads its input") == 1
    assert shell("verify", "out").code == 0
    many = (shell.folder / "out/a.parquet").read_bytes()
    alone = shell("run-task", "task.yaml", "-q", "--fresh", *parquet)
    assert alone.code == 0
    assert (shell.folder / "out/a.parquet").read_bytes() == many


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_is_replaced_and_nothing_is_asked_twice_that_was_recorded(
    shell: Shell, slow: EmbeddedServer, number: signal.Signals
) -> None:
    child = begun(shell, slow)

    os.kill(workers_of(child.pid)[0], number)
    out, err = child.communicate(timeout=60)

    assert child.returncode == 0, err
    assert json.loads(out)["rows"]["scored"] == 240
    referee = slow.referee()
    assert referee.rows == 240
    assert referee.after_answer <= 24, "the answers of a flush window"
    assert shell("verify", "out").code == 0
    assert list((shell.folder / "out").rglob(".*.tmp")) == []


def test_a_signal_ends_all_within_the_grace_period_and_the_next_start_goes_on(
    shell: Shell, slow: EmbeddedServer
) -> None:
    child = begun(shell, slow)
    workers = workers_of(child.pid)

    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)

    assert child.returncode == 143, err
    assert len(workers) == 2
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
    before = slow.referee()
    assert before.abandoned == 0, "what was in flight came to its end"
    done = shell.spawn("run-task", "task.yaml", "--json", "--set", "concurrency.num_workers=3")
    assert (done.code, done.json["rows"]["scored"]) == (0, 240), done.err
    assert slow.referee().requests == 240


def test_when_the_owner_is_killed_so_are_its_workers_and_nothing_is_lost(shell: Shell, slow: EmbeddedServer) -> None:
    child = begun(shell, slow)
    workers = workers_of(child.pid)

    child.kill()
    child.communicate(timeout=30)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

    done = shell.spawn("run-task", "task.yaml", "--json")
    assert (done.code, done.json["rows"]["scored"]) == (0, 240), done.err
    assert slow.referee().after_answer <= 24
    assert shell("verify", "out").code == 0


def test_a_hopeless_prompt_is_noticed_over_all_workers(shell: Shell, slow: EmbeddedServer) -> None:
    slow.set_faults(["prose_only=1"])
    for name in "abcd":
        shell.rows(f"in/{name}.jsonl", 500)
    shell.task(slow.base_url, more="retry: {max_retries: 0}\n")

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS)

    assert done.code == 4
    assert "of the first 200 rows got no answer of the requested form" in done.err
    assert 101 <= slow.referee().rows <= 140


def test_a_refused_key_ends_all_before_many_have_asked(shell: Shell) -> None:
    for name in "ab":
        shell.rows(f"in/{name}.jsonl", 300)
    with EmbeddedServer(MockOptions(faults=(), latency=0.01, api_key="right")) as server:
        shell.task(server.base_url)
        began = time.monotonic()
        done = shell.spawn("run-task", "task.yaml", *WORKERS, OPENAI_API_KEY="wrong")
        assert (done.code, time.monotonic() - began < 10) == (4, True), done.err
        assert server.referee().requests <= 12


def test_ctl_reaches_all_workers(shell: Shell, slow: EmbeddedServer) -> None:
    for name in "abcd":
        shell.rows(f"in/{name}.jsonl", 100)
    shell.task(slow.base_url)
    child = shell.start("run-task", "task.yaml", *WORKERS)
    wait_for(lambda: slow.referee().answered_rows >= 20)
    wait_for(lambda: any((shell.folder / "logs/.status").glob("*.json")))

    assert shell("ctl", "rivers", "pause").code == 0
    wait_for(lambda: slow.referee().in_flight == 0)
    asked = slow.referee().requests
    wait_for(lambda: shell("status", "rivers", "--json").json[0]["state"] == "paused")
    assert slow.referee().requests == asked
    slow.reset()
    assert shell("ctl", "rivers", "set", "max_concurrent_requests=9").code == 0
    assert shell("ctl", "rivers", "resume").code == 0
    wait_for(lambda: slow.referee().max_in_flight >= 8)
    assert shell("ctl", "rivers", "drain").code == 0
    child.communicate(timeout=30)
    assert child.returncode == 4
    assert slow.referee().max_in_flight <= 9
    assert slow.referee().abandoned == 0


def test_parquet_in_parts_comes_out_in_order(shell: Shell, server: EmbeddedServer) -> None:
    rows = [{"id": row, "text": f"{row}. " + "Silt. " * 50_000} for row in range(40)]
    (shell.folder / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), shell.folder / "in/a.parquet", row_group_size=7, compression="none")
    shell.task(server.base_url)

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS, "--set", "data.output_format=parquet")

    assert (done.code, done.json["rows"]["scored"]) == (0, 40), done.err
    assert "1 file(s) in parts" in done.err
    table = pq.read_table(shell.folder / "out/a.parquet")
    assert table.column("id").to_pylist() == list(range(40))
    assert table.column("text").to_pylist() == [row["text"] for row in rows]


POISON = """\
import os
import time


class Poison:
    columns = {"score": "int"}

    def score(self, item):
        time.sleep(0.01)
        if item["id"] == 30 and item["text"].startswith("30. POISON") and os.path.exists("poisonous"):
            os.abort()
        return {**item, "score": 1}
"""


def test_a_row_that_kills_every_process_fails_its_file_until_it_does_no_more_and_no_other(
    shell: Shell, server: EmbeddedServer
) -> None:
    for name in "abc":
        shell.rows(f"in/{name}.jsonl", 60)
    shell.rows("in/d.jsonl", 60, text="POISON")
    (shell.folder / "poison.py").write_text(POISON)
    (shell.folder / "poisonous").touch()
    shell.task(server.base_url, more="scorer: {name: 'poison:Poison'}\n")

    done = shell.spawn("run-task", "task.yaml", "--json", *WORKERS)

    assert done.code == 3, done.err
    assert done.json["rows"] == {"total": 180, "scored": 180, "failed": 0}
    assert list(done.json["broken_files"]) == ["d.jsonl"]
    assert "the worker process was killed by SIGABRT" in done.json["broken_files"]["d.jsonl"]
    assert [[row for row, _ in rows_of(shell, f"{name}.jsonl")] for name in "abc"] == [list(range(60))] * 3

    (shell.folder / "poisonous").unlink()
    again = shell.spawn("run-task", "task.yaml", "--json", *WORKERS)

    assert again.code == 0, again.err
    assert again.json["rows"] == {"total": 240, "scored": 240, "failed": 0}
    assert [row for row, _ in rows_of(shell, "d.jsonl")] == list(range(60))
