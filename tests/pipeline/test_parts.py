"""Files in parts: every row in exactly one of them, and the file published once."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import pickle
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelcall.formats import lines as module_of_lines
from modelcall.formats.base import NO_ROWS, Layout, Start
from modelcall.formats.jsonl import JsonlSource
from modelcall.fs.base import FileStat
from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline.file import From
from modelcall.pipeline.job import FileJob, FileResult, PartResult
from modelcall.pipeline.parts import Parts, is_countable, layout_of
from modelcall.state.row_set import RowSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from modelcall.formats.base import AnyRow

MB = 1 << 20


def job(name: str, size: int, *, row_limit: int | None = None, republish: bool = False) -> FileJob:
    listed = FileStat(path=f"/in/{name}", size=size, etag="x")
    return FileJob(name=name, listed=listed, output=name, row_limit=row_limit, republish=republish)


def even(rows: int) -> Callable[[FileJob, int], Layout]:
    """Lays files of so many rows out."""
    return lambda _, parts: Layout(tuple(map(Start, range(0, rows, -(-rows // parts)))), rows)


def cut(jobs: Sequence[FileJob], *, workers: int = 2, rows: int = 24_000) -> dict[str, int]:
    """How many jobs each file comes to."""
    names = [each.name for each in Parts(workers, layout=even(rows)).split(jobs)]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def test_only_files_that_are_large_beside_a_fair_share_are_cut() -> None:
    assert cut([job("a", 64 * MB)]) == {"a": 10}
    assert cut([job("a", 64 * MB), job("b", MB)]) == {"a": 10, "b": 1}
    assert cut([job(name, 64 * MB) for name in "abcdefgh"]) == dict.fromkeys("abcdefgh", 1)
    assert cut([job(name, 64 * MB) for name in "abc"]) == {"a": 3, "b": 3, "c": 9}


def rows_of_parts(jobs: Sequence[FileJob], *, workers: int = 2) -> list[int]:
    parts = [each.part for each in Parts(workers, layout=even(6400)).split(jobs)]
    return [part.stop - part.start.row for part in parts if part is not None]


def test_parts_become_smaller_as_less_is_left() -> None:
    found = rows_of_parts([job("a", 640 * MB)])
    assert found == [800] * 5 + [600, 400, 400, 200, 200, 200, 100, 100, 100, 100]
    assert rows_of_parts([job("a", 640 * MB)], workers=4)[-4:] == [50] * 4
    first = rows_of_parts([job("a", 640 * MB), *(job(f"b{number}", 31 * MB) for number in range(20))])
    assert (len(set(first[:-1])), first[-1] <= first[0]) == (1, True), "as long as there is enough behind it"


@pytest.mark.parametrize(
    "whole",
    [job("a", 7 * MB), job("a", 64 * MB, row_limit=10), job("a", 64 * MB, republish=True)],
    ids=["small", "limited", "published before"],
)
def test_others_are_left_whole(whole: FileJob) -> None:
    assert cut([whole]) == {"a": 1}
    assert cut([job("a", 64 * MB)], rows=1) == {"a": 1}
    assert [each.part for each in Parts(2, layout=lambda *_: None).split([job("a", 64 * MB)])] == [None]


def test_how_many_jobs_text_comes_to_is_foreseen_without_reading_it() -> None:
    countable = partial(is_countable, LocalFileSystem())
    jobs = [job("a.jsonl", 64 * MB), job("b.jsonl", MB), job("c.jsonl.gz", 64 * MB), job("d.parquet", 64 * MB)]
    parts = Parts(2, layout=lambda *_: pytest.fail("read"), is_countable=countable)
    layout = even(24_000)
    read = Parts(2, layout=lambda each, number: layout(each, number) if countable(each) else None)
    assert parts.foreseen(jobs) == len(read.split(jobs)) == 6
    assert parts.foreseen(jobs[:1]) == len(read.split(jobs[:1])) == 10
    assert parts.foreseen(jobs[1:]) == 3
    assert Parts(1, layout=layout, is_countable=countable).foreseen(jobs) == 4
    assert parts.foreseen([]) == 0


def test_one_worker_has_no_parts() -> None:
    assert cut([job("a", 64 * MB)], workers=1) == {"a": 1}


def test_the_largest_come_first() -> None:
    parts = Parts(2, layout=lambda *_: None)
    assert [each.name for each in parts.split([job("a", 1), job("b", 3), job("c", 2), job("d", 3)])] == list("bdca")


@given(rows=st.integers(2, 400), workers=st.integers(2, 5), order=st.randoms(use_true_random=False))
def test_every_row_is_in_one_part_and_the_file_published_once_in_any_order(rows: int, workers: int, order: Any) -> None:
    parts, added = Parts(workers, layout=even(rows)), list[FileJob]()
    parts.add = added.extend
    todo = parts.split([job("a", workers * 32 * MB)])
    scored: list[int] = []
    while todo:
        each = todo.pop(order.randrange(len(todo)))
        assert each.part is not None
        assert added == []
        scored += range(each.part.start.row, each.part.stop)
        assert parts.took(PartResult(each, learned=each.part.number or None)) is None
    assert sorted(scored) == list(range(rows))
    assert [(each.name, each.part, each.rows) for each in added] == [("a", None, rows)]


def test_a_part_that_fails_fails_its_file_when_all_have_come_back() -> None:
    parts, failed = Parts(2, layout=even(100)), list[tuple[str, str]]()
    parts.failed = lambda *told: failed.append(told)
    whole = job("a", 8 * MB)
    first, second = parts.split([whole])
    assert parts.took(PartResult(second, failure="damaged")) is None
    assert parts.took(PartResult(first)) == FileResult(whole, failure="damaged")
    assert failed == [("a", "damaged")]


LONG = [b'{"long": "' + b"x" * 40 + b'"}', b'{"n": 3}' + b" " * 40, b" " * 40]
LINE = st.sampled_from([b'{"n": 1}', b"", b" \t", b"\r", b"no row", b'{"n": 2}\r', *LONG])


@example(lines=[b'{"n": 1}', b" " * 40, b'{"n": 2}'], begin=b"", end=b"\n", parts=2, longest=20)
@given(
    lines=st.lists(LINE),
    begin=st.sampled_from([b"", codecs.BOM_UTF8]),
    end=st.sampled_from([b"", b"\n"]),
    parts=st.integers(1, 6),
    longest=st.sampled_from([1, 20, 100]),
)
def test_text_read_in_parts_is_the_text(lines: list[bytes], begin: bytes, end: bytes, parts: int, longest: int) -> None:
    text = begin + b"\n".join(lines) + end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module_of_lines, "CHUNK_BYTES", 16)
        patch.setattr(module_of_lines, "STRIDE_BYTES", 16)
        source = JsonlSource(lambda: io.BytesIO(text), name="a.jsonl", max_line_bytes=longest)
        whole = list(source.rows_left(None, recorded=NO_ROWS, chunk_rows=3))
        rows = source.row_count
        layout = source.layout(parts)
        assert layout is not None
        assert layout.rows == rows
        stops = [*(start.row for start in layout.starts[1:]), layout.rows]
        read: list[tuple[int, AnyRow]] = []
        for start, stop in zip(layout.starts, stops, strict=bool(layout.starts)):
            part = source.rows_left(None, recorded=From(start.row, RowSet()), chunk_rows=3, limit=stop, start=start)
            read += [row for chunk in part for row in chunk]
            assert source.row_count == stop
    assert read == [row for chunk in whole for row in chunk], "the numbers of lines in what is said of bad ones, too"
    assert len(layout.starts) <= parts


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


@settings(deadline=None)  # the first column that Arrow makes of Python values takes seconds: it looks for pandas
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


def test_files_are_laid_out_where_parts_are_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of_lines, "CHUNK_BYTES", 100)
    monkeypatch.setattr(module_of_lines, "STRIDE_BYTES", 100)
    text = "".join(json.dumps({"text": f"{row:04d}"}) + "\n" for row in range(500))
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 but no more")
    pq.write_table(pa.table({"text": [str(row) for row in range(500)]}), tmp_path / "a.parquet")
    fs = LocalFileSystem()
    found = layout_of(fs, listed(tmp_path / "a.jsonl"), 4)
    assert found is not None
    assert found.rows == 500
    assert [start.row for start in found.starts] == pytest.approx([0, 125, 250, 375], abs=8)
    assert [start.byte for start in found.starts] == [17 * start.row for start in found.starts]
    assert layout_of(fs, listed(tmp_path / "a.parquet"), 4) == Layout(tuple(map(Start, (0, 126, 252, 378))), 500)
    assert layout_of(fs, listed(tmp_path / "a.jsonl.gz"), 4) is None
    assert layout_of(fs, listed(tmp_path / "damaged.parquet"), 4) is None
    packed = layout_of(fs, listed(tmp_path / "packed.jsonl"), 4)
    assert packed is None or len(packed.starts) < 2
