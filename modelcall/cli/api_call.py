"""``modelcall api-call``: a task without a YAML file, on the same engine."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcall.cli.lazily import run_loaded
from modelcall.cli.options import (
    DeleteExisting,
    Fresh,
    Fs,
    Json,
    MetricsPort,
    NoStatus,
    Quiet,
    RetryFailed,
    Root,
    metrics_address,
)
from modelcall.cli.showing import Showing
from modelcall.config.loading import task_from_options
from modelcall.task_manager.summary import Invocation

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall api-call --input_folder data/in --output_folder data/out \\
      --model_config_path configs/models/dpsk-v3-0526.yaml \\
      --prompt_config_path configs/prompts/code_corpus_rating_v0.3.yaml
  modelcall api-call … --debug_files 1 --debug_items 20        # a try-out
  modelcall api-call … --job_index 2 --world_size 10           # one of ten machines"""


@app.command(epilog=_EXAMPLES)
def api_call(
    *,
    input_folder: Annotated[str, typer.Option("--input_folder", metavar="PATH", help="File, folder or glob to score.")],
    output_folder: Annotated[
        str, typer.Option("--output_folder", metavar="PATH", help="Where results go; {timestamp} is filled in.")
    ],
    model_config_path: Annotated[str, typer.Option("--model_config_path", metavar="FILE", help="The model file.")],
    prompt_config_path: Annotated[str, typer.Option("--prompt_config_path", metavar="FILE", help="The prompt file.")],
    max_concurrent_files: Annotated[
        int, typer.Option("--max_concurrent_files", metavar="N", min=1, help="Files read at once.")
    ] = 2,
    max_concurrent_requests: Annotated[
        int, typer.Option("--max_concurrent_requests", metavar="N", min=1, help="Requests in flight.")
    ] = 10,
    chunk_size: Annotated[
        int, typer.Option("--chunk_size", metavar="N", min=1, help="Rows read and scheduled at a time.")
    ] = 100,
    parquet_save_interval: Annotated[
        int,
        typer.Option(
            "--parquet_save_interval", metavar="N", help="Rows between checkpoints of the ledger; -1: automatic."
        ),
    ] = -1,
    input_key: Annotated[
        str, typer.Option("--input_key", metavar="COLUMN", help="Column that holds the document.")
    ] = "text",
    prompt_format_key: Annotated[
        str | None, typer.Option("--prompt_format_key", metavar="KEY", help="Placeholder that takes the document.")
    ] = None,
    stat_folder: Annotated[
        str | None,
        typer.Option("--stat_folder", metavar="PATH", help="Folder for progress; default: beside the output."),
    ] = None,
    debug_files: Annotated[
        int | None, typer.Option("--debug_files", metavar="N", min=1, help="Score only the first N files.")
    ] = None,
    debug_items: Annotated[
        int | None, typer.Option("--debug_items", metavar="N", min=1, help="Score only the first N rows of each file.")
    ] = None,
    fresh: Fresh = False,
    retry_failed: RetryFailed = False,
    delete_existing: DeleteExisting = False,
    disable_format_validation_retry: Annotated[
        bool, typer.Option("--disable_format_validation_retry", help="One attempt; a bad answer fails the row.")
    ] = False,
    job_index: Annotated[int, typer.Option("--job_index", metavar="N", min=0, help="Which shard this is, from 0.")] = 0,
    world_size: Annotated[int, typer.Option("--world_size", metavar="N", min=1, help="Number of shards.")] = 1,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    metrics_port: MetricsPort = None,
    no_status: NoStatus = False,
    as_json: Json = False,
) -> int:
    """Score a folder with a model and a prompt, without a task file."""
    options = {
        "input_folder": input_folder,
        "output_folder": output_folder,
        "model_config_path": model_config_path,
        "prompt_config_path": prompt_config_path,
        "max_concurrent_files": max_concurrent_files,
        "max_concurrent_requests": max_concurrent_requests,
        "chunk_size": chunk_size,
        "parquet_save_interval": parquet_save_interval,
        "input_key": input_key,
        "prompt_format_key": prompt_format_key,
        "stat_folder": stat_folder,
        "debug_files": debug_files,
        "debug_items": debug_items,
        "delete_existing": delete_existing or None,
        "enable_format_validation_retry": False if disable_format_validation_retry else None,
    }
    loaded = task_from_options("api-call", options, root=root, fs=fs)
    invocation = Invocation(fresh=fresh, retry=retry_failed, job_index=job_index, world_size=world_size)
    showing = Showing(quiet=quiet, as_json=as_json, status=not no_status, metrics=metrics_address(metrics_port))
    return run_loaded(loaded, invocation, showing)
