from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.config.preprocessing import load_preprocess
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.config.loading import LoadedTask
    from modelcall.config.preprocessing import LoadedPreprocess

RULES = """\
input_folder: raw
output_folder: clean
max_tokens: 1024
field_mapping: {text: body, kind: {type: constant, value: web}}
filters: {min_text_length: 5}
"""
TASK = """\
task_name: t
data: {input_folder: raw, output_folder: scored}
scorer: {name: quality}
preprocess:
  enabled: true
  output_folder: clean
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path


def load(
    home: Path, file: str | None = None, variables: dict[str, str] | None = None, **options: Any
) -> LoadedPreprocess:
    if file is not None:
        (home / "rules.yaml").write_text(textwrap.dedent(file))
    environment = Environment(variables or {}, cwd=home)
    return load_preprocess(options, file="rules.yaml" if file is not None else None, environment=environment)


def mistakes(home: Path, file: str | None = None, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(home, file, **options)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_options_alone_are_enough(home: Path) -> None:
    loaded = load(home, raw_path="raw", output_dir="./clean", stat_dir="/stat", num_proc=3, text_key=None)

    assert (loaded.paths.raw, loaded.paths.output, loaded.paths.stat) == (f"{home}/raw", f"{home}/clean", "/stat")
    assert (loaded.config.num_proc, loaded.config.max_tokens, loaded.config.script_type) == (3, 32768, "universal")


def test_options_win_over_the_file(home: Path) -> None:
    loaded = load(home, RULES, max_tokens=5, output_dir="other")

    assert (loaded.config.max_tokens, loaded.config.filters.min_text_length) == (5, 5)
    assert (loaded.paths.raw, loaded.paths.output) == (f"{home}/raw", f"{home}/other")


@pytest.mark.parametrize("file", [f"preprocess:\n{textwrap.indent(RULES, '  ')}", TASK + textwrap.indent(RULES, "  ")])
def test_the_keys_may_stand_under_preprocess_and_in_a_task(home: Path, file: str) -> None:
    loaded = load(home, file.replace("  output_folder: clean\n", "", 1) if "task_name" in file else file)

    assert loaded.config.field_mapping["text"] == "body"
    assert loaded.paths.raw == f"{home}/raw"


def test_the_input_of_a_task_is_that_of_its_preprocessing(home: Path) -> None:
    assert load(home, TASK).paths.raw == f"{home}/raw"
    assert load(home, TASK, raw_path="else").paths.raw == f"{home}/else"


def test_relative_paths_hang_from_the_data_root(home: Path) -> None:
    loaded = load(home, variables={"DATA_ROOT": "tos://bucket/x"}, raw_path="raw", output_dir="./clean")

    assert (loaded.paths.raw, loaded.paths.output) == ("tos://bucket/x/raw", f"{home}/clean")


def test_all_mistakes_are_told_with_their_place(home: Path) -> None:
    why = "got the text '(': missing ), unterminated subpattern at position 0"
    assert mistakes(home, "max_tokens: 0\nfilter: {}\nfilters: {blacklist_patterns: ['(']}\n", dedupe="all") == [
        "rules.yaml:1: max_tokens: must be at least 1, got 0",
        "--dedupe: must be 'none' or 'file', got the text 'all'",
        f"rules.yaml:3: filters.blacklist_patterns: must be regular expressions, {why}",
        'rules.yaml:2: filter: unknown key; did you mean "filters"?',
        "rules.yaml: input_folder: is required, as --raw_path, or in the file",
        "rules.yaml: output_folder: is required, as --output_dir, or in the file",
    ]


def test_a_task_without_the_block_says_so(home: Path) -> None:
    assert mistakes(home, "task_name: t\ndata: {input_folder: raw}\n") == [
        "rules.yaml: this task has no block `preprocess`"
    ]


def test_a_tokenizer_is_found_beside_the_file(home: Path) -> None:
    (home / "tokenizer.json").write_text("{}")

    assert load(home, RULES, tokenizer="tokenizer.json").config.tokenizer == f"{home}/tokenizer.json"
    assert load(home, RULES, tokenizer="none.json").config.tokenizer == "none.json"
    assert load(home, RULES, tokenizer="cl100k").config.tokenizer == "cl100k"


def task(home: Path, text: str, *, for_run: bool = True) -> LoadedTask:
    (home / "task.yaml").write_text(text)
    return load_task("task.yaml", environment=Environment({}, cwd=home), for_run=for_run)


def refused(home: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        task(home, text)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_what_preprocessing_brings_out_is_what_is_scored(home: Path) -> None:
    paths = task(home, TASK).paths

    assert (paths.input, paths.output) == (f"{home}/clean", f"{home}/scored")
    assert paths.preprocess is not None
    assert (paths.preprocess.raw, paths.preprocess.output, paths.preprocess.stat) == (
        f"{home}/raw",
        f"{home}/clean",
        None,
    )


def test_a_block_that_is_off_changes_nothing(home: Path) -> None:
    paths = task(home, TASK.replace("enabled: true", "enabled: no")).paths

    assert (paths.input, paths.preprocess) == (f"{home}/raw", None)


def test_the_raw_folder_may_be_another_than_the_input_that_is_named(home: Path) -> None:
    loaded = task(home, f"{TASK}  input_folder: rawer\n", for_run=False)

    assert loaded.paths.preprocess is not None
    assert loaded.paths.preprocess.raw == f"{home}/rawer"
    assert [mistake.path for mistake in loaded.missing] == ["preprocess.input_folder"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  output_folder: clean\n", "", "preprocess.output_folder: is required: the folder of the result"),
        ("output_folder: scored", "output_folder: clean/scored", "data.output_folder: lies in the input folder"),
        ("output_folder: clean\n", "output_folder: nope://x\n", "preprocess.output_folder: there is no storage"),
        ("output_folder: clean\n", "output_folder: tos://b/x\n", "preprocess.output_folder: tos://b/x needs"),
    ],
)
def test_folders_that_cannot_be_are_refused(home: Path, old: str, new: str, said: str) -> None:
    assert old in TASK
    (mistake,) = refused(home, TASK.replace(old, new))
    assert said in mistake


def test_a_placeholder_in_its_folder_is_warned_about(home: Path) -> None:
    loaded = task(home, TASK.replace("output_folder: clean", "output_folder: clean/{timestamp}"))

    assert ["preprocess.output_folder" in str(warning) for warning in loaded.warnings] == [True]
