"""Options that several commands share, each with its one line of help."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from modelcall.cli.failing import usage_error
from modelcall.config.suggest import did_you_mean
from modelcall.config.yaml_loader import parse_value

Fs: TypeAlias = Annotated[
    str | None,
    typer.Option("--fs", metavar="NAME", help="Storage of relative data paths: local, tos, or package.module:Class."),
]
Root: TypeAlias = Annotated[
    str | None, typer.Option("--root", metavar="URL", help="Folder that relative data paths hang from.")
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one key of the task, dotted: data.input_folder=./x; repeatable."
    ),
]
Fresh: TypeAlias = Annotated[
    bool, typer.Option("--fresh", "--no_resume", help="Start a new run instead of going on with the last one.")
]
RetryFailed: TypeAlias = Annotated[
    bool, typer.Option("--retry_failed", help="Ask the failed rows of the last run again, those of finished files too.")
]
DeleteExisting: TypeAlias = Annotated[
    bool,
    typer.Option("--delete_existing", help="At the start of a new run, remove what an earlier one wrote there."),
]
JobIndex: TypeAlias = Annotated[
    int | None, typer.Option("--job_index", metavar="N", min=0, help="Which shard this is, from 0.", show_default=False)
]
WorldSize: TypeAlias = Annotated[
    int | None, typer.Option("--world_size", metavar="N", min=1, help="Number of shards.", show_default=False)
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress on stderr; only results and errors.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ScorerName: TypeAlias = Annotated[
    str | None, typer.Option("--scorer", metavar="NAME", help="llm, quality, or package.module:Class.")
]
ScorerOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--scorer_option", metavar="KEY=VALUE", help="An option of the scorer; repeatable."),
]


def keyed(texts: list[str] | None, *, shown: str) -> dict[str, object] | None:
    """Read ``KEY=VALUE`` texts; values are YAML.

    Raises:
        ConfigError: One is not of that form.
    """
    if not texts:
        return None
    pairs = [text.partition("=") for text in texts]
    for text, (key, equals, _) in zip(texts, pairs, strict=True):
        if not equals or not key.strip():
            raise usage_error(f"{shown}: write KEY=VALUE, got {text!r}")
    return {key.strip(): parse_value(value, shown=shown) for key, _, value in pairs}


def one_of(value: str, known: tuple[str, ...], *, option: str) -> str:
    """Return a value that must be one of a few.

    Raises:
        ConfigError: It is none; the nearest is named.
    """
    if value not in known:
        raise usage_error(
            f"{option}: there is no {value!r}{did_you_mean(value, known)}", hint=f"one of {', '.join(known)}"
        )
    return value
