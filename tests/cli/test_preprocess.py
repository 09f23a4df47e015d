from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.mock.process import EmbeddedServer
    from tests.cli.shell import Done, Shell

CODE = "def f(x):\n    return x + {number}\n\n\n" * 5


@pytest.fixture
def raw(shell: Shell) -> Path:
    """Six files of both formats, in two folders."""
    folder = shell.folder / "raw"
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        rows = [{"content": CODE.format(number=row), "path": f"src/{row}.py"} for row in range(20 + number)]
        if number % 2:
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{number}.parquet")
        else:
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / "deep" / f"{number}.jsonl").write_text(text)
    return folder


def github(shell: Shell, *more: str, output: str = "out") -> Done:
    options = ("--raw_path", "raw", "--output_dir", output, "--num_proc", "1")
    return shell("preprocess", "github", *options, "-q", *more)


def outputs(shell: Shell, folder: str = "out") -> dict[str, bytes]:
    root = shell.folder / folder
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def report(shell: Shell, name: str, stat: str = "out/.modelcall/preprocess") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shell.folder / stat / f"{name}.json").read_text())
    return found


NAMES = ["1.parquet", "3.parquet", "5.parquet", "deep/0.parquet", "deep/2.parquet", "deep/4.parquet"]


@pytest.mark.usefixtures("raw")
def test_a_folder_becomes_parquet_of_the_same_names_and_counts_balance(shell: Shell) -> None:
    done = github(shell, "--stat_dir", "stats", "--json")

    assert (done.code, done.err) == (0, "")
    assert list(outputs(shell)) == NAMES
    assert done.json["rows_in"] == done.json["rows_out"] == sum(range(20, 26))
    assert done.json["tokens"] == sum(report(shell, f"deep/{n}.jsonl", "stats")["tokens"] for n in (0, 2, 4)) + sum(
        report(shell, f"{n}.parquet", "stats")["tokens"] for n in (1, 3, 5)
    )
    assert report(shell, "summary", "stats")["rows_out"] == sum(range(20, 26))
    assert pq.read_table(shell.folder / "out").num_rows == 135


@pytest.mark.usefixtures("raw")
def test_one_process_and_many_give_the_same_bytes(shell: Shell) -> None:
    github(shell, "--num_files", "3", output="one")
    done = github(shell, "--num_files", "3", "--num_proc", "16", "--json", output="many")

    assert (done.code, done.json["processes"]) == (0, 3)
    assert outputs(shell, "many") == outputs(shell, "one") != {}


def test_a_second_start_does_only_what_is_new_changed_or_gone(shell: Shell, raw: Path) -> None:
    github(shell)
    before = outputs(shell)
    assert github(shell, "--json").json["done_before"] == 6
    shutil.copy(raw / "1.parquet", raw / "7.parquet")
    (raw / "deep/0.jsonl").write_text('{"content": "new"}\n')
    (shell.folder / "out/5.parquet").unlink()

    done = github(shell, "--json")

    assert (done.code, done.json["done_before"], done.json["left"], done.json["files"]) == (0, 4, 0, 7)
    after = outputs(shell)
    assert {name for name in after if after[name] != before.get(name)} == {"7.parquet", "deep/0.parquet"}
    assert report(shell, "deep/0.jsonl")["rows_out"] == 1
    assert github(shell).out.splitlines()[-1].endswith("0: all was done before; nothing was left to do")


@pytest.mark.usefixtures("raw")
def test_other_settings_are_refused_until_all_is_made_anew(shell: Shell) -> None:
    github(shell)
    before = outputs(shell)

    done = github(shell, "--max_tokens", "20", "--tokenizer", "characters")

    assert done.code == 2
    assert "6 file(s) there were made with another max_tokens, tokenizer" in done.err
    assert done.last.startswith("next: Undo the change, choose another output folder")
    assert outputs(shell) == before
    assert github(shell, "--max_tokens", "20", "--tokenizer", "characters", "--fresh").code == 0
    assert "content_truncate_20" in pq.read_schema(shell.folder / "out/1.parquet").names
    assert github(shell, "--max_tokens", "20", "--tokenizer", "characters", "--json").json["done_before"] == 6
    assert github(shell, "--num_proc", "2", "--max_tokens", "20", "--tokenizer", "characters").code == 0


def test_files_of_somebody_else_and_edited_ones_are_left_alone(shell: Shell, raw: Path) -> None:
    (shell.folder / "out").mkdir()
    shutil.copy(raw / "3.parquet", shell.folder / "out/1.parquet")
    done = github(shell, "--fresh")
    assert done.code == 2
    assert "1 file(s) there were not written by preprocessing, the first is 1.parquet" in done.err
    assert list(outputs(shell)) == ["1.parquet"]

    (shell.folder / "out/1.parquet").unlink()
    github(shell)
    pq.write_table(pq.read_table(shell.folder / "out/3.parquet").slice(1), shell.folder / "out/3.parquet")
    done = github(shell)
    assert done.code == 2
    assert "1 file(s) have been edited since they were made, the first is 3.parquet" in done.err
    assert github(shell, "--fresh").code == 0
    assert pq.read_metadata(shell.folder / "out/3.parquet").num_rows == 23


@pytest.mark.usefixtures("raw")
def test_an_output_without_its_report_is_made_again(shell: Shell) -> None:
    """As a process leaves it that was killed between the two."""
    github(shell)
    (shell.folder / "out/.modelcall/preprocess/1.parquet.json").unlink()

    done = github(shell, "--json")

    assert (done.code, done.json["done_before"], done.json["files"]) == (0, 5, 6)


def test_a_file_that_cannot_be_read_fails_and_the_others_go_on(shell: Shell, raw: Path) -> None:
    whole = (raw / "3.parquet").read_bytes()
    (raw / "3.parquet").write_bytes(whole[:200])

    done = github(shell, "--num_proc", "2")

    assert done.code == 3
    assert "5 done, 1 failed" in done.out
    assert "3.parquet" in done.out
    assert done.last.startswith("next: repair the files that failed, or take them away, and start again")
    assert list(outputs(shell)) == [name for name in NAMES if name != "3.parquet"]
    assert "cannot be read" in report(shell, "3.parquet")["failure"]
    (raw / "3.parquet").write_bytes(whole)
    assert github(shell, "--json").json["done_before"] == 5
    assert list(outputs(shell)) == NAMES


def test_outputs_of_files_that_are_gone_are_told_and_kept(shell: Shell, raw: Path) -> None:
    github(shell)
    (raw / "1.parquet").unlink()

    done = github(shell, "--num_files", "2")

    assert (done.code, "1 file(s)" in done.out, "1.parquet" in done.out) == (0, True, True)
    assert github(shell, "--json").json["leftovers"] == ["1.parquet"]
    assert list(outputs(shell)) == NAMES


@pytest.mark.usefixtures("raw")
def test_the_first_files_by_name_are_taken(shell: Shell) -> None:
    github(shell, "--num_files", "2")

    assert list(outputs(shell)) == NAMES[:2]
    assert github(shell, "--num_files", "-1", "--json").json["done_before"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "2 mistakes"),
        (("--raw_path", "raw", "--output_dir", "raw/out"), "lie in each other"),
        (("--raw_path", "raw/deep", "--output_dir", "raw"), "lie in each other"),
        (("--raw_path", "raw", "--output_dir", "out", "--stat_dir", "out/stats"), "lies among data"),
        (("--raw_path", "nothing", "--output_dir", "out"), "no such file or folder"),
        (("--raw_path", "raw", "--output_dir", "raw/1.parquet/x"), "lie in each other"),
        (("--raw_path", "raw/deep", "--output_dir", "raw/1.parquet"), "is a file"),
        (("--raw_path", "raw", "--output_dir", "out", "--tokenizer", "gpt9"), "there is no tokenizer 'gpt9'"),
        (("--raw_path", "raw", "--output_dir", "out", "--num_files", "0"), "must be at least 1, or -1"),
        (("--raw_path", "raw", "--output_dir", "tos://b/x"), "TOS_ENDPOINT"),
    ],
)
@pytest.mark.usefixtures("raw")
def test_what_cannot_be_is_exit_2_and_nothing_is_written(shell: Shell, options: tuple[str, ...], said: str) -> None:
    done = shell("preprocess", "github", *options, "-q")

    assert done.code == 2
    assert said in done.err
    assert not (shell.folder / "out").exists()


def test_two_files_of_one_output_name_are_refused(shell: Shell, raw: Path) -> None:
    (raw / "1.jsonl").write_text("{}\n")

    done = github(shell)

    assert done.code == 2
    assert "1.jsonl and 1.parquet both become 1.parquet" in done.err


@pytest.mark.usefixtures("raw")
def test_names_and_globs_choose_files(shell: Shell) -> None:
    (shell.folder / "rules.yaml").write_text("file_pattern: '*.jsonl'\nnum_proc: 1\n")
    options = ("--config", "rules.yaml", "--output_dir", "a", "-q")
    assert shell("preprocess", "universal", *options, "--raw_path", "raw").code == 0
    assert list(outputs(shell, "a")) == NAMES[3:]

    (shell.folder / "rules.yaml").write_text("file_pattern: 'deep/[02].jsonl'\nnum_proc: 1\noutput_folder: b\n")
    assert shell("preprocess", "universal", "--config", "rules.yaml", "--raw_path", "raw", "-q").code == 0
    assert list(outputs(shell, "b")) == NAMES[3:5]

    (shell.folder / "rules.yaml").write_text("file_pattern: '*.csv'\n")
    done = shell("preprocess", "universal", "--config", "rules.yaml", "--raw_path", "raw", "--output_dir", "c", "-q")
    assert (done.code, "no file fits file_pattern '*.csv'" in done.err) == (2, True)


@pytest.mark.usefixtures("raw")
def test_a_single_file_is_named_by_itself(shell: Shell) -> None:
    done = shell(
        "preprocess", "github", "--raw_path", "raw/deep/0.jsonl", "--output_dir", "out", "--num_proc", "1", "-q"
    )

    assert done.code == 0
    assert list(outputs(shell)) == ["0.parquet"]


OWN = """\
from modelcall.data_processing.base import BasePreprocessor


class Mine(BasePreprocessor):
    source = "mine"

    def get_file_list(self):
        return [(path, path.rpartition("/")[2].replace("jsonl", "parquet")) for path in super().get_file_list()[3:]]

    def process_item(self, item):
        if len(item["path"]) < self.options["least"]:
            return None
        item["lines"] = item["content"].count("\\n")
        print("looking at", item["path"])
        return item
"""


@pytest.mark.usefixtures("raw")
def test_a_preprocessor_of_ones_own(shell: Shell) -> None:
    (shell.folder / "own.py").write_text(OWN)
    options = ("own:Mine", "--option", "least=9", "--raw_path", "raw", "--output_dir", "out", "-q")

    done = shell.spawn("preprocess", "custom", *options, "--num_proc", "2", "--json")

    assert done.code == 0, done.err
    assert done.err.count("looking at src/") == 36
    assert list(outputs(shell)) == ["0.parquet", "2.parquet", "4.parquet"]
    assert done.json["dropped"] == {"process_item returned None": 30}
    rows = pq.read_table(shell.folder / "out/4.parquet").to_pylist()
    assert [row["lines"] for row in rows] == [20] * 14
    assert {row["source"] for row in rows} == {"mine"}
    (shell.folder / "own.py").write_text(OWN + "\n")
    again = shell.spawn("preprocess", "custom", *options)
    assert again.code == 2
    assert "another source of the preprocessor" in again.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own:Mein", "own has no 'Mein'; did you mean 'Mine'?"),
        ("json:dumps", "'json:dumps' is no preprocessor"),
        ("universl", "There is no preprocessor 'universl'; did you mean 'universal'?"),
    ],
)
@pytest.mark.usefixtures("raw")
def test_what_is_no_preprocessor_is_exit_2(shell: Shell, name: str, said: str) -> None:
    (shell.folder / "own.py").write_text(OWN)

    done = shell.spawn("preprocess", "custom", name, "--raw_path", "raw", "--output_dir", "out")

    assert (done.code, said in done.err) == (2, True), done.err


SLOW = """\
import time

from modelcall.data_processing.base import BasePreprocessor


class Slow(BasePreprocessor):
    def process_item(self, item):
        time.sleep(0.02)
        return item
"""


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not met() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert met()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long), (signal.SIGKILL, -9)],
)
@pytest.mark.usefixtures("raw")
def test_an_interrupted_run_keeps_whole_files_and_goes_on_there(
    shell: Shell, number: signal.Signals, code: int
) -> None:
    (shell.folder / "slow.py").write_text(SLOW)
    options = ("slow:Slow", "--raw_path", "raw", "--output_dir", "out", "--num_proc", "2", "--json")
    child = shell.start("preprocess", "custom", *options)
    until(lambda: len(list((shell.folder / "out").glob(".modelcall/preprocess/**/*.json"))) >= 2)

    child.send_signal(number)
    child.communicate(timeout=60)

    assert child.returncode == code
    for path in (shell.folder / "out").rglob("*.parquet"):
        pq.read_table(path)
    done = len(outputs(shell))
    assert 0 < done < 6
    again = shell.spawn("preprocess", "custom", *options)
    assert again.code == 0, again.err
    assert 0 < again.json["done_before"] <= done
    assert list(outputs(shell)) == NAMES
    assert list((shell.folder / "out").rglob(".*.tmp")) == []


@pytest.mark.usefixtures("raw")
def test_two_do_not_work_on_one_output(shell: Shell) -> None:
    (shell.folder / "slow.py").write_text(SLOW)
    options = ("slow:Slow", "--raw_path", "raw", "--output_dir", "out", "--num_proc", "1", "-q")
    child = shell.start("preprocess", "custom", *options)
    until(lambda: any((shell.folder / "out").glob(".modelcall/preprocess/locks/*")))

    second = shell.spawn("preprocess", "custom", *options)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)

    assert second.code == 2
    assert f"process {child.pid} on" in second.err


REPLACED = '''\
from pathlib import Path

from modelcall.data_processing.base import BasePreprocessor


class Replaced(BasePreprocessor):
    """Plays somebody who takes over while this process sleeps."""

    def process_item(self, item):
        Path(self.output_dir, ".modelcall/preprocess/locks/000002.json").write_text("{}")
        return item
'''


@pytest.mark.usefixtures("raw")
def test_an_owner_that_was_replaced_stops_and_notes_nothing(shell: Shell) -> None:
    (shell.folder / "replaced.py").write_text(REPLACED)

    done = shell.spawn(
        "preprocess", "custom", "replaced:Replaced", "--raw_path", "raw", "--output_dir", "out", "--num_proc", "1"
    )

    assert done.code == 4
    assert "another process has taken over" in done.err
    assert list((shell.folder / "out/.modelcall/preprocess").rglob("*.parquet.json")) == []


TASK = """\
task_name: both
data: {input_folder: raw, output_folder: scored, input_key: content_truncate_32k}
preprocess:
  enabled: true
  script_type: github_raw_code
  output_folder: clean
  num_proc: 1
scorer: {name: quality}
"""


def task(shell: Shell, *more: str, text: str = TASK) -> Done:
    (shell.folder / "task.yaml").write_text(text)
    return shell("run-task", "task.yaml", "-q", "--json", *more)


def test_what_comes_out_is_scored_and_only_that(shell: Shell, raw: Path) -> None:
    (shell.folder / "clean").mkdir()
    shutil.copy(raw / "1.parquet", shell.folder / "clean/old.parquet")

    done = task(shell)

    assert done.code == 0, done.err
    assert done.json["preprocess"]["rows_out"] == done.json["rows"]["scored"] == 135
    assert done.json["preprocess"]["leftovers"] == done.json["passed_over_files"] == ["old.parquet"]
    assert list(outputs(shell, "scored")) == NAMES
    row = pq.read_table(shell.folder / "scored/1.parquet").to_pylist()[0]
    assert row["api_status"] == "success"
    assert row["content_truncate_32k"] == row["content"]
    assert shell("verify", "scored").code == 0


def test_only_new_raw_files_are_worked_on_by_a_later_start(shell: Shell, raw: Path) -> None:
    task(shell)
    shutil.copy(raw / "1.parquet", raw / "9.parquet")

    done = task(shell)

    assert (done.code, done.json["how"]) == (0, "extended")
    assert done.json["preprocess"]["done_before"] == 6
    assert done.json["rows_of_this_start"] == 21


def test_a_raw_file_that_changes_after_it_was_scored_is_refused_as_input(shell: Shell, raw: Path) -> None:
    task(shell)
    (raw / "deep/0.jsonl").write_text('{"content": "new"}\n')

    done = task(shell)

    assert done.code == 2
    assert "deep/0.parquet" in done.err


@pytest.mark.usefixtures("raw")
def test_other_settings_need_a_fresh_start(shell: Shell) -> None:
    task(shell)
    other = TASK.replace("num_proc: 1", "num_proc: 1\n  source_name: x").replace("scored", "scored2")

    assert task(shell, text=other).code == 2
    done = task(shell, "--fresh", text=other)

    assert (done.code, done.json["preprocess"]["done_before"]) == (0, 0)


def test_a_raw_file_that_fails_makes_exit_3_and_the_others_are_scored(shell: Shell, raw: Path) -> None:
    (raw / "3.parquet").write_bytes(b"PAR1 no more")

    done = task(shell)

    assert done.code == 3
    assert list(done.json["preprocess"]["failed"]) == ["3.parquet"]
    assert done.json["rows"]["scored"] == 135 - 23
    assert done.last.startswith("next: repair the files that failed")


def test_without_any_raw_file_that_can_be_read_nothing_is_scored(shell: Shell, raw: Path) -> None:
    for path in raw.rglob("*.*"):
        path.write_bytes(b"PAR1 no more")

    done = task(shell)

    assert done.code == 2
    assert "no raw file could be preprocessed, the first is" in done.err
    assert not (shell.folder / "scored").exists()


@pytest.mark.usefixtures("raw")
def test_shards_share_what_the_first_preprocessed(shell: Shell) -> None:
    sharded = ("--world_size", "2")
    first, second = (task(shell, "--job_index", str(index), *sharded) for index in range(2))

    assert (first.code, second.code) == (0, 0)
    assert first.json["preprocess"]["done_before"] == 0
    assert second.json["preprocess"]["done_before"] == 6
    assert first.json["rows"]["scored"] + second.json["rows"]["scored"] == 135


@pytest.mark.usefixtures("raw")
def test_an_interrupt_while_preprocessing_ends_the_task_there(shell: Shell) -> None:
    (shell.folder / "slow.py").write_text(SLOW)
    (shell.folder / "task.yaml").write_text(TASK.replace("github_raw_code", "slow:Slow"))
    child = shell.start("run-task", "task.yaml", "--json")
    until(lambda: any((shell.folder / "clean").glob(".modelcall/preprocess/**/*.json")))

    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)

    assert child.returncode == 143
    assert json.loads(out)["how"] == "preprocessing"
    assert err.rstrip().endswith("start again with the same command to go on")
    assert not (shell.folder / "scored").exists()


@pytest.mark.usefixtures("raw")
def test_a_drain_while_preprocessing_ends_both_who_works_and_who_waits(shell: Shell) -> None:
    (shell.folder / "slow.py").write_text(SLOW)
    (shell.folder / "task.yaml").write_text(TASK.replace("github_raw_code", "slow:Slow"))
    works, waits = (
        shell.start("run-task", "task.yaml", "--json", "--job_index", str(index), "--world_size", "2")
        for index in range(2)
    )
    until(lambda: any((shell.folder / "clean").glob(".modelcall/preprocess/**/*.json")))
    until(lambda: len(shell("status", "--json").json) == 2)

    assert shell("ctl", "both", "drain").code == 0

    for child in (works, waits):
        _, err = child.communicate(timeout=60)
        assert (child.returncode, "stopped: drained: " in err) == (4, True), err
    assert not (shell.folder / "scored").exists()
    assert [told["state"] for told in shell("status", "--json").json] == ["stopped", "stopped"]
    done = shell("run-task", "task.yaml", "--json", "-q")
    assert (done.code, done.json["rows"]["scored"]) == (0, 135), done.err


@pytest.mark.usefixtures("raw")
def test_validate_finds_a_preprocessor_that_cannot_be_used(shell: Shell) -> None:
    (shell.folder / "task.yaml").write_text(TASK.replace("github_raw_code", "githb_raw_code"))

    done = shell("validate", "task.yaml")

    assert done.code == 2
    (shell.folder / "task.yaml").write_text(TASK)
    assert f"raw      {shell.folder}/raw" in shell("validate", "task.yaml").out
    assert "did you mean 'github_raw_code'?" in done.err


@pytest.mark.usefixtures("raw")
def test_the_shipped_task_runs_on_the_embedded_server(shell: Shell, server: EmbeddedServer) -> None:
    shutil.copytree(Path(__file__).parents[2] / "configs", shell.folder / "configs")
    (shell.folder / "users/raw_data").mkdir(parents=True)
    shutil.move(shell.folder / "raw", shell.folder / "users/raw_data/github_code")
    server.reset()  # another test's probe is the same row

    done = shell(
        "run-task",
        "configs/tasks/github_raw_code_with_preprocess.yaml",
        "-q",
        "--json",
        *("--set", "preprocess.num_proc=2", "--set", "model.provider=test"),
        *("--set", f"model.base_url={server.base_url}"),
    )

    assert done.code == 0, done.err
    assert done.json["rows"] == {"total": 135, "scored": 135, "failed": 0}
    assert server.referee().answered_rows == 135 + 1, "each row, and the probe before the first"
    (scored,) = done.json["outputs"]
    assert {"score", "content_truncate_32k", "api_status"} <= set(pq.read_table(scored).column_names)
