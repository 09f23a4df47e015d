"""``modelcall pipeline``: one file or folder in, one out."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final

import typer

from modelcall.cli.failing import usage_error
from modelcall.cli.keyed import keyed
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
    ScorerName,
    ScorerOptions,
    metrics_address,
    one_of,
)
from modelcall.cli.showing import Showing
from modelcall.config.loading import task_from_options
from modelcall.formats.detect import file_type, is_data_file
from modelcall.task_manager.summary import Invocation

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_FORMATS: Final = ("parquet", "jsonl", "same")
_EXAMPLES = """\
\b
Examples:
  modelcall pipeline in.parquet out.parquet
  modelcall pipeline corpus/ scored/ --output_format same
  modelcall pipeline in.jsonl out.parquet --scorer mypackage.scorers:MyScorer --scorer_option threshold=0.5
  modelcall pipeline in.jsonl out.jsonl --model_config_path configs/models/embedded.yaml \\
      --prompt_config_path configs/prompts/en_corpus_rating_v0.1.yaml

\b
Without --scorer and without a model the built-in quality rules score: no model, no key."""


@app.command(epilog=_EXAMPLES)
def pipeline(
    source: Annotated[str, typer.Argument(metavar="IN", help="File, folder or glob to score.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="File or folder to write.")],
    *,
    scorer: ScorerName = None,
    scorer_option: ScorerOptions = None,
    model: Annotated[str | None, typer.Option("--model_config_path", metavar="FILE", help="The model file.")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt_config_path", metavar="FILE", help="The prompt file.")] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output_format", metavar="FORMAT", help="Of a folder's files: parquet (the default), jsonl or same."
        ),
    ] = None,
    input_key: Annotated[
        str, typer.Option("--input_key", metavar="COLUMN", help="Column that holds the document.")
    ] = "text",
    prompt_format_key: Annotated[
        str | None, typer.Option("--prompt_format_key", metavar="KEY", help="Placeholder that takes the document.")
    ] = None,
    max_concurrent_files: Annotated[
        int, typer.Option("--max_concurrent_files", metavar="N", min=1, help="Files read at once.")
    ] = 2,
    max_concurrent_requests: Annotated[
        int, typer.Option("--max_concurrent_requests", metavar="N", min=1, help="Requests in flight.")
    ] = 10,
    fresh: Fresh = False,
    retry_failed: RetryFailed = False,
    delete_existing: DeleteExisting = False,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    metrics_port: MetricsPort = None,
    no_status: NoStatus = False,
    as_json: Json = False,
) -> int:
    """Score one file or folder into another; formats by suffix."""
    options = {
        "input_folder": source,
        "output_folder": target,
        "output_format": _format(target, output_format),
        "scorer": scorer or (None if model or prompt else "quality"),
        "scorer_options": keyed(scorer_option, shown="--scorer_option"),
        "model_config_path": model,
        "prompt_config_path": prompt,
        "input_key": input_key,
        "prompt_format_key": prompt_format_key,
        "max_concurrent_files": max_concurrent_files,
        "max_concurrent_requests": max_concurrent_requests,
        "delete_existing": delete_existing or None,
    }
    loaded = task_from_options("pipeline", options, root=root, fs=fs)
    showing = Showing(quiet=quiet, as_json=as_json, status=not no_status, metrics=metrics_address(metrics_port))
    return run_loaded(loaded, Invocation(fresh=fresh, retry=retry_failed), showing)


def _format(target: str, wanted: str | None) -> str | None:
    """Settle the output format: a file's by its suffix, a folder's by the option.

    Raises:
        ConfigError: The suffix is that of no format we write, or says something else than the option.
    """
    if wanted is not None:
        one_of(wanted, _FORMATS, option="--output_format")
    if not is_data_file(target):
        suffix = PurePosixPath(target).suffix
        if suffix in {".csv", ".tsv", ".txt", ".gz", ".zst", ".arrow", ".feather", ".xlsx"}:
            raise usage_error(f"{target}: {suffix} files are not written", hint="name it .parquet or .jsonl")
        return wanted
    kind = file_type(target)
    if kind.compression is not None:
        raise usage_error(f"{target}: output is not compressed", hint="name it .jsonl or .parquet")
    if wanted not in {None, kind.format}:
        raise usage_error(f"{target}: its suffix says {kind.format}, --output_format says {wanted}")
    return kind.format
