"""What the client's events mean to observers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def retry_cause(name: str, facts: Mapping[str, Any]) -> str | None:
    """Why a request is tried again, if the event says that one is: a fault of the network or of the answer's form."""
    if name == "retry" or (name == "format" and facts.get("retrying")):
        return str(facts.get("cause", "other"))
    return None
