from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from modelcall.config.environment import Environment, is_placeholder

TEMPLATE = Path(__file__).parents[2] / "env" / "add_tos_key.env"


def test_process_beats_env_file_beats_provider_file(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    (tmp_path / "env" / "add_tos_key.env").write_text("A=provider\nB=provider\nC=provider\n")
    (tmp_path / "env" / "add_other.env").write_text("D=other\n")
    environment = Environment.read(process={"A": "process"}, cwd=tmp_path).for_provider("tos")

    assert [environment.get(name) for name in "ABCD"] == ["process", "file", "provider", None]
    assert [environment.source(name) for name in "ABC"] == ["environment", ".env", "env/add_tos_key.env"]


def test_placeholders_and_empty_values_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=real\nB=your_key\nC=\n")
    environment = Environment.read(process={"A": "your_key", "C": "  "}, cwd=tmp_path)

    assert [environment.get(name) for name in "ABC"] == ["real", None, None]
    assert environment.secret("B") is None


@pytest.mark.parametrize(
    "value", ["", " ", "your_key", "your-api-key", "<key>", "...", "xxx", "sk-xxxx", "changeme", "TODO"]
)
def test_placeholder(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["yours", "sk-abc123", "EMPTY", "k", "youre_key", "AKLTyour_key"])
def test_real_value(value: str) -> None:
    assert not is_placeholder(value)


def test_lines_of_all_kinds(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# comment\nexport A='x y'\nB = \"${A}-z\"\nC=${NONE:-d}e\nD=a#b\nE=中文\r\nF=$A\nG\n'broken\nH=1\n"
    )
    environment = Environment.read(process={}, cwd=tmp_path)

    assert [environment.get(name) for name in "ABCDEFGH"] == ["x y", "x y-z", "de", "a#b", "中文", "$A", None, "1"]
    assert [str(note) for note in environment.notes] == [".env:9: this line sets no variable; skipped"]


def test_file_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    environment = Environment.read(process={"B": "1"}, cwd=tmp_path)

    assert environment.get("A") is None
    assert "not UTF-8" in str(environment.notes[0])


def test_provider_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "add_tos.env").write_text("A=1\n")

    assert Environment.read(process={}, cwd=tmp_path).for_provider("to").get("A") == "1"
    assert Environment.read(process={}, cwd=tmp_path).for_provider("x").get("A") is None


def test_repr_shows_no_values(tmp_path: Path) -> None:
    environment = Environment.read(process={"OPENAI_API_KEY": "canary"}, cwd=tmp_path)

    assert "canary" not in repr(environment)
    assert "canary" not in str(environment.secret("OPENAI_API_KEY"))
    assert environment.secrets() == {"canary"}


def test_credentials_are_known_by_their_names() -> None:
    environment = Environment(
        {
            "TOS_ACCESS_KEY": "a",
            "MY_PASSWORD": "p",
            "HF_TOKEN": "t",
            "TOS_BUCKET": "b",
            "KEYBOARD": "k",
            "X_KEY": "your_key",
        }
    )

    assert environment.secrets() == {"a", "p", "t"}


@pytest.mark.parametrize(
    ("variables", "language"),
    [({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "C"}, "en"), ({}, "en"), ({"LC_ALL": "en_US", "LANG": "zh_CN"}, "en")],
)
def test_language_of_the_locale(variables: dict[str, str], language: str) -> None:
    assert Environment(variables).language == language


def test_template_of_the_tos_variables_counts_as_unset(tmp_path: Path) -> None:
    environment = Environment.read(process={"TOS_BUCKET": "mine"}, cwd=tmp_path).with_file(TEMPLATE)

    names = ("TOS_ENDPOINT", "REGION", "TOS_BUCKET", "TOS_ACCESS_KEY", "TOS_SECRET_KEY")
    assert [environment.get(name) for name in names] == [
        *("https://tos-cn-beijing.ivolces.com", "cn-beijing", "mine"),
        *(None, None),
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh"])
def test_template_can_be_sourced_and_sets_only_unset_variables(shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    script = f'set -eu; . "{TEMPLATE}"; env'
    done = subprocess.run([path, "-c", script], env={"TOS_BUCKET": "mine"}, capture_output=True, text=True, check=True)

    assert "TOS_BUCKET=mine" in done.stdout.splitlines()
    assert "TOS_ACCESS_KEY=your_key" in done.stdout.splitlines()
    assert done.stderr == ""
