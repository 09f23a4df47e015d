from __future__ import annotations

import pytest

from modelcall.language import path_language


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/a.py", "python"),
        ("src\\A.PYI", "python"),
        ("include/x.h", "c"),
        ("x.hpp", "cpp"),
        ("a.b/Makefile", "makefile"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "text"),
        (".py", "python"),
        ("x.tar.gz", None),
        ("py", None),
        ("a.py/b", None),
        ("", None),
    ],
)
def test_a_name_tells_the_language(path: str, language: str | None) -> None:
    assert path_language(path) == language
