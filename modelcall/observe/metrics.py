"""A run's numbers in the text format of Prometheus, and a small server for them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from modelcall.observe.phase import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from modelcall.observe.run_state import RunState

_PATIENCE: Final = 5.0
"""Seconds for a scraper to say what it wants."""
_LONGEST_HEAD: Final = 16 * 1024
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(state: RunState, labels: Mapping[str, str]) -> str:
    """Write the state down; ``labels`` (task, run, job) stand on every sample."""
    return "".join(f"{line}\n" for line in _lines(state, labels))


def _lines(state: RunState, labels: Mapping[str, str]) -> Iterator[str]:
    now = state.snapshot
    yield from _metric("phase", "gauge", "1 for the phase that the run is in.", _phases(state), labels)
    files = {"done": now.files_done, "failed": now.files_failed, "open": now.files_open, "total": now.files_total}
    yield from _metric("files", "gauge", "Files of this start.", _by("state", files), labels)
    rows = {"scored": now.rows_scored, "failed": now.rows_failed}
    yield from _metric(
        "rows_total", "counter", "Rows that got their outcome in this start.", _by("state", rows), labels
    )
    for name, kind, help_text, value in (
        ("rows_recorded_before", "gauge", "Outcomes of earlier starts.", now.rows_recorded),
        ("rows_left", "gauge", "Rows without an outcome, estimated until all files are read.", now.rows_left),
        ("rows_per_second", "gauge", "Over the last minute.", now.rate),
        ("eta_seconds", "gauge", "Seconds to the end at the present rate.", now.eta),
        ("requests_in_flight", "gauge", "Requests in flight.", now.in_flight),
        ("requests_limit", "gauge", "How many may be in flight now.", now.limit),
        ("requests_ceiling", "gauge", "How many the user allows.", now.ceiling),
        ("attempts_total", "counter", "Attempts that have ended.", now.attempts),
        ("cost_total", "counter", "What the tokens cost, in the currency of the model file.", _cost(state)),
        ("elapsed_seconds", "counter", "Seconds since this start.", now.elapsed),
    ):
        if value is not None:
            yield from _metric(name, kind, help_text, [({}, value)], labels)
    tokens = {"prompt": now.prompt_tokens, "completion": now.completion_tokens, "cached": now.cached_tokens}
    yield from _metric(
        "tokens_total", "counter", "Tokens; cached ones are part of the prompt's.", _by("kind", tokens), labels
    )
    yield from _metric("failures_total", "counter", "Failed rows by kind.", _by("kind", now.failures), labels)
    yield from _metric("retries_total", "counter", "Attempts again, by cause.", _by("cause", now.retries), labels)
    quantiles = [({"quantile": f"{share:g}"}, now.latency.percentile(share)) for share in (0.5, 0.9, 0.99)]
    known = [(label, value) for label, value in quantiles if value is not None]
    sums = [("_sum", now.latency.total), ("_count", now.latency.count)]
    yield from _metric("request_seconds", "summary", "Seconds of a request in flight.", known, labels)
    yield from (f"modelcall_request_seconds{name}{_labels(labels)} {value:.10g}" for name, value in sums)


def _cost(state: RunState) -> float | None:
    return None if state.cost is None else state.cost.amount


def _phases(state: RunState) -> list[tuple[dict[str, str], float]]:
    return [({"phase": str(phase)}, float(phase is state.phase)) for phase in Phase]


def _by(label: str, counts: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
    return [({label: name}, count) for name, count in counts.items()]


def _metric(
    name: str,
    kind: str,
    help_text: str,
    samples: list[tuple[dict[str, str], float]],
    labels: Mapping[str, str],
) -> Iterator[str]:
    yield f"# HELP modelcall_{name} {help_text}"
    yield f"# TYPE modelcall_{name} {kind}"
    yield from (f"modelcall_{name}{_labels({**labels, **own})} {value:.10g}" for own, value in samples)


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@asynccontextmanager
async def metrics_server(text: Callable[[], str], *, host: str, port: int) -> AsyncIterator[str]:
    """Serve ``GET /metrics`` while this block runs; yield ``HOST:PORT``.

    Raises:
        OSError: The port cannot be had.
    """
    server = await asyncio.start_server(
        lambda reader, writer: _serve(text, reader, writer), host, port, limit=_LONGEST_HEAD
    )
    try:
        at = server.sockets[0].getsockname()
        yield f"{f'[{at[0]}]' if ':' in at[0] else at[0]}:{at[1]}"
    finally:
        server.close()  # a connection that says nothing is not waited for


async def _serve(text: Callable[[], str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_reply(head, text))
                await writer.drain()
        finally:
            writer.close()


def _reply(head: bytes, text: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in {b"GET", b"HEAD"}:
        status, body = "405 Method Not Allowed", b"GET /metrics\n"
    elif path != b"/metrics":
        status, body = "404 Not Found", b"see /metrics\n"
    else:
        status, body = "200 OK", text().encode()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + (b"" if method == b"HEAD" else body)
