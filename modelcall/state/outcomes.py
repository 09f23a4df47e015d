"""Outcomes as journal payloads, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from modelcall.types import ErrorType, Outcome, Usage


def encode(outcome: Outcome) -> bytes:
    """Return the JSON text that the journal keeps of an outcome.

    Lone surrogates in a reason or a raw text, which no UTF-8 can hold, become U+FFFD.
    """
    try:
        return orjson.dumps(_fields(outcome))
    except TypeError:
        readable = replace(outcome, fail_reason=_readable(outcome.fail_reason), raw=_readable(outcome.raw))
        return orjson.dumps(_fields(readable))


def _fields(outcome: Outcome) -> tuple[Any, ...]:
    usage = outcome.usage
    return (
        outcome.values,
        outcome.error_type,
        outcome.fail_reason,
        outcome.raw,
        outcome.attempts,
        outcome.model,
        outcome.finish_reason,
        usage and (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens),
    )


def _readable(text: str | None) -> str | None:
    return text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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
