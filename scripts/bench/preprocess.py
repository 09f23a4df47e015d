"""How fast raw code is preprocessed, how two processes compare with two runs, and what it takes in memory.

usage: preprocess.py RAW [--rounds 3] [--large FILE]

RAW is a folder of shards (``code_corpus.py`` makes one). Prints

- for one process: tokens in a second of its CPU, start-up included
- for two: the throughput of one run with two processes, over that of two runs of one process each that go on at the
  same time over one half of the shards each; the median of the rounds
- with ``--large``: the most memory that any process had over one large file, and tokens in a second of CPU
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """One command, with all its processes."""

    seconds: float
    cpu: float
    megabytes: float
    """The most of any of its processes."""
    tokens: int


class Run:
    """``modelcall preprocess github``, begun."""

    def __init__(self, raw: Path, output: Path, *, processes: int) -> None:
        self._began = time.monotonic()
        paths = ["--raw_path", str(raw), "--output_dir", str(output), "--num_proc", str(processes)]
        command = [sys.executable, "-m", "modelcall", "preprocess", "github", *paths, "--json", "-q"]
        self._child = subprocess.Popen(command, cwd=output.parent, stdout=subprocess.PIPE, text=True)

    def end(self) -> Measured:
        """Wait for its end."""
        assert self._child.stdout is not None  # noqa: S101  it is a pipe
        report = json.loads(self._child.stdout.read())
        _, status, usage = os.wait4(self._child.pid, 0)
        if status:
            raise RuntimeError(f"the run failed: {report}")
        seconds = time.monotonic() - self._began
        return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, report["tokens"])


def halves(raw: Path, folder: Path) -> list[Path]:
    """Return two folders with every second shard each."""
    made = [folder / "even", folder / "odd"]
    for number, shard in enumerate(sorted(raw.iterdir())):
        made[number % 2].mkdir(exist_ok=True)
        (made[number % 2] / shard.name).symlink_to(shard)
    return made


def side_by_side(raw: Path, folder: Path) -> tuple[float, float]:
    """Return tokens a second of one run with two processes, and of two runs at once."""
    one = Run(raw, folder / "pool", processes=2).end()
    parts = [folder / "even", folder / "odd"]
    two = [run.end() for run in [Run(part, folder / f"{part.name}-out", processes=1) for part in parts]]
    for name in ("pool", "even-out", "odd-out"):
        shutil.rmtree(folder / name)
    return one.tokens / one.seconds, sum(run.tokens for run in two) / max(run.seconds for run in two)


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as name:
        folder = Path(name)
        alone = Run(wanted.raw.absolute(), folder / "alone", processes=1).end()
        print(f"one process: {alone.tokens:,} tokens, {alone.tokens / alone.cpu / 1e6:.2f} million a CPU second")
        halves(wanted.raw.absolute(), folder)
        ratios = []
        for _ in range(wanted.rounds):
            pool, apart = side_by_side(wanted.raw.absolute(), folder)
            ratios.append(pool / apart)
            print(f"two processes: {pool / 1e6:.2f} million tokens/s, two runs: {apart / 1e6:.2f}; {ratios[-1]:.2f}")
        if ratios:
            print(f"median {statistics.median(ratios):.2f}")
        if wanted.large is not None:
            big = Run(wanted.large.absolute(), folder / "large", processes=2).end()
            size = wanted.large.stat().st_size / 1e9
            print(
                f"{size:.1f} GB: {big.megabytes:.0f} MB at most in a process, {big.tokens:,} tokens, "
                f"{big.tokens / big.cpu / 1e6:.2f} million a CPU second, {big.seconds:.0f} s"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
