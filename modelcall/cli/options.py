"""Options that several commands share, each with its one line of help."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from modelcall.cli.failing import usage_error
from modelcall.cli.showing import Address
from modelcall.config.suggest import did_you_mean

_LAST_PORT: Final = 65535

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
MetricsPort: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--metrics_port",
        metavar="[HOST:]PORT",
        help="Serve the run's numbers for Prometheus at http://HOST:PORT/metrics; the host is 127.0.0.1 if not given.",
        show_default=False,
    ),
]
NoStatus: TypeAlias = Annotated[
    bool, typer.Option("--no_status", help="Write no status file, open no control socket: status and ctl see nothing.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ScorerName: TypeAlias = Annotated[
    str | None, typer.Option("--scorer", metavar="NAME", help="llm, quality, or package.module:Class.")
]
ScorerOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--scorer_option", metavar="KEY=VALUE", help="An option of the scorer; repeatable."),
]


def metrics_address(text: str | None) -> Address | None:
    """Read ``PORT`` or ``HOST:PORT``.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > _LAST_PORT or (colon and not host.strip("[]")):
        raise usage_error(f"--metrics_port: write a port from 0 to {_LAST_PORT}, or HOST:PORT, got {text!r}")
    return Address(host.strip("[]") or "127.0.0.1", int(port))


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
