"""What plain YAML scalars mean here: the YAML 1.2 core types, read the way their writer meant them.

YAML 1.1, which PyYAML implements, turns ``no`` into False, ``010`` into 8, ``12:30`` into 750, ``1_2`` into 12 and
leaves ``1e3`` text. Here ``no``, ``010``, ``12:30``, ``1_2`` and dates are text, and ``1e3`` is a number. Fields that
want a boolean or a number say so, or accept the unmistakable forms (``yes``, ``100_000``).
"""

from __future__ import annotations

import re
from typing import Final

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,308})")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,256}")
_OCTAL: Final = re.compile(r"0o[0-7]{1,256}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"(?P<sign>[-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

ODD_TEXT: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Text that YAML 1.1 takes for a boolean (in any case)."""


def plain_value(text: str) -> str | int | float | bool | None:
    """Return what an unquoted scalar means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    return _number(text)


def _number(text: str) -> str | int | float:
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _special(text)


def _special(text: str) -> str | float:
    if found := _SPECIAL.fullmatch(text):
        return float("nan") if found["sign"] is None else float(f"{found['sign']}inf")
    return text
