"""The preprocessing block of a task file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag

from modelcall.config.fields import (
    Block,
    NotNegative,
    OrDefaults,
    OrMinusOne,
    Positive,
    Text,
    Texts,
    Truth,
    Whole,
    refuse,
    shown,
)
from modelcall.registry import BUILT_IN


def _compiles(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            refuse("must be regular expressions, got {value}: {error}", value=shown(pattern), error=str(error))
    return patterns


class CombinedField(Block):
    """A column made of several."""

    type: Literal["combine"] = Field(description="combine")
    fields: Texts = Field(description="Columns that are joined, in this order.")
    separator: str = Field(default=" ", description="Text between them.")


class ConstantField(Block):
    """A column with one value."""

    type: Literal["constant"] = Field(description="constant")
    value: Any = Field(description="The value of every row.")


def _mapping_kind(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("type"))
    return "source" if isinstance(value, str) else str(getattr(value, "type", None))


MappedField: TypeAlias = Annotated[
    Annotated[Text, Tag("source")]
    | Annotated[CombinedField, Tag("combine")]
    | Annotated[ConstantField, Tag("constant")],
    Discriminator(
        _mapping_kind,
        custom_error_type="refused",
        custom_error_message="must be the name of a column, or a block of type combine or constant",
    ),
]


class FilterConfig(Block):
    """Rows that are dropped, after the text was mapped and cleaned."""

    min_text_length: NotNegative | None = Field(default=None, description="Least characters of a text.")
    max_text_length: Positive | None = Field(default=None, description="Most characters of a text.")
    required_fields: Texts = Field(
        default=(), description="Columns a row must have, not null, blank or without members."
    )
    blacklist_patterns: Annotated[Texts, AfterValidator(_compiles)] = Field(
        default=(), description="Regular expressions; a row goes if one is found in its text."
    )


class TextCleaning(Block):
    """Changes to the text."""

    remove_extra_whitespace: Truth = Field(default=False, description="Runs of white space become one space.")
    remove_characters: Texts = Field(default=(), description="Characters that are taken out.")


class ComputedField(Block):
    """A column computed from another."""

    type: Literal["text_length", "token_count"] = Field(description="What is computed.")
    source_field: Text = Field(default="text", description="Column it is computed from.")


class TransformConfig(Block):
    """Changes to rows."""

    text_cleaning: OrDefaults[TextCleaning] = Field(default=TextCleaning(), description="Changes to the text.")
    computed_fields: OrDefaults[dict[Text, ComputedField]] = Field(default={}, description="Computed columns, by name.")


class PreprocessConfig(Block):
    """Optional preprocessing before scoring."""

    enabled: Truth = Field(default=False, description="Whether this block counts.")
    script_type: Text = Field(default="universal", description="universal, github_raw_code, or package.module:Class.")
    input_folder: Text | None = Field(default=None, description="Default: data.input_folder.")
    output_folder: Text | None = Field(default=None, description="Folder of the result; the input of scoring.")
    stat_folder: Text | None = Field(
        default=None,
        description="Folder for what became of each file. Default: .modelcall/preprocess/ in the output folder.",
    )
    text_key: Text | None = Field(
        default=None,
        description="Column that holds the text. Default: the first of text, content, code, body, description.",
    )
    max_tokens: Positive = Field(
        default=32768, description="Tokens kept in content_truncate_Nk, with N = max_tokens // 1024."
    )
    tokenizer: Text = Field(
        default="o200k", description="What a token is: o200k, cl100k, characters, or the path of a tokenizer.json."
    )
    dedupe: Literal["none", "file"] = Field(
        default="none", description="file: of the rows of one file that have equal texts the first is kept."
    )
    num_proc: Positive = Field(default=16, description="Processes; never more than there are files to do.")
    seed: Whole = Field(default=42, description="Seed of what a preprocessor of your own draws.")
    num_files: OrMinusOne = Field(default=-1, description="First files in sorted order; -1: all.")
    source_name: Text | None = Field(
        default=None, description="Value of the column source where the input has none. Default: the script_type."
    )
    file_pattern: Text | None = Field(
        default=None, description="Which files of the folder are read, by name, or by path if it holds a /: *.jsonl"
    )
    field_mapping: OrDefaults[dict[Text, MappedField]] = Field(
        default={}, description="New columns: target: source, or a block of type combine or constant."
    )
    filters: OrDefaults[FilterConfig] = Field(default=FilterConfig(), description="Rows that are dropped.")
    transformations: OrDefaults[TransformConfig] = Field(default=TransformConfig(), description="Changes to rows.")
    options: OrDefaults[dict[str, Any]] = Field(default={}, description="Options of a preprocessor of your own.")

    @property
    def is_users(self) -> bool:
        """Whether the preprocessor is not one of ours."""
        return self.script_type not in BUILT_IN["preprocessors"]
