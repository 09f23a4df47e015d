from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from modelcall import __version__
from modelcall.cli import schema
from modelcall.cli.main import COMMANDS, app
from modelcall.cli.preprocess import app as preprocess

if TYPE_CHECKING:
    from tests.cli.shell import Shell

HEAVY = {"pyarrow", "pydantic", "aiohttp", "rich", "yaml", "uvloop", "openai", "tenacity", "fsspec"}


def test_help_lists_every_command_with_its_line(shell: Shell) -> None:
    done = shell("--help")
    assert done.code == 0
    assert done.err == ""
    for name, line in COMMANDS.items():
        assert f"  {name} " in done.out
        assert line.split()[0] in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_a_line_for_each_option(shell: Shell, command: str) -> None:
    done = shell(command, "--help")
    assert done.code == 0
    assert f"modelcall {command}" in done.out
    assert "Examples:" in done.out
    assert f"  modelcall {command}" in done.out.partition("Examples:")[2]
    built: Any = get_command(app)
    for parameter in built.get_command(None, command).params:
        assert parameter.help, f"{command}: {parameter.name} has no help"


@pytest.mark.parametrize("command", ["github", "universal", "custom"])
def test_so_has_every_way_to_preprocess(shell: Shell, command: str) -> None:
    done = shell("preprocess", command, "--help")
    assert done.code == 0
    assert f"  modelcall preprocess {command}" in done.out.partition("Examples:")[2]
    for parameter in get_command(preprocess).commands[command].params:  # type: ignore[attr-defined]  # it is a group
        assert parameter.help, f"{command}: {parameter.name} has no help"


def test_main_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from modelcall.cli.main import run\n"
        "run(['--help']); run(['--version'])\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY.isdisjoint(json.loads(printed.splitlines()[-1]))


def test_version(shell: Shell) -> None:
    assert shell("--version").out == f"modelcall {__version__}\n"


def test_no_command_is_a_usage_error_that_shows_the_commands(shell: Shell) -> None:
    done = shell()
    assert done.code == 2
    assert done.out == ""
    assert "run-task" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run-tsk"], "Did you mean 'run-task'"),
        (["statistics"], "No such command 'statistics'"),
        (["verify", "x", "--nope"], "--nope"),
        (["verify"], "OUTPUT"),
        (["pipeline", "a", "b", "--max_concurrent_files", "0"], "--max_concurrent_files"),
    ],
)
def test_wrong_usage_exits_2_and_says_where_help_is(shell: Shell, arguments: list[str], says: str) -> None:
    done = shell(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
    assert done.last.startswith("next: see modelcall")


@pytest.mark.parametrize("spelling", ["--scorer_option", "--scorer-option"])
def test_options_are_found_with_underscores_and_with_hyphens(shell: Shell, spelling: str) -> None:
    done = shell("pipeline", "in.jsonl", "out.jsonl", spelling, "oops")
    assert done.code == 2
    assert "--scorer_option: write KEY=VALUE, got 'oops'" in done.err


def test_commands_are_found_with_underscores(shell: Shell) -> None:
    assert shell("run_task", "--help").code == 0


def test_ctrl_c_before_anything_runs_is_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "schema_text", interrupt)
    done = shell("schema", "task")
    assert done.code == 130
    assert done.last.startswith("next:")


@pytest.mark.parametrize("kind", ["task", "model", "prompt"])
def test_schemas_are_json(shell: Shell, kind: str) -> None:
    done = shell("schema", kind)
    assert done.code == 0
    assert "properties" in done.json


def test_an_unknown_schema_names_the_nearest(shell: Shell) -> None:
    done = shell("schema", "tsk")
    assert done.code == 2
    assert 'did you mean "task"' in done.err


def test_a_reader_that_goes_away_is_quiet(shell: Shell) -> None:
    with shell.start("schema", "task") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        errors = child.stderr.read()
    assert errors == ""
    assert child.returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(shell: Shell, closed: str) -> None:
    shell.rows("in.jsonl", 2)
    done = _in_sh(shell, f"-m modelcall pipeline in.jsonl out.jsonl {closed}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert len(shell.read("out.jsonl")) == 2


@pytest.mark.parametrize("command", ["pipeline -q in.jsonl out.jsonl", "schema task"])
def test_a_result_that_cannot_be_written_is_told_without_a_traceback(shell: Shell, command: str) -> None:
    shell.rows("in.jsonl", 2)
    done = _in_sh(shell, f"-m modelcall {command} > /dev/full")
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "stopped: the result cannot be written to stdout: No space left on device"
    assert len(done.stderr.splitlines()) == 2


def test_messages_that_cannot_be_written_change_nothing(shell: Shell) -> None:
    shell.rows("in.jsonl", 2)
    assert _in_sh(shell, "-m modelcall pipeline in.jsonl out.jsonl 2> /dev/full").returncode == 0


def _in_sh(shell: Shell, line: str) -> subprocess.CompletedProcess[str]:
    script = f'"{sys.executable}" {line}'
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=shell.folder,
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
