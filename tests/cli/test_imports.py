"""What a command has imported when it has ended: a start is as quick as what it loads."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.mock.process import EmbeddedServer

LOOK = """
import sys
from modelcall.cli.main import run
sys.argv[1:] and run(sys.argv[1:])
print(*(name for name in {heavy} if name in sys.modules), file=sys.__stderr__)
"""
ALWAYS = (
    *("openai", "pandas", "tos", "pygal", "aiohttp.web", "modelcall.mock.server"),
    *("pyarrow.compute", "pyarrow.dataset"),
)
NO_RUN = (*ALWAYS, "pyarrow", "numpy", "aiohttp", "rich.console", "modelcall.pipeline.runner")
TASK = """
task_name: quick
data: {input_folder: ./in, output_folder: ./out}
model: {provider: vllm, model_name: m, base_url: "http://localhost:1/v1"}
prompt: {prompt_template: {prompt_text: "{text}"}, output_config: {require_json: false}}
"""


def imported(folder: Path, command: list[str], heavy: object) -> list[str]:
    """Run a command; return what it has imported of some modules."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in/a.jsonl").write_text('{"text": "a b c"}\n')
    look = [sys.executable, "-c", LOOK.format(heavy=heavy), *command]
    done = subprocess.run(look, cwd=folder, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["--help"], (*NO_RUN, "pydantic", "yaml", "asyncio")),
        (["status"], (*NO_RUN, "yaml")),
        (["run-task", "--help"], NO_RUN),
        (["validate", "task.yaml"], NO_RUN),
        (["run-task", "absent.yaml"], NO_RUN),
        (["pipeline", "in/a.jsonl", "out.parquet"], (*ALWAYS, "aiohttp", "rich.console")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_command_does_not_need_it_does_not_import(tmp_path: Path, command: list[str], heavy: object) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    assert imported(tmp_path, command, heavy) == []


def test_verifying_needs_no_pandas_either(tmp_path: Path) -> None:
    imported(tmp_path, ["pipeline", "in", "out"], ())
    assert imported(tmp_path, ["verify", "out"], ALWAYS) == []


def test_a_judge_imports_its_own_lane_and_no_preprocessing(tmp_path: Path, server: EmbeddedServer) -> None:
    (tmp_path / "task.yaml").write_text(TASK.replace("http://localhost:1/v1", server.base_url))
    others = (*ALWAYS, "rich.console", "modelcall.task_manager.preprocess_run", "modelcall.data_processing.base")
    assert imported(tmp_path, ["run-task", "task.yaml"], ("aiohttp", *others)) == ["aiohttp"]
