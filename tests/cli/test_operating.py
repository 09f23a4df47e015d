"""A run that goes on, looked at and steered from outside: status, control, metrics."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.observe.control import ask
from tests.cli.test_run_task import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.cli.shell import Shell


@pytest.fixture
def slow() -> Iterator[EmbeddedServer]:
    """Answers 80 rows a second to four requests at a time."""
    with EmbeddedServer(MockOptions(latency=0.05)) as server:
        yield server


def status(shell: Shell) -> dict[str, Any]:
    (told,) = shell("status", "rivers", "--json").json
    return dict(told)


def live(shell: Shell) -> dict[str, Any]:
    """What the run itself says now."""
    told: dict[str, Any] = ask(Path(status(shell)["control"]), "status")["status"]
    return told


def begun(shell: Shell, server: EmbeddedServer, *arguments: str, rows: int = 10) -> subprocess.Popen[str]:
    child = shell.start("run-task", "task.yaml", *arguments)
    wait_for(lambda: server.referee().answered_rows >= rows)
    wait_for(lambda: any((shell.folder / "logs/.status").glob("*.json")))
    wait_for(lambda: status(shell)["control"] != "" and status(shell)["phase"] == "running")
    return child


def ended(child: subprocess.Popen[str]) -> int:
    child.communicate(timeout=30)
    return int(child.returncode)


def test_the_status_is_the_server_s_view_but_for_what_is_in_flight(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 400)
    with EmbeddedServer(MockOptions(latency=0.03, seed=3)) as server:
        server.set_faults(["overloaded=0.1", "prose_only=0.1"])
        shell.task(server.base_url, more="retry: {max_retries: 20}\n")
        child = begun(shell, server)
        for _ in range(20):
            before, told, after = server.referee().requests, live(shell), server.referee().requests
            requests = told["requests"]
            assert requests["attempts_ended"] <= after
            assert requests["attempts_ended"] + requests["in_flight"] >= before
            assert requests["in_flight"] <= requests["ceiling"] == 4
        assert shell("ctl", "rivers", "pause").code == 0
        wait_for(lambda: live(shell)["requests"]["in_flight"] == 0)
        told, referee = live(shell), server.referee()
        assert told["requests"]["attempts_ended"] == referee.requests
        assert told["rows"]["done"] == referee.answered_rows
        assert sum(told["retries"].values()) > 0
        assert shell("ctl", "rivers", "resume").code == 0
        assert ended(child) == 0
        last, referee = status(shell), server.referee()
    assert last["requests"]["attempts_ended"] == referee.requests
    assert (last["state"], last["exit_code"], last["alive"]) == ("done", 0, False)
    assert last["rows"] == {
        "total": 400, "done": 400, "scored": 400, "failed": 0, "recorded_before": 0, "left": 0
    }  # fmt: skip


def test_pause_stops_asking_and_resume_goes_on_and_both_are_in_the_log(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    paused = shell("ctl", "rivers", "pause")
    assert (paused.code, paused.out) == (0, "rivers: paused: no request is begun, those in flight end\n")
    assert "was paused already: by " in shell("ctl", "rivers", "pause").out
    wait_for(lambda: slow.referee().in_flight == 0)
    asked = slow.referee().requests
    wait_for(lambda: status(shell)["phase"] == "paused")
    assert status(shell)["note"].endswith(f"(pid {os.getpid()})")
    assert slow.referee().requests == asked
    assert shell("ctl", "rivers", "resume").out == "rivers: resumed\n"
    assert ended(child) == 0
    log = Path(status(shell)["log"]).read_text()
    who = f"(pid {os.getpid()})"
    assert [line.split(" | ")[2].split(" by ")[0] for line in log.splitlines() if who in line] == [
        "⏸️ Paused",
        "▶️ Resumed",
    ]


def test_the_ceiling_can_be_lowered_and_raised(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 600)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    assert slow.referee().max_in_flight == 4
    assert "max_concurrent_requests: 4 -> 24" in shell("ctl", "rivers", "set", "max_concurrent_requests=24").out
    wait_for(lambda: slow.referee().in_flight >= 20)
    assert "24 -> 1" in shell("ctl", "rivers", "set", "max_concurrent_requests=1").out
    wait_for(lambda: slow.referee().in_flight <= 1)
    assert live(shell)["requests"]["limit"] == 1
    shell("ctl", "rivers", "set", "max_concurrent_requests=64")
    assert ended(child) == 0
    assert 24 < slow.referee().max_in_flight <= 64
    log = Path(status(shell)["log"]).read_text()
    assert "set max_concurrent_requests from 24 to 1" in log


def test_drain_ends_when_all_in_flight_has_ended_however_long_it_takes(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 100)
    with EmbeddedServer(MockOptions(latency=1.5, distribution="uniform")) as server:
        shell.task(server.base_url)
        child = shell.start("run-task", "task.yaml", "--json", "--set", "options.grace_seconds=0.1")
        wait_for(lambda: server.referee().in_flight == 4)
        wait_for(lambda: any((shell.folder / "logs/.status").glob("*.json")))
        wait_for(lambda: status(shell)["phase"] == "running")
        assert shell("ctl", "rivers", "drain").out.startswith("rivers: draining")
        out, err = child.communicate(timeout=30)
        referee = server.referee()
        assert child.returncode == 4
        assert "stopped: drained: " in err
        assert json.loads(out)["rows_of_this_start"] == referee.answered_rows == referee.requests
        assert referee.abandoned == 0, "no answer was thrown away"
        assert status(shell)["state"] == "stopped"
        server.control("POST", "/reset")
    with EmbeddedServer(MockOptions()) as server:
        done = shell("run-task", "task.yaml", "--json", "--set", f"model.base_url={server.base_url}")
    assert (done.code, done.json["how"]) == (0, "continued")
    assert done.json["rows_of_this_start"] == 100 - referee.answered_rows


def test_a_signal_ends_a_pause_and_a_drain_within_the_grace_period(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    shell("ctl", "rivers", "pause")
    child.send_signal(signal.SIGTERM)
    assert ended(child) == 143
    told = status(shell)
    assert (told["state"], told["exit_code"]) == ("interrupted, 143", 143)
    assert shell("run-task", "task.yaml", "-q").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explode",), "ctl: there is no 'explode'"),
        (("set",), "ctl PATTERN set max_concurrent_requests=N"),
        (("set", "chunk_size=3"), "'chunk_size' cannot be set while a run goes on"),
        (("set", "max_concurrent_requests=0"), "must be a whole number from 1, got 0"),
        (("set", "max_concurrent_requests=many"), "must be a whole number from 1, got 'many'"),
        (("pause", "x=1"), "pause takes no settings"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, slow: EmbeddedServer, arguments: tuple[str, ...], says: str) -> None:
    shell.rows("in/a.jsonl", 200)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    refused = shell("ctl", "rivers", *arguments)
    assert refused.code in {2, 4}
    assert says in refused.err
    assert ended(child) == 0


def test_only_what_runs_can_be_steered(shell: Shell, server: EmbeddedServer) -> None:
    assert "no task that was started from this folder" in shell("ctl", "x", "pause").err
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    shell("run-task", "task.yaml", "-q")
    refused = shell("ctl", "rivers", "pause")
    assert refused.code == 2
    assert "no task that 'rivers' means is running (rivers: done)" in refused.err


def test_a_sync_scorer_gets_no_more_threads_than_it_began_with(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 40)
    (shell.folder / "slow_scorer.py").write_text(
        "import time\n\n\nclass Slow:\n    columns = {'n': 'int'}\n\n"
        "    def score(self, item):\n        time.sleep(0.2)\n        return {**item, 'n': 1}\n"
    )
    child = shell.start(
        "pipeline", "in/a.jsonl", "out.jsonl", "--scorer", "slow_scorer:Slow", "--max_concurrent_requests", "4"
    )
    wait_for(lambda: any((shell.folder / "logs/.status").glob("*.json")))
    wait_for(lambda: shell("status", "pipeline_a", "--json").json[0]["phase"] == "running")
    refused = shell("ctl", "pipeline_a", "set", "max_concurrent_requests=5")
    assert (refused.code, "the scorer has 4 threads" in refused.err) == (4, True)
    assert "4 -> 2" in shell("ctl", "pipeline_a", "set", "max_concurrent_requests=2").out
    assert ended(child) == 0


def test_metrics_are_served_while_the_run_goes_on(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow, "--metrics-port", "0")
    where = status(shell)["metrics"]
    assert where.startswith("127.0.0.1:")
    with urllib.request.urlopen(f"http://{where}/metrics") as answer:
        text = answer.read().decode()
    run = status(shell)["run_id"]
    assert f'modelcall_phase{{task="rivers",run="{run}",job="0",phase="running"}} 1' in text.splitlines()
    assert ended(child) == 0
    assert status(shell)["metrics"] == ""


@pytest.mark.parametrize("port", ["x", "70000", ":9", "1.2"])
def test_a_port_that_is_none_is_refused(shell: Shell, port: str) -> None:
    refused = shell("run-task", "task.yaml", "--metrics_port", port)
    assert refused.code == 2


def test_a_port_that_is_taken_is_exit_2_and_nothing_was_started(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    refused = shell("run-task", "task.yaml", "--metrics_port", str(server.port))
    assert refused.code == 2
    assert f"--metrics_port: 127.0.0.1:{server.port} cannot be had" in refused.err
    assert not (shell.folder / "out").exists()


def test_a_second_start_leaves_the_first_one_s_status_alone(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    refused = shell("run-task", "task.yaml")
    assert refused.code == 2
    told = status(shell)
    assert (told["process"]["pid"], told["alive"], told["exit_code"]) == (child.pid, True, None)
    assert shell("ctl", "rivers", "drain").code == 0
    assert ended(child) == 4


def test_a_killed_run_is_said_to_have_died_and_is_cleaned_away(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    assert shell("clean").err == "nothing to clean\n", "it runs"
    child.kill()
    ended(child)
    told = status(shell)
    assert (told["state"], told["alive"], told["exit_code"], told["phase"]) == ("died", False, None, "running")
    log = Path(told["log"]).read_bytes()
    assert shell("clean").out == "forgotten: rivers, died\n"
    assert list((shell.folder / "logs/.status").iterdir()) == []
    assert Path(told["log"]).read_bytes() == log
    assert "nothing was started from this folder" in shell("status").err


def test_no_status_means_none(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml", "-q", "--no_status").code == 0
    assert not (shell.folder / "logs/.status").exists()


def test_a_status_that_cannot_be_written_harms_nothing(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task(server.base_url)
    (shell.folder / "logs").mkdir()
    (shell.folder / "logs/.status").write_text("a file")
    done = shell("run-task", "task.yaml")
    assert done.code == 0
    assert "the status cannot be written" in done.err


def test_watching_ends_with_the_run_and_is_plain_when_piped(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 300)
    shell.task(slow.base_url)
    child = begun(shell, slow)
    watched = shell.spawn("status", "rivers", "--watch")
    assert ended(child) == 0
    lines = watched.out.splitlines()
    assert watched.code == 0
    assert lines[0].startswith("rivers: running, files 0/1, rows ")
    assert lines[-1].startswith("rivers: done, files 1/1, rows 300/300, scored 100.0%")
    assert "\x1b" not in watched.out


def test_the_table_and_the_details_tell_what_an_owner_wants_to_know(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 12)
    shell.task(server.base_url)
    prices = "model.prices={prompt: 1.0, completion: 2.0, currency: CNY}"
    assert shell("run-task", "task.yaml", "-q", "--set", prices).code == 0
    header, line = shell("status").out.splitlines()
    assert header.split() == ["TASK", "STATE", "FILES", "ROWS", "SCORED", "COST", "TOLD"]
    assert line.split()[:5] == ["rivers", "done", "1/1", "12/12", "100.0%"]
    details = dict(line.split(None, 1) for line in shell("status", "riv").out.splitlines())
    assert details["state"] == "done: exit 0"
    assert details["scored"] == "12 of 12 (100.0%)"
    assert details["cost"].endswith(" CNY")
    assert details["output"] == str(shell.folder / "out")
    assert shell("status", "nothing").code == 2


def test_logs_show_tasks_batches_statistics_and_scores(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 12)
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml", "-q", "--set", "logging.batch_size=5").code == 0
    scores = [row["score"] for row in shell.read("out/a.jsonl")]
    header, line = shell("logs").out.splitlines()
    assert header.split() == ["TASK", "STARTS", "LAST", "ENDED", "EXIT", "ROWS", "SCORED", "ROWS/MIN"]
    assert line.split()[:2] == ["rivers", "1"]
    shown = shell("logs", "--task", "riv", "--log_dir", "logs").out
    assert "🚀 Task started: rivers" in shown
    batches = shell("logs", "--task", "rivers", "--details", "--limit", "2").out.splitlines()
    assert [batch.split()[3:7] for batch in batches[1:]] == [["2", "5", "5", "0"], ["3", "2", "2", "0"]]
    stats = shell("logs", "--task", "rivers", "--stats").out
    counts = ", ".join(f"{value}: {scores.count(value)}" for value in sorted(set(scores)))
    assert f"mean {sum(scores) / 12:.3g}; {counts}" in stats
    assert "12: 12 scored, 0 failed; 0 before" in stats
    assert shell("logs", "--task", "rivers", "--stats", "--json").json[0]["scores"]["score"]["count"] == 12
    assert shell("logs", "--stats").code == 2
    assert shell("logs", "--task", "x").code == 2
    assert shell("logs", "--log_dir", "absent").code == 2
