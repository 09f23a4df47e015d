"""Makes a user's class from its options, so that every mistake is told before a row is read."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

from modelcall.errors import ConfigError
from modelcall.registry import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def construct(factory: Callable[..., Any], options: Mapping[str, Any], *, ref: str) -> Any:  # noqa: ANN401  a user's object
    """Call ``factory`` with the options as keyword arguments.

    Raises:
        ConfigError: Unknown or missing options, all of them, or the constructor raised.
    """
    if not callable(factory):
        raise ConfigError(f"'{ref}' is no class but {type(factory).__name__}.", hint="Write package.module:Class.")
    if mistakes := _mistakes(factory, options):
        raise ConfigError(f"scorer.options of '{ref}': {'; '.join(mistakes)}.")
    try:
        return factory(**options)
    except Exception as error:
        raise ConfigError(
            f"'{ref}' cannot be made from its options: {type(error).__name__}: {error} ({place_of(error)})."
        ) from error


def _mistakes(factory: Callable[..., Any], options: Mapping[str, Any]) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some built-in types have none
        return []
    named = {name: one for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    unknown = [_unknown(name, list(named)) for name in options if name not in named and not takes_all]
    missing = [
        f"'{name}' is missing" for name, one in named.items() if one.default is one.empty and name not in options
    ]
    return unknown + missing


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"'{name}' is unknown; " + (
        f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"
    )
