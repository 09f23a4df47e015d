"""What a report costs: seconds, CPU and memory of the process, and the size of the page.

usage: report.py [--rows 20000 1000000] [--text 1000]

For each number of rows: writes Parquet files, scores them with a scorer that takes no time, and reports on the output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_SENTENCE = "the river carries silt from the hills to the sea and farmers on its banks have known this for years "
_PART = 50_000
_SCORER = """\
import zlib


class Instant:
    columns = {"score": "int", "tags": "list<string>", "share": "float"}

    async def score(self, item):
        number = zlib.crc32(item["text"].encode())
        if number % 97 == 0:
            raise ValueError(f"number {number % 7}")
        tags, share = [f"t{number % 50}", f"u{number % 11}"], number % 10007 / 10007
        return {**item, "score": number % 6, "tags": tags, "share": share}
"""


def prepare(folder: Path, rows: int, text: int) -> None:
    """Write the scorer, the task, and the input in files of 50,000 rows."""
    (folder / "instant.py").write_text(_SCORER)
    task = {
        "task_name": "bench",
        "data": {"input_folder": "./in", "output_folder": "./out"},
        "scorer": {"name": "instant:Instant"},
        "concurrency": {"max_concurrent_requests": 64, "chunk_size": 1000},
        "options": {"max_failed_ratio": 1},
    }
    (folder / "task.yaml").write_text(json.dumps(task))
    (folder / "in").mkdir()
    tail = _SENTENCE * (text // 50 + 3)
    for start in range(0, rows, _PART):
        numbers = range(start, min(rows, start + _PART))
        columns = {
            "id": list(numbers),
            "text": [f"{number} {tail[number % 97 : number % 97 + text]}" for number in numbers],
            "language": [("en", "zh", "de", "fr")[number % 4] for number in numbers],
            "source": [("web", "books")[number % 3 == 0] for number in numbers],
        }
        pq.write_table(pa.table(columns), folder / f"in/part-{start // _PART:04d}.parquet", row_group_size=10_000)


def measured(folder: Path, rows: int) -> str:
    """Score and report; say what the report cost."""
    command = [sys.executable, "-m", "modelcall"]
    subprocess.run([*command, "run-task", "task.yaml", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    child = subprocess.Popen([*command, "report", "task.yaml", "--output", "r.html"], cwd=folder)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"the report ended with {child.returncode}")
    seconds, size = time.monotonic() - began, (folder / "r.html").stat().st_size
    cpu = used.ru_utime + used.ru_stime
    return (
        f"{rows:>9,} rows: {seconds:.1f} s, {cpu:.1f} s CPU, {used.ru_maxrss / 1024:.0f} MB, page {size / 1024:.0f} KB"
    )


def main() -> None:
    """Measure each size in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--text", type=int, default=1000)
    options = parser.parse_args()
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            # in a process of its own: what a child counts as its most memory begins with its parent's
            making = Process(target=prepare, args=(Path(folder), rows, options.text))
            making.start()
            making.join()
            print(measured(Path(folder), rows), flush=True)


if __name__ == "__main__":
    main()
