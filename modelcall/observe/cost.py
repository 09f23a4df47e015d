"""What tokens cost at the prices a user wrote down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.observe.snapshot import Snapshot

_PER = 1_000_000


def cost(now: Snapshot, *, prompt: float, completion: float, cached: float | None) -> float:
    """Return the price of a start's tokens; prices are per million tokens.

    Cached tokens are part of the prompt's; without a price of their own they cost what the others do.
    """
    fresh = now.prompt_tokens - now.cached_tokens
    of_cached = prompt if cached is None else cached
    return (fresh * prompt + now.cached_tokens * of_cached + now.completion_tokens * completion) / _PER
