"""The prompt file: what the model is asked, and what its answers must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from modelcall.config.fields import Block, OrDefaults, Text
from modelcall.config.output import OutputConfig
from modelcall.config.template import Template

if TYPE_CHECKING:
    from modelcall.types import ColumnType


class PromptTemplate(Block):
    """The two texts of a prompt, with {column} placeholders."""

    system_text: str = Field(default="", description="The system message; none if empty.")
    prompt_text: Text = Field(description="The user message. {{ and }} give one brace.")


class PromptConfig(Block):
    """A prompt file."""

    prompt_template: PromptTemplate = Field(description="The texts, with {column} placeholders.")
    output_config: OrDefaults[OutputConfig] = Field(
        default=OutputConfig(require_json=False), description="What answers must hold, and which columns they become."
    )

    def template(self) -> Template:
        """Return the texts, parsed."""
        texts = self.prompt_template
        return Template.parse(system_text=texts.system_text, prompt_text=texts.prompt_text)

    def columns(self) -> dict[str, ColumnType]:
        """Result columns in order."""
        return self.output_config.columns()
