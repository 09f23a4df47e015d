"""litellm: acompletion, a semaphore, gather; of its ways to this kind of endpoint the fastest, over aiohttp.

usage: run_litellm.py INPUT.jsonl OUTPUT_FOLDER IN_FLIGHT BASE_URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import litellm


async def main() -> None:
    """Score all rows."""
    source, folder, in_flight, base_url = sys.argv[1:]
    permits = asyncio.Semaphore(int(in_flight))

    async def score(row: dict[str, Any]) -> dict[str, Any]:
        async with permits:
            reply = await litellm.acompletion(
                model="aiohttp_openai/instant",
                api_base=base_url,
                api_key="EMPTY",
                messages=[
                    {"role": "system", "content": "You are a rater"},
                    {"role": "user", "content": f"Rate:\n{row['text']}"},
                ],
                temperature=0.6,
                max_tokens=512,
            )
        answer: dict[str, Any] = json.loads(reply.choices[0].message.content)
        return {**row, **answer}

    rows = [json.loads(line) for line in Path(source).open(encoding="utf-8")]  # noqa: ASYNC230, SIM115  as users do
    scored = await asyncio.gather(*[score(row) for row in rows])
    with Path(folder, "out.jsonl").open("w", encoding="utf-8") as out:  # noqa: ASYNC230  as users do
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in scored)


asyncio.run(main())
