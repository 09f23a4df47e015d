"""The live test itself works, and leaves nothing behind: it is run against the local TOS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.mock.tos.options import TosOptions
from modelcall.mock.tos.thread import LocalTos
from tests.fs_tos.live import QUESTIONS, SWITCH

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("test_live.py")


def run(variables: Mapping[str, str], *options: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != SWITCH}  # noqa: TID251  a child's
    command = [sys.executable, "-m", "pytest", str(FILE), "-q", "-s", "-n", "0", *options]
    ran = subprocess.run(
        command, env={**inherited, **variables}, capture_output=True, text=True, check=False, timeout=120
    )
    return ran.stdout + ran.stderr


def test_it_passes_here_answers_every_question_and_removes_what_it_made() -> None:
    with LocalTos(TosOptions(buckets=("live",))) as tos:
        tos.put("somebody/elses", b"x")
        said = run({**tos.environment, SWITCH: "1"})
        assert " passed in" in said, said
        assert "failed" not in said.splitlines()[-1]
        assert "skipped" not in said.splitlines()[-1]
        assert {line for line in QUESTIONS if f"ANSWER {line}: " in said} == set(QUESTIONS)
        assert "ANSWER PutObject, name taken, forbid-overwrite: 409 ObjectAlreadyExists" in said
        assert (tos.keys(), tos.uploads()) == (["somebody/elses"], [])


def test_it_removes_what_it_made_when_it_fails() -> None:
    with LocalTos(TosOptions(buckets=("live",))) as tos:
        tos.put("somebody/elses", b"x")
        tos.set_faults("status,status=400,code=InvalidArgument,op=complete_multipart_upload")
        said = run({**tos.environment, SWITCH: "1"}, "-k", "several_parts or documentation")
        assert " failed" in said.splitlines()[-1]
        assert (tos.keys(), tos.uploads()) == (["somebody/elses"], [])


def test_without_being_asked_for_it_is_skipped_and_counted() -> None:
    last = run({}).splitlines()[-1]
    assert "skipped" in last
    assert "passed" not in last
