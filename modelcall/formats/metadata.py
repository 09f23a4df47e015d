"""Which metadata of an input file stays true of the output, which has more columns and perhaps fewer of the input's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

_WHOLE_SCHEMAS = frozenset(
    {
        b"org.apache.spark.sql.parquet.row.metadata",
        b"parquet.avro.schema",
        b"avro.schema",
        b"parquet.proto.descriptor",
        b"parquet.proto.class",
        b"iceberg.schema",
    }
)
"""Each is the file's whole schema in another system's words: that system would not see the added columns."""

_COLUMNS_OF: dict[bytes, Callable[[Any], Iterable[Any]]] = {
    b"pandas": lambda facts: [column["field_name"] for column in facts["columns"]],
    b"huggingface": lambda facts: facts["info"]["features"],
    b"geo": lambda facts: facts["columns"],
}
"""Notes on some columns, true as long as all of those are there; their readers take other columns as they are."""


def kept_metadata(inputs: pa.Schema) -> dict[bytes, bytes] | None:
    """Return the metadata of the schema that still holds when columns are added; None if there is none."""
    metadata: dict[bytes, bytes] = inputs.metadata or {}
    names = frozenset(inputs.names)
    return {key: value for key, value in metadata.items() if _holds(key, value, names)} or None


def _holds(key: bytes, value: bytes, names: frozenset[str]) -> bool:
    if key in _WHOLE_SCHEMAS:
        return False
    if key not in _COLUMNS_OF:
        return True
    try:
        return names.issuperset(_COLUMNS_OF[key](orjson.loads(value)))
    except (ValueError, LookupError, TypeError):
        return False
