"""Input columns as an output carries them, from the output and from the input: equal, or something went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from modelcall.formats.values import python_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.formats.base import Source
    from modelcall.formats.detect import Format


def unlike_columns(published: Source, original: Source, wanted: Sequence[str] | None) -> list[str]:
    """Return the input columns (of ``wanted``; None: all) that a Parquet output lacks or has in another type."""
    there, (schema, _) = published.schema()[0], original.schema()
    names = schema.names if wanted is None else wanted
    return [name for name in names if name not in there.names or there.field(name).type != schema.field(name).type]


def input_rows(source: Source, names: Sequence[str], *, target: Format, limit: int | None) -> Iterator[object]:
    """Yield the rows of an output, or of its input, in one form: of JSON Lines their text, of Parquet their values."""
    if target == "jsonl":
        for records in source.records(names, limit=limit):
            yield from records
        return
    schema = source.schema()[0]
    for batch in source.batches(pa.schema([schema.field(name) for name in names]), limit=limit):
        yield from zip(*map(python_values, batch.columns), strict=True) if names else [()] * batch.num_rows


def same(one: object, other: object) -> bool:
    """Whether two rows are equal, NaN equal to itself."""
    return one == other or repr(one) == repr(other)
