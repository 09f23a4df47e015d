"""The README is run: its commands in order in a scratch copy, its files written where it says, its output compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.config.model import ModelConfig
from modelcall.config.providers import PROVIDERS
from modelcall.config.task import EnvironmentConfig, TaskConfig
from modelcall.mock.process import EmbeddedServer
from modelcall.pipeline.columns import ResultPlan
from modelcall.scorers.hopeless import FIRST_ROWS
from modelcall.state.journal import FLUSH_SECONDS, SYNC_SECONDS
from modelcall.types import ErrorType
from tests.docs.markdown import blocks, inline_code, outline, prose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.mock.referee import RefereeReport
    from tests.docs.markdown import Block

ROOT = Path(__file__).parents[2]
NOT_RUN = 10
"""Two scripts, the long suites, two ways to install, steering, the other scripts, Slurm, TOS, two servers."""
HOST = re.compile(r"https?://[\w.:-]+(?:/api)?/v\d")
KEYS = {**{provider.key_variable: "a-key" for provider in PROVIDERS}, "MY_PROVIDER_KEY": "a-key"}


@dataclass(frozen=True, slots=True)
class Typed:
    """A block of commands that was run, and the sample output that the text shows under it."""

    block: Block
    done: subprocess.CompletedProcess[str]
    sample: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of typing everything."""

    typed: list[Typed]
    folder: Path
    referee: RefereeReport


@pytest.fixture(scope="module")
def reading(english: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    folder = tmp_path_factory.mktemp("reader")
    with EmbeddedServer() as server:
        prepare(folder, server.base_url)
        typed = list(type_all(blocks(english), folder, server.base_url))
        yield Reading(typed, folder, server.referee())


def prepare(folder: Path, base_url: str) -> None:
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy(ROOT / ".env.example", folder)
    for model in (folder / "configs" / "models").iterdir():
        model.write_text(HOST.sub(base_url, model.read_text(encoding="utf-8")), encoding="utf-8")
    # pyarrow imports pandas if it is there, which takes longer than all our own code; ModelCall does not need it
    (folder / "absent").mkdir()
    (folder / "absent" / "pandas.py").write_text("raise ImportError\n", encoding="utf-8")


def type_all(written: list[Block], folder: Path, base_url: str) -> Iterator[Typed]:
    for block, following in zip(written, [*written[1:], None], strict=True):
        if block.file:
            (folder / block.file).write_text(HOST.sub(base_url, block.text), encoding="utf-8")
        elif block.language == "bash" and not block.not_run:
            sample = following.text if following and following.language == "text" else None
            yield Typed(block, run(block.text, folder, base_url), sample)


def run(commands: str, folder: Path, base_url: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **KEYS,
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(folder / "absent"),
        "OPENAI_BASE_URL": base_url,
    }
    bash = shutil.which("bash", path=os.defpath)
    assert bash is not None
    return subprocess.run(
        [bash, "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_command_succeeds(reading: Reading) -> None:
    failed = {typed.block.text: typed.done.stderr for typed in reading.typed if typed.done.returncode}

    assert failed == {}
    assert len(reading.typed) >= 10
    assert reading.referee.requests > 60


def test_sample_output_is_what_comes(reading: Reading) -> None:
    samples = [typed for typed in reading.typed if typed.sample]

    for typed in samples:
        came = {" ".join(line.split()) for line in typed.done.stdout.splitlines()}
        shown = [" ".join(line.split()) for line in (typed.sample or "").splitlines()]
        assert [line for line in shown if line not in came] == [], typed.block.text
    assert len(samples) == 14


def test_what_is_not_run_is_known(english: str) -> None:
    assert sum(block.not_run for block in blocks(english)) == NOT_RUN


def test_every_sample_stands_under_a_command_and_every_block_has_a_language(english: str) -> None:
    written = blocks(english)

    for before, block in zip([None, *written], written, strict=False):
        assert block.language in {"bash", "text", "yaml", "python"}
        assert block.file or block.language in {"bash", "text"}, block.text
        if block.language == "text":
            assert before is not None
            assert before.language == "bash"


def test_every_model_file_gives_an_endpoint_with_its_own_host_and_key(english: str, reading: Reading) -> None:
    environment = Environment(KEYS, cwd=reading.folder)
    models = [block for block in blocks(english) if block.file and "model_name" in block.text]

    for block in models:
        (reading.folder / "as_written.yaml").write_text(block.text, encoding="utf-8")
        loaded = load_task(
            "my_task.yaml", overrides=["model.config_path=as_written.yaml"], environment=environment, for_run=False
        )
        model = ModelConfig.model_validate(yaml.safe_load(block.text))
        assert loaded.endpoint is not None
        assert loaded.endpoint.base_urls == model.base_url
        assert loaded.endpoint.key_source == (model.api_key_env or "")
        assert loaded.warnings == ()
    assert [block.file for block in models] == ["my_model.yaml", "vllm_pool.yaml", "hosted_model.yaml"]


def test_both_languages_have_the_same_blocks(english: str, chinese: str) -> None:
    assert blocks(chinese) == blocks(english)


def test_both_languages_have_the_same_structure_and_name_the_same_things(english: str, chinese: str) -> None:
    assert outline(chinese) == outline(english)
    assert inline_code(chinese) == inline_code(english)
    assert [prose(text).count("\n|") for text in (english, chinese)] == [prose(english).count("\n|")] * 2
    assert [prose(text).count("\n- ") for text in (english, chinese)] == [prose(english).count("\n- ")] * 2


def test_every_column_and_error_type_is_named(english: str) -> None:
    named = inline_code(english)

    assert [name for name in ResultPlan({}, is_judge=True).names() if name not in named] == []
    assert [kind.value for kind in ErrorType if kind.value not in named] == []


def test_every_file_and_key_that_is_named_exists(english: str) -> None:
    named = inline_code(english)
    files = {name for name in named if name.startswith(("configs/", "scripts/"))}
    links = set(re.findall(r"\]\((?!https)([^)#]+)\)", prose(english)))
    fields = TaskConfig.model_fields
    keys = {name for name in named if re.fullmatch(r"[a-z_]+\.[a-z_]+", name) and name.partition(".")[0] in fields}

    assert [name for name in {*files, *links} if not (ROOT / name).exists()] == []
    assert len(files) >= 7
    assert [key for key in keys if not has_key(key)] == []
    assert len(keys) >= 10


def has_key(path: str) -> bool:
    block, _, key = path.partition(".")
    annotation = TaskConfig.model_fields[block].annotation
    return key in getattr(annotation, "model_fields", {})


def test_numbers_in_the_text_are_those_of_the_code(english: str) -> None:
    flat = " ".join(prose(english).split())

    assert (FLUSH_SECONDS, SYNC_SECONDS) == (0.1, 1.0)
    assert "recorded every 0.1 s and forced to disk every second" in flat
    assert f"half of the first {FIRST_ROWS} rows" in flat
    assert EnvironmentConfig().outage_grace == 30 * 60
    assert "`environment.outage_grace` (30 minutes)" in flat
