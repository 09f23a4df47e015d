"""What a run costs whose input, output and progress are on TOS: memory, publishing, bytes and requests.

usage: storage.py [--quick] [--json FILE] [--only memory publish columns many small] [--latency 0.03]

Makes its data in a temporary folder and serves them from the local TOS in a process of its own, which delays every
request. The parts:

    memory    most memory of `modelcall run-task` over 2 GB in 4 files; a trivial custom scorer reads all columns
    publish   seconds from the last row of a 256 MB file to its end, beside bare_tos.py: medians of three, alternating
    columns   share of a file of 50 equal columns that was fetched when its last row was scored, by the built-in rules
    many      seconds and requests to the first row of 2,000 small files
    small     requests of a whole run over one file of 300 rows
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import tos
import yaml
from bare_tos import rewrite
from measuring import peak
from storage_files import MB, make_documents, make_many, make_wide

from modelcall.mock.tos.options import TosOptions
from modelcall.mock.tos.process import TosProcess

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent
_TRIVIAL = "trivial_scorer:Trivial"
_TIMES = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder, and the store that serves what was made in it."""

    folder: Path
    server: TosProcess

    def task(self, name: str, *, scorer: str) -> Path:
        """Write a task over all input."""
        task = {
            "task_name": name,
            "data": {"fs": "tos", "input_folder": "in", "output_folder": f"{name}/out", "stat_folder": f"{name}/stat"},
            "scorer": {"name": scorer},
            "concurrency": {"max_concurrent_requests": 64},
            "logging": {"dir": str(self.folder / "logs")},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(task))
        return path

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a Python command that finds the store and the scorer; it keeps its local files in the folder."""
        here = {"PYTHONPATH": str(_HERE), "XDG_STATE_HOME": str(self.folder / "state")}
        environment = {**os.environ, **self.server.environment, **here}  # noqa: TID251  of a child
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is imported late would be compiled each time
        return subprocess.Popen([sys.executable, *command], cwd=self.folder, env=environment, stdout=subprocess.PIPE)

    def watched(self, task: Path, rows: int, *options: str) -> dict[str, Any]:
        """Run a task; return its events."""
        self.server.control("POST", "/reset")
        child = self.start(str(_HERE / "storage_run.py"), str(task), str(rows), str(self.server.port), *options)
        out = child.communicate()[0]
        if child.returncode:
            raise SystemExit(f"the run ended with {child.returncode}")
        events: dict[str, Any] = json.loads(out.splitlines()[-1])
        return events


def memory(bench: Bench, rows: int) -> dict[str, float]:
    """Run the command and watch its memory."""
    del rows
    child = bench.start("-m", "modelcall", "run-task", str(bench.task("memory", scorer=_TRIVIAL)), "-q")
    kilobytes, began = 0, time.perf_counter()
    while child.poll() is None:
        kilobytes = peak(child.pid) or kilobytes
        time.sleep(0.05)
    if child.returncode:
        raise SystemExit(f"the run ended with {child.returncode}")
    return {"peak MB": kilobytes / 1024, "seconds": time.perf_counter() - began}


def publish(bench: Bench, rows: int) -> dict[str, float]:
    """Publish and rewrite in turn."""
    ours, bare = [], []
    for number in range(_TIMES):
        events = bench.watched(bench.task(f"publish{number}", scorer=_TRIVIAL), rows)
        began, ended = events["last row"], events["published"]
        ours.append((ended["at"] - began["at"], ended["cpu"] - began["cpu"]))
        bare.append(_bare(bench, rows, f"bare{number}.parquet"))
    seconds, cpu = map(statistics.median, zip(*ours, strict=True))
    bare_seconds, bare_cpu = map(statistics.median, zip(*bare, strict=True))
    return {
        "publish s": seconds,
        "bare s": bare_seconds,
        "ratio": seconds / bare_seconds,
        "publish CPU s": cpu,
        "bare CPU s": bare_cpu,
    }


def _bare(bench: Bench, rows: int, target: str) -> tuple[float, float]:
    nothing = pa.nulls(rows, pa.string())
    results = {
        "score": [3] * rows,
        "quality_tags": [["clear", "factual"]] * rows,
        "api_status": ["success"] * rows,
        **dict.fromkeys(("api_fail_reason", "api_error_type", "api_return"), nothing),
        "api_attempts": [1] * rows,
    }
    table = pa.table(results)
    client = tos.TosClientV2(**bench.server.sdk_settings)
    began, cpu = time.perf_counter(), time.process_time()
    rewrite(client, bench.server.options.buckets[0], "in/a.parquet", target, table)
    taken = time.perf_counter() - began, time.process_time() - cpu
    client.close()
    return taken


def columns(bench: Bench, rows: int) -> dict[str, float]:
    """Score one column of fifty."""
    size = next((bench.folder / "load/in").iterdir()).stat().st_size
    sent = bench.watched(bench.task("columns", scorer="quality"), rows)["last row"]["sent"]
    return {"input MB": size / MB, "fetched MB": sent / MB, "share %": 100 * sent / size}


def many(bench: Bench, rows: int) -> dict[str, float]:
    """Begin a run over many files."""
    first = bench.watched(bench.task("many", scorer="quality"), rows, "--first")["first row"]
    return {"first row s": first["at"], "requests": first["requests"]}


def small(bench: Bench, rows: int) -> dict[str, float]:
    """Run over one small file."""
    events = bench.watched(bench.task("small", scorer="quality"), rows)
    report = bench.server.report()
    publishing = events["published"]["requests"] - events["last row"]["requests"]
    return {"requests": report["requests"], "of them to publish": publishing}


def make(folder: Path, part: str, *, quick: bool) -> int:
    """Write the input of a part; return its rows."""
    inputs = folder / "load" / "in"
    inputs.mkdir(parents=True)
    if part == "memory":
        return sum(make_documents(inputs / f"{number}.parquet", 40 if quick else 512) for number in range(4))
    if part == "publish":
        return make_documents(inputs / "a.parquet", 96 if quick else 256)
    if part == "columns":
        return make_wide(inputs / "a.parquet", 100 if quick else 1000)
    if part == "many":
        return make_many(inputs, 200 if quick else 2000, 20)
    return make_many(inputs, 1, 300)


_PARTS: dict[str, Callable[[Bench, int], dict[str, float]]] = {
    "memory": memory,
    "publish": publish,
    "columns": columns,
    "many": many,
    "small": small,
}


def measure(part: str, *, quick: bool, latency: float) -> dict[str, float]:
    """Make the data of a part, serve and measure them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = make(folder, part, quick=quick)
        options = TosOptions(latency=latency, load=str(folder / "load"), root=str(folder / "store"))
        with TosProcess(options) as server:
            return _PARTS[part](Bench(folder, server), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    parser.add_argument("--latency", type=float, default=0.03)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, pyarrow {pa.__version__}, {arguments.latency * 1000:.0f} ms a request")
    found = {}
    for part in arguments.only:
        found[part] = measure(part, quick=arguments.quick, latency=arguments.latency)
        shown = "".join(f"{name:>22} {value:>9,.2f}" for name, value in found[part].items())
        print(f"{part:<10}{shown}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
