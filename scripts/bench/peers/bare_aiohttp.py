"""The least that asking costs in Python: aiohttp, uvloop and orjson in a loop, one text, no files.

usage: bare_aiohttp.py ROWS CHARS IN_FLIGHT BASE_URL
"""

from __future__ import annotations

import asyncio
import gc
import sys

import aiohttp
import orjson
import uvloop
from yarl import URL


async def main() -> None:
    """Ask so often."""
    rows, chars, in_flight = map(int, sys.argv[1:4])
    text = ("def add(a, b):\n    return a + b\n" * (chars // 30 + 1))[:chars]
    numbers = iter(range(rows))
    url = URL(f"{sys.argv[4]}/chat/completions")

    async def ask(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            system = {"role": "system", "content": "You are a rater"}
            messages = [system, {"role": "user", "content": f"Rate:\n# {number}\n{text}"}]
            body = {"model": "instant", "messages": messages, "temperature": 0.6, "max_tokens": 512}
            async with session.post(url, data=orjson.dumps(body), allow_redirects=False) as reply:
                told = orjson.loads(await reply.read())
            if "score" not in orjson.loads(told["choices"][0]["message"]["content"]):
                raise SystemExit("an answer without a score")

    gc.disable()  # a request that succeeds leaves nothing to collect
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers={"content-type": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as session:
        await asyncio.gather(*[ask(session) for _ in range(in_flight)])


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
