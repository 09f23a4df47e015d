"""What goes in comes out: tables of every type through the real reading, scoring and publishing."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from modelcall.formats import writers
from modelcall.types import Outcome, Permit, RowRef
from tests.formats.arrow_tables import same, tables
from tests.pipeline.harness import Bench, FakeJudge

if TYPE_CHECKING:
    from collections.abc import Callable

TOGETHER = 10
"""Tables that are files of one run."""
EXAMPLES = 50
BATCHES = 40
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

LAYOUTS = st.fixed_dictionaries(
    {
        "row_group_size": st.sampled_from([1, 5, 100]),
        "store_schema": st.booleans(),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "compression": st.sampled_from(["none", "snappy", "zstd", "gzip"]),
        "use_deprecated_int96_timestamps": st.booleans(),
    }
)


def _scored(_: RowRef, __: Permit) -> Outcome:
    return Outcome(values={"score": 1, "note": "x"})


class Judge(FakeJudge):
    """Gives every row the same score, and has all its columns made into Python objects."""

    reads = None

    def __init__(self) -> None:
        super().__init__(act=_scored)


def write(table: pa.Table, path: Path, layout: dict[str, Any]) -> bool:
    """Return whether the table can be a Parquet file at all."""
    try:
        pq.write_table(table, path, **layout)
    except pa.ArrowException:  # slices of views, dictionaries of nulls in structs
        path.unlink(missing_ok=True)
        return False
    return True


def check(folder: Path, made: list[tuple[pa.Table, dict[str, Any]]]) -> int:
    """Run the tables through the pipeline; return how many there were."""
    bench = Bench(folder)
    paths = [bench.input / f"{number:03d}.parquet" for number in range(len(made))]
    paths = [path for path, (table, layout) in zip(paths, made, strict=True) if write(table, path, layout)]
    asyncio.run(bench.start(Judge()))
    assert bench.seen.failed == {}
    for path in paths:
        before, after = pq.read_table(path), pq.read_table(bench.output / path.name)
        kept = after.select(range(before.num_columns))
        assert kept.schema.equals(before.schema.with_metadata(kept.schema.metadata), check_metadata=True)
        assert kept.schema.metadata == before.schema.metadata
        for index, name in enumerate(before.schema.names):
            assert same(kept[index].combine_chunks(), before[index].combine_chunks()), name
        assert after.schema.names[before.num_columns :][:2] == ["score", "note"]
        assert after.num_rows == before.num_rows
    findings = bench.verify()
    assert (findings.problems, findings.compared) == ([], len(paths))
    return len(paths)


def check_many(*, examples: int, number: int) -> int:
    """Return how many tables were carried."""
    carried = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=QUIET,
        database=None,
        phases=[Phase.generate, Phase.shrink],
    )
    @given(made=st.lists(st.tuples(tables(), LAYOUTS), min_size=TOGETHER, max_size=TOGETHER))
    def all_of_them(made: list[tuple[pa.Table, dict[str, Any]]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            carried.append(check(Path(folder), made))

    all_of_them()
    return sum(carried)


def test_every_table_comes_out_as_it_went_in() -> None:
    assert check_many(examples=EXAMPLES, number=0) > EXAMPLES * TOGETHER * 0.8


@pytest.mark.long
@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_table_comes_out_as_it_went_in_long(record_property: Callable[[str, object], None], batch: int) -> None:
    record_property("tables", check_many(examples=EXAMPLES, number=1 + batch))


class _Unit(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """An extension type of somebody's own, which this process may not know."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "test.unit")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"metres"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> _Unit:
        return cls()


def test_an_extension_type_that_nobody_here_knows_is_known_again_to_who_does(tmp_path: Path) -> None:
    lengths = pa.ExtensionArray.from_storage(_Unit(), pa.array([1, None, 3]))
    table = pa.table({"length": lengths, "text": ["a", "b", "c"]})
    check(tmp_path, [(table, {})])
    pa.register_extension_type(_Unit())
    try:
        assert pq.read_table(tmp_path / "out/000.parquet").column("length").chunk(0) == lengths
    finally:
        pa.unregister_extension_type("test.unit")


def test_views_in_structs_pass_in_files_that_pyarrow_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot slice them; a file of many rows by another writer failed when all its rows had been paid for."""
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 50_000)
    rows = [{"x": str(index) * 200} for index in range(2000)]
    table = pa.table({"s": pa.array(rows, pa.struct([("x", pa.string())]))})
    views = pa.schema([("s", pa.struct([("x", pa.string_view())]))])
    bench = Bench(tmp_path)
    with pq.ParquetWriter(bench.input / "a.parquet", table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(views.serialize()).decode()})
    asyncio.run(bench.start(Judge()))
    assert bench.seen.failed == {}
    after = pq.read_table(bench.output / "a.parquet")
    assert after.schema.field("s") == views.field("s")
    assert after["s"].to_pylist() == rows


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
SPACE = st.sampled_from(["", " ", "\t", "  "])


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=3), NUMBERS, max_size=4), min_size=1, max_size=30),
    space=SPACE,
    ascii_only=st.booleans(),
)
def test_json_lines_keep_every_digit_space_and_key_in_its_place(
    rows: list[dict[str, str]], space: str, *, ascii_only: bool
) -> None:
    lines = []
    for row in rows:
        members = (f"{json.dumps(key, ensure_ascii=ascii_only)}{space}:{space}{text}" for key, text in row.items())
        lines.append(f"{{{space}{f'{space},{space}'.join(members)}}}".encode("utf-8", "surrogatepass"))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), output_format="jsonl")
        (bench.input / "a.jsonl").write_bytes(b"\n".join(lines))
        asyncio.run(bench.start(Judge()))
        written = (bench.output / "a.jsonl").read_bytes().split(b"\n")
        assert (bench.verify().problems, written.pop()) == ([], b"")
    for line, out in zip(lines, written, strict=True):
        kept, _, results = out.partition(b'"score":1,')
        assert kept.rstrip(b",") == (b"{" if not line.strip(b"{} \t") else line[:-1])
        assert results.startswith(b'"note":"x",')
