"""What tokens cost at the prices a user wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcall.config.model import Prices
    from modelcall.observe.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str


def cost(now: Snapshot, prices: Prices | None) -> Cost | None:
    """Return what a start's tokens cost; None where prices are unknown: nothing is made up."""
    if prices is None:
        return None
    spent = prices.amount(prompt=now.prompt_tokens, completion=now.completion_tokens, cached=now.cached_tokens)
    return Cost(spent, prices.currency)


def cost_fields(now: Snapshot, prices: Prices | None) -> dict[str, Any]:
    """Return the two JSON fields that tell it, null where prices are unknown."""
    spent = cost(now, prices)
    return {"cost": spent and spent.amount, "currency": spent and spent.currency}
