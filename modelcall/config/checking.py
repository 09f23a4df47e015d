"""From a document to a validated block, or to one clear sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from modelcall.config.document import KeyPath, dotted
from modelcall.config.fields import shown
from modelcall.config.model import KEYS_STAY_OUT, SECRET_KEYS
from modelcall.config.suggest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from modelcall.config.document import Document
    from modelcall.errors import Mistake

B = TypeVar("B", bound=BaseModel)

_SENTENCES: Final = {
    "missing": "is required",
    "string_type": "must be text, got {value}{quotes}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "may hold letters, digits, and . _ - only, got {value}",
    "dict_type": "must be a block of keys, got {value}",
    "model_type": "must be a block of keys, got {value}",
    "model_attributes_type": "must be a block of keys, got {value}",
    "tuple_type": "must be a list, got {value}",
    "greater_than_equal": "must be at least {ge:g}, got {value}",
    "greater_than": "must be more than {gt:g}, got {value}",
    "less_than_equal": "must be at most {le:g}, got {value}",
    "literal_error": "must be {expected}, got {value}",
    "finite_number": "must be a finite number, got {value}",
}


def check(document: Document, model: type[B]) -> tuple[B | None, list[Mistake]]:
    """Validate a document. Either the block is there, or the mistakes are."""
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        meant = {_meant(detail["loc"], model) for detail in details if detail["type"] == "extra_forbidden"}
        told = [detail for detail in details if detail["type"] != "missing" or detail["loc"] not in meant]
        return None, [_mistake(detail, document, model) for detail in told]


def _meant(path: KeyPath, model: type[BaseModel]) -> KeyPath:
    """The key that a misspelt one stands for: it is not missing besides."""
    return (*path[:-1], nearest(str(path[-1]), _keys_at(model, path[:-1])) or "")


def _mistake(detail: ErrorDetails, document: Document, model: type[BaseModel]) -> Mistake:
    path = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return document.mistake(path, _unknown_key(path, model))
    if detail["type"] != "missing":
        path = document.written(path)  # pydantic's own steps, such as the member of a union, are left out
    return document.mistake(path, _sentence(detail))


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] not in _SENTENCES:
        return detail["msg"]
    value = detail["input"]
    quotes = "; put it in quotes" if isinstance(value, bool | int | float) else ""
    facts: dict[str, Any] = {**detail.get("ctx", {}), "value": shown(value), "quotes": quotes}
    sentence = _SENTENCES[detail["type"]].format_map(facts)
    if detail["type"] == "literal_error" and isinstance(value, str):
        sentence += did_you_mean(value, str(facts["expected"]).replace("'", "").replace(" or ", ", ").split(", "))
    return sentence


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> str:
    key = str(path[-1])
    if key.lower() in SECRET_KEYS:
        return KEYS_STAY_OUT
    siblings = _keys_at(model, path[:-1])
    if nearest(key, siblings):
        return f"unknown key{did_you_mean(key, siblings)}"
    elsewhere = [known for known in _all_keys(model) if known[-1] == key]
    if elsewhere:
        return (
            f"unknown key here; it belongs to `{dotted(elsewhere[0][:-1])}`"
            if elsewhere[0][:-1]
            else ("unknown key here; it belongs to the top of the file")
        )
    return f"unknown key; known here: {', '.join(siblings)}"


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Known keys of the block at ``path``."""
    blocks = [model]
    for step in path:
        within = [field for block in blocks for name, field in block.model_fields.items() if name == step]
        blocks = [found for field in within for found in _blocks_in(field.annotation)] or blocks
    return list(dict.fromkeys(name for block in blocks for name in block.model_fields))


def _all_keys(model: type[BaseModel], path: KeyPath = ()) -> Iterator[KeyPath]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        for block in _blocks_in(field.annotation):
            yield from _all_keys(block, (*path, name))


def _blocks_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for part in get_args(annotation) for block in _blocks_in(part)]
