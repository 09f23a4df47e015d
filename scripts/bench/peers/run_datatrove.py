"""datatrove: its inference runner on an endpoint; with checkpoints, a run that was killed can be gone on with.

usage: run_datatrove.py INPUT.jsonl OUTPUT_FOLDER IN_FLIGHT BASE_URL [checkpoints]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

if TYPE_CHECKING:
    from datatrove.data import Document


async def rate(document: Document, generate: Any) -> dict[str, Any]:  # noqa: ANN401  the runner's callback
    """Ask about one document."""
    messages = [
        {"role": "system", "content": "You are a rater"},
        {"role": "user", "content": f"Rate:\n{document.text}"},
    ]
    result = await generate({"messages": messages})
    answer: dict[str, Any] = json.loads(result.text)
    return answer


def flat(_: JsonlWriter, document: Document) -> dict[str, Any]:
    """Return a document as the row that is written."""
    return {"id": document.id, "text": document.text, **document.metadata["rollout_results"][0]}


def main() -> None:
    """Score all rows."""
    source, folder, in_flight, base_url, *checkpoints = sys.argv[1:]
    config = InferenceConfig(
        server_type="endpoint",
        endpoint_url=base_url.removesuffix("/v1"),
        model_name_or_path="instant",
        default_generation_params={"temperature": 0.6, "max_tokens": 512},
        max_concurrent_generations=int(in_flight),
    )
    path = Path(source)
    kept = str(Path.cwd() / "checkpoints") if checkpoints else None
    name = "${rank}_chunk_${chunk_index}.jsonl" if checkpoints else "${rank}.jsonl"
    writer = JsonlWriter(folder, output_filename=name, compression=None, adapter=flat)
    pipeline = [
        JsonlReader(str(path.parent), glob_pattern=path.name),
        InferenceRunner(rate, config, writer, checkpoints_local_dir=kept),
    ]
    LocalPipelineExecutor(pipeline, logging_dir=str(Path.cwd() / "logs")).run()


if __name__ == "__main__":
    main()
