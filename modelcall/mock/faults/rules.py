"""When a fault strikes: one rule, as a value and as users write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from modelcall.config.suggest import did_you_mean
from modelcall.errors import ConfigError, Mistake
from modelcall.mock.faults.catalogue import FAULTS, MIX
from modelcall.mock.faults.positions import POSITIONS_HELP, parse_position
from modelcall.mock.written import SUFFIXES, is_between, load_rules, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_Raw: TypeAlias = dict[str, Any]

_LONGEST = 1e9


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One fault, how often, where, for how long.

    Raises:
        ConfigError: With all mistakes of the rule.
    """

    fault: str
    """A name of :data:`~modelcall.mock.faults.catalogue.FAULTS`, or ``mix``."""
    rate: float = 1.0
    """Share of the requests at this position that are struck."""
    position: str | None = None
    """Which requests: see :mod:`modelcall.mock.faults.positions`.

    None: the fault's own; ``attempts:3`` for ``mix``, so that a fourth attempt gets a good answer.
    """
    seconds: float | None = None
    """How long the fault lasts, if it lasts; also what a 429 announces. None: as its description says."""
    contains: str | None = None
    """Only requests whose messages contain this text."""

    def __post_init__(self) -> None:
        mistakes = tuple(Mistake(text, path=f"faults.{self.fault}") for text in self._mistakes() if text)
        if mistakes:
            raise ConfigError(f"A fault of the embedded server is wrong: {mistakes[0]}", hint=_HINT, mistakes=mistakes)

    def _mistakes(self) -> Iterable[str]:
        if self.fault not in FAULTS and self.fault != MIX:
            yield f'unknown fault "{self.fault}"{did_you_mean(self.fault, (*FAULTS, MIX))}'
        if not is_between(self.rate, 0, 1):
            yield f"the rate must be from 0 to 1, got {self.rate!r}"
        if self.seconds is not None and not is_between(self.seconds, 0, _LONGEST):
            yield f'seconds must be 0 or more, or a time such as "50ms" or "2s", got {self.seconds!r}'
        if self.position is not None and parse_position(self.position) is None:
            yield f'unknown position "{self.position}"; positions are {POSITIONS_HELP}'

    @property
    def place(self) -> str:
        """The position, the default filled in."""
        return self.position or ("attempts:3" if self.fault == MIX else FAULTS[self.fault].position)


_HINT = "Faults are written NAME=RATE[,POSITION][,DURATION], or stand in a YAML file."


def parse_faults(written: Iterable[str | Mapping[str, Any]] | Mapping[str, Any]) -> tuple[FaultRule, ...]:
    """Read faults as users write them.

    Each is ``NAME[=RATE][,POSITION][,DURATION]`` (``drip=0.1,once,2s``), a mapping ``{fault, rate, position, seconds,
    contains}``, or a YAML/JSON file that holds a list of those. Whole: also ``{NAME: RATE}`` or ``{NAME: {rate, …}}``.

    Raises:
        ConfigError: With all mistakes, unknown names with the nearest known one.
    """
    mistakes: list[Mistake] = []
    rules: list[FaultRule] = []
    for raw in _raw_rules(written, mistakes):
        try:
            rules.append(FaultRule(**raw))
        except ConfigError as error:
            mistakes.extend(error.mistakes)
    if mistakes:
        count = "A fault" if len(mistakes) == 1 else f"{len(mistakes)} faults"
        text = f"{count} of the embedded server cannot be understood: {'; '.join(map(str, mistakes))}"
        raise ConfigError(text, hint=_HINT, mistakes=mistakes)
    return tuple(rules)


def _raw_rules(
    written: Iterable[str | Mapping[str, Any]] | Mapping[str, Any], mistakes: list[Mistake]
) -> Iterable[_Raw]:
    if isinstance(written, Mapping):
        yield from _from_value(written, mistakes)
        return
    for rule in written:
        if isinstance(rule, Mapping):
            yield from _checked(dict(rule), mistakes)
        elif rule.lower().endswith(SUFFIXES):
            yield from _from_value(load_rules(rule, mistakes), mistakes)
        else:
            yield _from_text(rule, mistakes)


def _from_text(text: str, mistakes: list[Mistake]) -> _Raw:
    name, *rest = (part.strip() for part in text.replace("=", ",", 1).split(","))
    raw: _Raw = {"fault": name}
    for part in rest:
        if _is_number(part) and "rate" not in raw:
            raw["rate"] = float(part)
        elif (seconds := seconds_of(part)) is not None:
            raw["seconds"] = seconds
        elif parse_position(part) is not None:
            raw["position"] = part
        else:
            problem = f'"{part}" is no rate, position or duration; positions are {POSITIONS_HELP}'
            mistakes.append(Mistake(problem, path=f"faults.{name}"))
    return raw


def _from_value(value: object, mistakes: list[Mistake]) -> Iterable[_Raw]:
    if isinstance(value, Mapping):
        for name, rule in value.items():
            yield from _checked({"fault": name, **(rule if isinstance(rule, Mapping) else {"rate": rule})}, mistakes)
    elif isinstance(value, list):
        for rule in value:
            yield from _raw_rules([rule if isinstance(rule, dict) else str(rule)], mistakes)
    else:
        mistakes.append(Mistake("must be a mapping of names and rates, or a list of rules", path="faults"))


def _checked(raw: _Raw, mistakes: list[Mistake]) -> Iterable[_Raw]:
    known = [field.name for field in fields(FaultRule)]
    unknown = [key for key in raw if key not in known]
    mistakes.extend(Mistake(f'unknown key "{key}"{did_you_mean(str(key), known)}', path="faults") for key in unknown)
    if "fault" not in raw:
        mistakes.append(Mistake("a rule lacks the key `fault`", path="faults"))
    elif not unknown:
        if isinstance(raw.get("seconds"), str):
            seconds = seconds_of(raw["seconds"])
            raw = {**raw, "seconds": raw["seconds"] if seconds is None else seconds}
        yield raw


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
