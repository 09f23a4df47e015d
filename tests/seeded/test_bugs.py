"""Breaks a copy of the package in one way at a time; the suite must notice each."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.seeded.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
SECONDS = 120
"""A suite that is not through then hangs for the bug: nobody would take that for success."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its tests, to be broken."""
    for name in ("modelcall", "tests", "configs", "env"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def patched(root: Path, bug: Bug) -> str:
    source = (root / "modelcall" / bug.module).read_text(encoding="utf-8")
    assert source.count(bug.old) == 1, f"{bug.name}: the patch no longer applies to {bug.module}"
    return source.replace(bug.old, bug.new)


def suite(copy: Path, tests: Sequence[str], *, seconds: float = SECONDS) -> tuple[int | None, str]:
    """Run tests of a copy: pytest's exit code, None if it had no end, and the last lines it wrote."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", *tests]
    variables = {**os.environ, "PYTHONPATH": str(copy)}  # noqa: TID251  a child's environment
    with subprocess.Popen(
        command,
        cwd=copy,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            out, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None, "no end"
    return child.returncode, "\n".join(out.splitlines()[-12:])


def noticed_by(out: str) -> str:
    """The test that failed, as pytest's summary names it."""
    return next((line.split()[1] for line in out.splitlines() if line.startswith("FAILED ")), "the end that never came")


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_suite_notices(copy: Path, bug: Bug, record_property: Callable[[str, object], None]) -> None:
    (copy / "modelcall" / bug.module).write_text(patched(copy, bug), encoding="utf-8")
    code, out = suite(copy, bug.tests)
    assert code in {1, None}, f"{bug.name}: pytest ended with {code}\n{out}"
    print(f"{bug.name}: noticed by {noticed_by(out)}")
    record_property("bugs", 1)


@pytest.mark.long
def test_without_a_bug_the_same_tests_pass(copy: Path) -> None:
    tests = sorted({path for bug in BUGS for path in bug.tests})
    code, out = suite(copy, tests, seconds=600)
    assert code == 0, out


def test_bugs_are_many_and_each_is_another() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40
    assert len({(bug.module, bug.old, bug.new) for bug in BUGS}) == len(BUGS)


def test_every_patch_applies_and_leaves_python() -> None:
    for bug in BUGS:
        compile(patched(ROOT, bug), bug.module, "exec")
