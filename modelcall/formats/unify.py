"""One schema for many files: settled over all of them, before any is written."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import orjson
import pyarrow as pa

from modelcall.formats.drift import Drift
from modelcall.formats.promote import promoted, promoted_field, shared
from modelcall.formats.settle import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Types: TypeAlias = "pa.Schema | Mapping[str, Shape]"
"""What a file says of its columns: their types, or what their values have in common."""

_NOTHING = pa.null()
_JSON_TEXT = "JSON text"


@dataclass(frozen=True, slots=True)
class Unified:
    """The schema that files are brought to."""

    schema: pa.Schema
    json_text: tuple[str, ...] = ()
    """Columns that hold the JSON text of their values."""

    def dump(self) -> str:
        """Return it as text, for a record."""
        schema = base64.b64encode(self.schema.serialize()).decode()
        return orjson.dumps({"schema": schema, "json_text": self.json_text}).decode()

    @classmethod
    def load(cls, text: str) -> Unified:
        """Return what :meth:`dump` was given."""
        facts = orjson.loads(text)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(facts["schema"])))
        return cls(schema, tuple(facts["json_text"]))

    def misfits(self, types: Types, names: Iterable[str] | None = None) -> list[str]:
        """Return what of a file's columns (of ``names``; None: all) does not become a column of this schema."""
        return [
            f"{name}: {kind}, where the schema of all files has {self._told(name)}"
            for name, kind in type_names(types).items()
            if (names is None or name in names) and not self._takes(name, types)
        ]

    def _told(self, name: str) -> str:
        if name in self.json_text:
            return _JSON_TEXT
        return type_name(self.schema.field(name).type) if name in self.schema.names else "no such column"

    def _takes(self, name: str, types: Types) -> bool:
        if name not in self.schema.names:
            return False
        kind = self.schema.field(name).type
        if isinstance(types, pa.Schema):
            return name not in self.json_text and _becomes(types.field(name).type, kind)
        return name in self.json_text or (_joined(types[name], kind) == kind and _can_be_made(kind))


class Unifier:
    """Takes in what file after file says of its columns."""

    def __init__(self) -> None:
        self.drift = Drift()
        self._fields: dict[str, pa.Field | None] = {}
        """Columns of files that have types; None: no type holds them all."""
        self._shapes: dict[str, Shape] = {}
        """Columns of files that have values only, all files together."""
        self._order: dict[str, int] = {}
        """How many files have a column, in order of first appearance."""
        self._files = 0
        self._metadata: dict[bytes, bytes] | None = None

    def add(self, file: str, types: Types) -> None:
        """Take a file into account."""
        self.drift.add(file, type_names(types))
        metadata = types.metadata if isinstance(types, pa.Schema) else None
        self._metadata = shared(self._metadata, metadata) if self._files else metadata
        self._files += 1
        for name in types.names if isinstance(types, pa.Schema) else types:
            self._order[name] = self._order.get(name, 0) + 1
            if isinstance(types, pa.Schema):
                self._add_field(types.field(name))
            else:
                self._shapes.setdefault(name, Shape()).merge(types[name])

    def _add_field(self, field: pa.Field) -> None:
        known = self._fields.setdefault(field.name, field)
        self._fields[field.name] = None if known is None else promoted_field(known, field)

    def unified(self) -> tuple[Unified, list[str]]:
        """Return the schema of all files, and the columns it cannot have with their types in the files."""
        settled = {name: self._settled(name) for name in self._order}
        fields = [field for field in settled.values() if field is not None]
        texts = [name for name in self._order if name not in self._fields and self._shapes[name].arrow_type() is None]
        unlike = [self.drift.line(name) for name, field in settled.items() if field is None]
        return Unified(pa.schema(fields, self._metadata), tuple(texts)), unlike

    def _settled(self, name: str) -> pa.Field | None:
        field, shape = self._fields.get(name), self._shapes.get(name)
        if name not in self._fields:
            assert shape is not None  # noqa: S101  a column is in one of the two; for the type checker
            return pa.field(name, shape.arrow_type() or pa.string())
        kind = field.type if field is not None else None
        if kind is not None and shape is not None:
            kind = _joined(shape, kind)
        if field is None or kind is None:
            return None
        anywhere = shape is None and self._order[name] == self._files
        return pa.field(name, kind, field.nullable or not anywhere, field.metadata)


def type_names(types: Types) -> dict[str, str]:
    """Return the types of a file's columns as texts."""
    if isinstance(types, pa.Schema):
        return {field.name: type_name(field.type) for field in types}
    kinds = {name: shape.arrow_type(nothing=_NOTHING) for name, shape in types.items()}
    return {name: _JSON_TEXT if kind is None else type_name(kind) for name, kind in kinds.items()}


def type_name(kind: pa.DataType) -> str:
    """Return a type as text, the same before and after it was in a file: writing renames what lists hold."""
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {type_name(field.type)}' for field in kind)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if pa.types.is_nested(kind) and hasattr(kind, "value_field"):
        name, *_ = str(kind).partition("<")
        size = f"[{kind.list_size}]" if pa.types.is_fixed_size_list(kind) else ""
        return f"{name}<{type_name(kind.value_type)}>{size}"
    return str(kind)


def _joined(shape: Shape, kind: pa.DataType) -> pa.DataType | None:
    """Return the type that holds values and a type, or None. Whole numbers among floats are floats if exact."""
    if pa.types.is_floating(kind) and shape.is_whole:
        both = Shape()
        both.merge(shape)
        both.observe_floats()
        return None if both.arrow_type() is None else pa.float64()
    own = shape.arrow_type(nothing=_NOTHING)
    return None if own is None else promoted(kind, own)


def _becomes(own: pa.DataType, kind: pa.DataType) -> bool:
    if own == kind:
        return True
    if promoted(kind, own) != kind:  # in this order, which is that of the fields
        return False
    try:
        pa.nulls(0, own).cast(kind)
    except pa.ArrowException:
        return False
    return True


def _can_be_made(kind: pa.DataType) -> bool:
    try:
        pa.array([], kind)
    except pa.ArrowException:
        return False
    return True
