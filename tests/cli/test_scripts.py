"""The scripts and what they call: tasks really started, watched and stopped, whatever they are called."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.config.loading import load_task
from modelcall.config.templates import TEMPLATES
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.state.lock import Process
from tests.cli.shell import TASK, Done
from tests.cli.test_run_task import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
ENDLESS = 3000
"""Rows that a slow server needs longer for than any test lasts."""


def script(shell: Shell, name: str, *arguments: str, **changes: str) -> Done:
    """Run a script as a user does, with the modelcall of this environment."""
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    program = [sys.executable] if name.endswith(".py") else ["bash"]
    done = subprocess.run(
        [*program, str(SCRIPTS / name), *arguments],
        cwd=shell.folder,
        env={**shell.environment(), "PATH": path, **changes},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def known(shell: Shell, task: str = "") -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = shell("status", "--json").json
    return [one for one in told if task in one["task"]]


def one(shell: Shell, task: str = "") -> dict[str, Any]:
    (told,) = known(shell, task)
    return told


@pytest.fixture
def slow() -> Iterator[EmbeddedServer]:
    """Answers 80 rows a second to four requests at a time."""
    with EmbeddedServer(MockOptions(latency=0.05)) as server:
        yield server


@pytest.fixture(autouse=True)
def leave_nothing(shell: Shell) -> Iterator[None]:
    yield
    for told in known(shell):
        if told["alive"]:
            os.kill(told["process"]["pid"], signal.SIGKILL)


def test_a_task_is_started_listed_watched_stopped_and_resumed(
    shell: Shell, slow: EmbeddedServer, server: EmbeddedServer
) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.task(slow.base_url)
    started = script(shell, "run_task.sh", "task.yaml")
    assert started.code == 0, started.err
    told = dict(line.split(None, 1) for line in started.out.splitlines())
    assert told["started"].startswith("rivers: ")
    assert told["watch"] == "modelcall status --watch rivers"
    assert told["stop"] == "modelcall stop rivers"
    assert Process(**one(shell)["process"]).is_alive
    assert int(told["pid"]) == one(shell)["process"]["pid"]
    assert Path(told["log"]).exists()
    refused = script(shell, "run_task.sh", "task.yaml")
    assert (refused.code, f"process {told['pid']} on " in refused.err) == (2, True)

    wait_for(lambda: slow.referee().answered_rows >= 20 and one(shell)["state"] == "running")
    assert script(shell, "manage_tasks.sh", "list").out.splitlines()[1].split()[:2] == ["rivers", "running"]
    assert "rows" in script(shell, "manage_tasks.sh", "status", "riv").out
    stopped = script(shell, "manage_tasks.sh", "stop", "riv")
    assert stopped.code == 0
    lines = stopped.out.splitlines()
    assert lines[0] == f"stopping rivers (pid {told['pid']})"
    assert lines[1].startswith("rivers: interrupted, 143; ")
    assert lines[2] == "  to go on: modelcall start task.yaml"
    assert (one(shell)["alive"], one(shell)["exit_code"]) == (False, 143)
    wait_for(lambda: next((shell.folder / "logs/.status").glob("*.exit")).read_text() == "143\n")
    shell.task(server.base_url)
    server.reset()
    again = script(shell, "run_task.sh", "task.yaml")
    assert again.code == 0
    assert script(shell, "manage_tasks.sh", "monitor", "riv").code == 0
    assert (one(shell)["how"], one(shell)["exit_code"], one(shell)["rows"]["total"]) == ("continued", 0, ENDLESS)
    assert slow.referee().answered + server.referee().answered == ENDLESS, "none was asked twice"
    assert sorted(path.name.partition("_2")[0] for path in (shell.folder / "logs").glob("*.log")) == ["rivers"] * 2
    assert script(shell, "manage_tasks.sh", "clean").out == "forgotten: rivers, done\n"
    assert list((shell.folder / "logs/.status").iterdir()) == []


def test_what_to_type_to_go_on_has_all_that_was_typed(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.task(slow.base_url)
    changes = ("--set", "data.output_folder=./two words", "--set", "concurrency.chunk_size=7")
    assert shell.spawn("start", "task.yaml", *changes).code == 0
    stopped = shell.spawn("stop", "rivers")
    again = next(line for line in stopped.out.splitlines() if "to go on:" in line).partition("to go on: modelcall ")[2]
    assert shlex.split(again) == ["start", *changes, "task.yaml"]
    assert shell.spawn(*shlex.split(again)).code == 0
    assert one(shell)["how"] == "continued"


NAMES = ["two words", 'it\'s "quoted"', "-rf", "$(touch pwned) `touch pwned` ;&|", "目录 任务", "*", "--all"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_names_whatever_they_look_like(shell: Shell, slow: EmbeddedServer, name: str) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    named = f"task_name: {json.dumps(name, ensure_ascii=False)}"
    text = TASK.format(base_url=slow.base_url).replace("task_name: rivers", named)
    (shell.folder / f"{name}.yaml").write_text(text)
    started = script(shell, "run_task.sh", f"{name}.yaml")
    assert started.code == 0, started.err
    assert one(shell)["task"] == name
    stop = next(line.split(None, 1)[1] for line in started.out.splitlines() if line.startswith("stop "))
    assert shlex.split(stop)[-1] == name, "it can be copied from the screen"
    assert script(shell, "manage_tasks.sh", "status", name).out.splitlines()[0].split(None, 1)[1] == name
    stopped = script(shell, "manage_tasks.sh", "stop", name)
    assert (stopped.code, one(shell)["exit_code"]) == (0, 143), stopped.err
    again = next(line for line in stopped.out.splitlines() if "to go on:" in line).partition("to go on: ")[2]
    assert shlex.split(again)[-1] == f"{name}.yaml"
    assert not (shell.folder / "pwned").exists()


def test_shards_are_started_apart_and_all_are_stopped(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.rows("in/b.jsonl", ENDLESS)
    shell.task(slow.base_url)
    for index in ("0", "1"):
        assert script(shell, "run_task.sh", "task.yaml", index, "2").code == 0
    assert [(told["job_index"], told["world_size"]) for told in known(shell)] == [(0, 2), (1, 2)]
    stopped = script(shell, "manage_tasks.sh", "stopall")
    assert stopped.code == 0
    assert [line for line in stopped.out.splitlines() if line.startswith("stopping")] == [
        f"stopping rivers {told['job_index']}/2 (pid {told['process']['pid']})" for told in known(shell)
    ]
    assert [told["exit_code"] for told in known(shell)] == [143, 143]
    assert "modelcall start --job_index 1 --world_size 2 task.yaml" in stopped.out


def test_mistakes_are_told_at_once_and_nothing_is_started(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text("task_nam: x\n")
    refused = script(shell, "run_task.sh", "bad.yaml")
    assert (refused.code, "task_name" in refused.err) == (2, True)
    assert script(shell, "run_task.sh", "absent.yaml").code == 2
    assert not (shell.folder / "logs").exists()
    assert script(shell, "run_task.sh", "a", "b").code == 2
    for arguments in ((), ("stop",), ("stop", ""), ("nonsense",), ("list", "x")):
        assert script(shell, "manage_tasks.sh", *arguments).code == 2, arguments


def test_a_run_that_ends_at_once_gives_its_exit_code_and_what_it_printed(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 2)
    path = shell.task(server.base_url)
    assert script(shell, "run_task.sh", "task.yaml").code == 0
    wait_for(lambda: one(shell)["exit_code"] == 0)
    path.write_text(path.read_text().replace("Rate.", "Rate it."))
    refused = script(shell, "run_task.sh", "task.yaml")
    assert refused.code == 2
    assert "was made with another system_text" in refused.err
    assert refused.out.splitlines()[0].split(None, 1) == ["started", "no: exit 2 before there was a run"]


def test_it_outlives_the_shell_that_started_it_and_a_kill_is_written_down(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.task(slow.base_url)
    assert script(shell, "run_task.sh", "task.yaml").code == 0
    pid = one(shell)["process"]["pid"]
    assert os.getsid(pid) != os.getsid(0), "a terminal that hangs up does not reach it"
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: one(shell)["exit_code"] == 137)
    assert one(shell)["state"] == "died, exit 137"
    assert script(shell, "run_task.sh", "task.yaml").code == 0, "started again it goes on"
    assert (one(shell)["alive"], one(shell)["how"]) == (True, "continued")
    assert script(shell, "manage_tasks.sh", "stop", "rivers").code == 0


def test_only_a_process_that_is_proven_to_be_the_run_is_signalled(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.task(slow.base_url)
    assert script(shell, "run_task.sh", "task.yaml").code == 0
    file = next((shell.folder / "logs/.status").glob("*.json"))
    pid = one(shell)["process"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not Process(**one(shell)["process"]).is_alive)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        file.write_text(re.sub(r'"pid": \d+', f'"pid": {innocent.pid}', file.read_text()))
        stopped = script(shell, "manage_tasks.sh", "stop", "rivers")
        assert (stopped.code, stopped.out.splitlines()[-1]) == (0, "nothing to stop")
        assert innocent.poll() is None
        innocent.kill()


def test_what_does_not_react_is_killed_and_loses_nothing(shell: Shell, slow: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", ENDLESS)
    shell.task(slow.base_url)
    (shell.folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'run-task' in sys.argv and os.environ.get('DEAF'):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    )
    deaf = {"DEAF": "1", "PYTHONPATH": str(shell.folder)}
    assert script(shell, "run_task.sh", "task.yaml", **deaf).code == 0
    file = next((shell.folder / "logs/.status").glob("*.json"))
    wait_for(lambda: slow.referee().answered_rows >= 5)
    assert '"grace_seconds": 5.0' in file.read_text()
    asked = time.monotonic()
    stopped = script(shell, "manage_tasks.sh", "stop", "rivers")
    assert stopped.code == 0
    assert time.monotonic() - asked < 5 + 5 + 5, "grace, five seconds, and what a busy machine takes to start it"
    assert "killed: it did not end in time" in stopped.out


def test_tasks_are_listed_with_their_descriptions(shell: Shell) -> None:
    assert script(shell, "run_task.sh").code == 2
    folder = shell.folder / "configs/tasks"
    folder.mkdir(parents=True)
    (folder / "b c.yaml").write_text("task_name: b\ndescription: Scores b.\n")
    (folder / "broken.yaml").write_text("a: [\n")
    listed = script(shell, "run_task.sh")
    assert listed.code == 0
    lines = listed.out.splitlines()
    assert lines[0].split() == ["TASK", "DESCRIPTION"]
    assert lines[1].split(None, 3) == ["configs/tasks/b", "c.yaml", "Scores", "b."]
    assert "cannot be read" in lines[2]


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_make_task_files_that_validate(shell: Shell, template: str) -> None:
    (shell.folder / "configs").symlink_to(ROOT / "configs")
    name = 'it\'s: a "name" #1'
    made = script(shell, "create_task.py", name, "--template", template, "--output", "-my task.yaml")
    assert made.code == 0, made.err
    assert made.out == "-my task.yaml\n"
    loaded = load_task("-my task.yaml", for_run=False)
    assert loaded.task.task_name == name
    assert loaded.warnings == ()
    assert loaded.task.preprocess.enabled == (template == "preprocess")


def test_a_task_file_is_never_overwritten(shell: Shell) -> None:
    made = script(shell, "create_task.py", "mine")
    assert (made.code, made.out) == (0, "configs/tasks/mine.yaml\n")
    path = shell.folder / "configs/tasks/mine.yaml"
    path.write_text("precious")
    refused = script(shell, "create_task.py", "mine", "--template", "distributed")
    assert (refused.code, "is there already" in refused.err) == (2, True)
    assert path.read_text() == "precious"
    for name in ("a/b", "", " ", ".hidden", "two\nlines"):
        assert script(shell, "create_task.py", "--", name).code == 2, name
    assert script(shell, "create_task.py", "x", "--template", "nonsense").code == 2


def test_view_logs_shows_what_modelcall_logs_shows(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.task(server.base_url)
    assert shell("run-task", "task.yaml", "-q").code == 0
    for arguments in ((), ("--task", "rivers"), ("--task", "rivers", "--details"), ("--task", "rivers", "--stats")):
        viewed = script(shell, "utils/view_logs.py", "--log_dir", "logs", *arguments)
        assert (viewed.code, viewed.out) == (0, shell("logs", *arguments).out)
