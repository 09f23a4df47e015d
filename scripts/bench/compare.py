"""ModelCall beside what else asks a model about every row of a file: rows a second, CPU a row, memory.

usage: compare.py [--rows 50000] [--chars 2000] [--in-flight 128] [--rounds 3] [--only NAME ...] [--json FILE]

Makes rows of Python source from the standard library, starts the instant server (instant_server.sh; it needs Debian's
nginx-light and libnginx-mod-http-lua), and has each client in turn score them, with as many requests in flight: all
read JSON Lines and write scored rows. ModelCall runs as users start it, with its journal, validation, Parquet output
and progress. Every output is checked: each row once, with its score. Whole processes are measured, start-up included;
of several rounds the medians are shown. If wrk is there, it shows the server's limit.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from instant import InstantServer
from measuring import CommandFailed, Used, measured, table
from scored_task import machine, problem, write_input, write_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PEERS: Final = Path(__file__).parent / "peers"
_WRK_SECONDS: Final = 5
_TIMEOUT: Final = 1800.0
_HEADS: Final = ("Client", "rows", "rows/s", "CPU ms/row", "peak MB", "× rows/s", "× CPU")


@dataclass(frozen=True, slots=True)
class Bench:
    """What all clients are given."""

    folder: Path
    url: str
    arguments: argparse.Namespace

    def inputs(self, rows: int) -> Path:
        """Return the input of so many rows, made when it is first asked for."""
        path = self.folder / f"in-{rows}" / "rows.jsonl"
        if not path.exists():
            write_input(path, rows, self.arguments.chars)
        return path

    def home(self) -> dict[str, str]:
        """Return an environment in which clients keep what they keep, and call nobody."""
        return {
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "home"),
            "OPENAI_API_KEY": "EMPTY",
            "NO_PROXY": "127.0.0.1",
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
            "TELEMETRY_ENABLED": "0",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks."""

    name: str
    """As it is chosen."""
    shown: str
    command: Callable[[Bench, Path, int], Sequence[str | Path]]
    """Of a folder to work in, where the output comes into ``out``, and a number of rows."""
    files: bool = True
    """Whether it writes scored rows."""
    environment: Callable[[Bench], Mapping[str, str]] = lambda _: {}


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

    def cells(self, beside: Line | None) -> list[str]:
        """Return the line as text, with its ratios to another."""
        ratios = [f"{self.rate / beside.rate:.1f}", f"{beside.cpu / self.cpu:.1f}"] if beside else ["–", "–"]
        shown = [f"{self.rows:,}", f"{self.rate:,.0f}", f"{self.cpu:.3f}", f"{self.used.megabytes:.0f}"]
        return [self.shown, *shown, *ratios]


def lean(bench: Bench) -> dict[str, str]:
    """Return an environment without pandas: pyarrow imports it where it is, as for development; users need it not."""
    absent = bench.folder / "absent"
    absent.mkdir(exist_ok=True)
    (absent / "pandas.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(absent)}


def modelcall(lane: str) -> Callable[[Bench, Path, int], Sequence[str | Path]]:
    """Return what runs ModelCall in a lane."""

    def command(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
        in_flight = bench.arguments.in_flight
        task = write_task(folder, inputs=bench.inputs(rows), base_url=bench.url, in_flight=in_flight, lane=lane)
        return [sys.executable, "-m", "modelcall", "run-task", task]

    return command


def script(name: str, python: Path) -> Callable[[Bench, Path, int], Sequence[str | Path]]:
    """Return what runs one of the scripts of the peers."""

    def command(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
        (folder / "out").mkdir()
        return [python, _PEERS / name, bench.inputs(rows), folder / "out", str(bench.arguments.in_flight), bench.url]

    return command


def bare(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
    """Return what runs the bare loop."""
    del folder
    numbers = [str(number) for number in (rows, bench.arguments.chars, bench.arguments.in_flight)]
    return [sys.executable, _PEERS / "bare_aiohttp.py", *numbers, bench.url]


def clients() -> Iterator[Client]:
    """Yield the clients there are."""
    yield Client("modelcall", f"ModelCall {version('modelcall')}", modelcall("aiohttp"), environment=lean)
    yield Client(
        "modelcall-openai", f"ModelCall {version('modelcall')}, `client: openai`", modelcall("openai"), environment=lean
    )
    yield Client(
        "handwritten",
        f"hand-written script, openai {version('openai')}",
        script("handwritten.py", Path(sys.executable)),
    )
    yield Client("bare", f"bare loop, aiohttp {version('aiohttp')}, no files", bare, files=False)


def once(bench: Bench, client: Client) -> Line:
    """Have a client score its rows.

    Raises:
        CommandFailed: It did not, or not all of them.
    """
    rows = bench.arguments.rows
    (bench.folder / "home").mkdir()
    with tempfile.TemporaryDirectory(dir=bench.folder) as name:
        folder = Path(name)
        command = client.command(bench, folder, rows)
        environment = {**bench.home(), **client.environment(bench)}
        used = measured(command, cwd=folder, environment=environment, timeout=_TIMEOUT)
        if client.files and (wrong := problem(folder / "out", rows)):
            raise CommandFailed(f"{client.name}: {wrong}")
    shutil.rmtree(bench.folder / "home")
    return Line(client.shown, rows, used)


def middle(lines: Sequence[Line]) -> Line:
    """Return the medians of the rounds of a client."""
    taken = [asdict(line.used) for line in lines]
    medians = {key: statistics.median(some[key] for some in taken) for key in taken[0]}
    return replace(lines[0], used=Used(**medians))


def rounds(bench: Bench, chosen: Sequence[Client]) -> dict[str, list[Line]]:
    """Run all clients in turn, round by round; one that fails is told of and left out."""
    found: dict[str, list[Line]] = {client.name: [] for client in chosen}
    for number in range(1, bench.arguments.rounds + 1):
        for client in chosen:
            if client.name not in found:
                continue
            try:
                line = once(bench, client)
            except CommandFailed as failure:
                print(f"{client.name} failed: {failure}", file=sys.stderr)
                del found[client.name]
                continue
            found[client.name].append(line)
            rate, cpu = f"{line.rate:,.0f} rows/s", f"{line.cpu:.3f} ms CPU a row"
            print(f"round {number}, {client.name}: {rate}, {cpu}", file=sys.stderr, flush=True)
    return found


def server_limit(bench: Bench, server: InstantServer) -> str | None:
    """Return what the server can do at most, by wrk; None without wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    text = next(iter(json.loads(line)["text"] for line in bench.inputs(bench.arguments.rows).open(encoding="utf-8")))
    body = {"model": "instant", "messages": [{"role": "user", "content": f"Rate:\n{text}"}]}
    (bench.folder / "body.json").write_text(json.dumps(body))
    post = f'wrk.method = "POST"\nwrk.body = io.open("{bench.folder}/body.json"):read("*a")\n'
    (bench.folder / "post.lua").write_text(post + 'wrk.headers["content-type"] = "application/json"\n')
    load = ["-t1", f"-c{bench.arguments.in_flight}", f"-d{_WRK_SECONDS}s", "-s", str(bench.folder / "post.lua")]
    before = server.cpu()
    done = subprocess.run([wrk, *load, f"{bench.url}/chat/completions"], capture_output=True, text=True, check=True)
    requests = re.search(r"(\d+) requests in", done.stdout)
    if requests is None:
        raise SystemExit(f"wrk said something else: {done.stdout}")
    each = (server.cpu() - before) / int(requests[1])
    return f"{int(requests[1]) / _WRK_SECONDS:,.0f} requests/s by wrk, {each * 1000:.3f} ms CPU of the server each"


def show(found: Mapping[str, Line], limit: str | None, arguments: argparse.Namespace) -> None:
    """Print the table and what it depends on."""
    beside = found.get("handwritten")
    print(table(_HEADS, [line.cells(beside) for line in found.values()]), end="")
    print(f"\n{arguments.chars:,} characters a row, {arguments.in_flight} in flight, medians of {arguments.rounds}")
    print(f"{datetime.now().astimezone().date()}, {machine()}" + (f"; server: {limit}" if limit else ""))


def main() -> int:
    """Measure and print."""
    known = {client.name: client for client in clients()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--rows", 50_000), ("--chars", 2000), ("--in-flight", 128)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(known), default=list(known))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name, InstantServer(Path(name)) as server:
        bench = Bench(Path(name), server.url, arguments)
        lines = rounds(bench, [known[name] for name in arguments.only])
        limit = server_limit(bench, server)
    found = {name: middle(of) for name, of in lines.items()}
    show(found, limit, arguments)
    if arguments.json:
        made = {name: [asdict(line) for line in of] for name, of in lines.items()}
        arguments.json.write_text(json.dumps({"machine": machine(), "server": limit, "rounds": made}, indent=2) + "\n")
    return 0 if len(found) == len(arguments.only) else 1


if __name__ == "__main__":
    raise SystemExit(main())
