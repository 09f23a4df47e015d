"""When a fault strikes: one rule, as a value and as users write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from modelcall.config.suggest import did_you_mean
from modelcall.errors import ConfigError, Mistake
from modelcall.mock.tos.kinds import KINDS, MIX
from modelcall.mock.written import SUFFIXES, is_between, load_rules, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Written: TypeAlias = "str | Mapping[str, Any]"

_HINT: Final = "Faults are written NAME=RATE[,FIELD=VALUE…] or STATUS=RATE[,FIELD=VALUE…], or stand in a YAML file."


@dataclass(frozen=True, slots=True)
class TosFault:
    """One fault of the local TOS, and which requests it strikes.

    Raises:
        ConfigError: With all mistakes of the rule.
    """

    fault: str
    """A name of :data:`~modelcall.mock.tos.kinds.KINDS`, or ``mix``."""
    rate: float = 1.0
    """Share of the matching requests, drawn from the seed, the request and its attempt."""
    op: str | None = None
    """Pattern that the whole name of the operation matches, as the SDK calls it; None: those that the fault is for."""
    key: str | None = None
    """Pattern to be found in the key."""
    skip: int = 0
    """So many matching requests are let through first."""
    times: int | None = None
    """After so many strikes the rule rests."""
    after: int | None = None
    """Bytes; None: half of them."""
    seconds: float | None = None
    """A delay, or what Retry-After says."""
    changes: int = 1
    """How far behind a stale listing is."""
    status: int | None = None
    code: str | None = None
    ec: str = ""

    def __post_init__(self) -> None:
        mistakes = tuple(Mistake(text, path=f"faults.{self.fault}") for text in self._mistakes())
        if mistakes:
            raise ConfigError(f"A fault of the local TOS is wrong: {mistakes[0]}", hint=_HINT, mistakes=mistakes)

    def _mistakes(self) -> Iterable[str]:
        if self.fault not in KINDS and self.fault != MIX:
            yield f'unknown fault "{self.fault}"{did_you_mean(self.fault, (*KINDS, MIX))}'
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not is_between(value, least, most, whole=name not in {"rate", "seconds"}):
                yield f"{name} must be from {least} to {most}, got {value!r}"
        for name in ("op", "key"):
            if not _is_pattern(getattr(self, name)):
                yield f"{name} is no regular expression: {getattr(self, name)!r}"


_BOUNDS: Final = (
    ("rate", 0, 1),
    ("skip", 0, 10**9),
    ("times", 0, 10**9),
    ("after", 0, 10**15),
    ("seconds", 0, 10**6),
    ("changes", 0, 1000),
    ("status", 300, 599),
)


def parse_faults(written: Iterable[Written] | Mapping[str, Any]) -> tuple[TosFault, ...]:
    """Read faults as users write them.

    Each is ``NAME[=RATE][,FIELD=VALUE…]``, with a status such as ``503`` as a name too; a mapping of the fields of
    :class:`TosFault`; or a YAML or JSON file with a list of those. Whole: also ``{NAME: RATE}`` or ``{NAME: {…}}``.

    Raises:
        ConfigError: With all mistakes, unknown names with the nearest known one.
    """
    mistakes: list[Mistake] = []
    rules: list[TosFault] = []
    for raw in _raw(written, mistakes):
        try:
            rules.append(_rule(raw))
        except ConfigError as error:
            mistakes.extend(error.mistakes)
    if mistakes:
        text = "; ".join(map(str, mistakes))
        raise ConfigError(f"The faults of the local TOS cannot be understood: {text}", hint=_HINT, mistakes=mistakes)
    return tuple(rules)


def _raw(written: object, mistakes: list[Mistake]) -> Iterable[dict[str, Any]]:
    if isinstance(written, Mapping):
        for name, rule in written.items():
            yield {"fault": str(name), **(rule if isinstance(rule, Mapping) else {"rate": rule})}
    elif isinstance(written, list | tuple):
        for rule in written:
            if isinstance(rule, Mapping):
                yield dict(rule)
            elif isinstance(rule, str) and rule.lower().endswith(SUFFIXES):
                yield from _raw(load_rules(rule, mistakes), mistakes)
            else:
                yield _from_text(str(rule))
    else:
        mistakes.append(Mistake("must be a mapping of names and rates, or a list of rules", path="faults"))


def _from_text(text: str) -> dict[str, Any]:
    head, *rest = (part.strip() for part in text.split(","))
    name, _, rate = head.partition("=")
    raw: dict[str, Any] = {"fault": name, **({"rate": _value(rate)} if rate else {})}
    return raw | {field: _value(value) for field, _, value in (part.partition("=") for part in rest)}


def _value(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _rule(raw: dict[str, Any]) -> TosFault:
    known = [field.name for field in fields(TosFault)]
    unknown = [f'unknown key "{key}"{did_you_mean(str(key), known)}' for key in raw if key not in known]
    if "fault" not in raw:
        unknown.append("a rule lacks the key `fault`")
    if unknown:
        mistakes = [Mistake(text, path="faults") for text in unknown]
        raise ConfigError(unknown[0], hint=_HINT, mistakes=mistakes)
    if str(raw["fault"]).isdecimal():
        raw = {**raw, "fault": "status", "status": int(raw["fault"])}
    for name in ("op", "key", "code", "ec"):
        if raw.get(name) is not None:
            raw[name] = str(raw[name])
    if isinstance(raw.get("seconds"), str):
        seconds = seconds_of(raw["seconds"])
        raw["seconds"] = raw["seconds"] if seconds is None else seconds
    return TosFault(**raw)


def _is_pattern(text: str | None) -> bool:
    try:
        re.compile(text or "")
    except re.error:
        return False
    return True
