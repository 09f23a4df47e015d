"""How soon a killed run of a large file asks its first new row, and what that costs in memory.

usage: resume.py [--rows 1000000] [--done 0.9] [--small 10000] [--text 500] [--formats parquet jsonl]

For each input format: makes a file, begins a run and kills it, writes the answers of the first rows into its journal
(all but some, as if they had been in flight), and starts the command again. Prints, beside a whole run of a small file:
seconds from the start of the process to the first request that the server sees, seconds from the last request to the
end of the process (the file is published then), and the most memory the process had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from measuring import peak

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.state.journal import ShardJournal
from modelcall.state.segments import Segment, header_of
from modelcall.types import Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

_SENTENCE = "the river carries silt from the hills to the sea and farmers on its banks have known this for years "
_PART = 50_000
_IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """One start of the command."""

    first: float
    """Seconds to the first request."""
    publishing: float
    """Seconds from the last request to the end."""
    seconds: float
    megabytes: float
    requests: int


def make_input(path: Path, rows: int, text: int) -> None:
    """Write a file of texts of about so many characters."""
    path.parent.mkdir(parents=True)
    tail = _SENTENCE * (text // 50 + 3)
    texts = (f"{row} {tail[row % 97 : row % 97 + text]}" for row in range(rows))
    if path.suffix == ".parquet":
        table = pa.table({"id": pa.array(range(rows)), "text": pa.array(texts, pa.string())})
        pq.write_table(table, path)
    else:
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"id": row, "text": one}) + "\n" for row, one in enumerate(texts))


def make_task(folder: Path, server: EmbeddedServer) -> None:
    """Write the task."""
    task = {
        "task_name": "resume",
        "data": {"input_folder": "./in", "output_folder": "./out", "output_format": "same"},
        "model": {"provider": "bench", "model_name": "x", "base_url": server.base_url},
        "prompt": {
            "prompt_template": {"prompt_text": "Rate:\n{text}"},
            "output_config": {"json_keys": ["score"], "json_default_values": {"score": 0}},
        },
        "concurrency": {"max_concurrent_requests": _IN_FLIGHT},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(task))


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "modelcall", "run-task", "task.yaml", "-q"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)


def kill_when_recorded(folder: Path) -> Path:
    """Begin a run and kill it when its journal is there; return that."""
    child = begin(folder)
    until = time.monotonic() + 60
    while not (found := [path for path in folder.rglob("journal/*.log") if path.stat().st_size]):
        if time.monotonic() > until or child.poll() is not None:
            raise SystemExit("the run recorded nothing")
        time.sleep(0.01)
    child.kill()
    child.wait()
    return found[0]


def taken_away(log: Path) -> dict[str, str]:
    """Remove a journal; return what its header says."""
    header = header_of(Segment(str(log), 0))
    if header is None:
        raise SystemExit(f"{log} is damaged")
    log.unlink()
    facts: dict[str, str] = json.loads(header)
    return facts


async def record(log: Path, rows: Iterable[int]) -> None:
    """Write a journal anew, with answers of these rows, through the product's own journal."""
    facts = taken_away(log)
    shard = ShardJournal(str(log.parent), epoch=int(log.name.split(".")[1]), identity=facts["run"])
    shard.prepare()
    journal = shard.open(facts["file"], fingerprint=facts["input"], content=facts["content"])
    usage = Usage(prompt_tokens=180, completion_tokens=24)
    for count, row in enumerate(rows):
        raw = f'{{"score": {row % 6}, "reason": "a plain description of a river, well written"}}'
        outcome = Outcome(values={"score": row % 6}, raw=raw, model="x", finish_reason="stop", usage=usage)
        journal.record(row, outcome)
        if count % _PART == 0:
            await shard.flush()
    await shard.close()


def answered(rows: int, share: float) -> Iterable[int]:
    """Rows as a run has answered them: nearly in order, one slow row at the start and those in flight left out."""
    last = int(rows * share)
    flying = {3, *range(last - 4 * _IN_FLIGHT, last, 5)}
    return (row for row in range(last) if row not in flying)


def measure(folder: Path, server: EmbeddedServer) -> Measured:
    """Run the command to its end."""
    server.reset()
    began = time.time()  # the clock of the referee
    child = begin(folder)
    kilobytes = 0
    while child.poll() is None:
        kilobytes = peak(child.pid) or kilobytes
        time.sleep(0.05)
    ended = time.time()
    referee = server.referee()
    if child.returncode or referee.first_arrival is None or referee.last_arrival is None:
        raise SystemExit(f"the run ended with {child.returncode}")
    return Measured(
        first=referee.first_arrival - began,
        publishing=ended - referee.last_arrival,
        seconds=ended - began,
        megabytes=kilobytes / 1024,
        requests=referee.requests,
    )


def killed_and_resumed(folder: Path, server: EmbeddedServer, *, name: str, arguments: argparse.Namespace) -> Measured:
    """A large run, killed, its journal filled, started again."""
    make_input(folder / "in" / name, arguments.rows, arguments.text)
    make_task(folder, server)
    log = kill_when_recorded(folder)
    asyncio.run(record(log, answered(arguments.rows, arguments.done)))
    return measure(folder, server)


def whole(folder: Path, server: EmbeddedServer, *, name: str, arguments: argparse.Namespace) -> Measured:
    """A small run from its start to its end."""
    make_input(folder / "in" / name, arguments.small, arguments.text)
    make_task(folder, server)
    return measure(folder, server)


def show(what: str, seen: Measured) -> None:
    """Print a line of the table."""
    print(
        f"{what:<28}{seen.first:>12.2f} s{seen.requests:>12,}{seen.publishing:>12.1f} s{seen.seconds:>10.1f} s"
        f"{seen.megabytes:>10.0f} MB",
        flush=True,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--rows", 1_000_000), ("--small", 10_000), ("--text", 500)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--done", type=float, default=0.9)
    parser.add_argument("--formats", nargs="+", default=["parquet", "jsonl"])
    arguments = parser.parse_args()
    print(f"{'':<28}{'first asked':>14}{'requests':>12}{'published':>14}{'in all':>12}{'memory':>13}")
    for suffix in arguments.formats:
        with tempfile.TemporaryDirectory() as folder, EmbeddedServer(MockOptions()) as server:
            small, large = Path(folder, "small"), Path(folder, "large")
            one = whole(small, server, name=f"a.{suffix}", arguments=arguments)
            show(f"{suffix}, {arguments.small:,} rows", one)
            other = killed_and_resumed(large, server, name=f"a.{suffix}", arguments=arguments)
            show(f"{suffix}, {arguments.rows:,} resumed", other)
            print(f"{suffix}: memory {other.megabytes / one.megabytes:.2f} times that of the small run")


if __name__ == "__main__":
    main()
