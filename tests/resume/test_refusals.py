"""What a start of an interrupted run must find unchanged, and what it may find changed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.resume.killed import ROWS, Killed

Change = Callable[[Killed], object]


def sets(path: str, value: Any) -> Change:
    return lambda killed: killed.set(path, value)


def edits(name: str, old: str, new: str, *, keep_time: bool = False) -> Change:
    return lambda killed: killed.edit(name, old, new, keep_time=keep_time)


def adds_a_row(killed: Killed) -> None:
    with (killed.folder / "in/b.jsonl").open("a") as stream:
        stream.write('{"id": 60, "text": "one more"}\n')


def drops_a_row(killed: Killed) -> None:
    path = killed.folder / "in/b.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def swaps_rows(killed: Killed) -> None:
    path = killed.folder / "in/b.jsonl"
    times = path.stat()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def removes_a_file(killed: Killed) -> None:
    (killed.folder / "in/b.jsonl").unlink()


def moves_the_input(killed: Killed) -> None:
    shutil.copytree(killed.folder / "in", killed.folder / "in2")
    killed.set("data.input_folder", "./in2")


def brings_a_scorer(killed: Killed) -> None:
    (killed.folder / "length_of_resume.py").write_text(
        "class Length:\n    def score(self, item):\n        return item\n"
    )
    killed.set("scorer.name", "length_of_resume:Length")


REFUSED: dict[str, tuple[Change, str]] = {
    "a row added": (adds_a_row, "changed since the run began: b.jsonl"),
    "a row dropped": (drops_a_row, "changed since the run began: b.jsonl"),
    "a row edited": (edits("b.jsonl", "silt", "SILT"), "changed since the run began: b.jsonl"),
    "a row edited, the time kept": (edits("b.jsonl", "silt", "SILT", keep_time=True), "size and time are the same: b."),
    "two rows swapped, the time kept": (swaps_rows, "though size and time are the same: b.jsonl"),
    "a published file edited": (edits("a.jsonl", "silt", "SILT"), "changed since the run began: a.jsonl"),
    "a file not begun edited": (edits("c.jsonl", "silt", "mud"), "changed since the run began: c.jsonl"),
    "a file removed": (removes_a_file, "in/b.jsonl"),
    "input elsewhere": (moves_the_input, "another data.input_folder"),
    "input by another name": (sets("data.input_folder", "./in/*.jsonl"), "another data.input_folder"),
    "another column": (sets("data.input_key", "id"), "another input_key"),
    "system text": (sets("prompt.prompt_template.system_text", "Judge."), "another system_text"),
    "prompt text": (sets("prompt.prompt_template.prompt_text", "Rate {text}"), "another prompt_text"),
    "a blank in the prompt": (sets("prompt.prompt_template.prompt_text", "{text} "), "another prompt_text"),
    "one key more": (sets("prompt.output_config.json_keys", ["score", "tags", "why"]), "set of result columns"),
    "keys in another order": (sets("prompt.output_config.json_keys", ["tags", "score"]), "set of result columns"),
    "a column's type": (sets("prompt.output_config.json_default_values.score", 3.5), "set of result columns"),
    "a default": (sets("prompt.output_config.json_default_values.tags", ["none"]), "another output_config"),
    "a required key": (sets("prompt.output_config.json_key_must_exists", ["score", "tags"]), "another output_config"),
    "a schema": (
        sets("prompt.output_config.json_schema", {"type": "object", "properties": {"score": {"type": "integer"}}}),
        "another output_config",
    ),
    "no JSON": (sets("prompt.output_config", {"require_json": False}), "another output_config, set of result columns"),
    "model": (sets("model.model_name", "judge-2"), "another model_name"),
    "provider": (sets("model.provider", "other"), "another provider"),
    "temperature": (sets("model.completions_params.temperature", 0.6), "another completions_params"),
    "most tokens": (sets("model.completions_params.max_tokens", 65), "another completions_params"),
    "a parameter within": (sets("model.completions_params.extra_body.top_k", 5), "another completions_params"),
    "one parameter more": (sets("model.completions_params.seed", 1), "another completions_params"),
    "no parameters": (sets("model.completions_params", {}), "another completions_params"),
    "structured by prompt": (sets("model.structured", "prompt"), "another structured"),
    "structured by object": (sets("model.structured", "object"), "another structured"),
    "the rules instead": (sets("scorer", {"name": "quality"}), "model_name"),
    "a scorer instead": (brings_a_scorer, "scorer_source"),
    "output columns": (sets("data.output_columns", ["id"]), "another data.output_columns"),
    "output prefix": (sets("data.output_prefix", "x_"), "another set of result columns"),
    "output format": (sets("data.output_format", "parquet"), "another data.output_format"),
    "raw answers left out": (sets("options.keep_raw", False), "another set of result columns"),
    "world size": (sets("distributed", {"enabled": True, "world_size": 3, "job_index": 0}), "has world_size 1"),
    "where answers are": (sets("data.stat_folder", "./stat"), "keeps its recorded answers in"),
}
"""What changed, and how the refusal names it."""


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_start_that_would_mix_is_refused_and_writes_and_asks_nothing(killed: Killed, what: str) -> None:
    change, named = REFUSED[what]
    change(killed)
    before, asked = killed.tree(), killed.asked()
    done = killed.start()
    assert (done.code, done.out) == (2, "")
    assert named in done.err
    assert done.last.startswith("next: ")
    assert killed.tree() == before
    assert killed.asked() == asked


def test_a_start_as_another_shard_of_more_is_refused(killed: Killed) -> None:
    done = killed.start("--job_index", "1", "--world-size", "2")
    assert (done.code, "world_size 1 and num_runs 1" in done.err) == (2, True)
    assert "--fresh" in done.last


def test_what_is_refused_goes_on_when_the_change_is_taken_back(killed: Killed, picture_tree: dict[str, Any]) -> None:
    killed.set("model.model_name", "judge-2")
    assert killed.start().code == 2
    killed.set("model.model_name", "judge")
    assert_ends_as_the_whole_run(killed, picture_tree)


@pytest.fixture(scope="module")
def picture_tree(request: pytest.FixtureRequest) -> dict[str, Any]:
    return rows_of(request.getfixturevalue("picture").whole)


def rows_of(folder: Path) -> dict[str, Any]:
    """Published rows without what depends on how often the server had to be asked."""
    paths = sorted((folder / "out").glob("*.jsonl"))
    return {path.name: [without_counts(json.loads(line)) for line in path.read_text().splitlines()] for path in paths}


def without_counts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "api_attempts" and "tokens" not in name}


def assert_ends_as_the_whole_run(killed: Killed, expected: dict[str, Any], *options: str) -> None:
    done = killed.start("--json", *options)
    assert done.code == 0, done.err
    assert done.json["how"] == "continued"
    assert done.json["rows_of_this_start"] == 2 * ROWS - killed.picture.recorded
    assert rows_of(killed.folder) == expected
    assert killed.shell("verify", "out").code == 0


def brings_a_note(killed: Killed) -> None:
    (killed.folder / "in/notes.txt").write_text("of no interest")


def turns_parameters(killed: Killed) -> None:
    params = killed.task["model"]["completions_params"]
    killed.set("model.completions_params", dict(reversed(params.items())))


HARMLESS: dict[str, Change] = {
    "requests": sets("concurrency.max_concurrent_requests", 16),
    "files": sets("concurrency.max_concurrent_files", 3),
    "chunks": sets("concurrency.chunk_size", 7),
    "checkpoints": sets("concurrency.parquet_save_interval", 5),
    "timeout": sets("environment.timeout", 20),
    "outage grace": sets("environment.outage_grace", 60),
    "retries": sets("retry.max_retries", 9),
    "no format retry": sets("retry.enable_format_validation_retry", False),
    "log level": sets("logging", {"level": "DEBUG", "language": "zh", "batch_size": 10}),
    "grace": sets("options.grace_seconds", 1),
    "failed ratio": sets("options.max_failed_ratio", 0.5),
    "headers": sets("model.headers", {"x-team": "corpus"}),
    "prices": sets("model.prices", {"prompt": 1, "completion": 2}),
    "the other client": sets("model.client", "openai"),
    "adaptive": sets("model.adaptive", {"enabled": True}),
    "rate": sets("model.max_requests_per_minute", 1_000_000),
    "description": sets("description", "The same task in other words."),
    "debug off, said": sets("debug", {"enabled": False, "max_files": 1}),
    "order of parameters": turns_parameters,
    "what is required, said": sets("prompt.output_config.json_key_must_exists", ["score"]),
    "a stranger in the input": brings_a_note,
}


@pytest.mark.parametrize("what", list(HARMLESS))
def test_a_harmless_change_is_accepted_and_the_run_ends_equal(
    killed: Killed, picture_tree: dict[str, Any], what: str
) -> None:
    HARMLESS[what](killed)
    assert_ends_as_the_whole_run(killed, picture_tree)


def test_another_url_of_the_same_model_is_harmless(killed: Killed, picture_tree: dict[str, Any]) -> None:
    with EmbeddedServer(MockOptions()) as other:
        killed.set("model.base_url", [other.base_url])
        assert_ends_as_the_whole_run(killed, picture_tree)
        assert other.referee().answered == 2 * ROWS - killed.picture.recorded


def test_debug_off_is_harmless(killed: Killed, picture_tree: dict[str, Any]) -> None:
    killed.set("debug", {"enabled": True, "max_items_per_file": 5})
    assert killed.start().code == 0
    killed.set("debug.enabled", False)
    asked = killed.asked()
    assert killed.start().code == 0
    assert rows_of(killed.folder) == picture_tree
    assert killed.asked() - asked == 2 * ROWS - killed.picture.recorded - 5


def test_a_stat_folder_that_was_moved_is_found(killed: Killed, picture_tree: dict[str, Any]) -> None:
    (state,) = (killed.folder / "out/.modelcall").glob("*-r1-job000")
    (killed.folder / "stat").mkdir()
    state.rename(killed.folder / "stat" / state.name)
    killed.set("data.stat_folder", "./stat")
    assert_ends_as_the_whole_run(killed, picture_tree)
    killed.set("data.stat_folder", "./third")
    assert killed.start().code == 0, "nothing is recorded any more that could be lost from sight"


CUSTOM = """\
class Length:
    columns = {"score": "int"}

    def __init__(self, factor=1):
        self._factor = factor

    def score(self, item):
        return {**item, "score": self._factor * len(item["text"])}


class Other(Length):
    pass
"""


@pytest.fixture
def custom(killed: Killed) -> Killed:
    """A run with a scorer of the user's own, of which some rows are recorded."""
    shutil.rmtree(killed.folder / "out")
    (killed.folder / "scorer_of_resume.py").write_text(CUSTOM)
    killed.set("scorer", {"name": "scorer_of_resume:Length", "options": {"factor": 2}})
    killed.set("debug", {"enabled": True, "max_items_per_file": 5})
    assert killed.start().code == 0
    killed.set("debug", {"enabled": False})
    return killed


def changes_source(killed: Killed) -> None:
    (killed.folder / "scorer_of_resume.py").write_text(CUSTOM.replace("len(", "1 + len("))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (changes_source, "another scorer_source"),
        (sets("scorer.options.factor", 3), "another scorer_options"),
        (sets("scorer.name", "scorer_of_resume:Other"), "another scorer"),
    ],
)
def test_another_scorer_is_refused(custom: Killed, change: Change, named: str) -> None:
    change(custom)
    before = custom.tree()
    done = custom.start()
    assert (done.code, named in done.err) == (2, True)
    assert done.last.startswith("next: ")
    assert custom.tree() == before
