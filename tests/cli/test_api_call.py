from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.mock.process import EmbeddedServer
    from tests.cli.shell import Shell

PROMPT = """\
prompt_template: {system_text: Rate., prompt_text: "{document}"}
output_config: {json_keys: [score], json_default_values: {score: 3}}
"""


def options(shell: Shell, server: EmbeddedServer) -> list[str]:
    (shell.folder / "model.yaml").write_text(f"{{provider: test, model_name: judge, base_url: '{server.base_url}'}}")
    (shell.folder / "prompt.yaml").write_text(PROMPT)
    return [
        "--input_folder",
        "in",
        "--output_folder",
        "out",
        "--model_config_path",
        "model.yaml",
        "--prompt_config_path",
        "prompt.yaml",
    ]


def test_a_task_without_a_file(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 5)
    shell.rows("in/b.jsonl", 5)
    done = shell("api-call", *options(shell, server), "--debug-files", "1", "--debug_items", "3", "--json", "-q")
    assert done.code == 0
    assert done.json["task"] == "api_call_in"
    assert done.json["rows"]["scored"] == 3
    whole = shell("api-call", *options(shell, server), "--json", "-q")
    assert whole.code == 0
    assert whole.json["rows_of_this_start"] == 7, "recorded answers are used again"


def test_shards(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.rows("in/b.jsonl", 1)
    done = shell("api-call", *options(shell, server), "--job_index", "1", "--world_size", "2", "--json", "-q")
    assert (done.code, done.json["job_index"], done.json["rows"]["total"]) == (0, 1, 1)
    wrong = shell("api-call", *options(shell, server), "--job_index", "2", "--world_size", "2")
    assert wrong.code == 2
    assert "job_index 2 must be below world_size 2" in wrong.err


def test_mistakes_name_the_option(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    done = shell("api-call", *options(shell, server), "--parquet_save_interval", "-7")
    assert done.code == 2
    assert "--parquet_save_interval" in done.err


def test_format_retry_can_be_turned_off(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 6)
    server.set_faults(["prose_only=1,every"])
    try:
        done = shell("api-call", *options(shell, server), "--disable-format-validation-retry", "--json", "-q")
    finally:
        server.set_faults([])
    assert done.code == 3
    assert done.json["failures"] == {"invalid_output": 6}
    assert {row["api_attempts"] for row in _table(shell)} == {1}


def _table(shell: Shell) -> list[dict[str, object]]:
    import pyarrow.parquet as pq  # noqa: PLC0415  only here

    rows: list[dict[str, object]] = pq.read_table(shell.folder / "out/a.parquet").to_pylist()
    return rows
