from __future__ import annotations

import shlex

import pytest

from modelcall.cli.output import shell_word


@pytest.mark.parametrize("text", ["rivers", "two words", "-x", "--watch", "it's", "$(id)", "a;b", ""])
def test_a_word_is_one_argument_of_a_shell_and_no_option(text: str) -> None:
    words = shlex.split(shell_word(text))
    assert words[-1] == text
    assert words[:-1] == (["--"] if text.startswith("-") else [])


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    assert "\x1b" not in shell_word("a\x1b[2J")
