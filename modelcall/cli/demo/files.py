"""The YAML files of the demo's task: as users write them, and left for them to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

TASK_NAME: Final = "demo"

_TASK: Final = """\
# What the demo runs. A task is one file: what is read, what is asked, where results go.
task_name: demo
description: Rates the source of Python's standard library on the embedded server.
data:
  input_folder: ./input
  output_folder: ./output/{timestamp}
  input_key: text
  prompt_format_key: text
model: {config_path: ./model.yaml}
prompt: {config_path: ./prompt.yaml}
concurrency:
  max_concurrent_files: 2
  max_concurrent_requests: 32
  chunk_size: 100
logging:
  batch_size: 100
  language: en
"""

_MODEL: Final = """\
# An OpenAI-compatible endpoint; here the demo's own server, which is gone when the demo has ended.
# Start one yourself with `modelcall serve-mock --port 8000`, and write its base_url here.
provider: demo
model_name: embedded-judge
base_url: {base_url}
completions_params: {{temperature: 0, max_tokens: 512}}
adaptive: {{min: 16}}   # however often the server says 429: never fewer than 16 requests in flight
"""

_PROMPT: Final = """\
# What is asked about every row. {text} takes the document; {{ and }} give one brace.
prompt_template:
  system_text: You rate source code as training data. You answer with one JSON object and nothing else.
  prompt_text: |-
    Rate the code below from 0 (useless) to 5 (excellent), and tag it.

    Answer like this: {{"score": 3, "quality_tags": ["readable_lines"]}}

    <code>
    {text}
    </code>
output_config:
  require_json: true
  json_keys: [score, quality_tags]
  json_key_must_exists: [score]
  json_default_values: {score: 3, quality_tags: []}   # types only: a missing score is never filled
  json_schema:
    type: object
    properties:
      score: {type: integer, minimum: 0, maximum: 5}
      quality_tags: {type: array, items: {type: string}}
    required: [score]
"""


def write_task(folder: Path, *, base_url: str) -> None:
    """Write ``task.yaml``, ``model.yaml`` and ``prompt.yaml``."""
    (folder / "task.yaml").write_text(_TASK, encoding="utf-8")
    (folder / "model.yaml").write_text(_MODEL.format(base_url=base_url), encoding="utf-8")
    (folder / "prompt.yaml").write_text(_PROMPT, encoding="utf-8")
