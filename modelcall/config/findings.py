"""What the checks of a task found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.errors import Mistake


@dataclass(slots=True)
class Findings:
    """Gathered on the way through all files, so that all are told at once."""

    mistakes: list[Mistake] = field(default_factory=list)
    """In the files."""
    missing: list[Mistake] = field(default_factory=list)
    """On this machine: an input, a key, a URL."""
    warnings: list[Mistake] = field(default_factory=list)
    """It works all the same."""
