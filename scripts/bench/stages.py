"""What each stage of a row's way costs in CPU, in one process: reading, scheduling, asking, recording, publishing.

usage: stages.py [STAGE ...] [--rows 20000] [--chars 2000] [--in-flight 128] [--rounds 3] [--profile] [--top 25]

Starts the instant server (instant_server.sh) for the stage that sends. Prints milliseconds of CPU a row, the median of
the rounds, threads included, set-up left out; the sum is that of a run from JSON Lines to Parquet. ``--profile`` runs
the stages under cProfile and prints where the time goes.
"""

from __future__ import annotations

import argparse
import pstats
import statistics
import tempfile
from asyncio import Runner
from cProfile import Profile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import stages_of_files
import stages_of_requests
import uvloop
from instant import InstantServer
from measuring import table
from scored_task import machine
from stage_work import Meter, Work

from modelcall.garbage import collect_less, hold_less

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STAGES: Final[dict[str, tuple[Callable[[Work, Meter], Coroutine[Any, Any, None]], str]]] = {
    "read-jsonl": (stages_of_files.read_jsonl, ""),
    "read-parquet": (stages_of_files.read_parquet, "(instead of read-jsonl)"),
    "schedule": (stages_of_requests.schedule, ""),
    "judge": (stages_of_requests.judge, ""),
    "render": (stages_of_requests.render, "(part of judge)"),
    "parse": (stages_of_requests.parse, "(part of judge)"),
    "send": (stages_of_requests.send, ""),
    "journal": (stages_of_files.journal, ""),
    "observe": (stages_of_files.observe, ""),
    "publish-jsonl": (stages_of_files.publish_jsonl, ""),
    "publish-parquet": (stages_of_files.publish_parquet, "(instead of publish-jsonl)"),
}
"""By name: what does it, and what it is if it is no further part of a run."""


def once(name: str, work: Work, profile: Profile | None) -> float:
    """Do a stage; return its CPU milliseconds a row."""
    meter = Meter(profile)
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(STAGES[name][0](work, meter))
    return meter.cpu / work.count * 1000


def measure(name: str, inputs: Path, url: str, arguments: argparse.Namespace) -> float:
    """Return the median of the rounds of a stage; with a profile, print it."""
    profile = Profile() if arguments.profile else None
    taken = []
    for _ in range(1 if profile else arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(once(name, Work(inputs, Path(folder), url, arguments), profile))
    if profile is not None:
        print(f"{name}:")
        pstats.Stats(profile).sort_stats("tottime").print_stats(arguments.top)
    return statistics.median(taken)


def described(name: str) -> str:
    """Return what a stage is, in a line."""
    work, part = STAGES[name]
    return f"{work.__doc__} {part}".strip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"any of {', '.join(STAGES)}; all if none is named")
    numbers = (("--rows", 20_000), ("--chars", 2000), ("--in-flight", 128), ("--rounds", 3), ("--top", 25))
    for name, default in numbers:
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.stages if name not in STAGES]:
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    collect_less()
    hold_less()
    with tempfile.TemporaryDirectory(prefix="modelcall-bench-") as folder, InstantServer(Path(folder)) as server:
        chosen = arguments.stages or list(STAGES)
        found = {stage: measure(stage, Path(folder), server.url, arguments) for stage in chosen}
    lines = [(f"`{name}`", f"{ms:.4f}", described(name)) for name, ms in found.items()]
    print(table(("Stage", "CPU ms/row", ""), lines), end="")
    if not arguments.stages:
        print(f"\nsum {sum(ms for stage, ms in found.items() if not STAGES[stage][1]):.4f} ms; {machine()}")


if __name__ == "__main__":
    main()
