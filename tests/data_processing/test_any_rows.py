"""Whatever rows there are: each comes out once, with its columns, its text, and a beginning of that."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.data_processing.universal import Universal
from modelcall.formats.settle import Shape
from modelcall.tokens import open_tokenizer
from tests.data_processing.bench import Bench

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
ROWS = st.lists(
    st.fixed_dictionaries({"content": VALUES}, optional={"id": TEXTS, "path": VALUES, "source": TEXTS, "x": VALUES}),
    min_size=1,
    max_size=8,
)


def as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, limit=st.integers(1, 12))
def test_rows_come_out_once_with_what_every_row_has(rows: list[dict[str, Any]], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        made = bench.make(bench.jsonl(rows), max_tokens=limit, dedupe="none")
        if not _is_text(rows):
            assert "not text" in (made.report.failure or "")
            return
        out = made.rows

    assert len(out) == len(rows) == made.report.rows_in == made.report.rows_out
    for row, before in zip(out, rows, strict=True):
        assert row["text"] == as_text(before["content"])
        kept = row[f"content_truncate_{limit}"]
        assert (kept is None) == (row["text"] is None)
        assert (row["text"] or "").startswith(kept or "")
        assert row["id"] == before["id"] if "id" in before else len(row["id"]) == 32
        assert row["source"] == before.get("source", "github_raw_code")
        assert isinstance(row["language"], str)
    counts = [open_tokenizer("o200k").count(row["text"] or "") for row in out]
    most = sum(min(count, limit) for count in counts)
    cut = sum(count > limit for count in counts)
    assert most - 3 * cut <= made.report.tokens <= most, "three tokens at most go so that no character is split"


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, least=st.integers(0, 10), most=st.integers(1, 20))
def test_what_is_left_and_what_is_dropped_are_all(rows: list[dict[str, Any]], least: int, most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        texts = [{"content": as_text(row["content"])} for row in rows]
        filters = {"min_text_length": least, "max_text_length": most, "required_fields": ["content"]}
        made = bench.make(bench.jsonl(texts), Universal, filters=filters, dedupe="file")
        out = [row["text"] for row in made.rows]

    wanted = [row["content"] for row in texts if row["content"] and row["content"].strip()]
    fitting = [text for text in wanted if least <= len(text) <= most]
    assert out == list(dict.fromkeys(fitting))
    assert made.report.rows_in == len(rows) == len(out) + sum(made.report.dropped.values())
    assert made.report.dropped.get("duplicate", 0) == len(fitting) - len(out)


def _is_text(rows: list[dict[str, Any]]) -> bool:
    """Whether the column becomes one of texts: of JSON texts, too, where values are of several kinds."""
    kinds = {type(row["content"]) for row in rows if row["content"] is not None}
    if not kinds or str in kinds:
        return True
    if kinds <= {bool} or kinds <= {float}:
        return False
    return _is_json([row["content"] for row in rows])


def _is_json(values: list[Any]) -> bool:
    shape = Shape()
    for value in values:
        shape.observe(value)
    return shape.arrow_type() is None
