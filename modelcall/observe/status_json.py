"""The status of a run as JSON, and back: what the status file holds and the control socket answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from modelcall.observe.cost import Cost
from modelcall.observe.final_stats import latency_fields, ordered
from modelcall.observe.phase import Phase
from modelcall.observe.run_state import Ending, RunIdentity, RunState, SlowRow, Status
from modelcall.observe.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1


def status_json(status: Status) -> dict[str, Any]:
    """Return it as JSON takes it."""
    now, state, ending = status.state.snapshot, status.state, status.ending
    return {
        "version": VERSION,
        **asdict(status.identity),
        "outputs": list(status.identity.outputs),
        "overrides": list(status.identity.overrides),
        "updated": status.updated,
        "phase": str(state.phase),
        "note": state.note,
        "exit_code": ending.exit_code if ending else None,
        "reason": ending.reason if ending else None,
        "files": {
            "total": now.files_total,
            "open": now.files_open,
            "done": now.files_done,
            "failed": now.files_failed,
        },
        "rows": {
            "total": now.rows_total,
            "done": now.rows_done,
            "scored": now.rows_scored,
            "failed": now.rows_failed,
            "recorded_before": now.rows_recorded,
            "left": now.rows_left,
        },
        "elapsed_seconds": round(now.elapsed, 3),
        "rows_per_second": round(now.rate, 3),
        "eta_seconds": None if now.eta is None else round(now.eta, 1),
        "success_rate": None if now.success_rate is None else round(now.success_rate, 4),
        "requests": {
            "in_flight": now.in_flight,
            "limit": now.limit,
            "ceiling": now.ceiling,
            "attempts_ended": now.attempts,
            "rows_retrying": now.retrying,
        },
        "tokens": {
            "prompt": now.prompt_tokens,
            "completion": now.completion_tokens,
            "cached": now.cached_tokens,
            "reasoning": now.reasoning_tokens,
        },
        "cost": state.cost and state.cost.amount,
        "currency": state.cost and state.cost.currency,
        "retries": ordered(now.retries),
        "failures": ordered(now.failures),
        "client_events": ordered(now.events),
        "latency_seconds": latency_fields(now.latency),
        "slowest": [asdict(row) for row in state.slowest],
    }


def status_from(told: Mapping[str, Any]) -> Status:
    """Return what :func:`status_json` told; histogram and history are not in it.

    Raises:
        KeyError, TypeError, ValueError: It is no status.
    """
    fields = {name: told[name] for name in RunIdentity.__dataclass_fields__}
    lists = {name: tuple(told[name]) for name in ("outputs", "overrides")}
    identity = RunIdentity(**{**fields, **lists})
    spent = told["cost"]
    state = RunState(
        task=identity.task,
        snapshot=_snapshot(told),
        phase=Phase(told["phase"]),
        note=told["note"],
        cost=None if spent is None else Cost(spent, told["currency"]),
        slowest=tuple(SlowRow(**row) for row in told["slowest"]),
    )
    code = told["exit_code"]
    ending = None if code is None else Ending(code, told["reason"])
    return Status(identity, state, told["updated"], ending)


def _snapshot(told: Mapping[str, Any]) -> Snapshot:
    files, rows, requests, tokens = (told[name] for name in ("files", "rows", "requests", "tokens"))
    return Snapshot(
        elapsed=told["elapsed_seconds"],
        files_total=files["total"],
        files_open=files["open"],
        files_done=files["done"],
        files_failed=files["failed"],
        rows_recorded=rows["recorded_before"],
        rows_scored=rows["scored"],
        rows_failed=rows["failed"],
        rows_total=rows["total"],
        prompt_tokens=tokens["prompt"],
        completion_tokens=tokens["completion"],
        cached_tokens=tokens["cached"],
        reasoning_tokens=tokens["reasoning"],
        attempts=requests["attempts_ended"],
        retrying=requests["rows_retrying"],
        retries=told["retries"],
        failures=told["failures"],
        events=told["client_events"],
        in_flight=requests["in_flight"],
        limit=requests["limit"],
        ceiling=requests["ceiling"],
        rate=told["rows_per_second"],
    )
