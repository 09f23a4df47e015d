from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.config.providers import PROVIDERS
from modelcall.config.schemas import KINDS, schema, schema_text
from modelcall.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
TASKS = sorted((CONFIGS / "tasks").glob("*.yaml"))
MODELS = sorted((CONFIGS / "models").glob("*.yaml"))
TOS = ("TOS_ENDPOINT", "REGION", "TOS_REGION", "TOS_BUCKET", "TOS_ACCESS_KEY", "TOS_SECRET_KEY", "TOS_SECURITY_TOKEN")
KEYS = {provider.key_variable: "k" for provider in PROVIDERS}


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_task_loads_and_lacks_only_its_input(path: Path) -> None:
    loaded = load_task(
        path.relative_to(ROOT),
        environment=Environment(KEYS, cwd=ROOT),
        for_run=False,
    )

    assert loaded.task.task_name == path.stem
    assert loaded.task.description
    assert loaded.warnings == ()
    assert {mistake.path for mistake in loaded.missing} <= {"data.input_folder", "preprocess.input_folder"}
    assert loaded.prompt is not None
    assert str(loaded.prompt.columns()["score"]) == "int"
    assert loaded.prompt.output_config.required == ("score",)


def test_demo_task_is_ready_to_run_without_any_key() -> None:
    loaded = load_task("configs/tasks/embedded_demo.yaml", environment=Environment({}, cwd=ROOT))

    assert loaded.endpoint is not None
    assert loaded.endpoint.is_embedded


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_model_file_has_a_usable_endpoint(path: Path) -> None:
    loaded = load_task(
        "configs/tasks/embedded_demo.yaml",
        overrides=(f"model.config_path={path.relative_to(ROOT)}",),
        environment=Environment(KEYS, cwd=ROOT),
    )

    assert loaded.endpoint is not None
    assert loaded.warnings == ()


def test_prompts_name_every_column_they_ask_for() -> None:
    for path in sorted((CONFIGS / "prompts").glob("*.yaml")):
        prompt = yaml.safe_load(path.read_text())
        text = prompt["prompt_template"]["prompt_text"]
        example = re.search(r"\{(\{.*\})\}", text)

        assert example is not None, path
        assert list(json.loads(example[1])) == prompt["output_config"]["json_keys"]
        jsonschema_rs.validate(prompt["output_config"]["json_schema"], json.loads(example[1]))


def test_sample_is_small_and_whole() -> None:
    rows = [json.loads(line) for line in (CONFIGS / "samples" / "embedded_demo.jsonl").read_text().splitlines()]

    assert len(rows) == 30
    assert all(row["text"] for row in rows)
    assert len({row["id"] for row in rows}) == 30


@pytest.mark.parametrize("kind", KINDS)
def test_schema_files_are_current(kind: str) -> None:
    assert (CONFIGS / "schemas" / f"{kind}.schema.json").read_text() == schema_text(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_schema_is_described(kind: str) -> None:
    whole = schema(kind)
    definitions = whole.get("$defs", {})
    fields = [pair for block in (whole, *definitions.values()) for pair in block.get("properties", {}).items()]
    bare = [
        name
        for name, field in fields
        if not {**definitions.get(str(field.get("$ref")).rpartition("/")[2], {}), **field}.get("description")
    ]

    assert fields
    assert bare == []


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_satisfy_their_schema(kind: str) -> None:
    validator = jsonschema_rs.validator_for(schema(kind))
    for path in sorted((CONFIGS / f"{kind}s").glob("*.yaml")):
        validator.validate(yaml.safe_load(path.read_text()))
        assert path.read_text().startswith(f"# yaml-language-server: $schema=../schemas/{kind}.schema.json\n")


def test_unknown_schema() -> None:
    with pytest.raises(ConfigError, match='did you mean "task"'):
        schema("tasks")


def test_env_example_lists_every_variable() -> None:
    names = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert names >= {*TOS, *KEYS, "API_KEY", "OPENAI_BASE_URL", "BASE_URL", "DATA_ROOT"}
    assert Environment.read(process={}, cwd=ROOT.parent).with_file(ROOT / ".env.example").secrets() == frozenset()
