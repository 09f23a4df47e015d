"""distilabel: a generator of rows and a task of text generation, which asks about one batch of rows at a time.

usage: run_distilabel.py INPUT.jsonl OUTPUT_FOLDER IN_FLIGHT BASE_URL
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromFileSystem
from distilabel.steps.tasks import TextGeneration


def scored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its score."""
    return {"id": row["id"], "text": row["text"], **json.loads(row["generation"])}


def main() -> None:
    """Score all rows."""
    source, folder, in_flight, base_url = sys.argv[1:]
    with Pipeline("bench", cache_dir=Path.cwd() / "distilabel") as pipeline:
        load = LoadDataFromFileSystem(data_files=source, filetype="json", batch_size=int(in_flight))
        rate = TextGeneration(
            llm=OpenAILLM(
                model="instant",
                base_url=base_url,
                api_key="EMPTY",
                generation_kwargs={"temperature": 0.6, "max_new_tokens": 512},
            ),
            system_prompt="You are a rater",
            template="Rate:\n{{ text }}",
            columns=["text"],
            input_batch_size=int(in_flight),
            add_raw_input=False,
            add_raw_output=False,
        )
        load >> rate
    rows = pipeline.run(use_cache=False)["default"]["train"]
    with Path(folder, "out.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(scored(row), ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    main()
