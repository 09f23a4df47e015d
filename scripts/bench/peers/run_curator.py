"""Curator: online requests with limits out of the way, the cache in the folder where it is started.

usage: run_curator.py INPUT.jsonl OUTPUT_FOLDER IN_FLIGHT BASE_URL
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bespokelabs import curator
from datasets import load_dataset

_UNLIMITED = 10**9


class Rater(curator.LLM):  # type: ignore[misc]
    """Asks about each row."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the messages about a row."""
        return [
            {"role": "system", "content": "You are a rater"},
            {"role": "user", "content": f"Rate:\n{row['text']}"},
        ]

    def parse(self, row: dict[str, Any], answer: str) -> dict[str, Any]:
        """Return a row with its score."""
        return {**row, **json.loads(answer)}


def main() -> None:
    """Score all rows."""
    source, folder, in_flight, base_url = sys.argv[1:]
    found = find_spec("litellm")
    if found is not None and found.origin is not None:  # has the vocabulary that tiktoken would fetch from the network
        tokenizers = Path(found.origin).parent / "litellm_core_utils" / "tokenizers"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tokenizers))  # noqa: TID251  tiktoken's only setting
    rater = Rater(
        model_name="instant",
        backend="openai",
        generation_params={"temperature": 0.6, "max_tokens": 512},
        backend_params={
            "base_url": base_url,
            "api_key": "EMPTY",
            "max_concurrent_requests": int(in_flight),
            "max_requests_per_minute": _UNLIMITED,
            "max_tokens_per_minute": _UNLIMITED,
        },
    )
    rows = load_dataset("json", data_files=source, split="train", cache_dir=str(Path.cwd() / "datasets"))
    scored = rater(rows, working_dir=str(Path.cwd() / "curator"))
    scored.dataset.to_json(str(Path(folder, "out.jsonl")), force_ascii=False)


if __name__ == "__main__":
    main()
