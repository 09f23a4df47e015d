from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.template import Template


def rendered(prompt: str, *, system: str = "", **row: str) -> tuple[str, str]:
    return Template.parse(system_text=system, prompt_text=prompt).compile(set(row))(row)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{text}", "T"),
        ("a {text} b {text}", "a T b T"),
        ("{{text}}", "{text}"),
        ("{{{text}}}", "{T}"),
        ('{{"score": 3}}', '{"score": 3}'),
        ('{"score": 3}', '{"score": 3}'),
        ('{"a": {text}}', '{"a": T}'),
        ("{unknown} {text}", "{unknown} T"),
        ("{ text }", "{ text }"),
        ("{text!r} {text:>50000000} {text.__class__} {0}", "{text!r} {text:>50000000} {text.__class__} {0}"),
        ("{{% if text %}} ${text}", "{% if text %} $T"),
        ("{", "{"),
        ("}{text}{", "}T{"),
        ("{te\nxt}", "{te\nxt}"),
        ("{}", "{}"),
        ("{my col}{列}", "MC"),
    ],
)
def test_prompt_text(template: str, expected: str) -> None:
    assert rendered(template, text="T", **{"my col": "M", "列": "C"}) == ("", expected)


def test_doubled_braces_stay_in_the_system_text() -> None:
    assert rendered("p", system='{{"a": {text}}} {{x}}', text="T") == ('{{"a": T}} {{x}}', "p")


def test_substituted_text_is_not_scanned_again() -> None:
    assert rendered("{a}{b}", a="{b}", b="{a}{{}}") == ("", "{b}{a}{{}}")


hostile = st.text(alphabet="{}ab%$\\<text>\n é😀", max_size=40)


@given(first=hostile, second=hostile, literal=st.text(alphabet="xyz{} \n", max_size=20))
def test_rendering_is_the_literals_with_the_values_between_them(first: str, second: str, literal: str) -> None:
    plain = literal.replace("{", "{{").replace("}", "}}")

    assert (
        rendered(f"{plain}<{{text}}>{plain}<{{b}}>", text=first, b=second)[1]
        == f"{literal}<{first}>{literal}<{second}>"
    )


@given(text=st.text(max_size=200))
def test_template_without_known_names_changes_only_doubled_braces(text: str) -> None:
    template = Template.parse(system_text=text, prompt_text=text)
    system, prompt = template.compile(set())({})

    assert system == text
    assert prompt == text.replace("{{", "{").replace("}}", "}")


@given(text=hostile, known=st.sets(st.sampled_from(["a", "b", "text"])))
def test_renderer_asks_for_no_column_but_the_known_ones(text: str, known: set[str]) -> None:
    template = Template.parse(system_text=text, prompt_text=text)

    assert template.placeholders(known) <= known
    template.compile(known)(dict.fromkeys(template.placeholders(known), "v"))


def test_unknown_identifiers_come_with_the_nearest_column() -> None:
    template = Template.parse(system_text="{txet} {zzzzzzz}", prompt_text='{text} { text } {"a": 1} {a b}')

    assert template.unknown({"text", "lang"}) == {" text ": "text", "txet": "text", "zzzzzzz": None}
