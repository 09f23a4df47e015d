"""Outcomes as journal payloads, and back; and what several outcomes of one row come to."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.types import ErrorType, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAILED = b'[null,"'
_BAD_ROW = b'[null,"%s"' % ErrorType.BAD_ROW.encode()


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
    return (
        outcome.values,
        outcome.error_type,
        outcome.fail_reason,
        outcome.raw,
        outcome.attempts,
        outcome.model,
        outcome.finish_reason,
        outcome.usage and _counts(outcome.usage),
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


def may_succeed(payload: bytes) -> bool:
    """Whether an outcome is a failure that asking again may change: any but that of a row which cannot be asked."""
    return payload.startswith(_FAILED) and not payload.startswith(_BAD_ROW)


def fold(recorded: Sequence[Outcome]) -> tuple[Outcome, list[Outcome]]:
    """Return what the outcomes of one row, in order, come to, and the failures that it supersedes.

    The first scored one counts, else the last; attempts and tokens are those of all. A superseded failure has the
    attempts and tokens up to it.
    """
    sums = [reduce(_sum, recorded[:index], outcome) for index, outcome in enumerate(recorded)]
    at = next((index for index, outcome in enumerate(recorded) if outcome.error_type is None), len(recorded) - 1)
    whole = replace(recorded[at], attempts=sums[-1].attempts, usage=sums[-1].usage)
    superseded = [outcome for index, outcome in enumerate(sums) if index != at and outcome.error_type is not None]
    return whole, superseded


def _sum(total: Outcome, earlier: Outcome) -> Outcome:
    usages = [usage for usage in (total.usage, earlier.usage) if usage is not None]
    usage = Usage(*map(_sum_known, *map(_counts, usages))) if len(usages) > 1 else next(iter(usages), None)
    return replace(total, attempts=total.attempts + earlier.attempts, usage=usage)


def _counts(usage: Usage) -> tuple[int | None, ...]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens


def _sum_known(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
