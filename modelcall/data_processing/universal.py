"""The configurable preprocessor: columns mapped, text cleaned, rows filtered, columns computed, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.cleaning import Cleaner
from modelcall.data_processing.columns import put
from modelcall.data_processing.filters import Filters
from modelcall.data_processing.mapping import mapped, used_by
from modelcall.data_processing.texts import TEXT, as_words

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelcall.config.preprocess import ComputedField


class Universal(BasePreprocessor):
    """Does what ``field_mapping``, ``transformations`` and ``filters`` of the configuration say.

    All mapped columns are made of the input's as they were read. Filters see the text as it is written: mapped and
    cleaned. A column that a file lacks is null there, and the log says so.
    """

    source: ClassVar[str] = "universal"
    _read_json: Collection[str] = ()

    def begin_file(self, name: str, schema: pa.Schema, json_columns: Collection[str]) -> None:
        """Make ready for a file; what the mapping makes may hold the text."""
        mapping = self.config.field_mapping
        columns = [*schema.names, *(target for target in mapping if target not in schema.names)]
        self._read_json = json_columns
        copies = {target for target, field in mapping.items() if isinstance(field, str) and field in json_columns}
        kept = set(json_columns) - mapping.keys()
        shown = pa.schema([(column, pa.null()) for column in columns] if schema.names else [])
        super().begin_file(name, shown, kept | copies)
        if TEXT in mapping:
            self.text_key = TEXT
        self._clean = Cleaner(self.config.transformations.text_cleaning)
        self._filters = Filters(self.config.filters)
        self._note_missing(schema.names)

    def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
        """Return the rows of a batch as they are written."""
        mapping = self.config.field_mapping
        rows = self.rows(mapped(batch, mapping, json_columns=self._read_json), numbers)
        if self._clean.changes:
            rows = rows.with_texts(list(map(self._clean, rows.texts)))
        rows = self.drop(rows, self._filters.reasons(rows, json_columns=self.json_columns))
        done = self.complete(rows)
        for name, field in self.config.transformations.computed_fields.items():
            done = put(done, name, pa.array(self._computed(done, field), pa.int64()))
        return done

    def _computed(self, batch: pa.RecordBatch, field: ComputedField) -> list[int | None]:
        if field.source_field not in batch.schema.names:
            return [None] * batch.num_rows
        words = as_words(batch.column(field.source_field), is_json=field.source_field in self._json_left)
        if field.type == "text_length":
            return [None if word is None else len(word) for word in words]
        is_text = field.source_field == TEXT and TEXT not in self.config.transformations.computed_fields
        counted = self.uncut_tokens if is_text else [None] * len(words)
        return [
            self.tokenizer.count(word) if tokens is None and word is not None else tokens
            for word, tokens in zip(words, counted, strict=True)
        ]

    @property
    def _json_left(self) -> set[str]:
        """Columns that hold JSON text in what is written: not those that were made anew."""
        return set(self.json_columns) - {TEXT, self.cut_column, *self.config.transformations.computed_fields}

    def _note_missing(self, columns: Sequence[str]) -> None:
        """Note each column that the configuration names, and neither the file has nor we make."""
        if not columns:
            return
        config = self.config
        made = {*columns, *config.field_mapping, "id", TEXT, "source", self.cut_column}
        computed = config.transformations.computed_fields
        named = [
            *(name for field in config.field_mapping.values() for name in used_by(field) if name not in columns),
            *(name for name in config.filters.required_fields if name not in {*columns, *config.field_mapping, TEXT}),
            *(field.source_field for field in computed.values() if field.source_field not in {*made, *computed}),
        ]
        self.notes |= dict.fromkeys(f"{self.file}: there is no column {name!r}; it counts as null" for name in named)
