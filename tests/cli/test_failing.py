from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NoReturn

from modelcall.cli.failing import exit_code_of, log_in_use
from modelcall.errors import ConfigError, FatalError, Mistake
from modelcall.log import LogSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def lines_of(error: Exception, capsys: pytest.CaptureFixture[str], *, log: Path | None = None) -> tuple[int, list[str]]:
    def fail() -> NoReturn:
        if log is not None:
            log_in_use.set(LogSettings(file=log, secrets=("hunter2-hunter2",)))
        raise error

    code = exit_code_of(fail)
    out, err = capsys.readouterr()
    assert out == ""
    return code, err.splitlines()


def test_a_command_without_an_exit_code_is_0() -> None:
    assert exit_code_of(lambda: None) == 0
    assert exit_code_of(lambda: 3) == 3


def test_all_mistakes_stand_on_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes = [Mistake("must be at least 1", where="t.yaml:12", path="a.b"), Mistake("unknown key")]
    code, lines = lines_of(ConfigError("t.yaml: 2 mistakes", hint="correct them", mistakes=mistakes), capsys)
    assert code == 2
    assert lines == [
        "error: t.yaml: 2 mistakes",
        "  t.yaml:12: a.b: must be at least 1",
        "  unknown key",
        "next: correct them",
    ]


def test_a_fatal_error_says_what_to_do_next(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    code, lines = lines_of(FatalError("the prompt is broken", hint="Start over with --fresh."), capsys)
    assert code == 4
    assert lines == ["stopped: the prompt is broken", "next: Start over with --fresh."]
    _, lines = lines_of(FatalError("the disk is full"), capsys, log=log)
    assert lines == ["stopped: the disk is full", "next: progress is kept; start again with the same command to go on"]
    assert "the disk is full" in log.read_text()


def test_a_store_that_is_away_is_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    away = TimeoutError(errno.ETIMEDOUT, "TOS does not answer", "tos://bucket/out")
    code, lines = lines_of(away, capsys)
    assert (code, lines[0]) == (4, "stopped: tos://bucket/out: the storage fails: TOS does not answer")
    assert "the run goes on where it stopped" in lines[-1]


def test_the_lines_of_a_stop_are_lines_and_cannot_pass_for_ours(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = lines_of(FatalError("three answers:\n  1. fine\nnext: rm -r .", hint="Correct the prompt."), capsys)
    assert lines == ["stopped: three answers:", "  1. fine", "  next: rm -r .", "next: Correct the prompt."]


def test_a_crash_is_one_line_and_its_traceback_is_in_the_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "x.log"
    code, lines = lines_of(ZeroDivisionError("with hunter2-hunter2"), capsys, log=log)
    assert code == 1
    assert lines[0] == "internal error: ZeroDivisionError: with ***"
    assert str(log) in lines[-1]
    assert len(lines) == 2
    assert "Traceback" in log.read_text()
    assert "test_failing.py" in log.read_text()
    assert "hunter2" not in log.read_text()


def test_a_crash_before_there_is_a_log_makes_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, lines = lines_of(RuntimeError("odd"), capsys)
    logs = list((tmp_path / "logs").glob("modelcall_crash_*.log"))
    assert code == 1
    assert len(logs) == 1
    assert logs[0].name in lines[-1]


def test_hostile_text_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("file \x1b[31m\u202eevil\nname", mistakes=[Mistake("\x07[bold]x[/bold]")])
    _, lines = lines_of(error, capsys)
    assert lines[0] == "error: file \\x1b[31m\\u202eevil\\nname"
    assert lines[1] == "  \\x07[bold]x[/bold]"


def test_a_mistake_that_is_the_message_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    mistake = Mistake("the file is empty", where="t.yaml")
    _, lines = lines_of(ConfigError(str(mistake), mistakes=[mistake]), capsys)
    assert lines == ["error: t.yaml: the file is empty", "next: correct it and start again; nothing was started"]


def test_thousands_of_mistakes_end_in_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes = [Mistake("clash", where=f"{number}.jsonl") for number in range(3000)]
    _, lines = lines_of(ConfigError("files cannot be used", mistakes=mistakes), capsys)
    assert lines[40:42] == ["  39.jsonl: clash", "  … and 2,960 more"]
    assert len(lines) == 43
