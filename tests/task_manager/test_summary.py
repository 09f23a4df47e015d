import pytest

from modelcall.config.shard import Shard
from modelcall.pipeline.tally import Tally
from modelcall.task_manager.summary import Summary


@pytest.mark.parametrize(
    ("ratio", "rows", "failed", "code"),
    [
        (0.0, 0, 0, 0),
        (0.0, 10, 0, 0),
        (0.0, 10, 1, 3),
        (0.29, 100, 29, 0),  # 0.29 * 100 is 28.999999999999996
        (0.29, 100, 30, 3),
        (1.0, 5, 5, 0),
    ],
)
def test_as_many_failed_rows_as_are_allowed_are_exit_0(ratio: float, rows: int, failed: int, code: int) -> None:
    summary = Summary("new", "r", "t", Shard(0, 1, "default"), max_failed_ratio=ratio)
    summary.passes.append(Tally(files=1, rows=rows, scored=rows - failed, failed=failed))
    assert summary.exit_code == code
