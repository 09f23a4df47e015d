"""Input files that failed in one start and were repaired before the next."""

import gzip
import json
import logging
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from tests.task_manager.test_task_run import Desk, torn


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    torn(made)
    made.start()
    assert list(made.seen.failed) == ["torn.jsonl.gz"]
    return made


def repair(desk: Desk, rows: int = 3) -> Path:
    path = desk.folder / "in/torn.jsonl.gz"
    lines = (json.dumps({"text": f"repaired {row}"}) + "\n" for row in range(rows))
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


def test_a_repaired_file_is_taken_and_nothing_else_is_asked(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    repair(desk)
    with caplog.at_level(logging.WARNING, "modelcall"):
        summary = desk.start()
    assert (summary.how, summary.exit_code, list(desk.seen.done)) == ("continued", 0, ["torn.jsonl.gz"])
    assert desk.seen.rows == [("torn.jsonl.gz", row) for row in range(3)]
    assert desk.seen.started == {"torn.jsonl.gz": 0}
    texts = pq.read_table(desk.folder / "out/torn.parquet").column("text").to_pylist()
    assert texts == ["repaired 0", "repaired 1", "repaired 2"]
    assert desk.verify("out").problems == []
    assert "recorded answers to what it held before are set aside" in caplog.text
    assert desk.start().worked is False
    assert list(desk.folder.rglob("journal/*")) == []


def test_once_taken_it_may_not_change_again(desk: Desk) -> None:
    repair(desk)
    desk.start()
    repair(desk, rows=4)
    with pytest.raises(ConfigError, match=r"changed since the run began: torn\.jsonl\.gz"):
        desk.start()


def test_a_repair_that_fails_too_may_be_repaired(desk: Desk) -> None:
    torn(desk)
    os.utime(desk.folder / "in/torn.jsonl.gz", ns=(1, 1))
    assert (desk.start().exit_code, list(desk.seen.failed)) == (3, ["torn.jsonl.gz"])
    repair(desk)
    assert (desk.start().exit_code, list(desk.seen.done)) == (0, ["torn.jsonl.gz"])


def test_a_file_that_did_not_fail_may_not_change_beside_one_that_did(desk: Desk) -> None:
    repair(desk)
    desk.file("f3.jsonl", rows=8)
    with pytest.raises(ConfigError, match=r"1 input file\(s\) changed since the run began: f3\.jsonl"):
        desk.start()


def test_a_file_of_an_extended_run_may_be_repaired_too(desk: Desk) -> None:
    desk.file("g.jsonl")
    assert desk.start().how == "extended"
    repair(desk)
    assert (desk.start().exit_code, list(desk.seen.done)) == (0, ["torn.jsonl.gz"])
    assert desk.verify("out").problems == []


def test_answers_to_a_failed_file_count_while_it_is_as_it_was(desk: Desk) -> None:
    again = desk.start()
    assert (again.exit_code, desk.seen.rows, desk.seen.started["torn.jsonl.gz"] > 0) == (3, [], True)
