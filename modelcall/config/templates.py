"""Templates of task files: ``NAME`` stands for the task's name, quoted."""

from __future__ import annotations

from typing import Final

_HEAD: Final = """\
task_name: NAME
description: What it scores, in one line.
"""
_JUDGE: Final = """\
model:
  config_path: configs/models/dpsk-v3-0526.yaml
prompt:
  config_path: configs/prompts/en_corpus_rating_v0.1.yaml
"""
_END: Final = """\
retry:
  max_retries: 3                    # extra attempts for each kind of fault
options:
  resume: true
environment:
  api_provider: local               # env/add_local*.env is read, if it is there
  timeout: 300
logging:
  batch_size: 100
  progress_report_interval: 10
"""
_DATA: Final = """\
data:
  input_folder: ./data/input        # file, folder or glob; a local path, or tos://bucket/key
  output_folder: ./data/output/{timestamp}
  input_key: text                   # the column that holds the document
  prompt_format_key: text           # the placeholder of the prompt that takes it
"""

TEMPLATES: Final = {
    "basic": _HEAD
    + _DATA
    + _JUDGE
    + """\
concurrency:
  max_concurrent_files: 2
  max_concurrent_requests: 50       # a ceiling: the endpoint decides how much of it is used
  chunk_size: 100
"""
    + _END,
    "distributed": """\
# Start it once on each machine, with its own number:
#   ./scripts/run_task.sh FILE 0 4
# A Slurm array, torchrun, or an indexed Kubernetes job with this world_size gives the number by itself.
"""
    + _HEAD
    + """\
data:
  input_folder: ./data/input        # all of these on storage that every machine sees
  output_folder: ./data/output/{timestamp}
  stat_folder: ./data/stats
  input_key: text
  prompt_format_key: text
"""
    + _JUDGE
    + """\
concurrency:
  max_concurrent_files: 4
  max_concurrent_requests: 200      # of each machine
distributed:
  enabled: true
  world_size: 4
  job_index: null                   # from the command line, else from the launcher
"""
    + _END,
    "preprocess": _HEAD
    + """\
data:
  input_folder: ./data/raw          # preprocessing reads it, and scoring reads what preprocessing writes
  output_folder: ./data/output/{timestamp}
  input_key: content_truncate_32k   # the column that preprocessing adds: max_tokens // 1024
  prompt_format_key: text
preprocess:
  enabled: true
  script_type: github_raw_code      # or universal
  output_folder: ./data/formatted
  max_tokens: 32768
  num_proc: 16
  seed: 42
  num_files: -1                     # all; else the first so many
"""
    + _JUDGE.replace("en_corpus_rating_v0.1", "code_corpus_rating_v0.3")
    + """\
concurrency:
  max_concurrent_files: 2
  max_concurrent_requests: 50
"""
    + _END,
}
"""What ``modelcall create-task --template`` knows."""
