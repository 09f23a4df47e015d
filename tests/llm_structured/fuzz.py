"""Answers of every shape, each with what a strict reader must make of it. A function of the generator alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

KEYS = ("score", "quality_tags", "reason")

_WORDS = (
    "clear", "a {brace}", "a: colon", 'a "quote"', "back\\slash", "中文", "new\nline", "", "</think>", "[1]", "```",
    "<think>", "'s", "\u2028", "score", '{"score": 1}', "\t", "é\u0301", "🙂",
)  # fmt: skip
_PROSE = (
    "Here is my verdict:",
    "Sure!",
    "I think it's good.",
    "int main() { return 0; }",
    "See [1].",
    "Let x = {1, 2}.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """An answer, and the object it says; None: it must be refused."""

    text: str
    expected: dict[str, Any] | None
    shape: str


def case(rng: random.Random) -> Case:
    """Return one answer: a valid object, wrapped as models do, and in half of the cases broken."""
    value = _object(rng)
    text = _written(rng, value)
    if rng.random() < 0.5:
        wrap = rng.choice(_WRAPS)
        return Case(wrap(rng, text), value, wrap.__name__.strip("_"))
    damage = rng.choice(_DAMAGES)
    return Case(rng.choice((_bare, _fenced, _in_prose))(rng, damage(rng, text)), None, damage.__name__.strip("_"))


def _object(rng: random.Random) -> dict[str, Any]:
    value: dict[str, Any] = {"score": rng.choice((rng.randint(-5, 99), round(rng.random() * 10, 3)))}
    if rng.random() < 0.8:
        value["quality_tags"] = [rng.choice(_WORDS) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.6:
        value["reason"] = " ".join(rng.choice(_WORDS) for _ in range(rng.randint(0, 9)))
    if rng.random() < 0.3:
        value["more"] = {"deep": [{"score": rng.randint(0, 9)}, None, True, {}], "a": {"b": rng.choice(_WORDS)}}
    members = list(value.items())
    rng.shuffle(members)
    return dict(members)


def _written(rng: random.Random, value: dict[str, Any]) -> str:
    indent = rng.choice((None, None, 2))
    separators = rng.choice(((", ", ": "), (",", ":"), (" , ", " : ")))
    return json.dumps(value, ensure_ascii=rng.random() < 0.3, indent=indent, separators=separators)


def _bare(rng: random.Random, text: str) -> str:
    return rng.choice(("", " ", "\n\n", "\ufeff")) + text + rng.choice(("", "\n", "  \t\n"))


def _fenced(rng: random.Random, text: str) -> str:
    return f"{rng.choice(('', rng.choice(_PROSE), ''))}```{rng.choice(('json', '', 'JSON'))}\n{text}\n```"


def _in_prose(rng: random.Random, text: str) -> str:
    # The ends of think blocks inside strings cannot be told from real ones beside prose; nor can their beginnings.
    return f"{rng.choice(_PROSE)} {text}{rng.choice(('', ' ' + rng.choice(_PROSE)))}"


def _after_thinking(rng: random.Random, text: str) -> str:
    opening = rng.choice(("<think>", "", "<think>\n"))
    return f'{opening}Maybe {{"score": 1}}? {rng.choice(_WORDS)}</think>\n{_bare(rng, text)}'


def _twice(rng: random.Random, text: str) -> str:
    return f"{text}{rng.choice((' ', chr(10), ' Again: '))}{text}"


def _other_verdict(rng: random.Random, text: str) -> str:
    return rng.choice(('{"score": -77}\n%s', '%s then {"score": -77}')) % text


def _trailing_comma(_: random.Random, text: str) -> str:
    return f"{text.rstrip()[:-1]},}}"


def _single_quotes(_: random.Random, text: str) -> str:
    return text.replace('"', "'")


def _cut(rng: random.Random, text: str) -> str:
    return text[: rng.randint(1, len(text) - 1)]


def _nan(rng: random.Random, text: str) -> str:
    return f'{{"x": {rng.choice(("NaN", "Infinity", "-Infinity", "1e999", "nan"))}, {text.lstrip()[1:]}'


def _duplicate_key(rng: random.Random, text: str) -> str:
    key = rng.choice(('"score":', '"score" :', '"sc\\u006fre":'))
    return f"{{{key} -77, {text.lstrip()[1:]}"


def _deep_duplicate(_: random.Random, text: str) -> str:
    return f'{{"y": [{{"a": 1, "a": true}}], {text.lstrip()[1:]}'


def _bare_key(_: random.Random, text: str) -> str:
    return text.replace('"score"', "score", 1) if '\\"score' not in text else text[:-1]


def _in_list(_: random.Random, text: str) -> str:
    return f"[{text}]"


def _doubled_braces(_: random.Random, text: str) -> str:
    return f"{{{text}}}"


def _as_string(_: random.Random, text: str) -> str:
    return json.dumps(text)


def _odd_number(rng: random.Random, text: str) -> str:
    return f'{{"x": {rng.choice(("01", "+1", "1.", ".5", "0x10", "1_000", "9/10"))}, {text.lstrip()[1:]}'


def _too_deep(_: random.Random, text: str) -> str:
    return f'{{"x": {"[" * 70}{"]" * 70}, {text.lstrip()[1:]}'


_WRAPS: tuple[Callable[[random.Random, str], str], ...] = (_bare, _fenced, _in_prose, _after_thinking, _twice)
_DAMAGES: tuple[Callable[[random.Random, str], str], ...] = (
    _other_verdict, _trailing_comma, _single_quotes, _cut, _nan, _duplicate_key, _deep_duplicate, _bare_key, _in_list,
    _doubled_braces, _as_string, _odd_number, _too_deep,
)  # fmt: skip
