"""Rows through ``process_item``: out of Arrow and back, in bounded memory, whatever a user's code adds.

Columns of the input keep their types; those of new ones are settled over the whole file. Until then what was added
waits on the local disk, so that ``process_item`` sees each row once.
"""

from __future__ import annotations

import copy
import json
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson
import pyarrow as pa

from modelcall.data_processing.columns import take_rows
from modelcall.errors import FileFailure, ModelCallError
from modelcall.formats.settle import Shape
from modelcall.formats.values import python_values
from modelcall.registry import place_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from modelcall.data_processing.base import BasePreprocessor
    from modelcall.types import Row

RETURNED_NONE = "process_item returned None"
_ADDED = "modelcall.added"
_NUMBER = "modelcall.number"


class Items:
    """The rows of a file as ``process_item`` returns them; reads the file once, when it is made."""

    def __init__(
        self,
        preprocessor: BasePreprocessor,
        *,
        name: str,
        schema: pa.Schema,
        json_columns: Collection[str],
        batches: Iterable[pa.RecordBatch],
    ) -> None:
        self._preprocessor = preprocessor
        self._name = name
        self._schema = schema
        self._names = frozenset(schema.names)
        self._json_columns = json_columns
        self._shapes: dict[str, Shape] = {}
        self._spool = cast("BinaryIO", tempfile.TemporaryFile(prefix="modelcall-"))  # noqa: SIM115  closed by close
        try:
            self._fill(batches)
        except BaseException:
            self.close()
            raise

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Return the columns, and which of them hold JSON text."""
        types = {name: shape.arrow_type() for name, shape in self._shapes.items()}
        added = pa.schema([(name, kind or pa.string()) for name, kind in types.items()])
        json_columns = [*self._json_columns, *(name for name, kind in types.items() if kind is None)]
        return pa.schema([*self._schema, *added], self._schema.metadata), json_columns

    def batches(self) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        """Yield the rows that are left, with their numbers in the file that was read."""
        schema, json_columns = self.schema()
        self._spool.seek(0)
        with pa.ipc.open_stream(self._spool) as stream:
            for spooled in stream:
                added = [orjson.loads(text) for text in spooled.column(_ADDED).to_pylist()]
                kept = spooled.columns[: len(self._schema)]
                new = [_added(added, schema.field(name), is_json=name in json_columns) for name in self._shapes]
                yield spooled.column(_NUMBER).to_pylist(), pa.RecordBatch.from_arrays([*kept, *new], schema=schema)

    def close(self) -> None:
        """Let the spooled rows go."""
        self._spool.close()

    def _fill(self, batches: Iterable[pa.RecordBatch]) -> None:
        fields = [*self._schema, pa.field(_NUMBER, pa.int64()), pa.field(_ADDED, pa.string())]
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        first = 0
        with pa.ipc.new_stream(self._spool, pa.schema(fields), options=options) as stream:
            for batch in batches:
                stream.write_batch(self._processed(batch, first, pa.schema(fields)))
                first += batch.num_rows

    def _processed(self, batch: pa.RecordBatch, first: int, schema: pa.Schema) -> pa.RecordBatch:
        """Return one batch as it is spooled."""
        items = _items(batch, self._json_columns)
        done = [self._called(item, first + index) for index, item in enumerate(items)]
        kept = [index for index, result in enumerate(done) if result is not None]
        results = [result for result in done if result is not None]
        self._preprocessor.dropped[RETURNED_NONE] += len(items) - len(kept)
        left = take_rows(batch, kept)
        before = [items[index] for index in kept]
        arrays = [
            left.column(field.name)
            if all(
                _same(item[field.name], result.get(field.name)) for item, result in zip(before, results, strict=True)
            )
            else self._changed(field, [result.get(field.name) for result in results])
            for field in self._schema
        ]
        numbers = pa.array([first + index for index in kept], pa.int64())
        added = pa.array(list(map(self._dumped, results, numbers.to_pylist())), pa.string())
        return pa.RecordBatch.from_arrays([*arrays, numbers, added], schema=schema)

    def _called(self, item: Row, number: int) -> Row | None:
        """Process one row; one that could not be read has nothing to process."""
        if all(value is None for value in item.values()):
            return item
        try:
            result = self._preprocessor.process_item(_copied(item))
        except ModelCallError:
            raise
        except Exception as error:
            raise FileFailure(
                f"{self._name}: row {number}: process_item raised {type(error).__name__}: {error} ({place_of(error)})"
            ) from error
        if result is not None and not isinstance(result, dict):
            raise FileFailure(f"{self._name}: row {number}: process_item returned {type(result).__name__}, not a dict")
        return result

    def _changed(self, field: pa.Field, values: list[Any]) -> pa.Array:
        """Return an input column with other values, in its type."""
        if field.name in self._json_columns:
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        try:
            return pa.array(values, field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise FileFailure(
                f"{self._name}: process_item put into the column {field.name!r} what is no {field.type}: {error}",
                hint="Return it under another name.",
            ) from error

    def _dumped(self, result: Row, number: int) -> str:
        """Return what a row got that the input has no column for."""
        added = {name: value for name, value in result.items() if name not in self._names}
        try:
            text = orjson.dumps(added, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError as error:
            raise FileFailure(
                f"{self._name}: row {number}: process_item returned what JSON cannot hold: {error}"
            ) from error
        for name, value in orjson.loads(text).items():
            self._shapes.setdefault(name, Shape()).observe(value)
        return text.decode()


def _items(batch: pa.RecordBatch, json_columns: Collection[str]) -> list[Row]:
    names = batch.schema.names
    columns = [
        _read(batch.column(name)) if name in json_columns else python_values(batch.column(name)) for name in names
    ]
    rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
    return [dict(zip(names, values, strict=True)) for values in rows]


def _copied(item: Row) -> Row:
    """Return a row whose changes do not show in ``item``."""
    return {name: copy.deepcopy(value) if isinstance(value, list | dict) else value for name, value in item.items()}


def _same(before: object, after: object) -> bool:
    return after is before or (isinstance(before, list | dict) and after == before)


def _read(array: pa.Array) -> list[Any]:
    return [None if text is None else json.loads(text) for text in array.to_pylist()]


def _added(rows: list[Row], field: pa.Field, *, is_json: bool) -> pa.Array:
    values = [row.get(field.name) for row in rows]
    if is_json:
        values = [None if value is None else orjson.dumps(value).decode() for value in values]
    return pa.array(values, field.type)
