from __future__ import annotations

import io
import itertools
from functools import partial

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, reject, settings

from modelcall.formats.base import BadRow
from modelcall.formats.parquet import ParquetSource
from tests.formats.arrow_tables import tables


def _source(table: pa.Table) -> ParquetSource:
    data = io.BytesIO()
    try:
        pq.write_table(table, data, row_group_size=5)
    except pa.ArrowNotImplementedError:  # views inside structs
        reject()
    return ParquetSource(partial(io.BytesIO, data.getvalue()), name="a.parquet")


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables())
def test_every_type_can_be_scored_and_written_as_json(table: pa.Table) -> None:
    source = _source(table)
    rows = list(itertools.chain.from_iterable(source.rows(None, chunk_rows=4)))
    records = [orjson.loads(record) for record in itertools.chain.from_iterable(source.records(None))]
    assert len(rows) == len(records) == table.num_rows
    assert all(list(record) == table.schema.names for record in records)
    for row, record in zip(rows, records, strict=True):
        if not isinstance(row, BadRow):
            absent = [name for name, value in row.items() if value is None]
            assert [name for name in absent if record[name] is not None] == []
