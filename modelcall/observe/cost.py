"""What tokens cost at the prices a user wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcall.config.model import Prices
    from modelcall.observe.snapshot import Snapshot

_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str


def cost(now: Snapshot, prices: Prices | None) -> Cost | None:
    """Return what a start's tokens cost; None where prices are unknown: nothing is made up.

    Cached tokens are part of the prompt's; without a price of their own they cost what the others do.
    """
    if prices is None:
        return None
    fresh = now.prompt_tokens - now.cached_tokens
    of_cached = prices.prompt if prices.cached is None else prices.cached
    spent = fresh * prices.prompt + now.cached_tokens * of_cached + now.completion_tokens * prices.completion
    return Cost(spent / _PER, prices.currency)


def cost_fields(now: Snapshot, prices: Prices | None) -> dict[str, Any]:
    """Return the two JSON fields that tell it, null where prices are unknown."""
    spent = cost(now, prices)
    return {"cost": spent and spent.amount, "currency": spent and spent.currency}
