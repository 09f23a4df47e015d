from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task, task_from_options
from modelcall.config.record import resolved_config
from modelcall.config.unsupported import UNSUPPORTED
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Load, Mistakes

TASK = """\
task_name: t
data:
  input_folder: ./in
  output_folder: ./out
model: {config_path: model.yaml}
prompt: {config_path: prompt.yaml}
"""

WHOLE_EXAMPLE = """\
task_name: github_code_rating
description: …
data:
  input_folder: users/formatted_data/x      # file, folder or glob; local path
  output_folder: users/tagged/x/{timestamp} # {timestamp} {task_name} {run_index} are filled in
  stat_folder: ./data/stats/x               # progress
  input_key: text                           # column that holds the document
  prompt_format_key: text                   # placeholder of the prompt that takes it
preprocess:
  enabled: false
  script_type: github_raw_code              # or universal (default), or module:Class
  input_folder: …                           # default data.input_folder
  output_folder: …                          # becomes the input of scoring
  max_tokens: 32768                         # adds content_truncate_32k (max_tokens // 1024)
  num_proc: 16
  seed: 42
  num_files: -1                             # first N in sorted order
model:  {config_path: model.yaml}
prompt: {config_path: prompt.yaml}
concurrency:
  max_concurrent_files: 2       # level one: files being read
  max_concurrent_requests: 10   # level two: requests in flight
  chunk_size: 100               # rows read and scheduled at a time; never a barrier
  parquet_save_interval: 200    # rows between checkpoints of the ledger (-1: automatic)
distributed: {enabled: false, world_size: 1, job_index: null, num_runs: 1}
debug: {enabled: false, max_files: null, max_items_per_file: null}
retry: {enable_format_validation_retry: true, max_retries: 3}
options: {resume: true, delete_existing: false}
environment: {api_provider: local, timeout: 300}
logging: {level: INFO, batch_size: 100, progress_report_interval: 10}
"""


def test_whole_example_loads(load: Load, folder: Path) -> None:
    loaded = load(WHOLE_EXAMPLE, for_run=False)

    assert loaded.task.task_name == "github_code_rating"
    assert loaded.task.data.input_key == "text"
    assert loaded.task.concurrency.parquet_save_interval == 200
    assert loaded.task.environment.timeout == 300.0
    assert loaded.task.environment.outage_grace == 1800.0
    assert loaded.paths.input == f"{folder}/users/formatted_data/x"
    assert loaded.paths.output == f"{folder}/users/tagged/x/{{timestamp}}"
    assert loaded.paths.stat == f"{folder}/data/stats/x"
    assert (loaded.scorer, loaded.format_key) == ("llm", "text")
    assert loaded.files == {"task": "t.yaml", "model": "model.yaml", "prompt": "prompt.yaml"}
    assert [mistake.path for mistake in loaded.missing] == ["data.input_folder"]


def test_missing_input_stops_a_run(mistakes: Mistakes) -> None:
    assert "there is no file or folder" in mistakes(WHOLE_EXAMPLE)[0]


def test_all_further_keys_load(load: Load) -> None:
    loaded = load(
        TASK.replace("  output_folder: ./out", "  output_folder: ./out\n  output_columns: [text]\n  output_prefix: q_")
        + """\
scorer: {name: llm, options: {a: 1}}
retry: {max_retries: 2, network: 0, rate_limit: 9, format: 1}
options: {keep_raw: false, max_failed_ratio: 0.05, bad_rows: stop, grace_seconds: 1m, on_error: keep}
environment: {outage_grace: 1h, timeout: 90s}
logging: {language: zh, dir: my/logs, level: debug}
concurrency: {num_workers: 1, max_concurrent_requests: 1_000}
distributed: {enabled: true, engine: local, shard_by: bytes, world_size: 2}
"""
    )

    task = loaded.task
    assert task.data.output_columns == ("text",)
    assert [task.retry.budget("network"), task.retry.budget("rate_limit"), task.retry.budget("format")] == [0, 9, 1]
    assert (task.options.grace_seconds, task.environment.timeout, task.environment.outage_grace) == (60.0, 90.0, 3600.0)
    assert (task.logging.level, task.concurrency.max_concurrent_requests) == ("DEBUG", 1000)


def test_format_retry_off_means_one_attempt(load: Load) -> None:
    retry = load(TASK + "retry: {enable_format_validation_retry: false, max_retries: 5}\n").task.retry

    assert (retry.budget("format"), retry.budget("network")) == (0, 5)


def test_six_mistakes_in_three_files_are_told_with_path_and_line(mistakes: Mistakes, folder: Path) -> None:
    (folder / "model.yaml").write_text("provider: openai\nmodel_nam: m\nbase_url: localhost:8000/v1\n")
    (folder / "prompt.yaml").write_text(
        "prompt_template:\n  prompt_text: Rate {text}\noutput_config:\n  json_keys: [score]\n"
        "  json_key_must_exists: [scroe]\n"
    )
    found = mistakes(
        "task_name: t\ndata:\n  input_foldr: ./in\n  output_folder: ./out\n"
        "concurrency:\n  chunk_size: 0\nmax_retries: 3\n"
        "model: {config_path: model.yaml}\nprompt: {config_path: prompt.yaml}\n"
    )

    assert [line.partition(": ")[0] for line in found] == [
        *("t.yaml:3", "t.yaml:6", "t.yaml:7"),
        *("model.yaml:2", "model.yaml:3", "prompt.yaml:5"),
    ]
    assert found[0] == 't.yaml:3: data.input_foldr: unknown key; did you mean "input_folder"?'
    assert found[1] == "t.yaml:6: concurrency.chunk_size: must be at least 1, got 0"
    assert found[2] == "t.yaml:7: max_retries: unknown key here; it belongs to `retry`"
    assert found[3] == 'model.yaml:2: model_nam: unknown key; did you mean "model_name"?'
    assert "write http://localhost:8000/v1" in found[4]
    assert 'did you mean "score"?' in found[5]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("concurrency: {chunk_size: true}", "must be a whole number, got true"),
        ("concurrency: {chunk_size: 1.5}", "must be a whole number, got 1.5"),
        ("concurrency: {chunk_size: 010}", "must be a whole number, got the text '010'"),
        ("concurrency: {chunk_size: '10'}", "must be a whole number, got the text '10'"),
        ("concurrency: {chunk_size: -1}", "must be at least 1, got -1"),
        ("concurrency: {chunk_size: null}", "must be a whole number, got nothing"),
        ("concurrency: {max_concurrent_requests: .inf}", "must be a whole number, got inf"),
        ("concurrency: {max_concurrent_files: 0}", "must be at least 1, got 0"),
        ("concurrency: {parquet_save_interval: 0}", "must be at least 1, or -1, got 0"),
        ("concurrency: {parquet_save_interval: -2}", "must be at least 1, or -1, got -2"),
        ("concurrency: 5", "must be a block of keys, got 5"),
        ("environment: {timeout: .nan}", "must be a finite number, got nan"),
        ("environment: {timeout: 0}", "must be more than 0, got 0"),
        ("environment: {timeout: -5}", "must be more than 0, got -5"),
        ("environment: {timeout: true}", "must be a number, got true"),
        ("environment: {timeout: 12:30}", 'must be seconds, or a time such as "50ms", "2s" or "30m"'),
        ("environment: {api_provider: ../../x}", "may hold letters, digits"),
        ("retry: {max_retries: -1}", "must be at least 0, got -1"),
        ("options: {max_failed_ratio: 1.5}", "must be at most 1, got 1.5"),
        ("options: {max_failed_ratio: .nan}", "must be a finite number, got nan"),
        ("options: {resume: 1}", "must be true or false, got 1"),
        ("options: {resume: maybe}", "must be true or false, got the text 'maybe'"),
        ("logging: {level: LOUD}", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', got the text 'LOUD'"),
        ("description: 5", "must be text, got 5; put it in quotes"),
        ("debug: {enabled: true, max_files: 0}", "must be at least 1, got 0"),
        ("distributed: {enabled: true, job_index: -1}", "must be at least 0, got -1"),
        ("scorer: {nam: quality}", 'unknown key; did you mean "name"?'),
        ("zzz: 1", "unknown key; known here: task_name"),
    ],
)
def test_wrong_value_is_told_once_with_its_line(mistakes: Mistakes, line: str, words: str) -> None:
    found = mistakes(TASK + line + "\n")

    assert len(found) == 1
    assert found[0].startswith("t.yaml:7: ")
    assert words in found[0]


@pytest.mark.parametrize("word", ["yes", "On", "TRUE", "true"])
def test_old_words_for_true_count_where_a_truth_value_is_wanted(load: Load, word: str) -> None:
    assert load(TASK + f"options: {{delete_existing: {word}}}\n").task.options.delete_existing is True


@pytest.mark.parametrize("name", ['""', "' '", '"a\\nb"', "null", "[a]"])
def test_task_name_must_be_a_line_of_text(mistakes: Mistakes, name: str) -> None:
    assert mistakes(TASK.replace("task_name: t", f"task_name: {name}"))[0].startswith("t.yaml:1: task_name: must")


def test_blocks_without_keys_mean_the_defaults(load: Load) -> None:
    loaded = load(TASK + "debug:\nretry:\nconcurrency:\npreprocess:\n")

    assert loaded.task.concurrency.chunk_size == 100
    assert loaded.task.debug.enabled is False


@pytest.mark.parametrize(
    "line",
    [
        "preprocess: {enabled: false, mystery: 1, num_files: 0, script_type: [x]}",
        "debug: {enabled: no, max_file: 1}",
        "distributed: {enabled: false, world_size: -7, engine: ray, shard_by: rows}",
        "concurrency: {num_workers: 1}",
        "options: {on_error: keep}",
        "distributed: {enabled: true, engine: inline, shard_by: bytes}",
    ],
)
def test_disabled_blocks_and_defaults_are_never_mistakes(load: Load, line: str) -> None:
    assert load(TASK + line + "\n").warnings == ()


USED = {
    "concurrency.num_workers": "2",
    "distributed.engine": "ray",
    "distributed.shard_by": "rows",
    "options.on_error": "drop",
}


@pytest.mark.parametrize("entry", UNSUPPORTED, ids=lambda entry: entry.key)
def test_what_this_version_lacks_is_refused_never_ignored(mistakes: Mistakes, entry: object) -> None:
    key = entry.key  # type: ignore[attr-defined]
    found = mistakes(TASK, overrides=("distributed.enabled=true", f"{key}={USED[key]}"))

    assert len(found) == 1
    assert f"--set: {key}: this version does not support" in found[0]


def test_file_urls_are_local(load: Load, folder: Path) -> None:
    loaded = load(TASK, overrides=(f"data.input_folder=file://{folder}/in",))

    assert loaded.paths.input == f"{folder}/in"


def test_overrides_are_values_of_yaml_and_the_last_wins(load: Load) -> None:
    loaded = load(
        TASK,
        overrides=(
            "concurrency.chunk_size=5",
            "concurrency.chunk_size=7",
            "debug.enabled=true",
            "debug.max_files=1",
            "model.completions_params.temperature=0.5",
            "data.output_columns=[text, id]",
            "description=a=b",
        ),
    )

    assert loaded.task.concurrency.chunk_size == 7
    assert loaded.task.debug.max_files == 1
    assert loaded.task.data.output_columns == ("text", "id")
    assert loaded.task.description == "a=b"
    assert loaded.model is not None
    assert loaded.model.completions_params == {"temperature": 0.5}
    assert resolved_config(loaded)["overrides"][0] == "concurrency.chunk_size=5"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("concurrency.chunk_size=0", "--set: concurrency.chunk_size: must be at least 1"),
        ("concurrency.chunk_siz=5", '--set: concurrency.chunk_siz: unknown key; did you mean "chunk_size"?'),
        ("concurrency", "--set: write KEY=VALUE"),
        ("=5", "--set: write KEY=VALUE"),
        ("a..b=5", "--set: write KEY=VALUE"),
        ("task_name.x=5", "--set: task_name is no block of keys"),
        ("description=[1", "--set:1: is not valid YAML"),
        ("data.input_folder=./nowhere", "--set: data.input_folder: there is no file or folder"),
        ("x.y=5", "--set: x: unknown key"),
        ("model.config_path=", "t.yaml:5: model: is required: a model file"),
    ],
)
def test_wrong_override_is_told_by_its_flag(mistakes: Mistakes, override: str, words: str) -> None:
    assert any(line.startswith(words) for line in mistakes(TASK, overrides=(override,)))


def test_inline_model_and_prompt(load: Load) -> None:
    loaded = load(
        TASK.replace(
            "model: {config_path: model.yaml}", "model: {provider: x, model_name: m, base_url: http://h/v1}"
        ).replace("prompt: {config_path: prompt.yaml}", "prompt: {prompt_template: {prompt_text: 'R {text}'}}")
    )

    assert loaded.endpoint is not None
    assert loaded.endpoint.base_urls == ("http://h/v1",)
    assert loaded.prompt is not None
    assert loaded.prompt.columns() == {}


def test_inline_keys_beside_a_file_win(load: Load, folder: Path) -> None:
    (folder / "model.yaml").write_text("provider: x\nmodel_name: a\ncompletions_params: {temperature: 0, top_p: 1}\n")
    loaded = load(
        TASK.replace(
            "{config_path: model.yaml}",
            "{config_path: model.yaml, base_url: http://h, completions_params: {temperature: 1}}",
        )
    )

    assert loaded.model is not None
    assert (loaded.model.model_name, loaded.model.base_url) == ("a", ("http://h",))
    assert loaded.model.completions_params == {"temperature": 1, "top_p": 1}


def test_config_files_are_found_beside_the_task_too(folder: Path, environment: Environment) -> None:
    tasks = folder / "tasks"
    tasks.mkdir()
    (tasks / "beside.yaml").write_text("provider: embedded\n")
    (tasks / "t.yaml").write_text(TASK.replace("config_path: model.yaml", "config_path: beside.yaml"))

    assert load_task("tasks/t.yaml", environment=environment).files["model"] == "beside.yaml"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (TASK.replace("model.yaml", "modle.yaml"), "t.yaml:5: model.config_path: there is no file 'modle.yaml'"),
        (TASK.replace("model.yaml", "modle.yaml"), 'did you mean "model.yaml"?'),
        (TASK.replace("model.yaml", "tos://b/m.yaml"), "this version does not support"),
        (TASK.replace("config_path: prompt.yaml", "config_path: 5"), "prompt.config_path: must be text, got 5"),
        (TASK.replace("model: {config_path: model.yaml}\n", ""), "model: is required"),
        (TASK.replace("prompt: {config_path: prompt.yaml}\n", "prompt:\n"), "t.yaml:6: prompt: is required"),
        ("task_name: t\n", "t.yaml: data: is required"),
    ],
)
def test_missing_parts(mistakes: Mistakes, task: str, words: str) -> None:
    assert any(words in line for line in mistakes(task))


def test_scorer_of_ones_own_needs_no_model(load: Load) -> None:
    task = "task_name: t\ndata: {input_folder: ./in, output_folder: ./out}\nscorer: {name: quality}\n"
    loaded = load(task)

    assert (loaded.scorer, loaded.model, loaded.prompt, loaded.endpoint) == ("quality", None, None, None)


def test_task_that_is_no_file(environment: Environment) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_task("none.yaml", environment=environment)


@pytest.mark.parametrize(
    ("prompt_text", "key", "expected"),
    [
        ("{text} {lang}", None, "text"),
        ("{document}", None, "document"),
        ("{code} {text}", "code", "code"),
        ("{我的列}", "我的列", "我的列"),
    ],
)
def test_placeholder_of_the_document(
    load: Load, folder: Path, prompt_text: str, key: str | None, expected: str
) -> None:
    (folder / "prompt.yaml").write_text(f"prompt_template: {{prompt_text: '{prompt_text}'}}\n")
    overrides = () if key is None else (f"data.prompt_format_key={key}",)

    assert load(TASK, overrides=overrides).format_key == expected


@pytest.mark.parametrize(
    ("prompt_text", "key", "words"),
    [
        ("no placeholder", None, "prompt.yaml:1: prompt_template.prompt_text: no placeholder takes the document"),
        ("{a} {b}", None, "Write one of {a}, {b} as data.prompt_format_key"),
        ("{txt}", "text", 'the prompt has no {text}; did you mean "txt"?'),
        ("{{text}}", "text", "the prompt has no {text}; it has no placeholder at all"),
    ],
)
def test_prompt_without_the_placeholder(
    mistakes: Mistakes, folder: Path, prompt_text: str, key: str | None, words: str
) -> None:
    (folder / "prompt.yaml").write_text(f"prompt_template: {{prompt_text: '{prompt_text}'}}\n")
    overrides = () if key is None else (f"data.prompt_format_key={key}",)
    found = mistakes(TASK, overrides=overrides)

    assert len(found) == 1
    assert words in found[0]


def warned(load: Load, task: str = TASK) -> str:
    return "\n".join(map(str, load(task).warnings))


def test_what_may_surprise_is_warned_about(load: Load, folder: Path) -> None:
    (folder / "prompt.yaml").write_text(
        "prompt_template:\n  prompt_text: '{text} {texts} {{\"a\": 1}'\n"
        "output_config:\n  json_keys: [flag, why]\n  json_default_values: {flag: yes}\n"
    )
    text = warned(load, TASK.replace("./out", "./out/{date}/{timestmp}"))

    assert "prompt.yaml:2: prompt_template.prompt_text: {{ and }} give one brace each" in text
    assert "did you mean {text}?" in text
    assert "prompt.yaml:5: output_config.json_default_values.flag: yes is text here" in text
    assert "the column why will be text that holds JSON" in text
    assert 'data.output_folder: {timestmp} is no placeholder and stays as it is; did you mean "timestamp"?' in text


def test_block_without_its_switch_is_warned_about(load: Load) -> None:
    assert "t.yaml:7: debug: is ignored: it does not say `enabled: true`" in warned(
        load, TASK + "debug: {max_files: 1}\n"
    )


@pytest.mark.parametrize("output_format", ["jsonl", "same"])
def test_one_schema_is_for_parquet(mistakes: Mistakes, load: Load, output_format: str) -> None:
    unified = "data.unify_schema=true"
    (mistake,) = mistakes(TASK, overrides=(unified, f"data.output_format={output_format}"))
    assert "data.unify_schema: is for Parquet: JSON Lines have no schema" in mistake
    assert load(TASK, overrides=(unified,)).task.data.unify_schema


def test_a_column_is_wanted_once(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(TASK, overrides=("data.output_columns=[id, text, id]",))
    assert "data.output_columns: id stands there more than once" in mistake


def test_repeated_runs_need_a_place_each(mistakes: Mistakes, load: Load) -> None:
    repeated = TASK + "distributed: {enabled: true, num_runs: 3}\n"

    assert "it must hold {run_index}" in mistakes(repeated)[0]
    assert load(repeated.replace("./out", "./out/{run_index}")).task.distributed.num_runs == 3


def test_repeated_runs_at_temperature_zero_are_warned_about(load: Load, folder: Path) -> None:
    (folder / "model.yaml").write_text("provider: embedded\ncompletions_params: {temperature: 0.0}\n")
    task = TASK.replace("./out", "./out/{run_index}") + "distributed: {enabled: true, num_runs: 3}\n"

    assert "temperature 0" in warned(load, task)


@pytest.mark.parametrize("output", ["./in", "./in/tagged", "./in/{timestamp}", "in/../in"])
def test_output_within_the_input_is_refused(mistakes: Mistakes, output: str) -> None:
    assert "lies in the input folder" in mistakes(TASK.replace("./out", output))[0]


def test_output_beside_a_single_input_file_is_fine(load: Load) -> None:
    assert load(TASK.replace("./in", "./in/a.jsonl").replace("./out", "./in")).missing == ()


@pytest.mark.parametrize(
    ("pattern", "is_there"), [("./in/*.jsonl", True), ("./in/**/*.parquet", False), ("./in[x]", True)]
)
def test_globs_are_looked_up(load: Load, folder: Path, pattern: str, is_there: bool) -> None:
    (folder / "in[x]").mkdir()

    assert (load(TASK.replace("./in", pattern), for_run=False).missing == ()) is is_there


def test_provider_variables_come_from_their_env_file(load: Load, folder: Path) -> None:
    (folder / "env").mkdir()
    (folder / "env" / "add_mine_key.env").write_text("export OPENAI_API_KEY=sk-of-the-file\n")
    (folder / "model.yaml").write_text("provider: openai\nmodel_name: m\n")
    loaded = load(TASK + "environment: {api_provider: mine}\n")

    assert loaded.endpoint is not None
    assert loaded.endpoint.api_key is not None
    assert loaded.endpoint.api_key.reveal() == "sk-of-the-file"
    assert "sk-of" not in repr(loaded)
    assert "sk-of" not in repr(resolved_config(loaded))


def test_loaded_task_can_be_sent_to_a_worker(load: Load) -> None:
    loaded = load(TASK)

    assert pickle.loads(pickle.dumps(loaded)) == loaded  # noqa: S301  our own bytes


def test_record_masks_headers(load: Load, folder: Path) -> None:
    (folder / "model.yaml").write_text("provider: x\nmodel_name: m\nbase_url: http://h\nheaders: {X-Team: blue}\n")

    assert resolved_config(load(TASK))["model"]["headers"] == {"X-Team": "***"}


def test_options_build_the_same_task(folder: Path, environment: Environment) -> None:
    loaded = task_from_options(
        "api-call",
        {
            "input_folder": "./in/a.jsonl",
            "output_folder": "./out",
            "model_config_path": "model.yaml",
            "prompt_config_path": "prompt.yaml",
            "max_concurrent_requests": 3,
            "debug_items": 5,
            "parquet_save_interval": None,
            "enable_format_validation_retry": False,
            "delete_existing": True,
        },
        environment=environment,
    )

    assert loaded.task.task_name == "api_call_a"
    assert loaded.task.concurrency.max_concurrent_requests == 3
    assert (loaded.task.debug.enabled, loaded.task.debug.max_items_per_file) == (True, 5)
    assert loaded.task.retry.budget("format") == 0
    assert loaded.paths.input == f"{folder}/in/a.jsonl"


def test_wrong_options_are_told_by_their_flags(environment: Environment) -> None:
    with pytest.raises(ConfigError) as caught:
        task_from_options(
            "pipeline",
            {"output_folder": "toss://b/o", "chunk_size": 0, "scorer": "quality"},
            environment=environment,
        )

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "IN: is required",
        "--chunk_size: must be at least 1, got 0",
        'OUT: there is no storage for toss:// URLs; did you mean "tos"?',
    ]


def test_a_command_without_model_names_the_options_that_give_them(environment: Environment) -> None:
    with pytest.raises(ConfigError) as caught:
        task_from_options("api-call", {"input_folder": "./in", "output_folder": "./out"}, environment=environment)

    assert [mistake.where for mistake in caught.value.mistakes] == ["--model_config_path", "--prompt_config_path"]


def test_one_mistake_is_the_whole_message(environment: Environment, folder: Path) -> None:
    (folder / "t.yaml").write_text(f"{TASK}concurrency: {{chunk_size: 0}}\n")
    with pytest.raises(ConfigError) as caught:
        load_task("t.yaml", environment=environment)

    assert caught.value.message == "t.yaml:7: concurrency.chunk_size: must be at least 1, got 0"


def test_a_key_written_twice_is_told_with_all_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(
        "task_name: x\ndata: {input_folder: ., output_foldr: ./o}\nscorer: {name: quality}\n"
        "options: {resume: true}\noptions: {resume: false}\nconcurrency: {chunk_size: 0}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_task(tmp_path / "task.yaml", environment=Environment(cwd=tmp_path))
    told = [str(mistake) for mistake in caught.value.mistakes]
    assert len(told) == 3
    assert any("options: is written twice; the first is on line 4" in line for line in told)
