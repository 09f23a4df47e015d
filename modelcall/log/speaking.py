"""Saying something."""

from __future__ import annotations

import logging
from typing import Final

from modelcall.log.catalogue import Message, Said

LOGGER: Final = logging.getLogger("modelcall")


def say(message: Message, /, **facts: object) -> None:
    """Log a message. A fact named ``cause`` that no placeholder takes only separates what warnings are counted by.

    Raises:
        TypeError: A fact is missing.
    """
    missing = message.value.facts - facts.keys()
    if missing:
        raise TypeError(f"{message.name} needs the facts {sorted(missing)}")
    if LOGGER.isEnabledFor(message.value.level):
        LOGGER.log(message.value.level, Said(message, facts), stacklevel=2)


def is_said(message: Message) -> bool:
    """Whether the log takes the message at all: for callers whose facts cost something."""
    return LOGGER.isEnabledFor(message.value.level)
