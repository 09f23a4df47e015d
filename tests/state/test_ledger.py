from pathlib import Path

from modelcall.state.ledger import FileState, Ledger, read_ledger
from modelcall.types import ErrorType, FileCounts, Outcome, RowRef

SCORED, FAILED = Outcome(values={}), Outcome(error_type=ErrorType.CUT)


def keep(path: Path, *, interval: int = 2) -> Ledger:
    ledger = Ledger(str(path), interval=interval)
    ledger.file_started("a", recorded=10)
    ledger.file_started("b", recorded=0)
    for row, outcome in enumerate((SCORED, FAILED, SCORED)):
        ledger.row_done(RowRef("a", row, "id"), outcome)
    return ledger


def test_the_last_state_of_each_file_is_read_back(tmp_path: Path) -> None:
    ledger = keep(tmp_path / "ledger.log")
    ledger.file_done("b", FileCounts(total=3, scored=2, failed=1))
    ledger.file_started("c", recorded=0)
    ledger.file_failed("c", "cut short")
    ledger.row_done(RowRef("c", 0, "id"), SCORED)
    ledger.close()
    assert read_ledger(str(tmp_path / "ledger.log")) == {
        "a": FileState("a", recorded=10, scored=2, failed=1),
        "b": FileState("b", "done", scored=2, failed=1),
        "c": FileState("c", "failed", reason="cut short"),
    }


def test_checkpoints_come_every_so_many_rows(tmp_path: Path) -> None:
    ledger = keep(tmp_path / "ledger.log", interval=3)
    ledger._thread.shutdown()
    assert read_ledger(str(tmp_path / "ledger.log"))["a"].scored == 2
    assert (tmp_path / "ledger.log").read_bytes().count(b"\n") == 2


def test_of_several_starts_the_last_counts_and_a_torn_end_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    keep(path).close()
    path.write_bytes(path.read_bytes()[:-5])
    ledger = Ledger(str(path), interval=-1)
    for file in ("a", "c"):
        ledger.file_started(file, recorded=12)
        ledger.file_done(file, FileCounts(total=15, scored=15, failed=0))
    ledger.close()
    states = read_ledger(str(path))
    assert (states["a"], states["c"]) == (FileState("a", "done", scored=15), FileState("c", "done", scored=15))


def test_without_a_ledger_nothing_is_known(tmp_path: Path) -> None:
    assert read_ledger(str(tmp_path / "none")) == {}
