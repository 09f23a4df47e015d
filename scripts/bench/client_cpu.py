"""What a successful request costs the client in CPU: the LLM client alone, without files.

usage: client_cpu.py BASE_URL [--requests 20000] [--in-flight 128] [--text 2000] [--lane aiohttp]

BASE_URL is an instant server (instant_server.sh). Prints CPU milliseconds per request of this process, start-up and a
warm-up left out, and requests per second.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import uvloop

from modelcall.garbage import collect_less
from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest
from modelcall.llm.settings import Adaptive, ClientSettings
from modelcall.llm.structured.check import AnswerCheck
from modelcall.permits import Permits
from modelcall.types import INT, STRING_LIST

_CHECK = AnswerCheck({"score": INT, "quality_tags": STRING_LIST}, required={"score"}, defaults={"quality_tags": []})


async def ask(client: ChatClient, permits: Permits, *, requests: int, text: str) -> None:
    """Ask so often, as many at a time as the permits allow."""
    done = asyncio.Semaphore(0)

    async def one(number: int) -> None:
        permit = await permits.take()
        try:
            await client.ask(
                ChatRequest(f"r{number}", ({"role": "user", "content": f"Rate:\n{text}"},)), _CHECK, permit
            )
        finally:
            permit.release()
            done.release()

    tasks: set[asyncio.Task[None]] = set()
    for number in range(requests):
        if number >= permits.ceiling:
            await done.acquire()
        task = asyncio.get_running_loop().create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    for name, default in (("--requests", 20000), ("--in-flight", 128), ("--text", 2000)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--lane", choices=("aiohttp", "openai"), default="aiohttp")
    arguments = parser.parse_args()
    permits = Permits(arguments.in_flight)
    settings = ClientSettings((arguments.base_url,), "instant", lane=arguments.lane, adaptive=Adaptive(enabled=False))
    client = ChatClient(settings, permits=permits, hook=lambda *_: None)
    await client.open()
    try:
        text = ("def add(a, b):\n    return a + b\n" * 200)[: arguments.text]
        await ask(client, permits, requests=1000, text=text)
        collect_less()
        cpu, clock = time.process_time(), time.perf_counter()
        await ask(client, permits, requests=arguments.requests, text=text)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    finally:
        await client.close()
    print(f"{cpu / arguments.requests * 1000:.3f} ms CPU a request, {arguments.requests / clock:,.0f} requests/s")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
