"""What rules of faults have in common, whichever server plays them: files that hold some, durations, bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import TypeAdapter, ValidationError

from modelcall.config.fields import Duration
from modelcall.errors import Mistake

if TYPE_CHECKING:
    from typing import TypeGuard

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)
SUFFIXES = (".yaml", ".yml", ".json")
"""Of files with rules."""


def load_rules(name: str, mistakes: list[Mistake]) -> object:
    """Return what a file holds; no rules if it cannot be read, which is a mistake."""
    try:
        return yaml.safe_load(Path(name).read_text(encoding="utf-8")) or []
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(f"cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8 text'}", where=name))
    except yaml.YAMLError as error:
        mistakes.append(Mistake(f"is not YAML: {' '.join(str(error).split())}", where=name))
    return []


def seconds_of(text: str) -> float | None:
    """Return the seconds of ``50ms`` or ``2s``; None: it is no duration."""
    try:
        return _DURATION.validate_python(text)
    except ValidationError:
        return None


def is_between(value: object, least: float, most: float, *, whole: bool = False) -> TypeGuard[float]:
    """Whether a value is a number in these bounds."""
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most
