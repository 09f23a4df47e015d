from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from modelcall.formats.metadata import kept_metadata


def _kept(metadata: dict[str, Any]) -> set[str]:
    encoded = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    kept = kept_metadata(pa.schema([("a", pa.int64()), ("b", pa.int64())], metadata=encoded)) or {}
    assert all(kept[key] == encoded[key.decode()].encode() for key in kept)
    return {key.decode() for key in kept}


def test_notes_on_columns_stay_while_the_columns_do() -> None:
    assert _kept(
        {
            "pandas": {"columns": [{"field_name": "a"}, {"field_name": "b"}]},
            "huggingface": {"info": {"features": {"a": {}}}},
            "geo": {"columns": {"b": {}}},
            "anything": "not json",
        }
    ) == {"pandas", "huggingface", "geo", "anything"}


def test_notes_on_columns_left_out_go() -> None:
    assert not _kept(
        {
            "pandas": {"columns": [{"field_name": "a"}, {"field_name": "__index_level_0__"}]},
            "huggingface": {"info": {"features": {"c": {}}}},
            "geo": {"columns": {"c": {}}},
        }
    )


def test_whole_schemas_of_other_systems_go() -> None:
    assert not _kept(
        {"org.apache.spark.sql.parquet.row.metadata": "{}", "parquet.avro.schema": "{}", "iceberg.schema": "{}"}
    )


def test_damaged_notes_go() -> None:
    assert not _kept({"pandas": "{", "huggingface": {"info": []}, "geo": "3"})


def test_no_metadata_is_none() -> None:
    assert kept_metadata(pa.schema([("a", pa.int64())])) is None
