"""Changes to texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.config.preprocess import TextCleaning


class Cleaner:
    """Takes characters out, then makes runs of white space one space."""

    def __init__(self, config: TextCleaning) -> None:
        self._single = {ord(text): None for text in config.remove_characters if len(text) == 1}
        self._longer = [text for text in config.remove_characters if len(text) > 1]
        self._squeeze = config.remove_extra_whitespace
        self.changes = bool(config.remove_characters) or self._squeeze
        """Whether it changes anything at all."""

    def __call__(self, text: str | None) -> str | None:
        """Return the cleaned text."""
        if text is None:
            return None
        for unwanted in self._longer:
            text = text.replace(unwanted, "")
        if self._single:
            text = text.translate(self._single)
        return " ".join(text.split()) if self._squeeze else text
