"""The section with what was asked: the prompt and the model's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from modelcall.report.page.blocks import section
from modelcall.report.page.elements import el
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts


def settings(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the section, if the run wrote down what was in force."""
    subject = facts.subject
    texts = [
        (Phrase.SYSTEM_PROMPT, subject.setting("prompt", "prompt_template", "system_text")),
        (Phrase.PROMPT, subject.setting("prompt", "prompt_template", "prompt_text")),
        (Phrase.PARAMETERS, _written(subject.setting("model", "completions_params"))),
    ]
    folds = [el("details", el("summary", words(name)), el("pre", str(text))) for name, text in texts if text]
    if folds:
        yield section("settings", words(Phrase.SETTINGS), *folds)


def _written(parameters: object) -> str:
    return yaml.safe_dump(parameters, allow_unicode=True, sort_keys=False) if parameters else ""
