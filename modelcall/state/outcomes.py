"""Outcomes as journal payloads, and back."""

from __future__ import annotations

from typing import Any

import orjson

from modelcall.types import ErrorType, Outcome, Usage


def encode(outcome: Outcome) -> bytes:
    """Return the JSON text that the journal keeps of an outcome."""
    usage = outcome.usage
    return orjson.dumps(
        (
            outcome.values,
            outcome.error_type,
            outcome.fail_reason,
            outcome.raw,
            outcome.attempts,
            outcome.model,
            outcome.finish_reason,
            usage and (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens),
        ),
    )


def decode(payload: bytes) -> Outcome:
    """Return the outcome that :func:`encode` wrote."""
    values, error_type, fail_reason, raw, attempts, model, finish_reason, usage = _loads(payload)
    return Outcome(
        values=values,
        error_type=ErrorType(error_type) if error_type else None,
        fail_reason=fail_reason,
        raw=raw,
        attempts=attempts,
        model=model,
        finish_reason=finish_reason,
        usage=Usage(*usage) if usage else None,
    )


def _loads(payload: bytes) -> Any:  # noqa: ANN401  the fields of an outcome
    return orjson.loads(payload)
