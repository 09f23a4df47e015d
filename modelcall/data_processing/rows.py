"""Some rows of a file on their way: their columns, their numbers, their texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from modelcall.data_processing.columns import is_plain_text, take_rows
from modelcall.data_processing.texts import as_texts

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one batch."""

    batch: pa.RecordBatch
    numbers: Sequence[int]
    """Of each row in the file that was read, from 0."""
    texts: Sequence[str | None]
    text: pa.Array
    """The texts as a column."""

    @classmethod
    def of(cls, batch: pa.RecordBatch, numbers: Sequence[int], *, key: str | None, is_json: bool) -> Self:
        """Return the rows of a batch whose texts are in a column; the column itself is kept where it is plain text."""
        if key is None:
            return cls(batch, numbers, [None] * batch.num_rows, pa.nulls(batch.num_rows, pa.string()))
        array = batch.column(key)
        texts = as_texts(array, name=key, is_json=is_json)
        plain = is_plain_text(array.type) and not is_json
        return cls(batch, numbers, texts, array if plain else pa.array(texts, pa.string()))

    def with_texts(self, texts: Sequence[str | None]) -> Self:
        """Return the rows with other texts."""
        return replace(self, texts=texts, text=pa.array(texts, pa.string()))

    def without(self, reasons: Sequence[str | None]) -> Self:
        """Return the rows that have no reason to go."""
        kept = [index for index, reason in enumerate(reasons) if reason is None]
        if len(kept) == len(reasons):
            return self
        return replace(
            self,
            batch=take_rows(self.batch, kept),
            numbers=[self.numbers[index] for index in kept],
            texts=[self.texts[index] for index in kept],
            text=self.text.take(pa.array(kept, pa.int64())),
        )
