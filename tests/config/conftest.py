from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from modelcall.config.environment import Environment
from modelcall.config.loading import LoadedTask, load_task
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "provider: embedded\n"
PROMPT = """\
prompt_template:
  prompt_text: "Rate {text}"
output_config:
  json_keys: [score]
  json_default_values: {score: 3}
"""
TASK = """\
task_name: t
data:
  input_folder: ./in
  output_folder: ./out
model: {config_path: model.yaml}
prompt: {config_path: prompt.yaml}
"""


class Load(Protocol):
    def __call__(self, task: str = ..., *, for_run: bool = ..., overrides: tuple[str, ...] = ...) -> LoadedTask: ...


class Mistakes(Protocol):
    def __call__(self, task: str, *, for_run: bool = ..., overrides: tuple[str, ...] = ...) -> list[str]: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text(MODEL)
    (tmp_path / "prompt.yaml").write_text(PROMPT)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "x"}\n')
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> Environment:
    return Environment.read(process={}, cwd=folder)


@pytest.fixture
def load(folder: Path, environment: Environment) -> Load:
    def loader(task: str = TASK, *, for_run: bool = True, overrides: tuple[str, ...] = ()) -> LoadedTask:
        (folder / "t.yaml").write_text(task)
        return load_task("t.yaml", overrides=overrides, environment=environment, for_run=for_run)

    return loader


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """Load a task that is wrong and return its mistakes as lines."""

    def finder(task: str, *, for_run: bool = True, overrides: tuple[str, ...] = ()) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(task, for_run=for_run, overrides=overrides)
        return [str(mistake) for mistake in caught.value.mistakes]

    return finder
