from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from modelcall.data_processing.universal import Universal
from modelcall.tokens import BytePairs, open_tokenizer

if TYPE_CHECKING:
    from tests.data_processing.bench import Bench


def rows_of(bench: Bench, rows: list[Any], **config: Any) -> list[dict[str, Any]]:
    return bench.make(bench.jsonl(rows), Universal, **config).rows


def test_columns_are_copied_joined_and_set(bench: Bench) -> None:
    row = rows_of(
        bench,
        [{"title": "T", "body": "B", "n": 5, "text": "old"}, {"title": None, "body": "C", "n": 6}],
        field_mapping={
            "text": {"type": "combine", "fields": ["title", "body", "n"], "separator": " | "},
            "headline": "title",
            "title": "body",
            "kind": {"type": "constant", "value": "web"},
            "level": {"type": "constant", "value": 3},
            "tags": {"type": "constant", "value": ["a", "b"]},
            "mixed": {"type": "constant", "value": [1, "b"]},
            "nothing": {"type": "constant", "value": None},
        },
        source_name="pages",
    )

    assert [item["text"] for item in row] == ["T | B | 5", "C | 6"]
    assert row[0]["headline"] == "T"
    assert row[0]["title"] == "B"
    assert row[0]["source"] == "pages"
    assert [row[0][name] for name in ("kind", "level", "tags", "mixed", "nothing")] == [
        "web",
        3,
        ["a", "b"],
        '[1,"b"]',
        None,
    ]
    assert list(row[0])[:4] == ["title", "body", "n", "text"]


def test_a_mapped_text_wins_over_text_key_and_the_usual_names(bench: Bench) -> None:
    rows = [{"body": "b", "note": "n"}]

    assert rows_of(bench, rows, field_mapping={"text": "note"})[0]["text"] == "n"
    assert rows_of(bench, rows, field_mapping={"text": "note"}, text_key="body")[0]["text"] == "n"
    assert rows_of(bench, rows, text_key="note")[0]["text"] == "n"
    assert rows_of(bench, rows)[0]["text"] == "b"
    assert rows_of(bench, rows)[0]["source"] == "universal"


def test_rows_go_by_the_first_filter_they_fail_and_are_counted(bench: Bench) -> None:
    path = bench.jsonl(
        [
            {"text": "a good text", "url": "u"},
            {"text": "short", "url": "u"},
            {"text": "x" * 50, "url": "u"},
            {"text": "buy CASINO now", "url": "u"},
            {"text": "lorem ipsum dolor", "url": "u"},
            {"text": "a good text", "url": " "},
            {"text": "a good text"},
            {"text": None, "url": "u"},
            {"text": "casino", "url": ""},
        ]
    )

    made = bench.make(
        path,
        Universal,
        filters={
            "min_text_length": 6,
            "max_text_length": 20,
            "required_fields": ["url"],
            "blacklist_patterns": ["(?i)casino", "^lorem"],
        },
    )

    assert made.report.dropped == {
        "blacklist_patterns: (?i)casino": 1,
        "blacklist_patterns: ^lorem": 1,
        "max_text_length": 1,
        "min_text_length": 2,
        "required_fields: url": 3,
    }
    assert made.report.rows_in == made.report.rows_out + sum(made.report.dropped.values()) == 9
    assert made.column("text") == ["a good text"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array([0, None]), [0]),
        (pa.array([False, None]), [False]),
        (pa.array(["", "x", "\n", None]), ["x"]),
        (pa.array([[], ["a"], None], pa.list_(pa.string())), [["a"]]),
        (pa.array([b"", b"a"]), [b"a"]),
        (pa.array([{"a": None}, None], pa.struct([("a", pa.int8())])), [{"a": None}]),
    ],
)
def test_what_counts_as_there(bench: Bench, values: pa.Array, kept: list[Any]) -> None:
    path = bench.parquet({"text": ["t"] * len(values), "x": values})

    assert bench.make(path, Universal, filters={"required_fields": ["x"]}).column("x") == kept


def test_required_columns_of_varying_values_may_not_be_empty_ones(bench: Bench) -> None:
    values: list[Any] = ["", [], {}, None, 0, "a", [1]]
    rows = [{"text": "t", "x": value} for value in values]

    assert [row["x"] for row in rows_of(bench, rows, filters={"required_fields": ["x"]})] == ["0", '"a"', "[1]"]


def test_cleaning_comes_before_filters_and_cutting(bench: Bench) -> None:
    made = bench.make(
        bench.jsonl([{"text": " a\u00a0 \n\tb\u200b--c "}, {"text": "   \u200b "}, {"text": None}]),
        Universal,
        transformations={"text_cleaning": {"remove_extra_whitespace": True, "remove_characters": ["\u200b", "--"]}},
        filters={"min_text_length": 1},
    )

    assert made.column("text") == ["a bc"]
    assert made.column("content_truncate_32k") == ["a bc"]
    assert made.report.dropped == {"min_text_length": 2}


def test_cleaned_text_stands_beside_the_column_it_came_from(bench: Bench) -> None:
    row = rows_of(bench, [{"body": "a  b"}], transformations={"text_cleaning": {"remove_extra_whitespace": True}})[0]

    assert (row["body"], row["text"]) == ("a  b", "a b")


def test_columns_are_computed_from_what_is_written(bench: Bench) -> None:
    rows = rows_of(
        bench,
        [{"body": "naïve  words", "note": "abc"}, {"body": "x", "note": None}],
        transformations={
            "text_cleaning": {"remove_extra_whitespace": True},
            "computed_fields": {
                "length": {"type": "text_length"},
                "tokens": {"type": "token_count", "source_field": "text"},
                "note_length": {"type": "text_length", "source_field": "note"},
                "kept": {"type": "text_length", "source_field": "content_truncate_32k"},
                "gone": {"type": "text_length", "source_field": "missing"},
            },
        },
    )

    count = open_tokenizer("o200k").count
    assert [row["length"] for row in rows] == [11, 1]
    assert [row["tokens"] for row in rows] == [count("naïve words"), 1]
    assert [row["note_length"] for row in rows] == [3, None]
    assert [row["kept"] for row in rows] == [11, 1]
    assert [row["gone"] for row in rows] == [None, None]


def test_columns_that_a_file_lacks_are_null_and_noted(bench: Bench) -> None:
    made = bench.make(
        bench.jsonl([{"text": "t"}]),
        Universal,
        field_mapping={
            "a": "x",
            "b": {"type": "combine", "fields": ["text", "y"]},
            "c": {"type": "combine", "fields": "y"},
        },
        transformations={"computed_fields": {"n": {"type": "text_length", "source_field": "z"}}},
    )

    assert [made.rows[0][name] for name in "abcn"] == [None, "t", None, None]
    assert [note.split("'")[1] for note in made.report.notes] == ["x", "y", "z"]


def test_a_required_column_that_no_row_has_drops_all_and_says_so(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"text": "t"}]), Universal, filters={"required_fields": ["id"]})

    assert made.report.dropped == {"required_fields: id": 1}
    assert "there is no column 'id'" in made.report.notes[0]


def test_mapped_columns_of_mixed_values_are_read(bench: Bench) -> None:
    rows = rows_of(bench, [{"a": "x y"}, {"a": 5}], field_mapping={"text": "a", "b": "a"})

    assert [row["text"] for row in rows] == ["x y", "5"]
    assert [row["b"] for row in rows] == ['"x y"', "5"]


@pytest.mark.parametrize("tokenizer", ["cl100k", "characters"])
def test_the_tokenizer_is_chosen(bench: Bench, tokenizer: str) -> None:
    text = "Grundstücksverkehrsgenehmigungszuständigkeit"
    fields = {"n": {"type": "token_count", "source_field": "text"}}

    make = partial(rows_of, bench, [{"text": text}], transformations={"computed_fields": fields}, max_tokens=5)

    row = make(tokenizer=tokenizer)[0]
    assert row["n"] == open_tokenizer(tokenizer).count(text)
    assert row["content_truncate_5"] == open_tokenizer(tokenizer).cut(text, 5).text
    assert make()[0]["n"] != row["n"]


def test_the_tokens_of_a_text_are_counted_again_only_where_it_was_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    count = BytePairs.count

    def counted(self: BytePairs, text: str) -> int:
        asked.append(text)
        return count(self, text)

    monkeypatch.setattr(BytePairs, "count", counted)
    texts = ["two words", "a b c d e f g h", "five tokens are kept whole", None]
    fields = {"n": {"type": "token_count", "source_field": "text"}}

    rows = rows_of(bench, [{"text": t} for t in texts], transformations={"computed_fields": fields}, max_tokens=5)

    assert [row["n"] for row in rows] == [2, 8, 5, None]
    assert asked == [texts[1]]


def test_an_empty_file_needs_no_columns(bench: Bench) -> None:
    made = bench.make(bench.jsonl([]), Universal, field_mapping={"a": "x"}, filters={"required_fields": ["y"]})

    assert made.table.column_names == ["a", "id", "text", "source", "content_truncate_32k"]
    assert made.report.notes == ()
