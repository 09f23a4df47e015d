from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from modelcall.formats.jsonl import JsonlSource
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.task_manager.summary import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.formats.settle import Shape
    from tests.cli.shell import Shell


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def slow() -> EmbeddedServer:
    """Answers 80 rows a second to four requests at a time."""
    return EmbeddedServer(MockOptions(latency=0.05))


def test_a_task_is_run_logged_and_reported(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 12)
    shell.task(server.base_url)
    done = shell("run-task", "task.yaml", "--set", "logging.batch_size=5", "--set", "logging.language=zh", "--json")
    assert done.code == 0
    report = done.json
    assert report["rows"] == {"total": 12, "scored": 12, "failed": 0}
    assert report["how"] == "new"
    assert report["rows_of_this_start"] == 12
    assert report["outputs"] == [str(shell.folder / "out")]
    assert {row["api_status"] for row in shell.read("out/a.jsonl")} == {"success"}
    log = Path(report["log"]).read_text()
    assert "🚀 任务启动: rivers" in log
    assert "📁 找到 1 个文件需要处理" in log
    assert "总体成功率: 12/12 (100.0%)" in log
    batches = [json.loads(line) for line in (shell.folder / "logs/rivers_batch_details.jsonl").read_text().splitlines()]
    assert [batch["rows"] for batch in batches] == [5, 5, 2]
    assert {batch["run_id"] for batch in batches} == {report["run"]}
    stats = json.loads((shell.folder / "logs/rivers_final_stats.json").read_text())
    assert (stats["exit_code"], stats["rows"]["scored"], stats["files"]["done"]) == (0, 12, 1)


def test_the_status_names_the_outputs_of_all_passes_as_they_are_on_disk(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 2)
    shell.task(server.base_url)
    changes = ("data.output_folder=./out/{timestamp}/{run_index}", "distributed={enabled: true, num_runs: 2}")
    done = shell("run-task", "task.yaml", "--json", *(word for change in changes for word in ("--set", change)))
    assert done.code == 0, done.err

    (told,) = shell("status", "--json").json

    assert told["outputs"] == done.json["outputs"]
    assert [sorted(path.name for path in Path(path).glob("*.jsonl")) for path in told["outputs"]] == [["a.jsonl"]] * 2


def test_overrides_are_recorded_in_the_resolved_config(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml", "--set", "concurrency.chunk_size=7", "-q").code == 0
    config = yaml.safe_load((shell.folder / "out/.modelcall/config.r1-job000.yaml").read_text())
    assert config["overrides"] == ["concurrency.chunk_size=7"]
    assert config["task"]["concurrency"]["chunk_size"] == 7


def test_shards_share_the_files_and_name_their_logs(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 2)
    shell.rows("in/b.jsonl", 2)
    shell.task(server.base_url)
    reports = [shell("run-task", "task.yaml", "--job_index", str(i), "--world-size", "2", "--json") for i in (0, 1)]
    assert [done.json["how"] for done in reports] == ["new", "joined"]
    assert [done.json["rows"]["total"] for done in reports] == [2, 2]
    assert "Distributed: job 1/2" in reports[1].err
    assert (shell.folder / "logs/rivers_job001_final_stats.json").exists()
    assert shell("verify", "out").code == 0


def test_several_mistakes_are_all_told_with_their_lines(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text(
        "task_nam: x\n"
        "data: {input_folder: ./in, output_folder: ./out}\n"
        "model: {provider: test}\n"
        "prompt: {prompt_template: {prompt_text: '{text}'}}\n"
        "concurrency: {chunk_size: 0, max_concurrent_request: 3}\n"
        "options: {max_failed_ratio: 2}\n"
    )
    done = shell("run-task", "bad.yaml")
    assert done.code == 2
    assert done.out == ""
    mistakes = [line for line in done.err.splitlines() if line.startswith("  ")]
    assert len(mistakes) >= 6
    assert any(line.startswith("  bad.yaml:5: concurrency.chunk_size: ") for line in mistakes)
    assert any("max_concurrent_requests" in line for line in mistakes), "the nearest key is named"
    assert done.last.startswith("next: ")
    assert not (shell.folder / "out").exists()
    assert not (shell.folder / "logs").exists()


def test_failed_rows_are_exit_3_with_reasons_and_a_list(shell: Shell, server: EmbeddedServer) -> None:
    path = shell.rows("in/a.jsonl", 3)
    path.write_text(path.read_text() + '{"id": 3, "text": null}\n{"id": 4, "text": null}\n')
    shell.task(server.base_url)
    done = shell("run-task", "task.yaml")
    assert done.code == 3
    assert "3: finished, but not everything is scored" in done.out
    assert "  bad_row" in done.out
    assert "a.jsonl row 3" in done.out
    failed = shell.folder / "out/.modelcall/failed"
    assert str(failed) in done.out
    assert str(failed) in done.last
    assert [json.loads(line)["row_index"] for line in (failed / "a.jsonl.jsonl").read_text().splitlines()] == [3, 4]
    accepted = shell("run-task", "task.yaml", "--set", "options.max_failed_ratio=0.5")
    assert accepted.code == 0
    assert "within options.max_failed_ratio 0.5" not in accepted.out, "nothing was left to do"
    assert "the run was done before" in accepted.out


def test_a_wrong_key_stops_the_run_resumable(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 50)
    with EmbeddedServer(MockOptions(api_key="another")) as server:
        shell.task(server.base_url)
        done = shell("run-task", "task.yaml")
    assert done.code == 4
    assert "4: stopped before the end; progress is kept" in done.out
    assert done.last.startswith("next: check that the key is right")
    assert "401" in done.err
    stats = json.loads((shell.folder / "logs/rivers_final_stats.json").read_text())
    assert stats["exit_code"] == 4
    assert "401" in stats["reason"]


def test_a_log_folder_that_cannot_be_made_is_exit_2(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    (shell.folder / "logs").write_text("a file")
    done = shell("run-task", "task.yaml")
    assert done.code == 2
    assert "the log cannot be written" in done.err
    assert not (shell.folder / "out").exists()


def test_sigterm_while_the_schema_is_settled_exits_143_with_nothing_begun(
    shell: Shell, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    types, seen = JsonlSource.types, threading.Event()

    def told_to_stop(source: JsonlSource) -> dict[str, Shape]:
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen.wait(10)
        return types(source)

    def request(stop: Stop, number: int) -> None:
        stop.signal = number
        seen.set()

    shell.rows("in/a.jsonl", 3)
    shell.rows("in/b.jsonl", 3)
    shell.task(server.base_url)
    options = ("--set", "data.unify_schema=true", "--set", "data.output_format=parquet")
    with monkeypatch.context() as patch:
        patch.setattr(JsonlSource, "types", told_to_stop)
        patch.setattr(Stop, "request", request)
        assert shell("run-task", "task.yaml", *options).code == 143
    assert not (shell.folder / "out").exists()
    assert shell("run-task", "task.yaml", "-q", *options).code == 0


def test_sigterm_drains_saves_and_exits_143_and_the_next_start_asks_only_the_rest(
    shell: Shell, slow: EmbeddedServer
) -> None:
    shell.rows("in/a.jsonl", 120)
    with slow as server:
        shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml", "--json")
        wait_for(lambda: server.referee().answered_rows >= 20)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=20)
        assert child.returncode == 143
        report = json.loads(out)
        assert report["signal"] == 15
        assert report["files"]["unfinished"] == 1
        assert "stopping: rows in flight get 5 s to end" in err
        assert err.rstrip().endswith("next: progress is kept; start again with the same command to go on")
        done = report["rows_of_this_start"]
        assert 20 <= done < 120
        assert server.referee().answered_rows == done, "rows in flight were let finish"
        again = shell("run-task", "task.yaml", "--json", "-q")
        referee = server.referee()
    assert again.code == 0
    assert again.json["how"] == "continued"
    assert again.json["rows_of_this_start"] == 120 - done
    assert (referee.answered, referee.after_answer) == (120, 0)
    assert shell("verify", "out").code == 0


def test_a_killed_run_goes_on_where_it_was(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 100)
    with slow as server:
        shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml")
        wait_for(lambda: server.referee().answered_rows >= 40)
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        again = shell("run-task", "task.yaml", "--json", "-q")
    assert again.code == 0
    assert again.json["rows"]["scored"] == 100
    assert again.json["rows_of_this_start"] < 90
    assert [row["id"] for row in shell.read("out/a.jsonl")] == list(range(100))


def test_a_second_signal_ends_at_once(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 20)
    with EmbeddedServer(MockOptions(latency=30)) as server:
        shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml")
        wait_for(lambda: server.referee().in_flight > 0)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        wait_for(lambda: "stopping:" in (child.stderr.readline() if child.stderr else ""))
        asked = time.monotonic()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode == 130
    assert time.monotonic() - asked < 2


def test_a_hang_up_that_was_ignored_at_the_start_stays_ignored(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 30)
    with slow as server:
        shell.task(server.base_url)
        command = ["nohup", sys.executable, "-m", "modelcall", "run-task", "task.yaml", "--json", "-q"]
        child = subprocess.Popen(
            command, cwd=shell.folder, env=shell.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(lambda: server.referee().answered_rows >= 10)
        child.send_signal(signal.SIGHUP)
        out, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert json.loads(out)["rows"]["scored"] == 30


def test_a_fault_that_the_embedded_server_does_not_know_is_refused_before_there_is_a_run(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task("http://127.0.0.1:9/v1")
    path = shell.folder / "task.yaml"
    task = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump({**task, "model": {"provider": "embedded", "embedded": {"faults": {"fractoin": 0.1}}}})
    )
    refused = shell("run-task", "task.yaml")
    assert refused.code == 2
    assert 'unknown fault "fractoin"' in refused.err
    assert not (shell.folder / "out").exists()
    corrected = shell("run-task", "task.yaml", "--json", "--set", "model.embedded.faults={score_fraction: 0}")
    assert (corrected.code, corrected.json["how"]) == (0, "new")


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("n=3", "n: a row takes one answer"),
        ("extra_body.stream=true", "answers are read whole"),
        ("extra_body=5", "block"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_before_there_is_a_run(shell: Shell, params: str, told: str) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task("http://127.0.0.1:9/v1")
    refused = shell("run-task", "task.yaml", "--set", f"model.completions_params.{params}")
    assert (refused.code, told in refused.err) == (2, True)
    assert not (shell.folder / "out").exists()
    assert shell("validate", "task.yaml", "--set", f"model.completions_params.{params}").code == 2
