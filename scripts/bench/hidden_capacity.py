"""How well the adaptive limit finds a capacity that nobody told it, and follows it down and up.

usage: hidden_capacity.py [--seconds 60] [--capacities 60 20 60] [--ceiling 512] [--latency 0.2]

The embedded server answers after 200 ms ± 20 % and refuses (429) what is in flight above a capacity that changes at
each phase. For the steady part of a phase, from its 20th second, prints the throughput as a share of what a fixed
limit of exactly the capacity would reach, and the share of requests that were refused.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest
from modelcall.llm.settings import ClientSettings, Retries
from modelcall.llm.structured.check import AnswerCheck
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.permits import Permits, Slot
from modelcall.types import INT

_CHECK = AnswerCheck({"score": INT}, required={"score"}, defaults={})
_STEADY = 20.0


async def keep_busy(client: ChatClient, permits: Permits) -> None:
    """Ask without end, as many at a time as the permits allow."""
    tasks: set[asyncio.Task[Any]] = set()
    number = 0
    try:
        while True:
            permit = await permits.take()
            request = ChatRequest(f"r{number}", ({"role": "user", "content": f"x = {number}"},))
            number += 1

            async def ask(request: ChatRequest = request, permit: Slot = permit) -> None:
                try:
                    await client.ask(request, _CHECK, permit)
                finally:
                    permit.release()

            task = asyncio.get_running_loop().create_task(ask())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def counts(server: EmbeddedServer) -> tuple[int, int]:
    """Return the replies and refusals so far."""
    report = await asyncio.to_thread(server.referee)
    return report.answered, report.refused.get(429, 0)


async def phases(server: EmbeddedServer, arguments: argparse.Namespace) -> None:
    """Change the capacity from phase to phase, and print what came of each."""
    for number, capacity in enumerate(arguments.capacities, 1):
        await asyncio.to_thread(server.control, "POST", "/capacity", capacity)
        await asyncio.sleep(min(_STEADY, arguments.seconds / 2))
        seconds = arguments.seconds - min(_STEADY, arguments.seconds / 2)
        answered, refused = await counts(server)
        await asyncio.sleep(seconds)
        later_answered, later_refused = await counts(server)
        done, no = later_answered - answered, later_refused - refused
        share = done / seconds * arguments.latency / capacity
        print(
            f"phase {number}, capacity {capacity}: {share:.1%} of the best fixed limit, {no / (done + no):.2%} refused"
        )


async def main() -> None:
    """Serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--capacities", type=int, nargs="+", default=[60, 20, 60])
    parser.add_argument("--ceiling", type=int, default=512)
    parser.add_argument("--latency", type=float, default=0.2)
    arguments = parser.parse_args()
    options = MockOptions(
        judge="instant", latency=arguments.latency, jitter=arguments.latency / 5, distribution="uniform", capacity=10**6
    )
    with EmbeddedServer(options) as server:
        permits = Permits(arguments.ceiling)
        settings = ClientSettings((server.base_url,), "m", retries=Retries(network=9, rate_limit=1000, format=3))
        client = ChatClient(settings, permits=permits, hook=lambda *_: None)
        await client.open()
        busy = asyncio.create_task(keep_busy(client, permits))
        try:
            await phases(server, arguments)
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            await client.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
