from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
import yaml

from modelcall.cli.demo import command
from modelcall.cli.demo.corpus import build_corpus
from modelcall.cli.demo.proof import Evidence, all_hold, claims
from modelcall.cli.demo.showing import Screen
from modelcall.cli.demo.starts import Ended
from modelcall.mock.referee import RefereeReport
from modelcall.pipeline.verify import Findings

if TYPE_CHECKING:
    from tests.cli.shell import Shell

GOOD = Evidence(
    rows=100,
    recorded=40,
    killed=Ended(-9, {}),
    resumed=Ended(0, {}),
    before=RefereeReport(requests=50, rows=45, faults={"not_json": 2}),
    after=RefereeReport(requests=60, rows=60),
    findings=Findings(files=6, rows=100, scored=100, compared=6),
)


def demo_held(shell: Shell) -> None:
    done = shell.spawn("demo", "--rows", "60", "--folder", "show")
    assert done.code == 0, done.out + done.err
    assert "FAILED" not in done.out
    assert done.out.count("  ok    ") == 5
    assert "score 5" in done.out
    assert done.err == ""


def outputs(shell: Shell) -> list[Path]:
    return sorted(path for path in (shell.folder / "show/output").iterdir() if path.name[0] != ".")


def test_the_demo_holds_what_it_promises(shell: Shell) -> None:
    demo_held(shell)
    (output,) = outputs(shell)
    assert sum(pq.read_table(path).num_rows for path in output.glob("*.parquet")) == 60
    assert yaml.safe_load((shell.folder / "show/task.yaml").read_text())["task_name"] == "demo"


def test_what_to_type_next_can_be_typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    command.show_next(Screen(), Path("demo"), Path("demo/output/1"))
    lines = capsys.readouterr().out.splitlines()
    assert f"source {sys.prefix}/bin/activate" in lines[2]
    assert lines[3].strip() == "modelcall verify demo/output/1"


@pytest.mark.long
def test_the_demo_can_be_run_again(shell: Shell) -> None:
    demo_held(shell)
    demo_held(shell)
    assert len(outputs(shell)) == 2


def test_the_corpus_is_real_source_in_six_files(tmp_path: Path) -> None:
    assert build_corpus(tmp_path, rows=60) == 60
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.partition(".")[2] for name in names] == ["parquet"] * 3 + ["jsonl"] * 2 + ["jsonl.gz"]
    rows = pq.read_table(tmp_path / "python_00.parquet").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == 10
    assert all(row["path"].endswith(".py") for row in rows)


def test_all_is_well_only_if_every_claim_holds() -> None:
    assert all_hold(tuple(claims(GOOD)))
    broken = [
        replace(GOOD, killed=Ended(0, {})),
        replace(GOOD, recorded=100, after=RefereeReport()),
        replace(GOOD, after=RefereeReport(requests=61, rows=61)),
        replace(GOOD, resumed=Ended(3, {})),
        replace(GOOD, before=RefereeReport(requests=50, rows=45)),
        replace(GOOD, findings=Findings(files=6, rows=100, scored=99, failed=1, compared=6)),
        replace(GOOD, findings=Findings(files=6, rows=100, scored=100, compared=5)),
        replace(GOOD, findings=Findings(files=6, rows=100, scored=100, compared=6, problems=["x"])),
    ]
    assert not any(all_hold(tuple(claims(evidence))) for evidence in broken)
