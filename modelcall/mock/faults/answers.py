"""Faults of the model itself: answers that are malformed, ambiguous, or dressed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from modelcall.mock.faults.base import Fault, Scene, Verdict, spoiling
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Script

Object = dict[str, Any]
_DEPTH = 2000


def _text(change: Callable[[str], str], **choice: str) -> Callable[[Scene], Script]:
    """Change the answer's text; ``choice`` changes fields beside the message."""

    def spoil(body: Object) -> None:
        first = body["choices"][0]
        first["message"]["content"] = change(first["message"]["content"])
        first.update(choice)

    return spoiling(spoil)


def _parsed(text: str) -> Object:
    """Return the answer as an object that has a score, whatever was asked for."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = {}
    return {"score": 0, **value} if isinstance(value, dict) else {"score": 0}


def _score(literal: str) -> Callable[[Scene], Script]:
    """Write the score as this JSON literal, valid or not."""

    def change(text: str) -> str:
        others = {key: value for key, value in _parsed(text).items() if key != "score"}
        return '{"score":' + literal + "".join(f",{_dump(key)}:{_dump(value)}" for key, value in others.items()) + "}"

    return _text(change)


def _keys(change: Callable[[Object], object]) -> Callable[[Scene], Script]:
    """Change the answer's keys in place."""

    def rewrite(text: str) -> str:
        answer = _parsed(text)
        change(answer)
        return _dump(answer)

    return _text(rewrite)


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()


def _other(text: str) -> str:
    """Return the answer with another score."""
    answer = _parsed(text)
    return _dump({**answer, "score": 1 if answer["score"] == 0 else 0})


def _dressed() -> Iterable[Fault]:
    forms: dict[str, tuple[str, Callable[[str], str]]] = {
        "fenced": ("the answer in a ```json fence", lambda text: f"```json\n{text}\n```"),
        "fenced_bare": ("the answer in a fence without a language", lambda text: f"```\n{text}\n```"),
        "prose_around": (
            "prose before and after the answer",
            lambda text: f"Here is my rating:\n\n{text}\n\nLet me know!",
        ),
        "fenced_in_prose": ("a fence between prose", lambda text: f"Sure!\n```json\n{text}\n```\nI hope this helps."),
        "indented": (
            "the answer over many lines",
            lambda text: orjson.dumps(_parsed(text), option=orjson.OPT_INDENT_2).decode(),
        ),
        "blanks_around": ("blanks before and after", lambda text: f"\r\n \t{text}\n\n "),
    }
    for name, (about, change) in forms.items():
        yield Fault(name, 42, about, Verdict.ACCEPT, _text(change))
    yield Fault(
        "byte_order_mark",
        42,
        "a byte order mark first",
        Verdict.ACCEPT,
        _text(lambda text: f"\ufeff{text}"),
        also=Verdict.VALIDATION,
    )


def _thinking() -> Iterable[Fault]:
    forms: dict[str, tuple[str, Callable[[str], str]]] = {
        "think": ("thoughts in <think> first", lambda text: f"<think>The text is short.</think>\n\n{text}"),
        "think_json": (
            "JSON in the thoughts and after them",
            lambda text: f"<think>maybe {_other(text)}</think>\n\n```json\n{text}\n```",
        ),
        "think_no_opening": ("</think> without <think>", lambda text: f"maybe {_other(text)}</think>\n{text}"),
        "think_twice": (
            "two blocks of thoughts",
            lambda text: f"<think>a</think> no <think>{_other(text)}</think>{text}",
        ),
    }
    for name, (about, change) in forms.items():
        yield Fault(name, 36, about, Verdict.ACCEPT, _text(change))
    unclosed = _text(lambda text: f"<think>maybe {text}, but", finish_reason="length")
    yield Fault(
        "think_unclosed", 36, "thoughts cut by the length limit", Verdict.VALIDATION, unclosed,
        also=Verdict.PERMANENT, error_type=ErrorType.CUT,
    )  # fmt: skip


def _not_json() -> Iterable[Fault]:
    forms: dict[str, tuple[str, Callable[[str], str]]] = {
        "prose_only": ("prose, no JSON", lambda _: "This is a good code example with clear structure."),
        "single_quotes": ("single quotes, as Python prints", lambda text: repr(_parsed(text))),
        "trailing_comma": ("a comma before the closing brace", lambda text: f"{text.rstrip().removesuffix('}')},}}"),
        "comments": ("comments in the JSON", lambda text: text.replace("{", "{ // my rating\n", 1)),
        "chinese_quotes": (
            "full-width quotes and colons",
            lambda text: _dump(_parsed(text)).replace('"', "“").replace(":", "："),
        ),
        "unclosed_string": (
            "stops inside a string",
            lambda text: f'{text.rstrip().removesuffix("}")},"reason":"because',
        ),
        "array": ("a list instead of an object", lambda text: f"[{_dump(_parsed(text)['score'])}]"),
        "number_only": ("a bare number", lambda text: _dump(_parsed(text)["score"])),
        "empty_object": ("{}", lambda _: "{}"),
        "blank": ("only blanks", lambda _: "\n  \n"),
        "two_objects": ("two objects with different scores", lambda text: f"{text}\n{_other(text)}"),
        "duplicate_keys": ("the key score twice, with different values", lambda text: _doubled(text, _other)),
    }
    for name, (about, change) in forms.items():
        yield Fault(name, 42, about, Verdict.VALIDATION, _text(change))
    twice: dict[str, tuple[str, Callable[[str], str]]] = {
        "same_object_twice": ("the same object twice", lambda text: f"{text}\n{text}"),
        "duplicate_keys_same": ("the key score twice, same value", lambda text: _doubled(text, str)),
        "double_encoded": ("the object as a JSON string", _dump),
    }
    for name, (about, change) in twice.items():
        yield Fault(name, 42, about, Verdict.VALIDATION, _text(change), also=Verdict.ACCEPT)


def _doubled(text: str, second: Callable[[str], str]) -> str:
    whole = _dump(_parsed(text))
    return f'{{"score":{_dump(_parsed(second(whole))["score"])},{whole[1:]}'


def _scores() -> Iterable[Fault]:
    wrong = {
        "nan": "NaN", "infinity": "Infinity", "null": "null", "fraction": '"9/10"', "word": '"good"', "bool": "true",
        "list": "[3]", "object": '{"value":3}', "half": "4.5", "huge": "1e400", "hex": "0x3", "leading_zero": "03",
        "plus": "+3",
    }  # fmt: skip
    for name, literal in wrong.items():
        also = Verdict.ACCEPT if name == "half" else None
        yield Fault(f"score_{name}", 42, f"the score is {literal}", Verdict.VALIDATION, _score(literal), also=also)
    for name, literal in {"negative": "-1", "out_of_range": "999", "beyond_64_bit": str(10**30)}.items():
        about = f"the score is {literal}; right only if no schema forbids it"
        yield Fault(f"score_{name}", 42, about, Verdict.VALIDATION, _score(literal), also=Verdict.ACCEPT)
    for name, literal in {"whole_float": "4.0", "text": '"4"', "exponent": "4e0"}.items():
        about = f"the score is {literal}, which an int accepts"
        yield Fault(f"score_{name}", 42, about, Verdict.ACCEPT, _score(literal), also=Verdict.VALIDATION)


def _other_keys() -> Iterable[Fault]:
    yield Fault("score_missing", 42, "no score", Verdict.VALIDATION, _keys(lambda answer: answer.pop("score")))
    yield Fault(
        "score_renamed",
        42,
        "the key is Score",
        Verdict.VALIDATION,
        _keys(lambda answer: answer.update(Score=answer.pop("score"))),
    )
    lenient: dict[str, tuple[str, Callable[[Object], object]]] = {
        "extra_keys": ("a key nobody asked for", lambda answer: answer.update(confidence=0.9)),
        "odd_unicode": (
            "zero-width, right-to-left and astral characters",
            lambda answer: answer.update(note="a\u200b\u202eb\U0001f469\u200d\U0001f4bb\u0000"),
        ),
    }
    for name, (about, change) in lenient.items():
        yield Fault(name, 42, about, Verdict.ACCEPT, _keys(change), also=Verdict.VALIDATION)
    deep = "[" * _DEPTH + "]" * _DEPTH
    yield Fault(
        "very_deep",
        42,
        f"a key {_DEPTH} lists deep",
        Verdict.VALIDATION,
        _text(lambda text: _with(text, deep)),
        also=Verdict.ACCEPT,
    )
    yield Fault(
        "lone_surrogate",
        42,
        "half of a surrogate pair",
        Verdict.VALIDATION,
        _text(lambda text: _with(text, '"\\ud800"')),
        also=Verdict.ACCEPT,
    )
    yield Fault(
        "raw_newline",
        42,
        "a raw newline in a string",
        Verdict.VALIDATION,
        _text(lambda text: _with(text, '"a\nb"')),
        also=Verdict.ACCEPT,
    )


def _with(text: str, literal: str) -> str:
    return f'{_dump(_parsed(text)).removesuffix("}")},"note":{literal}}}'


ANSWER_FAULTS = (*_dressed(), *_thinking(), *_not_json(), *_scores(), *_other_keys())
