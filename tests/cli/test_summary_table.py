from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from modelcall.cli.summary_table import Report, totals
from modelcall.config.model import Prices
from modelcall.config.shard import Shard
from modelcall.errors import FatalError
from modelcall.observe import Snapshot
from modelcall.pipeline.tally import Tally
from modelcall.task_manager.summary import Summary

if TYPE_CHECKING:
    from pathlib import Path


def summary(output: Path, *passes: Tally, ratio: float = 0.0, worked: bool = True) -> Summary:
    return Summary(
        how="continued",
        run="r",
        timestamp="20260102_030405",
        shard=Shard(1, 4, "the command line"),
        max_failed_ratio=ratio,
        outputs=[str(output)],
        passes=list(passes),
        worked=worked,
    )


def report(of: Summary) -> Report:
    now = Snapshot(elapsed=2.0, rows_scored=8, rows_failed=2)
    reasons = {"invalid_output": "a.jsonl row 7: \x1b[31mno JSON"}
    return Report(task="t", summary=of, totals=totals(of.passes), snapshot=now, log="x.log", reasons=reasons)


def tally(*, failed: int = 0, unfinished: int = 0, broken: dict[str, str] | None = None) -> Tally:
    return Tally(
        files=1,
        rows=10,
        scored=10 - failed,
        failed=failed,
        failures=Counter(invalid_output=failed) if failed else Counter(),
        broken_files=broken or {},
        unfinished=unfinished,
    )


def test_passes_add_up(tmp_path: Path) -> None:
    told = report(summary(tmp_path, tally(failed=2), tally(failed=1, unfinished=3)))
    assert (told.totals.rows, told.totals.scored, told.totals.failed) == (20, 17, 3)
    assert (told.totals.files, told.totals.unfinished) == (2, 3)
    assert told.totals.failures == {"invalid_output": 3}
    assert told.as_json()["rows_per_second"] == 5.0


def test_tokens_cost_what_the_model_file_says_and_nothing_is_made_up_without_prices(tmp_path: Path) -> None:
    now = Snapshot(elapsed=1.0, prompt_tokens=3_000_000, cached_tokens=1_000_000, completion_tokens=500_000)
    unknown = replace(report(summary(tmp_path, tally())), snapshot=now)
    assert unknown.as_json()["cost"] is None
    assert not [line for line in unknown.lines() if line.startswith("cost")]
    known = replace(unknown, prices=Prices(prompt=2.0, completion=8.0, cached=0.5, currency="CNY"))
    assert (known.as_json()["cost"], known.as_json()["currency"]) == (8.5, "CNY")
    told = "8.5000 CNY for 3,000,000 prompt and 500,000 completion tokens in this start"
    assert [line for line in known.lines() if told in line]
    assert replace(known, prices=Prices(prompt=2.0, completion=8.0)).as_json()["cost"] == 10.0


def test_the_table_tells_failures_with_their_first_reason_and_nothing_acts(tmp_path: Path) -> None:
    failed = str(tmp_path / ".modelcall/failed")
    told = summary(tmp_path, tally(failed=2))
    told.failed_lists = [failed]
    text = "\n".join(report(told).lines())
    assert "invalid_output  2, first a.jsonl row 7: \\x1b[31mno JSON" in text
    assert f"failed rows       {failed}" in text
    assert "shard             1 of 4, by the command line" in text
    assert "this start        10 rows in 0:00:02, 5.0 rows/s" in text


@pytest.mark.parametrize(
    ("of", "code", "meaning", "step"),
    [
        ({}, 0, "every row is scored", None),
        ({"worked": False}, 0, "the run was done before", None),
        ({"ratio": 0.5, "failed": 1}, 0, "within options.max_failed_ratio 0.5", None),
        ({"failed": 1}, 3, "not everything is scored", "--fresh"),
        ({"broken": {"b.jsonl": "torn"}}, 3, "not everything is scored", "repair the files"),
        ({"signal": 15, "unfinished": 1}, 143, "interrupted", "start again with the same command"),
        ({"error": True}, 4, "stopped", None),
    ],
)
def test_what_the_exit_code_means_and_what_to_do_next(
    tmp_path: Path, of: dict[str, object], code: int, meaning: str, step: str | None
) -> None:
    work = tally(failed=1 if "failed" in of else 0, broken={"b.jsonl": "torn"} if "broken" in of else None)
    told = summary(tmp_path, work, ratio=0.5 if "ratio" in of else 0.0, worked="worked" not in of)
    told.signal = 15 if "signal" in of else None
    told.error = FatalError("no endpoint") if "error" in of else None
    done = report(told)
    assert told.exit_code == code
    assert meaning in done.meaning()
    assert done.lines()[-1] == f"exit{' ' * (done.lines()[-1].index(str(code)) - 4)}{code}: {done.meaning()}"
    found = done.next_step()
    assert (found is None) == (step is None)
    assert step is None or step in (found or "")
