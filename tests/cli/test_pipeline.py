from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell

SCORER = """\
class Longest:
    columns = {"length": "int"}

    def __init__(self, factor):
        self.factor = factor

    def score(self, item):
        return {**item, "length": self.factor * len(item["text"])}
"""


def test_one_file_in_and_one_out_by_the_built_in_rules(shell: Shell) -> None:
    shell.rows("in.jsonl", 30)
    done = shell("pipeline", "in.jsonl", "out.parquet")
    assert done.code == 0
    table = pq.read_table(shell.folder / "out.parquet")
    assert table.column("id").to_pylist() == list(range(30))
    assert set(table.column("api_status").to_pylist()) == {"success"}
    assert "30 in finished files: 30 scored, 0 failed" in done.out
    assert "0: finished; every row is scored" in done.out
    assert "Task started" in done.err
    assert "Task started" not in done.out


def test_a_folder_keeps_the_formats_of_its_files_if_asked(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.rows("in/b.jsonl", 4)
    done = shell("pipeline", "in", "out", "--output-format", "same", "--json", "--quiet")
    assert done.code == 0
    assert done.err == ""
    assert done.json["rows"] == {"total": 7, "scored": 7, "failed": 0}
    assert done.json["files"] == {"done": 2, "failed": 0, "unfinished": 0}
    assert [row["id"] for row in shell.read("out/b.jsonl")] == [0, 1, 2, 3]


def test_started_again_it_is_done_and_fresh_needs_a_free_place(shell: Shell) -> None:
    shell.rows("in.jsonl", 5)
    first = shell("pipeline", "in.jsonl", "out.jsonl", "--json", "-q").json
    again = shell("pipeline", "in.jsonl", "out.jsonl", "--json", "-q")
    assert (again.code, again.json["worked"], again.json["run"]) == (0, False, first["run"])
    refused = shell("pipeline", "in.jsonl", "out.jsonl", "--no-resume", "-q")
    assert refused.code == 2
    assert refused.out == ""
    assert "are there already" in refused.err
    fresh = shell("pipeline", "in.jsonl", "out.jsonl", "--fresh", "--delete_existing", "--json", "-q")
    assert (fresh.code, fresh.json["worked"]) == (0, True)
    assert fresh.json["run"] != first["run"]


def test_a_scorer_of_ones_own_with_options(shell: Shell) -> None:
    (shell.folder / "longest_of_cli.py").write_text(SCORER)
    shell.rows("in.jsonl", 2, text="abc")
    options = ["--scorer", "longest_of_cli:Longest", "--scorer_option", "factor=2"]
    done = shell("pipeline", "in.jsonl", "out.jsonl", *options, "-q")
    assert done.code == 0
    assert [row["length"] for row in shell.read("out.jsonl")] == [12, 12]


@pytest.mark.parametrize(
    ("target", "more", "says"),
    [
        ("out.csv", [], ".csv files are not written"),
        ("out.jsonl.gz", [], "output is not compressed"),
        ("out.jsonl", ["--output_format", "parquet"], "its suffix says jsonl"),
        ("out", ["--output_format", "parqet"], 'did you mean "parquet"'),
        ("out", ["--fs", "tos"], "OUT: tos://$TOS_BUCKET/out needs TOS_BUCKET, TOS_ENDPOINT, TOS_REGION"),
        ("ss3://bucket/out", [], 'there is no storage for ss3:// URLs; did you mean "s3"?'),
    ],
)
def test_what_cannot_be_written_is_refused(shell: Shell, target: str, more: list[str], says: str) -> None:
    shell.rows("in.jsonl", 1)
    done = shell("pipeline", "in.jsonl", target, *more)
    assert done.code == 2
    assert says in done.err
    assert done.last.startswith("next: ")
    assert not (shell.folder / target).exists()


def test_a_missing_input_is_exit_2(shell: Shell) -> None:
    done = shell("pipeline", "nowhere.jsonl", "out.jsonl")
    assert done.code == 2
    assert "nowhere.jsonl" in done.err


def test_root_is_where_relative_paths_hang_from(shell: Shell) -> None:
    shell.rows("data/in.jsonl", 2)
    assert shell("pipeline", "in.jsonl", "out.jsonl", "--root", "data", "-q").code == 0
    assert len(shell.read("data/out.jsonl")) == 2
    assert shell("verify", "out.jsonl", "--root", "data").code == 0


def test_verify_says_what_is_wrong(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 3)
    shell.rows("in/b.jsonl", 3)
    shell("pipeline", "in", "out", "--output_format", "jsonl", "-q")
    good = shell("verify", "out")
    assert (good.code, good.err) == (0, "")
    assert "every row once, in order" in good.out
    damaged = shell.folder / "out/b.jsonl"
    damaged.write_text(damaged.read_text().replace("river", "RIVER"))
    bad = shell("verify", "out", "--json")
    assert bad.code == 3
    assert len(bad.json["problems"]) == 1
    assert bad.json["problems"][0].startswith("b.jsonl: changed since it was published")
    assert bad.last.startswith("next: ")


def test_verify_where_no_run_wrote_is_exit_2(shell: Shell) -> None:
    done = shell("verify", "nothing-here")
    assert done.code == 2
    assert "no run wrote here" in done.err


def test_verify_of_a_file_that_no_run_wrote_is_exit_2(shell: Shell) -> None:
    shell.rows("in.jsonl", 1)
    done = shell("verify", "in.jsonl")
    assert done.code == 2
    assert "in.jsonl: no run wrote here" in done.err


def test_what_a_scorer_prints_is_no_result(shell: Shell) -> None:
    shell.rows("in.jsonl", 2)
    (shell.folder / "chatty.py").write_text(
        "class Chatty:\n    def score(self, item):\n        print('working')\n        return {**item, 'score': 1}\n"
    )
    done = shell.spawn("pipeline", "in.jsonl", "out.jsonl", "--scorer", "chatty:Chatty", "--json", "-q")
    assert done.json["rows"]["scored"] == 2
    assert done.err == "working\nworking\n"


@pytest.mark.parametrize(("lang", "says"), [("zh_CN.UTF-8", "任务启动"), ("de_DE.UTF-8", "Task started")])
def test_the_language_follows_the_locale_even_if_it_is_not_installed(shell: Shell, lang: str, says: str) -> None:
    shell.rows("in.jsonl", 1)
    assert says in shell.spawn("pipeline", "in.jsonl", "out.jsonl", LANG=lang).err
