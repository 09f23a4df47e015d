"""ModelCall beside what else asks a model about every row of a file: rows a second, CPU a row, memory.

usage: compare.py [--rows 50000] [--slow-rows 10000] [--chars 2000] [--in-flight 128] [--rounds 3]
                  [--only NAME ...] [--peers FOLDER] [--install-peers] [--json FILE]

Makes rows of Python source from the standard library, starts the instant server (instant_server.sh; it needs Debian's
nginx-light and libnginx-mod-http-lua), and has each client in turn score them, with as many requests in flight: all
read JSON Lines and write scored rows. ModelCall runs as users start it, with its journal, validation, Parquet output
and progress. Every output is checked: each row once, with its score. Whole processes are measured, start-up included;
of several rounds the medians are shown. Machines are not equally fast at all times, least of all virtual ones: so
ModelCall is run again between the others, and how many times as fast it is as another is told of its runs right before
and after that one. Peers are those that have an environment in FOLDER; ``--install-peers`` makes them there first, with
uv, in pinned versions. Slow ones get fewer rows. If wrk is there, it shows the server's limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clients import PEERS, Bench, clients
from instant import InstantServer
from measuring import CommandFailed, Used, home, measured, medians, table
from scored_task import machine, pieces, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients import Client

_TIMEOUT: Final = 1800.0
_OWN: Final = "modelcall"
_HEADS: Final = ("Client", "rows", "rows/s", "CPU ms/row", "peak MB", "ModelCall × rows/s", "ModelCall × CPU")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    shown: str
    rows: int
    used: Used

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.used.seconds

    @property
    def cpu(self) -> float:
        """CPU milliseconds a row."""
        return self.used.cpu / self.rows * 1000

    def cells(self, times: Times | None) -> list[str]:
        """Return the line as text, with how ModelCall compares."""
        ratios = ["–", "–"] if times is None else [f"{times.rate:.2f}", f"{times.cpu:.2f}"]
        shown = [f"{self.rows:,}", f"{self.rate:,.0f}", f"{self.cpu:.3f}", f"{self.used.megabytes:.0f}"]
        return [self.shown, *shown, *ratios]


@dataclass(frozen=True, slots=True)
class Times:
    """What ModelCall did in the time, and with the CPU, that another took for a row."""

    rate: float
    cpu: float

    @classmethod
    def of(cls, other: Line, own: Sequence[Line]) -> Times:
        """Compare a run with those of ModelCall around it."""
        seconds = statistics.mean(1 / line.rate for line in own)
        return cls(1 / other.rate / seconds, other.cpu / statistics.mean(line.cpu for line in own))


def once(bench: Bench, client: Client) -> Line:
    """Have a client score its rows.

    Raises:
        CommandFailed: It did not, or not all of them.
    """
    rows = min(bench.arguments.rows, bench.arguments.slow_rows) if client.slow else bench.arguments.rows
    with tempfile.TemporaryDirectory(dir=bench.folder) as name:
        folder = Path(name)
        command = client.command(bench, folder, rows)
        environment = {**home(folder), **client.environment(folder)}
        used = measured(command, cwd=folder, environment=environment, timeout=_TIMEOUT)
        if client.files and (wrong := problem(folder / "out", rows)):
            raise CommandFailed(f"{client.name}: {wrong}")
    return Line(client.shown, rows, used)


def middle(lines: Sequence[Line]) -> Line:
    """Return the medians of the rounds of a client."""
    return replace(lines[0], used=medians([line.used for line in lines]))


class Rounds:
    """Runs all clients in turn, ModelCall before and after each other one; one that fails is told of and left out."""

    def __init__(self, bench: Bench, chosen: Sequence[Client]) -> None:
        self._bench = bench
        self._own = next((client for client in chosen if client.name == _OWN), None)
        self._others = [client for client in chosen if client.name != _OWN]
        self.lines: dict[str, list[Line]] = {client.name: [] for client in chosen}
        self.times: dict[str, list[Times]] = {client.name: [] for client in chosen}

    def run(self, number: int) -> None:
        """Run a round, counted from 1."""
        before = self._once(number, self._own)
        for client in self._others:
            line = self._once(number, client)
            if line is not None:
                after = self._once(number, self._own)
                if before and after:
                    self.times[client.name].append(Times.of(line, (before, after)))
                before = after

    def _once(self, number: int, client: Client | None) -> Line | None:
        if client is None or client.name not in self.lines:
            return None
        try:
            line = once(self._bench, client)
        except CommandFailed as failure:
            print(f"{client.name} failed: {failure}", file=sys.stderr)
            del self.lines[client.name]
            return None
        self.lines[client.name].append(line)
        rate, cpu = f"{line.rate:,.0f} rows/s", f"{line.cpu:.3f} ms CPU a row"
        print(f"round {number}, {client.name}: {rate}, {cpu}", file=sys.stderr, flush=True)
        return line


def show(done: Rounds, limit: str | None, arguments: argparse.Namespace) -> None:
    """Print the table and what it depends on."""
    times = {name: medians(found) for name, found in done.times.items() if found}
    print(table(_HEADS, [middle(lines).cells(times.get(name)) for name, lines in done.lines.items()]), end="")
    print(
        f"\n{arguments.chars:,} characters a row, {arguments.in_flight} in flight, medians of {arguments.rounds} rounds"
    )
    print(f"{datetime.now().astimezone().date()}, {machine()}" + (f"; server: {limit}" if limit else ""))


def wanted() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--rows", 50_000), ("--slow-rows", 10_000), ("--chars", 2000), ("--in-flight", 128)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "modelcall-bench")
    parser.add_argument("--install-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    arguments = wanted()
    peers = arguments.peers.absolute()
    for peer in PEERS if arguments.install_peers else ():
        peer.install(peers)
    known = {client.name: client for client in clients(peers)}
    if unknown := [name for name in arguments.only if name not in known]:
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in arguments.only or known]
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name, InstantServer(Path(name)) as server:
        bench = Bench(Path(name), server.url, arguments)
        done = Rounds(bench, chosen)
        for number in range(1, arguments.rounds + 1):
            done.run(number)
        limit = server.limit(next(pieces(arguments.chars)), arguments.in_flight)
    show(done, limit, arguments)
    if arguments.json:
        facts = {"date": str(datetime.now().astimezone().date()), "machine": machine(), "server": limit}
        made = {name: [asdict(line) for line in lines] for name, lines in done.lines.items()}
        times = {name: [asdict(one) for one in some] for name, some in done.times.items()}
        arguments.json.write_text(json.dumps({**facts, "rounds": made, "times": times}, indent=2) + "\n")
    return 0 if len(done.lines) == len(chosen) else 1


if __name__ == "__main__":
    raise SystemExit(main())
