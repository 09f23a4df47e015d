"""How memory is managed shows in the whole process: so another one is looked at."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import pyarrow as pa
from modelcall.garbage import hold_less
hold_less()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
first = bytearray(b"x") * (8 << 20)
del first  # from then on, if it is let, the C library takes blocks of this size from its heap
blocks = [bytearray(b"x") * (2 << 20) for _ in range(64)]
most = resident() - before
kept = blocks[1::2]
del blocks
print(most, resident() - before, pa.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its C library is meant")
def test_large_blocks_go_back_to_the_system_when_they_are_freed() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    most, left, pool = done.stdout.split()
    assert pool == "jemalloc"
    assert int(most) >= 128 << 20
    assert int(left) <= 80 << 20


SERIES = """
import sys
import pyarrow as pa
from modelcall.garbage import leave_pandas_out
leave_pandas_out()
pa.array([1, 2]), pa.RecordBatch.from_pylist([{"a": 1}])
print("pandas" in sys.modules)
print(pa.array([1, 2]).to_pandas().sum(), "pandas" in sys.modules)
import pandas as pd
print(pa.array(pd.Series([1.0, float("nan")])).null_count)
"""


def test_arrow_imports_pandas_for_those_alone_who_ask_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", SERIES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "3", "True", "1"]


def test_a_pandas_that_is_there_is_left_alone() -> None:
    known = "import pandas as pd, pyarrow as pa\nfrom modelcall.garbage import leave_pandas_out\nleave_pandas_out()\n"
    look = "print(pa.array(pd.Series([1.0, float('nan')])).null_count)"
    done = subprocess.run([sys.executable, "-c", known + look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
