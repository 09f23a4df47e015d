from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.cli.test_run_task import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

ONE_ATTEMPT = ("--set", "retry.max_retries=0")


@pytest.fixture(scope="module")
def broken() -> Iterator[EmbeddedServer]:
    """Every third answer or so lacks the score."""
    with EmbeddedServer(MockOptions(faults=parse_faults({"score_missing": 0.3}))) as running:
        yield running


def failed_rows(shell: Shell) -> list[int]:
    return [row["id"] for row in shell.read("out/a.jsonl") if row["api_status"] == "error"]


def test_failed_rows_are_asked_again_and_the_exit_code_is_the_new_states(
    shell: Shell, broken: EmbeddedServer, server: EmbeddedServer
) -> None:
    shell.rows("in/a.jsonl", 40)
    shell.task(broken.base_url)
    done = shell("run-task", "task.yaml", *ONE_ATTEMPT)
    failed = failed_rows(shell)
    assert (done.code, 0 < len(failed) < 40) == (3, True)
    assert "ask the failed rows again with --retry_failed" in done.last
    shell.task(server.base_url)
    before = server.referee().requests
    again = shell("run-task", "task.yaml", "--retry-failed", "--json", "--set", "logging.language=en")
    assert again.code == 0, again.err
    report = again.json
    assert (report["rows"], report["rows_asked_again"]) == ({"total": 40, "scored": 40, "failed": 0}, len(failed))
    assert report["rows_of_this_start"] == len(failed)
    assert server.referee().requests - before == len(failed)
    assert f"Asking again: {len(failed)} failed rows of 1 finished files" in again.err
    attempts = {row["id"]: row["api_attempts"] for row in shell.read("out/a.jsonl")}
    assert attempts == {row: 2 if row in failed else 1 for row in range(40)}
    history = shell.read("out/.modelcall/history/a.jsonl.jsonl")
    assert [(line["row_index"], line["error_type"]) for line in history] == [(row, "invalid_output") for row in failed]
    assert not (shell.folder / "out/.modelcall/failed/a.jsonl.jsonl").exists()
    assert shell("verify", "out").code == 0
    nothing = shell("run-task", "task.yaml", "--retry_failed")
    assert nothing.code == 0
    assert "0: no failed row can be asked again" in nothing.out
    assert shell("run-task", "task.yaml").code == 0


def test_rows_that_fail_again_do_not_speak_against_the_prompt(shell: Shell, broken: EmbeddedServer) -> None:
    """Else a retry of more than a hundred stubborn rows would always stop."""
    shell.rows("in/a.jsonl", 500)
    shell.task(broken.base_url)
    assert shell("run-task", "task.yaml", *ONE_ATTEMPT).code == 3
    failed = len(failed_rows(shell))
    assert failed > 101
    with EmbeddedServer(MockOptions(faults=parse_faults({"score_missing": 1.0}))) as worse:
        shell.task(worse.base_url)
        again = shell("run-task", "task.yaml", "--retry_failed", "--json", *ONE_ATTEMPT)
    assert (again.code, again.json["rows_of_this_start"], again.json["rows"]["failed"]) == (3, failed, failed)


def test_a_retry_that_is_killed_is_an_unfinished_run_that_a_plain_start_goes_on_with(
    shell: Shell, broken: EmbeddedServer
) -> None:
    """Even where the task starts over after a finished run and removes what it wrote."""
    shell.rows("in/a.jsonl", 60)
    over = ("--set", "options.resume=false", "--delete_existing")
    shell.task(broken.base_url)
    assert shell("run-task", "task.yaml", *ONE_ATTEMPT, *over).code == 3
    failed = failed_rows(shell)
    journals = shell.folder / "out/.modelcall"
    with EmbeddedServer(MockOptions(latency=0.2)) as slow:
        shell.task(slow.base_url)
        child = shell.start("run-task", "task.yaml", "--retry_failed", *over)
        wait_for(lambda: any(".published" not in path.name for path in journals.glob("*/journal/*.log")))
        child.kill()
        child.communicate()
        assert shell("verify", "out").code == 0
        done = shell("run-task", "task.yaml", *over, "--json")
        assert (done.code, done.json["rows"]["scored"]) == (0, 60)
        assert done.json["rows_of_this_start"] < len(failed)
        assert slow.referee().requests <= len(failed) + 12  # in flight, and one flush window
    assert [row["api_attempts"] for row in shell.read("out/a.jsonl")] == [1 + (row in failed) for row in range(60)]
    assert shell("verify", "out").code == 0


def test_bad_rows_are_not_asked_again_and_the_exit_code_stays(shell: Shell, server: EmbeddedServer) -> None:
    path = shell.rows("in/a.jsonl", 3)
    path.write_text(path.read_text() + '{"id": 3, "text": null}\nnonsense\n')
    shell.task(server.base_url)
    done = shell("run-task", "task.yaml")
    assert done.code == 3
    assert "--retry_failed" not in done.last
    again = shell("run-task", "task.yaml", "--retry-failed")
    assert again.code == 3
    assert "3: no failed row can be asked again: the rest are bad rows" in again.out
    assert server.referee().rows


def test_a_retry_refuses_what_a_resume_refuses(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task(server.base_url)
    nothing = shell("run-task", "task.yaml", "--retry_failed")
    assert (nothing.code, nothing.last) == (2, "next: Start it without --retry_failed.")
    assert shell("run-task", "task.yaml").code == 0
    both = shell("run-task", "task.yaml", "--retry_failed", "--fresh")
    assert (both.code, "choose one" in both.err) == (2, True)
    changed = shell("run-task", "task.yaml", "--retry_failed", "--set", "prompt.prompt_template.system_text=Judge.")
    assert (changed.code, "was made with another system_text" in changed.err) == (2, True), changed.err
    shell.rows("in/a.jsonl", 4)
    assert shell("run-task", "task.yaml", "--retry_failed").code == 2


def test_every_run_of_a_chain_is_retried_and_new_files_wait(
    shell: Shell, broken: EmbeddedServer, server: EmbeddedServer
) -> None:
    shell.task(broken.base_url)
    for name in ("a", "b"):
        shell.rows(f"in/{name}.jsonl", 20)
        assert shell("run-task", "task.yaml", *ONE_ATTEMPT).code == 3
    shell.rows("in/c.jsonl", 5)
    shell.task(server.base_url)
    again = shell("run-task", "task.yaml", "--retry_failed", "--json")
    assert again.code == 0
    report = again.json
    assert (report["rows"]["failed"], report["waiting_files"]) == (0, ["c.jsonl"])
    assert not (shell.folder / "out/c.jsonl").exists()
    assert shell("verify", "out").code == 0
    assert shell("run-task", "task.yaml").code == 0
    assert len(shell.read("out/c.jsonl")) == 5


def test_shards_are_retried_one_by_one(shell: Shell, broken: EmbeddedServer, server: EmbeddedServer) -> None:
    shell.task(broken.base_url)
    for name in ("a", "b"):
        shell.rows(f"in/{name}.jsonl", 20)
    shards = [("--job_index", str(index), "--world_size", "2") for index in range(2)]
    assert [shell("run-task", "task.yaml", *shard, *ONE_ATTEMPT).code for shard in shards] == [3, 3]
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml", *shards[1], "--retry_failed").code == 0
    statuses = [{row["api_status"] for row in shell.read(f"out/{name}.jsonl")} for name in ("a", "b")]
    assert sorted(map(len, statuses)) == [1, 2]
    assert shell("run-task", "task.yaml", *shards[0]).code == 3
    assert shell("run-task", "task.yaml", *shards[0], "--retry_failed").code == 0
    assert shell("verify", "out").code == 0


def test_a_retry_goes_on_with_the_last_run_even_if_the_task_starts_over_after_one(
    shell: Shell, broken: EmbeddedServer, server: EmbeddedServer
) -> None:
    shell.rows("in/a.jsonl", 20)
    over = ("--set", "options.resume=false", "--delete_existing")
    shell.task(broken.base_url)
    assert shell("run-task", "task.yaml", *ONE_ATTEMPT, *over).code == 3
    failed = len(failed_rows(shell))
    shell.task(server.base_url)
    again = shell("run-task", "task.yaml", "--retry_failed", *over, "--json")
    assert (again.code, again.json["rows_of_this_start"]) == (0, failed)


def test_pipeline_and_api_call_ask_again_too(shell: Shell) -> None:
    (shell.folder / "in.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    (shell.folder / "odd.py").write_text(
        "import pathlib\n\n\nclass Odd:\n    columns = {'score': 'int'}\n\n    def score(self, item):\n"
        "        if item['text'] == 'b' and not pathlib.Path('repaired').exists():\n"
        "            raise ValueError('not yet')\n        return {**item, 'score': 1}\n"
    )
    command = ("pipeline", "in.jsonl", "out.jsonl", "--scorer", "odd:Odd")
    assert shell(*command).code == 3
    (shell.folder / "repaired").touch()
    assert shell(*command).code == 3
    assert shell(*command, "--retry_failed").code == 0
    assert [(row["score"], row["api_attempts"]) for row in shell.read("out.jsonl")] == [(1, 1), (1, 2)]
    assert "--retry_failed" in shell("api-call", "--help").out


def test_dropped_rows_are_counted_told_and_bound_to_the_run(shell: Shell, broken: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 40)
    shell.task(broken.base_url)
    drop = ("--set", "options.on_error=drop", *ONE_ATTEMPT)
    done = shell("run-task", "task.yaml", *drop)
    rows = shell.read("out/a.jsonl")
    assert done.code == 3
    assert f"{40 - len(rows):,} failed rows are listed, and not in the output" in done.out
    assert {row["api_status"] for row in rows} == {"success"}
    told = shell("verify", "out")
    assert (told.code, f"{40 - len(rows)} failed, {40 - len(rows)} of them dropped" in told.out) == (0, True)
    accepted = shell("run-task", "task.yaml", *drop, "--set", "options.max_failed_ratio=0.9")
    assert accepted.code == 0
    refused = shell("run-task", "task.yaml")
    assert (refused.code, "was made with another options.on_error" in refused.err) == (2, True)


def test_on_error_stop_is_exit_4_and_shows_the_row(shell: Shell, broken: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 40)
    shell.task(broken.base_url)
    done = shell("run-task", "task.yaml", "--set", "options.on_error=stop", *ONE_ATTEMPT)
    assert done.code == 4
    assert "stopped: a.jsonl, row " in done.err
    assert "failed: invalid_output" in done.err
    assert "--retry_failed" in done.last
    report = json.loads((shell.folder / "logs/rivers_final_stats.json").read_text())
    assert report["exit_code"] == 4
