"""``modelcall report``: every number as it is in the output; every section left out that has no data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from modelcall.cli.main import COMMANDS
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.report.page.figures import share, whole
from tests.report.runs import TASK, finish, number_of, prepare, report, scored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell
    from tests.report.markup import Page


def rows_of(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()]


def table(page: Page, first: str) -> dict[str, list[str]]:
    """The table whose head begins so, by the first cell of its rows."""
    [found] = [table for table in page.tables if table[0][0] == first and table[0][1] == "Rows"]
    return {row[0]: row[1:] for row in found[1:]}


def test_every_number_is_that_of_the_output(counted: Shell) -> None:
    page, done = report(counted)
    rows = rows_of(counted.folder / "out")
    good = [row for row in rows if row["api_status"] == "success"]
    assert 0 < len(good) < len(rows) == 300
    assert f"rows    300: {len(good)} scored, {300 - len(good)} failed" in done.out
    assert f"\n{share(len(good), 300)}\n{len(good)} scored\n" in page.text
    assert f"\nFailed\n{300 - len(good)}\n" in page.text
    mean = sum(row["score"] for row in good) / len(good)
    assert f"\nMean score\n{mean:.3g}\n" in page.text
    shown = page.section("scores").split("\n")
    assert {f"{score}: {count}" for score, count in Counter(row["score"] for row in good).items()} <= set(shown)
    tags = Counter(tag for row in good for tag in row["tags"])
    assert {f"{tag}: {count}" for tag, count in tags.items()} <= set(page.section("tags").split("\n"))
    topics = Counter(row["topic"] for row in good)
    assert {f"{topic}: {count}" for topic, count in topics.items()} <= set(page.section("tags").split("\n"))


def test_groups_are_those_of_the_output(counted: Shell) -> None:
    page, _ = report(counted, "task.yaml", "--by", "language", "--by", "topic")
    rows = rows_of(counted.folder / "out")
    [languages, _] = [
        {row[0]: row[1:] for row in table[1:]} for table in page.tables if table[0][:2] == ["Group", "Rows"]
    ]
    assert set(languages) == {"en", "zh", "de", "∅"}
    for name, cells in languages.items():
        of_group = [row for row in rows if (row["language"] or "∅") == name]
        scores = [row["score"] for row in of_group if row["score"] is not None]
        failed = len(of_group) - len(scores)
        assert cells[:3] == [
            whole(len(of_group)),
            share(failed, len(of_group)),
            f"{sum(scores) / len(scores):.3g}",
        ]
    assert "By language" in page.text
    assert "By topic" in page.text


def test_failures_have_their_first_reason_and_what_to_do(counted: Shell) -> None:
    page, _ = report(counted)
    failed = [row for row in rows_of(counted.folder / "out") if row["api_status"] == "error"]
    found = table(page, "Kind")
    assert set(found) == {"scorer_error"}
    count, part, reason, advice = found["scorer_error"]
    assert (count, part) == (str(len(failed)), share(len(failed), 300))
    assert reason.startswith(f"{failed[0]['api_fail_reason']} (part-0.jsonl, row ")
    assert advice == "The scorer raised: correct its code, then --retry_failed."
    reasons = Counter(row["api_fail_reason"] for row in failed)
    [told] = [table for table in page.tables if table[0][0] == "Most frequent reasons"]
    assert {row[0]: row[1] for row in told[1:]} == {reason: str(count) for reason, count in reasons.items()}


def test_samples_are_rows_of_their_score_with_their_text(counted: Shell) -> None:
    rows = {row["id"]: row for row in rows_of(counted.folder / "out")}
    page, _ = report(counted, "task.yaml", "--samples", "2")
    shown = page.section("samples")
    by_score = shown.split("\nscore ")[1:] if shown.startswith("\n") else shown.split("score ")[1:]
    texts = [row["text"] for row in rows.values() if row["text"] in shown]
    assert 10 <= len(texts) <= 12
    for score in range(6):
        [part] = [part for part in by_score if part.startswith(f"{score}\n")][:1]
        assert any(number_of(text) % 6 == score and text in part for text in texts)
    failures = page.section("failures")
    assert sum(row["text"] in failures for row in rows.values()) == 2


def test_over_time_throughput_and_concurrency_are_those_of_the_log(counted: Shell) -> None:
    page, _ = report(counted)
    details = [
        json.loads(line) for line in (counted.folder / "logs/counted_batch_details.jsonl").read_text().splitlines()
    ]
    assert sum(line["rows"] for line in details) == 300
    assert all(line["latency_seconds"]["max"] >= line["latency_seconds"]["p50"] for line in details)
    shown = page.section("time")
    for name in ("Throughput", "Latency", "Concurrency", "Failed rows", "Latency of the last start"):
        assert name in shown
    assert "No request was tried again." in shown
    assert "Rows per second" in page.text


def test_the_same_data_give_the_same_bytes(counted: Shell) -> None:
    first, second = counted.folder / "a.html", counted.folder / "b.html"
    for path in (first, second):
        assert counted("report", "task.yaml", "--output", path.name, "--card").code == 0
    assert finish(first) == finish(second)
    assert b"As of" in first.read_bytes()
    assert (counted.folder / "a.md").read_bytes() == (counted.folder / "b.md").read_bytes()


def test_an_output_tells_its_task_and_is_left_as_it_was_but_for_the_report(counted: Shell) -> None:
    before = {path for path in (counted.folder / "out").rglob("*") if path.is_file()}
    assert counted("report", "out").code == 0
    assert counted("report", "task.yaml", "--output", "t.html").code == 0
    after = {path for path in (counted.folder / "out").rglob("*") if path.is_file()}
    [written] = after - before
    assert written == counted.folder / "out/.modelcall/report.html"
    assert finish(written) == finish(counted.folder / "t.html")
    assert counted("verify", "out").code == 0


def test_without_logs_the_report_says_what_is_missing(counted: Shell) -> None:
    (counted.folder / "logs").rename(counted.folder / "elsewhere")
    page, _ = report(counted, "out")
    assert "No batch details of this run are at hand" in page.text
    assert "time" not in page.sections
    assert "Rows per second" not in page.text
    page, _ = report(counted, "out", "--log_dir", "elsewhere")
    assert "time" in page.sections
    assert "at hand" not in page.text


def test_batch_details_of_other_runs_do_not_count_and_a_part_is_told(counted: Shell) -> None:
    path = counted.folder / "logs/counted_batch_details.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    foreign = [line.replace('"run_id":"', '"run_id":"x') for line in lines]
    path.write_text("".join([*foreign, *lines[5:], "{damaged\n"]))
    page, _ = report(counted)
    assert "tell of 200 of 300 rows" in page.text
    assert "1 lines of the batch details could not be understood" in page.text
    path.write_text("".join(foreign))
    page, _ = report(counted)
    assert "No batch details of this run are at hand" in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"latency_seconds": None},
        {"latency_seconds": {"p50": "x", "p90": None}},
        {"latency_seconds": [1], "reason": [2]},
    ],
)
def test_odd_final_statistics_cost_their_table_alone(counted: Shell, changes: dict[str, Any]) -> None:
    path = counted.folder / "logs/counted_final_stats.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    page, _ = report(counted)
    assert "time" in page.sections
    assert "Latency of the last start" not in page.text
    assert ("The last start ended before the end (exit code 0): [2]" in page.text) is ("reason" in changes)
    path.write_text("{broken")
    page, done = report(counted, code=3)
    assert "could not be read: counted_final_stats.json: " in done.err
    assert "time" in page.sections


def test_an_unfinished_run_is_told_of_as_far_as_it_is(counted: Shell) -> None:
    (counted.folder / "out/.modelcall/manifest/part-1.parquet.json").unlink()
    page, done = report(counted)
    assert "files   1 published, 1 not yet" in done.out
    assert "incomplete" in page.text
    assert "1 of 2 files are not published: " in page.text
    assert "The first: part-1.parquet." in page.text
    assert "\nRows\n150\n1 of 2 published\n" in page.text


def test_a_run_that_has_published_nothing_yet(counted: Shell) -> None:
    for path in (counted.folder / "out/.modelcall/manifest").iterdir():
        path.unlink()
    page, _ = report(counted)
    assert "\nRows\n0\n0 of 2 published\n" in page.text
    assert set(page.sections) <= {"", "time", "settings"}


def test_no_other_command_loads_the_library_of_charts() -> None:
    modules = [f"modelcall.cli.{name.replace('-', '_')}" for name in COMMANDS if name != "report"]
    code = f"import sys, {', '.join(modules)}; sys.exit('pygal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_written_says_so(counted: Shell) -> None:
    for output, why in (("logs", "Is a directory"), ("task.yaml/r.html", "File exists")):
        done = counted("report", "task.yaml", "--output", output)
        assert done.code == 4
        assert f"stopped: {counted.folder}/{output}: the report cannot be written: {why}" in done.err
        assert done.last == "next: Name another place with --output."


def test_no_secret_of_the_environment_is_in_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-4711-secret"
    prepare(shell, reason=f'"the server said {canary} and Bearer abcdefgh12345678"', tags=f'["{canary}"]')
    scored(shell)
    monkeypatch.setenv("SOME_API_KEY", canary)
    page, _ = report(shell, "task.yaml", "--card")
    assert "the server said *** and Bearer ***" in page.section("failures")
    for text in (page.written, (shell.folder / "r.md").read_text()):
        assert canary not in text
        assert "abcdefgh12345678" not in text


def test_no_header_of_the_model_is_in_it(shell: Shell) -> None:
    canary = "canary-header-0815"
    prepare(shell, 20, reason=f'"the server said {canary}"', tags=f'["{canary}"]')
    scored(shell)
    task = shell.folder / "task.yaml"
    model = f'{{provider: own, model_name: m, base_url: "http://127.0.0.1:9/v1", headers: {{X-Pass: {canary}}}}}'
    task.write_text(f"{task.read_text()}\nmodel: {model}\n")
    page, _ = report(shell, "task.yaml", "--card")
    for text in (page.written, (shell.folder / "r.md").read_text()):
        assert canary not in text


def test_where_there_is_no_run_there_is_no_report(shell: Shell) -> None:
    prepare(shell)
    done = shell("report", "task.yaml")
    assert (done.code, done.last) == (2, "next: Start it with modelcall run-task.")
    done = shell("report", "in")
    assert done.code == 2
    assert f"{shell.folder}/in: no run wrote here" in done.err
    assert shell("report", "in", "--set", "task_name=x").code == 2
    assert not (shell.folder / "in/.modelcall").exists()


def test_a_column_that_is_not_there_is_named_with_the_nearest(shell: Shell) -> None:
    prepare(shell, 20)
    scored(shell)
    done = shell("report", "task.yaml", "--by", "langauge")
    assert done.code == 2
    assert "the output has no column 'langauge'; did you mean \"language\"?" in done.err
    assert not (shell.folder / "out/.modelcall/report.html").exists()


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_told(counted: Shell) -> None:
    path = counted.folder / "out/part-0.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    page, done = report(counted, code=3)
    assert "could not be read: part-0.parquet: " in done.err
    assert "Could not be read to its end, so that numbers are too low: part-0.parquet: " in page.text
    assert "scores" in page.sections
    path.unlink()
    assert report(counted, code=3)


def test_an_output_with_fewer_rows_than_were_written_is_named(counted: Shell) -> None:
    path = counted.folder / "out/part-1.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 100), path)
    _, done = report(counted, code=3)
    assert "could not be read: part-1.parquet: has 100 rows, 150 were written" in done.err


def test_no_failures_no_groups_no_samples(shell: Shell) -> None:
    prepare(shell, reason="0")
    path = shell.folder / "counting.py"
    path.write_text(path.read_text().replace("number % 10 == 0", "False"))
    for file in (shell.folder / "in").iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows))
    scored(shell)
    page, _ = report(shell, "task.yaml", "--samples", "0")
    assert "Every row is scored." in page.section("failures")
    assert {"by-0", "samples", "tokens"}.isdisjoint(page.sections)
    assert "100.0 %" in page.text


def test_a_scorer_without_numbers_has_tags_and_samples_alone(shell: Shell) -> None:
    prepare(shell)
    path = shell.folder / "counting.py"
    text = path.read_text().replace('"score": "int", ', "").replace('"share": "float", ', "")
    path.write_text(text.replace('"score": number % 6, ', "").replace('"share": share, ', ""))
    scored(shell)
    page, _ = report(shell, "out", "--samples", "40")
    assert "scores" not in page.sections
    assert "all: " in page.section("tags")
    texts = [row["text"] for row in rows_of(shell.folder / "out") if row["text"] in page.section("samples")]
    assert len(texts) == 40
    assert all(number_of(text) % 10 for text in texts)
    [languages, _] = [table for table in page.tables if table[0][:2] == ["Group", "Rows"]]
    assert {tuple(row[3:]) for row in languages[1:]} == {("–", "–")}


def test_a_prefix_json_lines_dropped_rows_and_no_text(shell: Shell) -> None:
    task = TASK.replace("./out}", "./out, output_format: jsonl, output_prefix: j_, output_columns: [id, source]}")
    prepare(shell, task=task.replace("max_failed_ratio: 1", "max_failed_ratio: 1, on_error: drop"))
    scored(shell)
    page, done = report(shell)
    rows = [
        json.loads(line)
        for path in sorted((shell.folder / "out").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert f"300: {len(rows)} scored, {300 - len(rows)} failed" in done.out
    assert f"{300 - len(rows)} failed rows are not in the output" in page.text
    counts = Counter(row["j_score"] for row in rows)
    assert {f"{score}: {count}" for score, count in counts.items()} <= set(page.section("scores").split("\n"))
    assert "The output does not hold the text of this row." in page.section("samples")
    assert f"number {0} is not liked" in page.section("failures")
    [sources] = [table for table in page.tables if table[0][:2] == ["Group", "Rows"]]
    assert sum(int(row[1]) for row in sources[1:]) == len(rows)


def test_one_file_in_and_one_file_out(shell: Shell) -> None:
    prepare(shell, 40)
    assert shell("pipeline", "in/part-0.jsonl", "x.parquet").code == 0
    page, _ = report(shell, "x.parquet")
    assert "\nRows\n20\n1 of 1 published\n" in page.text
    assert shell("report", "x.parquet").code == 0
    assert (shell.folder / ".modelcall/x.parquet/report.html").is_file()


def test_several_runs_over_the_same_rows_count_together(shell: Shell) -> None:
    task = TASK.replace("./out}", "'./out/{run_index}'}") + "distributed: {enabled: true, num_runs: 2, job_index: 0}\n"
    prepare(shell, task=task)
    scored(shell)
    page, done = report(shell)
    assert "files   4 published" in done.out
    assert "\nRows\n600\n4 of 4 published\n" in page.text


def test_shards_are_reported_together(shell: Shell) -> None:
    prepare(shell)
    for index in ("0", "1"):
        scored(shell, "--job_index", index, "--world_size", "2")
    page, _ = report(shell)
    assert "\nRows\n300\n2 of 2 published\n" in page.text
    [latencies] = [table for table in page.tables if table[0][0] == "Shard"]
    assert [row[0] for row in latencies[1:]] == ["0", "1"]
    assert "at hand" not in page.text


def test_in_chinese(shell: Shell) -> None:
    prepare(shell, task=TASK.replace("language: en", "language: zh"))
    scored(shell)
    page, _ = report(shell, "out")
    assert 'lang="zh-CN"' in page.written
    for text in ("运行报告", "成功率", "失败", "打分器抛出异常：修正代码后用 --retry_failed。", "随时间变化"):
        assert text in page.text
    assert "Success rate" not in page.text


PRICED = """\
task_name: priced
data: {input_folder: ./in, output_folder: ./out}
model:
  provider: test
  model_name: judge
  base_url: "%s"
  prices: {prompt: 1000, completion: 2000, currency: CNY}
prompt:
  prompt_template: {system_text: Rate., prompt_text: "Rate {text}"}
  output_config: {json_keys: [score], json_default_values: {score: 3}}
logging: {language: en}
"""


def test_tokens_and_cost_of_a_judge(shell: Shell, server: EmbeddedServer) -> None:
    prepare(shell, 40)
    path = shell.folder / "in/part-0.jsonl"
    path.write_text(path.read_text() + '{"id": 1, "text": null}\n')
    (shell.folder / "task.yaml").write_text(PRICED % server.base_url)
    assert shell("run-task", "task.yaml", "-q").code == 3
    rows = rows_of(shell.folder / "out")
    prompt, completion = (sum(row[f"api_{kind}_tokens"] or 0 for row in rows) for kind in ("prompt", "completion"))
    cost = (prompt * 1000 + completion * 2000) / 1e6
    for on in ("task.yaml", "out"):
        page, _ = report(shell, on)
        [tokens] = [{row[0]: row[1:] for row in table[1:]} for table in page.tables if table[0][1:2] == ["Total"]]
        assert tokens["Prompt"][0] == whole(prompt)
        assert tokens["Completion"][0] == whole(completion)
        assert tokens["Cost"][0] == f"{cost:,.2f} CNY"
        assert f"\nCost\n{cost:,.2f} CNY\n" in page.text
        assert "Rate {text}" in page.section("settings")
        assert "judge" in page.text
        assert '"score":' in page.section("samples")


@pytest.mark.parametrize("on_error", ["keep", "drop"])
def test_tokens_of_failed_rows_count_once_wherever_they_stand(shell: Shell, on_error: str) -> None:
    prepare(shell, 60)
    with EmbeddedServer(MockOptions(faults=parse_faults(["score_missing=0.4"]))) as faulty:
        text = PRICED % faulty.base_url + f"options: {{on_error: {on_error}, max_failed_ratio: 1}}\n"
        (shell.folder / "task.yaml").write_text(text + "retry: {enable_format_validation_retry: false}\n")
        assert shell("run-task", "task.yaml", "-q").code == 0
    folder = shell.folder / "out"
    rows = rows_of(folder)
    failed = [json.loads(line) for path in folder.rglob("failed/*") for line in path.read_text().splitlines()]
    assert len(failed) > 5
    assert len(rows) == (60 if on_error == "keep" else 60 - len(failed))
    spent = sum(row["api_completion_tokens"] or 0 for row in rows)
    if on_error == "drop":
        spent += sum(line["usage"]["completion_tokens"] for line in failed)
    page, _ = report(shell)
    [tokens] = [{row[0]: row[1:] for row in table[1:]} for table in page.tables if table[0][1:2] == ["Total"]]
    assert tokens["Completion"][0] == whole(spent)
    assert "Missing required keys" in page.section("failures")


def test_without_prices_the_cost_is_unknown(shell: Shell, server: EmbeddedServer) -> None:
    prepare(shell, 40)
    text = (PRICED % server.base_url).replace("  prices: {prompt: 1000, completion: 2000, currency: CNY}\n", "")
    (shell.folder / "task.yaml").write_text(text)
    assert shell("run-task", "task.yaml", "-q").code == 0
    page, _ = report(shell)
    assert "The model file has no prices" in page.section("tokens")
    assert "\nCost\n" not in page.text


def test_the_card_loads_and_has_the_numbers(counted: Shell) -> None:
    done = counted("report", "task.yaml", "--card", "--json")
    assert done.code == 0
    path = counted.folder / "out/.modelcall/report.md"
    assert done.json == {
        "report": str(path.with_suffix(".html")),
        "card": str(path),
        "files": {"expected": 2, "published": 2},
        "rows": {"total": 300, "scored": 267, "failed": 33},
        "problems": [],
    }
    card = DatasetCard.load(path)
    assert card.data.tags == ["modelcall", "llm-judge"]
    assert card.data.size_categories == ["n<1K"]
    assert card.data.configs == [{"config_name": "default", "data_files": ["**/*.parquet"]}]
    assert "| Scored | 267 (89.0 %) |" in card.text
    assert "\n# counted\n" in card.text
    assert "| scorer\\_error | 33 |" in card.text


@pytest.mark.parametrize("recorded", ["[1, 2", "just text", "{task: 5, model: [], prompt: {prompt_template: no}}"])
def test_a_damaged_record_of_the_configuration_costs_its_sections_alone(shell: Shell, recorded: str) -> None:
    prepare(shell, 40)
    scored(shell)
    for path in (shell.folder / "out/.modelcall").glob("config.*.yaml"):
        path.write_text(recorded)
    page, _ = report(shell, "out")
    assert "settings" not in page.sections
    assert "\nRows\n40\n" in page.text
