"""``modelcall serve-mock-tos``: the local TOS, until it is told to end."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelcall.cli.durations import seconds
from modelcall.cli.output import message, result, shown
from modelcall.mock.tos.faults import parse_faults
from modelcall.mock.tos.kinds import KINDS
from modelcall.mock.tos.options import TosOptions
from modelcall.mock.tos.serving import run_tos

if TYPE_CHECKING:
    from modelcall.mock.tos.serving import RunningTos

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_DEFAULTS = TosOptions()
_FAULTS = "\n".join(f"  {kind.name:<15} {kind.description}" for kind in KINDS.values())
_EXAMPLES = f"""\
\b
Examples:
  modelcall serve-mock-tos --bucket corpus --load ./data > tos.env     # then, in another terminal: source tos.env
  modelcall serve-mock-tos --latency 30ms --faults mix=0.05
  modelcall serve-mock-tos --faults 503=0.1,op=get_object --faults lost_ack,op=complete_multipart_upload,times=1

\b
Prints the environment that makes the TOS SDK use it. Ends on Ctrl-C or SIGTERM, and its objects with it.
What was asked: GET /__tos__ and /__tos__/log, unsigned. While it runs: POST /__tos__/faults (a JSON list of rules),
/__tos__/outage ({{"seconds": N}}) and /__tos__/reset.

\b
Faults are NAME[=RATE][,op=PATTERN][,key=PATTERN][,skip=N][,times=N][,after=BYTES][,seconds=TIME]
[,code=TEXT][,ec=TEXT]; operations have the names of the SDK's methods; NAME may be a status such as 503.
{_FAULTS}
  mix             one of those that a client gets over by trying again"""


@app.command(epilog=_EXAMPLES)
def serve_mock_tos(
    *,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")
    ] = 0,
    bucket: Annotated[
        list[str] | None, typer.Option("--bucket", metavar="NAME", help="Bucket to make; repeatable. Default: local.")
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", metavar="DIR", help="Folder for the bytes; default: a temporary one.")
    ] = None,
    load: Annotated[
        str | None, typer.Option("--load", metavar="DIR", help="Files to be in the first bucket at the start.")
    ] = None,
    access_key: Annotated[
        str, typer.Option("--access_key", metavar="KEY", help="The only key it knows.")
    ] = _DEFAULTS.access_key,
    secret_key: Annotated[
        str, typer.Option("--secret_key", metavar="KEY", help="What requests are signed with.")
    ] = _DEFAULTS.secret_key,
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="Region it is in.")] = _DEFAULTS.region,
    latency: Annotated[str, typer.Option("--latency", metavar="TIME", help="Added to each request: 30ms.")] = "0s",
    faults: Annotated[
        list[str] | None,
        typer.Option("--faults", metavar="FILE|RULE", help="Faults, as below or in a YAML file; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of faults with a rate.")] = 0,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", metavar="TIME", help="End after so long at the latest.")
    ] = None,
) -> None:
    """Serve a TOS on this machine, for rehearsals: the real SDK talks to it."""
    options = TosOptions(
        port=port,
        buckets=tuple(bucket or _DEFAULTS.buckets),
        root=root,
        load=load,
        access_key=access_key,
        secret_key=secret_key,
        region=region,
        latency=seconds(latency, "--latency"),
        faults=parse_faults(faults or []),
        seed=seed,
    )
    _say(run_tos(options, _announce, lifetime=None if lifetime is None else seconds(lifetime, "--lifetime")))


def _announce(running: RunningTos) -> None:
    result([f"export {name}={shlex.quote(value)}" for name, value in running.environment.items()])


def _say(report: dict[str, Any]) -> None:
    faults = ", ".join(f"{shown(name)} {count:,}" for name, count in sorted(report["faults"].items())) or "none"
    message(f"served {report['requests']:,} requests, at most {report['most_in_flight']:,} in flight; faults: {faults}")
