"""``modelcall serve-mock``: the embedded server, until it is told to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelcall.cli.durations import seconds
from modelcall.cli.options import one_of
from modelcall.cli.output import message, result, shown
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.serving import run_forever

if TYPE_CHECKING:
    from modelcall.mock.referee import RefereeReport
    from modelcall.mock.serving import RunningServer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SPREADS: Final = ("lognormal", "uniform")
_EXAMPLES = """\
\b
Examples:
  modelcall serve-mock --port 8000
  modelcall serve-mock --latency 50ms --jitter 20ms --faults mix=0.05
  modelcall serve-mock --faults rate_limit=0.1 --faults my_faults.yaml --capacity 64 --lifetime 10m

\b
Prints the base_url as one line; its judge is the built-in quality scorer. Ends on Ctrl-C or SIGTERM.
What was asked: GET /__referee__."""


@app.command(epilog=_EXAMPLES)
def serve_mock(
    *,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")
    ] = 0,
    latency: Annotated[str, typer.Option("--latency", metavar="TIME", help="Median time of an answer: 50ms.")] = "0s",
    jitter: Annotated[str, typer.Option("--jitter", metavar="TIME", help="Spread of that time.")] = "0s",
    distribution: Annotated[
        str, typer.Option("--distribution", metavar="NAME", help="Of the latency: lognormal or uniform.")
    ] = "lognormal",
    faults: Annotated[
        list[str] | None,
        typer.Option("--faults", metavar="FILE|NAME=RATE", help="Faults, by name or in a YAML file; repeatable."),
    ] = None,
    time_scale: Annotated[float, typer.Option("--time_scale", metavar="X", help="Factor on all times.")] = 1.0,
    capacity: Annotated[
        int | None, typer.Option("--capacity", metavar="N", help="Requests in flight above which it answers 429.")
    ] = None,
    requests_per_second: Annotated[
        float | None, typer.Option("--requests_per_second", metavar="X", help="Rate above which it answers 429.")
    ] = None,
    starts_after: Annotated[
        str, typer.Option("--starts_after", metavar="TIME", help="Refuse connections for so long first.")
    ] = "0s",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of faults and latencies.")] = 0,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", metavar="TIME", help="End after so long at the latest.")
    ] = None,
) -> None:
    """Serve chat completions on this machine: a judge without a model."""
    options = MockOptions(
        port=port,
        seed=seed,
        latency=seconds(latency, "--latency"),
        jitter=seconds(jitter, "--jitter"),
        distribution=_spread(distribution),
        faults=parse_faults(faults or []),
        time_scale=time_scale,
        capacity=capacity,
        requests_per_second=requests_per_second,
        starts_after=seconds(starts_after, "--starts_after"),
    )
    _say(run_forever(options, _announce, lifetime=None if lifetime is None else seconds(lifetime, "--lifetime")))


def _announce(running: RunningServer) -> None:
    result([running.base_url])


def _say(report: RefereeReport) -> None:
    faults = ", ".join(f"{shown(name)} {count:,}" for name, count in sorted(report.faults.items())) or "none"
    asked = f"{report.requests:,} requests for {report.rows:,} rows, at most {report.max_in_flight:,} in flight"
    message(f"served {asked}; faults: {faults}")


def _spread(name: str) -> Any:  # noqa: ANN401  one of two literals, checked here
    return one_of(name, _SPREADS, option="--distribution")
