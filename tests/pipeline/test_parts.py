"""Files in parts: every row in exactly one of them, and the file published once, whatever the estimate was."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.formats.jsonl import JsonlSource
from modelcall.fs.base import FileStat
from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline import parts as module
from modelcall.pipeline.file import From
from modelcall.pipeline.job import FileJob, FileResult, PartResult
from modelcall.pipeline.parts import Parts, about_rows
from modelcall.state.row_set import RowSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MB = 1 << 20


def job(name: str, size: int, *, row_limit: int | None = None, republish: bool = False) -> FileJob:
    listed = FileStat(path=f"/in/{name}", size=size, etag="x")
    return FileJob(name=name, listed=listed, output=name, row_limit=row_limit, republish=republish)


def cut(jobs: Sequence[FileJob], *, workers: int = 2, rows: int | None = 1000) -> dict[str, int]:
    """How many jobs each file comes to."""
    names = [each.name for each in Parts(workers, estimate=lambda _: rows).split(jobs)]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def test_only_files_that_are_large_beside_a_fair_share_are_cut() -> None:
    assert cut([job("a", 64 * MB)]) == {"a": 8}
    assert cut([job("a", 64 * MB), job("b", MB)]) == {"a": 8, "b": 1}
    assert cut([job(name, 64 * MB) for name in "abcdefgh"]) == dict.fromkeys("abcdefgh", 1)
    assert cut([job(name, 64 * MB) for name in "abc"]) == dict.fromkeys("abc", 3)


@pytest.mark.parametrize(
    "whole",
    [job("a", 7 * MB), job("a", 64 * MB, row_limit=10), job("a", 64 * MB, republish=True)],
    ids=["small", "limited", "published before"],
)
def test_others_are_left_whole(whole: FileJob) -> None:
    assert cut([whole]) == {"a": 1}
    assert cut([job("a", 64 * MB)], rows=None) == {"a": 1}
    assert cut([job("a", 64 * MB)], rows=3) == {"a": 1}


def test_the_largest_come_first() -> None:
    parts = Parts(2, estimate=lambda _: None)
    assert [each.name for each in parts.split([job("a", 1), job("b", 3), job("c", 2), job("d", 3)])] == list("bdca")


@given(
    rows=st.integers(0, 400),
    estimate=st.integers(20, 400),  # from as many as there are parts
    workers=st.integers(2, 5),
    order=st.randoms(use_true_random=False),
)
def test_every_row_is_in_one_part_whatever_the_estimate_and_the_order(
    rows: int, estimate: int, workers: int, order: object
) -> None:
    parts = Parts(workers, estimate=lambda _: estimate)
    todo = parts.split([job("a", workers * 32 * MB)])
    parts.add = todo.extend
    scored: list[int] = []
    while any(each.part for each in todo):
        each = todo.pop(order.randrange(len(todo)))  # type: ignore[attr-defined]
        assert each.part is not None
        scored += range(each.part.start, min(rows, each.part.stop))
        assert parts.took(PartResult(each, min(rows, each.part.stop))) is None
    assert sorted(scored) == list(range(rows))
    assert [(each.part, each.rows) for each in todo] == [(None, rows)]


def test_a_part_that_fails_fails_its_file_when_all_have_come_back() -> None:
    parts, failed = Parts(2, estimate=lambda _: 100), list[tuple[str, str]]()
    parts.failed = lambda *told: failed.append(told)
    whole = job("a", 8 * MB)
    first, second = parts.split([whole])
    assert parts.took(PartResult(second, failure="damaged")) is None
    assert parts.took(PartResult(first, 50)) == FileResult(whole, failure="damaged")
    assert failed == [("a", "damaged")]


@given(
    first=st.integers(0, 30),
    length=st.integers(0, 30),
    recorded=st.sets(st.integers(0, 30)),
    blank=st.sets(st.integers(0, 24)),
    chunk_rows=st.integers(1, 7),
)
def test_a_part_is_read_without_what_stands_before_and_what_is_recorded(
    first: int, length: int, recorded: set[int], blank: set[int], chunk_rows: int
) -> None:
    lines = [json.dumps({"n": row}) + "\n" * (1 + (row in blank)) for row in range(25)]
    source = JsonlSource(lambda: io.BytesIO("".join(lines).encode()), name="a.jsonl")
    rows = RowSet()
    for row in recorded:
        rows.add(row)
    read = source.rows_left(["n"], recorded=From(first, rows), chunk_rows=chunk_rows, limit=first + length)
    found = [(index, row["n"]) for chunk in read for index, row in chunk if isinstance(row, dict)]
    assert found == [(row, row) for row in range(first, min(25, first + length)) if row not in recorded]
    assert source.row_count == min(25, first + length)


@given(cuts=st.sets(st.integers(1, 24)), bad=st.sets(st.integers(0, 24)), missing=st.booleans())
def test_what_the_parts_have_learned_saves_reading_the_file_for_its_types(
    cuts: set[int], bad: set[int], missing: bool
) -> None:
    lines = [
        "no row" if row in bad else json.dumps({"n": row if row % 7 else 0.5, f"c{row % 3}": None}) for row in range(25)
    ]
    text, opened = "\n".join(lines).encode(), list[int]()

    def opener() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(text)

    learned: list[object] = []
    edges = [0, *sorted(cuts), 25]
    for start, stop in pairwise(edges):
        part = JsonlSource(opener, name="a.jsonl")
        list(part.rows_left(["n"], recorded=From(start, RowSet()), chunk_rows=3, limit=stop))
        learned.append(pickle.loads(pickle.dumps(part.learned)))  # noqa: S301  as it comes from a worker of ours
    whole, source = JsonlSource(opener, name="a.jsonl"), JsonlSource(opener, name="a.jsonl")
    source.know(learned[::-1] if not missing else learned[:-1], rows=25)
    before = len(opened)
    schema = source.schema()
    assert len(opened) == before + missing
    assert schema == whole.schema()
    assert list(source.batches(schema[0])) == list(whole.batches(schema[0]))
    assert (source.bad_rows, source.bad_row_count) == (whole.bad_rows, len(bad))


def listed(path: Path) -> FileJob:
    stat = LocalFileSystem().stat(str(path))
    return FileJob(name=path.name, listed=stat, output=path.name)


def test_the_rows_of_a_file_are_estimated_where_parts_are_cheap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SAMPLE", 10)
    text = "".join(json.dumps({"text": f"{row:04d}"}) + "\n" for row in range(500))
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 but no more")
    pq.write_table(pa.table({"text": [str(row) for row in range(500)]}), tmp_path / "a.parquet")
    fs = LocalFileSystem()
    assert about_rows(fs, listed(tmp_path / "a.jsonl")) == 500
    assert about_rows(fs, listed(tmp_path / "a.parquet")) == 500
    assert about_rows(fs, listed(tmp_path / "a.jsonl.gz")) is None
    assert about_rows(fs, listed(tmp_path / "damaged.parquet")) is None
