"""Options and arguments of the form ``KEY=VALUE``; values are YAML."""

from __future__ import annotations

from modelcall.cli.failing import usage_error
from modelcall.config.yaml_loader import parse_value


def keyed(texts: list[str] | None, *, shown: str) -> dict[str, object] | None:
    """Read ``KEY=VALUE`` texts; values are YAML.

    Raises:
        ConfigError: One is not of that form.
    """
    if not texts:
        return None
    pairs = [text.partition("=") for text in texts]
    for text, (key, equals, _) in zip(texts, pairs, strict=True):
        if not equals or not key.strip():
            raise usage_error(f"{shown}: write KEY=VALUE, got {text!r}")
    return {key.strip(): parse_value(value, shown=shown) for key, _, value in pairs}
