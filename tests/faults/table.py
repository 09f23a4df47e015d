"""Print what the client makes of every fault, on both lanes: ``python -m tests.faults.table``."""

import asyncio
from typing import get_args

from modelcall.llm.settings import Lane
from modelcall.mock.faults.catalogue import FAULTS
from tests.faults.play import expected, play

AT_ONCE = 16


async def told(lane: Lane) -> dict[str, str]:
    """Play each fault at a row's first attempt."""
    room = asyncio.Semaphore(AT_ONCE)
    names = [name for name, fault in FAULTS.items() if fault.target == "chat"]

    async def one(name: str) -> str:
        async with room:
            return (await play(name, lane, at="first")).told

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def main() -> None:
    """Play and print."""
    lanes: tuple[Lane, ...] = get_args(Lane)
    ends = {lane: asyncio.run(told(lane)) for lane in lanes}
    print(f"{'fault':26} {'kind':>4} {'verdict':11} {' '.join(f'{lane:24}' for lane in lanes)}")
    wrong = 0
    for name in ends[lanes[0]]:
        fault = FAULTS[name]
        bad = [lane for lane in lanes if ends[lane][name] not in expected(name, "first")]
        wrong += len(bad)
        columns = " ".join(f"{ends[lane][name]:24}" for lane in lanes)
        print(f"{name:26} {fault.number:4} {fault.verdict:11} {columns}{'  WRONG' if bad else ''}".rstrip())
    print(f"{len(ends[lanes[0]])} faults on {len(lanes)} lanes, {wrong} wrong verdicts")


if __name__ == "__main__":
    main()
