from __future__ import annotations

import pytest

from modelcall.cli.main import COMMANDS
from modelcall.config.unsupported import UNSUPPORTED
from scripts import docs


@pytest.mark.parametrize("name", docs.DOCUMENTS)
def test_generated_parts_are_current(name: str) -> None:
    text = (docs.ROOT / name).read_text(encoding="utf-8")

    assert docs.current(text) == text, "run python scripts/docs.py"


def test_every_part_stands_in_a_document() -> None:
    texts = "".join((docs.ROOT / name).read_text(encoding="utf-8") for name in docs.DOCUMENTS)

    assert [name for name in docs.PARTS if f"<!-- generated: {name} -->" not in texts] == []


def test_a_stale_part_is_written_anew_and_the_rest_left_alone() -> None:
    stale = "before\n<!-- generated: unsupported -->\nSTALE\n<!-- end generated -->\nafter\n"

    fresh = docs.current(stale)

    assert "STALE" not in fresh
    assert fresh.startswith("before\n<!-- generated: unsupported -->\n")
    assert fresh.endswith("<!-- end generated -->\nafter\n")
    assert all(f"`{entry.key}`" in fresh for entry in UNSUPPORTED)
    assert docs.current(fresh) == fresh


def test_reference_has_every_command_and_the_deepest_keys() -> None:
    text = (docs.ROOT / "docs/reference.md").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"### modelcall {name}\n" not in text] == []
    assert "| `max_concurrent_files` | whole number from 1 | `2` | Files being read at a time. |" in text
    assert "| `max_failed_ratio` | number from 0 to 1 | `0` |" in text
    assert "| `input_folder` | text | required |" in text
    assert "**`preprocess.transformations.text_cleaning`**" in text
    assert "| `timeout` | time | `300` | Total time of one attempt (seconds). |" in text
    assert "| `adaptive` | true or false or block |  |" in text
