"""Input columns as an output carries them, from the output and from the input: equal, or something went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.formats.values import python_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from modelcall.formats.base import Source


def unlike_columns(there: pa.Schema, expected: pa.Schema) -> list[str]:
    """Return the columns that a Parquet output lacks or has in another type."""
    return [
        name
        for name in expected.names
        if name not in there.names or there.field(name).type != expected.field(name).type
    ]


def value_rows(source: Source, schema: pa.Schema, *, limit: int | None) -> Iterator[object]:
    """Yield the values of each row, of an output or of its input."""
    for batch in source.batches(schema, limit=limit):
        yield from zip(*map(python_values, batch.columns), strict=True) if len(schema) else [()] * batch.num_rows


def text_rows(source: Source, names: Sequence[str], *, limit: int | None) -> Iterator[object]:
    """Yield the JSON text of each row, of an output or of its input."""
    for records in source.records(names, limit=limit):
        yield from records


def same(one: object, other: object) -> bool:
    """Whether two rows are equal, NaN equal to itself."""
    return one == other or repr(one) == repr(other)
