from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.yaml_loader import MAX_FILE_BYTES, load_document, parse_document
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def parsed(text: str) -> Any:
    return parse_document(f"a: {text}", shown="x.yaml").data["a"]


def refusal(text: str) -> str:
    try:
        mistakes = parse_document(text, shown="x.yaml").slips
    except ConfigError as error:
        mistakes = error.mistakes
    return "\n".join(map(str, mistakes))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("010", "010"),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("2024-12-01", "2024-12-01"),
        ("1_000", "1_000"),
        ("2024_12", "2024_12"),
        ("0x1F", 31),
        ("0o17", 15),
        ("0", 0),
        ("-1", -1),
        ("+7", 7),
        (".5", 0.5),
        ("5.", 5.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("-", [None]),
        ("e3", "e3"),
        ("1e", "1e"),
    ],
)
def test_scalar_means_what_its_writer_meant(text: str, meant: object) -> None:
    found = parsed(f"\n  {text}") if text == "-" else parsed(text)

    assert (found, type(found)) == (meant, type(meant))


def test_infinities_and_nan_are_numbers_for_the_fields_to_refuse() -> None:
    assert parsed("-.inf") == -math.inf
    assert math.isnan(parsed(".NaN"))


def test_words_that_were_booleans_once_are_remembered() -> None:
    document = parse_document("a: {b: [x, yes], c: 'no', d: Off}", shown="x.yaml")

    assert document.odd_text == {("a", "b", 1): "yes", ("a", "d"): "Off"}


def test_each_value_knows_its_line_and_path() -> None:
    document = parse_document("a:\n  b:\n    - 1\n    - c: 2\n", shown="x.yaml")

    assert str(document.mistake(("a", "b", 1, "c"), "m")) == "x.yaml:4: a.b.1.c: m"
    assert str(document.mistake(("a", "b", 0), "m")) == "x.yaml:3: a.b.0: m"
    assert str(document.mistake(("a", "z"), "m")) == "x.yaml:1: a.z: m"


def test_merge_keys_bring_values_and_give_way_to_written_ones() -> None:
    document = parse_document("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\n", shown="x.yaml")

    assert document.data["a"] == {"x": 1, "y": 3}
    assert document.places[("a", "y")].where == "x.yaml:4"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: a:", "written twice; the first is on line 1"),
        ("a:\n  b: 1\n  b: 2\n", "x.yaml:3: a.b:", "written twice"),
        ("- 1\n", "x.yaml:1", "block of `key: value` lines"),
        ("5", "x.yaml:1", "block of `key: value` lines"),
        ("", "x.yaml", "is empty"),
        ("# only a comment\n", "x.yaml", "is empty"),
        ("a: 1\n\tb: 2\n", "x.yaml:2", "not with a tab"),
        ("a: b: c\n", "x.yaml:1", "in quotes"),
        ('a: "x\n', "x.yaml:2", "not valid YAML"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2", "[ before it is not closed"),
        ("a: *nowhere\n", "x.yaml:1", "undefined alias"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2", "a file holds one document"),
        ("a: {b: ./out/{timestamp}}\n", "x.yaml:1", "put a text that holds braces in quotes"),
        ("a:\n  b: 1\n c: 2\n", "x.yaml:3", "check the indentation"),
        ("1: a\n", "x.yaml:1", "the key `1` is no text"),
        ("true: a\n", "x.yaml:1", "the key `true` is no text"),
        ("? [a, b]\n: c\n", "x.yaml:1", "a key must be text"),
        ("a: !!python/object/apply:os.system [echo]\n", "x.yaml:1: a:", "is not allowed"),
        ("a: !!binary aGk=\n", "x.yaml:1: a:", "is not allowed"),
        ("a: !mine x\n", "x.yaml:1: a:", "is not allowed"),
        ("a: 1\nb: \x07\n", "x.yaml:2", "control character"),
        ("a: &a [*a]\n", "x.yaml:1", "an alias holds itself"),
        ("<<: 5\n", "x.yaml:1", "takes a block"),
    ],
)
def test_broken_file_is_refused_with_its_line(text: str, where: str, words: str) -> None:
    message = refusal(text)

    assert message.startswith(where)
    assert words in message


def test_two_mistakes_in_one_file_are_both_told() -> None:
    assert len(refusal("a: 1\na: 2\nb: {c: 1, c: 2}\n").splitlines()) == 2


def test_alias_bomb_is_cut_off() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
    )

    assert "once aliases are followed" in refusal(bomb)


@pytest.mark.parametrize(
    "text", ["[" * 5000, "a: " + "{b: " * 3000, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 90))]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested deeper" in refusal(text)


def test_file_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: " + b"x" * MAX_FILE_BYTES)

    with pytest.raises(ConfigError, match="larger than 512 KiB"):
        load_document(path)


def test_bad_utf8_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")

    with pytest.raises(ConfigError, match=r"latin.yaml:2: is not UTF-8 text \(byte 0xe9\)"):
        load_document(path, shown="latin.yaml")


def test_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")

    assert load_document(path).data == {"a": 1, "b": 2}


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_document(tmp_path / name)


@given(st.text(max_size=200))
def test_any_text_gives_data_or_a_config_error(text: str) -> None:
    try:
        document = parse_document(text, shown="x.yaml")
    except ConfigError as error:
        assert error.mistakes  # noqa: PT017  either way is fine
    else:
        assert isinstance(document.data, dict)
