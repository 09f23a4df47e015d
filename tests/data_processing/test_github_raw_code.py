from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from modelcall.tokens import open_tokenizer

if TYPE_CHECKING:
    from tests.data_processing.bench import Bench

CODE = "import os\n\n\ndef main():\n    print(os.getcwd())\n"


def test_every_row_gets_the_same_columns_behind_its_own(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"n": 1, "content": CODE, "path": "a/b.py"}, {"n": 2, "content": ""}]))

    first, second = made.rows
    assert list(first) == ["n", "content", "path", "id", "text", "source", "content_truncate_32k", "language"]
    assert first == {
        "n": 1,
        "content": CODE,
        "path": "a/b.py",
        "id": hashlib.blake2b(f"a.jsonl\x000\x00{CODE}".encode(), digest_size=16).hexdigest(),
        "text": CODE,
        "source": "github_raw_code",
        "content_truncate_32k": CODE,
        "language": "python",
    }
    assert (second["text"], second["content_truncate_32k"], second["language"]) == ("", "", "other")
    assert (made.report.rows_in, made.report.rows_out, made.report.dropped) == (2, 2, {})
    assert made.report.text_key == "content"
    assert made.report.tokens == open_tokenizer("o200k").count(CODE)


@pytest.mark.parametrize(
    ("columns", "asked", "taken"),
    [
        (("content", "text"), None, "text"),
        (("code", "content"), None, "content"),
        (("body", "code"), None, "code"),
        (("description", "body"), None, "body"),
        (("x", "description"), None, "description"),
        (("text", "x"), "x", "x"),
    ],
)
def test_the_text_is_looked_for_in_order(bench: Bench, columns: tuple[str, ...], asked: str | None, taken: str) -> None:
    made = bench.make(bench.jsonl([{name: f"in {name}" for name in columns}]), text_key=asked)

    assert made.column("text") == [f"in {taken}"]
    assert made.report.text_key == taken


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (None, "a.jsonl: none of the columns text, content, code, body, description"),
        ("contnt", "a.jsonl: no column 'contnt'; did you mean 'contents'?"),
    ],
)
def test_a_file_without_text_fails_and_says_what_it_has(bench: Bench, asked: str | None, said: str) -> None:
    made = bench.make(bench.jsonl([{"contents": "x", "n": 1}]), text_key=asked)

    assert made.report.failure is not None
    assert made.report.failure.startswith(said)
    assert "there are contents, n." in made.report.failure
    assert not made.path.exists()


def test_what_a_row_has_is_kept_and_only_gaps_are_filled(bench: Bench) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "mine", "text": "x", "source": "stack", "language": "Rust"},
        {"text": "#!/bin/bash\necho 1\n"},
    ]

    first, second = bench.make(bench.jsonl(rows)).rows

    assert {**first, **rows[0]} == first
    assert len(second["id"]) == 32
    assert (second["source"], second["language"]) == ("github_raw_code", "shell")


def test_an_id_that_is_no_text_stays_what_it_is(bench: Bench) -> None:
    table = pa.table({"id": pa.array([7, None], pa.uint32()), "text": ["a", "b"]})

    made = bench.make(bench.parquet(table))

    assert made.table.schema.field("id").type == pa.uint32()
    assert made.column("id") == [7, None]


def test_source_name_stands_for_what_the_input_does_not_say(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"text": "a", "source": "s"}, {"text": "b"}]), source_name="mine")

    assert made.column("source") == ["s", "mine"]


@pytest.mark.parametrize(("limit", "column"), [(4096, "content_truncate_4k"), (5, "content_truncate_5")])
def test_the_beginning_has_a_column_of_its_name(bench: Bench, limit: int, column: str) -> None:
    text = "one two three four five six seven " * 1000

    made = bench.make(bench.jsonl([{"text": text}]), max_tokens=limit)

    cut = made.column(column)[0]
    assert text.startswith(cut)
    assert open_tokenizer("o200k").count(cut) == limit == made.report.tokens
    assert made.column("text") == [text]


def test_parquet_columns_keep_values_and_types(bench: Bench) -> None:
    table = pa.table(
        {
            "when": pa.array([1, None], pa.timestamp("ns", "UTC")),
            "raw": pa.array([b"\xff", None], pa.binary()),
            "content": pa.array(["a", None], pa.large_string()),
            "stars": pa.array([{"n": 1}, None], pa.struct([("n", pa.int8())])),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
        }
    )

    made = bench.make(bench.parquet(table))

    assert made.table.select(table.column_names).equals(table)
    assert made.table.schema.field("text").type == pa.large_string()
    assert made.column("text") == ["a", None]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([b"ab\xff", None], pa.binary()), ["ab\ufffd", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.nulls(2), [None, None]),
        (pa.array([b"a\xff", None], pa.binary_view()), ["a\ufffd", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", b"\xc3("], pa.binary()).view(pa.string()), ["a", "\ufffd("]),
    ],
)
def test_text_comes_out_of_whatever_holds_it(bench: Bench, column: pa.Array, texts: list[str | None]) -> None:
    made = bench.make(bench.parquet({"content": column}, store_schema=True))

    assert made.column("content_truncate_32k") == texts
    assert pa.types.is_string(made.table.schema.field("content_truncate_32k").type)


def test_a_text_column_of_numbers_is_refused(bench: Bench) -> None:
    made = bench.make(bench.parquet({"content": [1, 2]}))

    assert made.report.failure == "column 'content' holds int64, not text Name another column as text_key."


def test_texts_among_other_values_are_read_and_not_quoted(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"text": 'say "hi"\n'}, {"text": {"a": 1.10}}, {"text": None}, {"text": 12}]))

    assert made.column("text") == ['say "hi"\n', '{"a": 1.1}', None, "12"]
    assert made.column("content_truncate_32k") == made.column("text")
    assert made.report.json_text_columns == ("text",)


def test_lines_that_hold_no_row_stay_as_rows_of_nulls_and_are_counted(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"text": "a"}, "{broken", "", '["no object"]', {"text": "b"}]))

    assert made.column("text") == ["a", None, None, "b"]
    assert len(set(made.column("id"))) == 4
    assert made.report.bad_rows == 2
    assert [reason.partition(":")[0] for reason in made.report.bad_row_reasons] == ["line 2", "line 4"]
    assert (made.report.rows_in, made.report.rows_out) == (4, 4)


def test_duplicates_go_only_if_asked(bench: Bench) -> None:
    path = bench.jsonl([{"text": "a"}, {"text": "b"}, {"text": "a"}, {"text": None}, {"text": None}, {"text": "a"}])

    assert len(bench.make(path).rows) == 6
    made = bench.make(path, dedupe="file")
    assert made.column("text") == ["a", "b", None, None]
    assert made.report.dropped == {"duplicate": 2}
    assert made.report.rows_out == 4
    assert [row["id"] for row in made.rows[2:]] == [row["id"] for row in bench.make(path).rows[3:5]]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_an_empty_file_gives_an_empty_one_with_all_columns(bench: Bench, name: str) -> None:
    empty = pa.table({"content": pa.array([], pa.string())})
    path = bench.jsonl([]) if name == "a.jsonl" else bench.parquet(empty)

    made = bench.make(path)

    assert made.rows == []
    added = ["id", "text", "source", "content_truncate_32k", "language"]
    assert made.table.column_names == ([] if name == "a.jsonl" else ["content"]) + added


def test_ids_tell_apart_equal_texts_in_other_places(bench: Bench) -> None:
    first, second = (bench.make(bench.jsonl([{"text": "a"}, {"text": "a"}], name)) for name in ("a.jsonl", "b/a.jsonl"))

    assert len({*first.column("id"), *second.column("id")}) == 4
    assert bench.make(bench.folder / "raw/a.jsonl").column("id") == first.column("id")
