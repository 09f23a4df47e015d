"""Whether time and memory grow as they should: with rows, requests in flight, length of text, and latency.

usage: scale.py PART ... [--sizes 10000 100000 1000000] [--chars 200] [--in-flight 128]
                [--rows 20000] [--rounds 3] [--json FILE]

Runs the command over rows of Python source against the instant server (instant_server.sh), each output checked. A
round does each run once, so that a machine that is slow for a minute is slow for all; the medians of the rounds are
shown. Parts:

    rows         runs of the sizes, with so many characters a row and requests in flight: time and CPU a row,
                 start-up (a run of one row) taken off, how far they are from those of the first size, and the memory
                 that a million rows more take, from one size to the next (small ones do not fill their buffers)
    ten-million  one run over ten million rows of 20 characters
    in-flight    16 to 8,192 requests in flight
    text         rows of 200 characters, 2,000 and 32,000
    latency      answers at once, after 50 ms, and after 2 s in the median with a heavy tail, whose slowest answers the
                 end of a run waits for

The rates of the first and the second half of a run are those that its batch details tell.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from instant import InstantServer
from measuring import CommandFailed, Used, home, lean, measured, medians, table
from scored_task import machine, problem, write_input, write_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_TEN_MILLION: Final = 10_000_000
_HEADS: Final = ("Run", "rows/s", "CPU ms/row", "peak MB", "first half rows/s", "second half")


@dataclass(frozen=True, slots=True)
class Run:
    """What is run."""

    name: str
    rows: int
    chars: int = 2000
    in_flight: int = 128
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the server is told of its latency."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it."""

    used: Used
    halves: tuple[float, float]
    """Rows a second."""


class Bench:
    """Runs, in a folder, against a server."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._environment = {**home(folder), **lean(folder)}

    def medians(self, runs: Sequence[Run], rounds: int) -> list[Seen]:
        """Do some runs in turn, several times."""
        seen = [[self._once(run, self._inputs(run)) for run in runs] for _ in range(rounds)]
        return [_median(of_run) for of_run in zip(*seen, strict=True)]

    def _inputs(self, run: Run) -> Path:
        path = self._folder / f"{run.rows}-rows-of-{run.chars}.jsonl"
        if not path.exists():
            write_input(path, run.rows, run.chars)
        return path

    def _once(self, run: Run, inputs: Path) -> Seen:
        folder = self._folder / "run"
        task = write_task(folder, inputs=inputs, base_url=self._url, in_flight=run.in_flight, headers=run.headers)
        command = [sys.executable, "-m", "modelcall", "run-task", str(task)]
        used = measured(command, cwd=folder, environment=self._environment)
        if wrong := problem(folder / "out", run.rows):
            raise CommandFailed(f"{run.name}: {wrong}")
        seen = Seen(used, halves(folder / "logs/bench_batch_details.jsonl", run.rows))
        shutil.rmtree(folder)
        print(f"{run.name}: {used.seconds:.1f} s, {used.cpu:.1f} s CPU", file=sys.stderr, flush=True)
        return seen


def _median(seen: Sequence[Seen]) -> Seen:
    first, second = map(statistics.median, zip(*(some.halves for some in seen), strict=True))
    return Seen(medians([some.used for some in seen]), (first, second))


def halves(details: Path, rows: int) -> tuple[float, float]:
    """Return the rows a second of both halves of a run, by its batch details."""
    with details.open(encoding="utf-8") as lines:
        batches = [json.loads(line) for line in lines]
    at = [datetime.fromisoformat(batch["time"]).timestamp() for batch in batches]
    middle = next(number for number, batch in enumerate(batches) if 2 * batch["rows_so_far"] >= rows)
    began, half = at[0] - batches[0]["seconds"], batches[middle]["rows_so_far"]
    return half / max(at[middle] - began, 1e-3), (rows - half) / max(at[-1] - at[middle], 1e-3)


def cells(run: Run, seen: Seen) -> list[str]:
    """Return a line of the table."""
    rate, cpu = run.rows / seen.used.seconds, seen.used.cpu / run.rows * 1000
    return [
        run.name,
        f"{rate:,.0f}",
        f"{cpu:.3f}",
        f"{seen.used.megabytes:.0f}",
        *(f"{half:,.0f}" for half in seen.halves),
    ]


def linear(runs: Sequence[Run], found: Sequence[Seen], start: Seen) -> Iterator[str]:
    """Say how far each run is from the first, in proportion to its rows, and from the one before in memory."""
    of_first = _each(runs[0], found[0], start)
    for (before, less), (run, seen) in pairwise(zip(runs, found, strict=True)):
        seconds, cpu = (now / first - 1 for now, first in zip(_each(run, seen, start), of_first, strict=True))
        more = (seen.used.megabytes - less.used.megabytes) / (run.rows - before.rows) * 1e6
        yield f"{run.name}: {seconds:+.1%} time and {cpu:+.1%} CPU a row; {more:.1f} MB for a million rows more"


def _each(run: Run, seen: Seen, start: Seen) -> tuple[float, float]:
    rows = run.rows - 1
    return (seen.used.seconds - start.used.seconds) / rows, (seen.used.cpu - start.used.cpu) / rows


def of_rows(arguments: argparse.Namespace) -> list[Run]:
    """Return the runs of the part ``rows``, the start-up before all."""
    chars, in_flight = arguments.chars, arguments.in_flight
    some = [Run(f"{size:,} rows", size, chars=chars, in_flight=in_flight) for size in sorted(arguments.sizes)]
    return [Run("start-up", 1), *some]


def of_ten_million(_: argparse.Namespace) -> list[Run]:
    """Return the run of the part ``ten-million``."""
    return [Run(f"{_TEN_MILLION:,} rows", _TEN_MILLION, chars=20)]


def of_in_flight(arguments: argparse.Namespace) -> list[Run]:
    """Return the runs of the part ``in-flight``."""
    some = (16, 64, 256, 1024, 4096, 8192)
    return [Run(f"{count:,} in flight", arguments.rows, in_flight=count) for count in some]


def of_text(arguments: argparse.Namespace) -> list[Run]:
    """Return the runs of the part ``text``."""
    return [Run(f"{chars:,} characters", arguments.rows, chars=chars) for chars in (200, 2000, 32_000)]


def of_latency(arguments: argparse.Namespace) -> list[Run]:
    """Return the runs of the part ``latency``."""
    at_once = Run("at once, 128 in flight", arguments.rows)
    soon = replace(at_once, name="50 ms, 512 in flight", in_flight=512, headers={"x-lat": "0.05"})
    late = {"x-lat": "2", "x-tail": "1.0"}
    return [at_once, soon, replace(at_once, name="2 s, tail, 4,096 in flight", in_flight=4096, headers=late)]


PARTS: Final[dict[str, Callable[[argparse.Namespace], list[Run]]]] = {
    "rows": of_rows,
    "ten-million": of_ten_million,
    "in-flight": of_in_flight,
    "text": of_text,
    "latency": of_latency,
}


def measure(bench: Bench, part: str, arguments: argparse.Namespace) -> dict[str, Seen]:
    """Do the runs of a part and print what came of them."""
    runs = PARTS[part](arguments)
    rounds = 1 if part == "ten-million" else arguments.rounds
    found = bench.medians(runs, rounds)
    print(f"\n{part}\n\n" + table(_HEADS, map(cells, runs, found)))
    if part == "rows":
        print("\n".join(linear(runs[1:], found[1:], found[0])), flush=True)
    return {run.name: seen for run, seen in zip(runs, found, strict=True)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(PARTS), metavar="PART")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--chars", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{datetime.now().astimezone().date()}, {machine()}")
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name, InstantServer(Path(name)) as server:
        bench = Bench(Path(name), server.url)
        found = {part: measure(bench, part, arguments) for part in arguments.parts}
    if arguments.json:
        told = {part: {name: asdict(seen) for name, seen in runs.items()} for part, runs in found.items()}
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
