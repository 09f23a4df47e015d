from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from modelcall.errors import ConfigError
from modelcall.registry import BUILT_IN, Kind, load, names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with modules that leave no trace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in BUILT_IN.items() for name in table])
def test_every_built_in_leads_somewhere(kind: Kind, name: str) -> None:
    found = load(kind, name)
    assert callable(found.target)
    assert (found.ref, found.origin) == (BUILT_IN[kind][name].ref, "built-in")


def test_nothing_is_imported_before_it_is_used() -> None:
    for table in BUILT_IN.values():
        for built_in in table.values():
            assert not hasattr(sys.modules["modelcall.registry"], built_in.ref.rpartition(":")[2])


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="There is no scorer 'qualty'; did you mean 'quality'") as caught:
        load("scorers", "qualty")
    assert "llm, quality" in (caught.value.hint or "")
    assert "package.module:Class" in (caught.value.hint or "")


def test_a_users_module_is_found_in_the_current_folder_last(folder: Path) -> None:
    (folder / "my_own_scorers.py").write_text("class Mine: pass\n")
    found = load("scorers", "my_own_scorers:Mine")
    assert found.target.__name__ == "Mine"
    assert (found.in_current_folder, found.origin) == (True, str(folder / "my_own_scorers.py"))
    assert sys.path[-1] == str(folder)


def test_an_installed_package_comes_before_the_current_folder(folder: Path) -> None:
    (folder / "colorsys.py").write_text("raise RuntimeError\n")
    found = load("scorers", "colorsys:rgb_to_hsv")
    assert found.target is importlib.import_module("colorsys").rgb_to_hsv
    assert not found.in_current_folder


def test_modules_in_packages_and_nested_classes(folder: Path) -> None:
    (folder / "my_pkg" / "sub").mkdir(parents=True)
    (folder / "my_pkg" / "sub" / "mod.py").write_text("class A:\n    class B: pass\n")
    assert load("scorers", "my_pkg.sub.mod:A.B").target.__qualname__ == "A.B"
    assert load("scorers", "my_pkg.sub.mod:A").in_current_folder


def test_data_folders_are_not_searched(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "hidden_scorer.py").write_text("class Mine: pass\n")
    before = list(sys.path)
    with pytest.raises(ConfigError, match="there is no module 'hidden_scorer'"):
        load("scorers", "hidden_scorer:Mine")
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "ref", "message"),
    [
        ("class Mine: pass", "mod_a:Mime", "mod_a has no 'Mime'; did you mean 'Mine'"),
        ("\n\nimport no_such_library", "mod_b:Mine", r"No module named 'no_such_library' \(.*mod_b\.py:3\)"),
        ("x = 1\nx.y\n", "mod_c:Mine", r"AttributeError: .* \(.*mod_c\.py:2\)"),
        ("def f(:\n", "mod_d:Mine", r"SyntaxError: .* \(.*mod_d\.py:1\)"),
        ("raise SystemExit(3)", "mod_e:Mine", r"SystemExit: 3 \(.*mod_e\.py:1\)"),
        ("", "mod_f.sub:Mine", "there is no module 'mod_f.sub'|No module named 'mod_f.sub'"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(folder: Path, source: str, ref: str, message: str) -> None:
    (folder / f"{ref.partition(':')[0].partition('.')[0]}.py").write_text(source)
    with pytest.raises(ConfigError, match=message):
        load("scorers", ref)


@pytest.mark.parametrize("ref", ["a/b.py:Mine", "mod:", ":Mine", "mod:My Class", "mod-x:Mine", "..mod:Mine"])
def test_what_is_no_reference_is_told_how_to_write_one(ref: str) -> None:
    with pytest.raises(ConfigError, match="names no class") as caught:
        load("scorers", ref)
    assert "package.module:Class" in (caught.value.hint or "")


def test_entry_points_of_installed_packages_are_names(folder: Path) -> None:
    (folder / "plug_in.py").write_text("class Mine: pass\n")
    info = folder / "plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modelcall.scorers]\nplugged = plug_in:Mine\n")
    sys.path.insert(0, str(folder))
    found = load("scorers", "plugged")
    assert (found.target.__name__, found.ref, found.origin) == ("Mine", "plug_in:Mine", "entry point of plug-in")
    assert "plugged" in names("scorers")


def test_a_built_in_that_cannot_be_imported_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelcall.engines.inline", None)
    with pytest.raises(ConfigError, match="The engine 'inline' cannot be used") as caught:
        load("engines", "inline")
    assert "uv sync" in (caught.value.hint or "")
