"""Providers we know: where they answer, and which variable holds the key that belongs to their hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Provider:
    """A known provider."""

    names: frozenset[str]
    """What users call it, in lower case."""
    base_url: str
    key_variable: str
    hosts: re.Pattern[str]
    """The hosts its key belongs to."""


def _provider(*names: str, base_url: str, key: str, hosts: str) -> Provider:
    return Provider(frozenset(names), base_url, key, re.compile(hosts))


PROVIDERS: Final = (
    _provider(
        "openai", base_url="https://api.openai.com/v1", key="OPENAI_API_KEY", hosts=r"(?:eu\.|us\.)?api\.openai\.com"
    ),
    _provider(
        *("anthropic", "claude"),
        base_url="https://api.anthropic.com/v1",
        key="ANTHROPIC_API_KEY",
        hosts=r"api\.anthropic\.com",
    ),
    _provider(
        *("deepseek", "deepseek-ai"),
        base_url="https://api.deepseek.com/v1",
        key="DEEPSEEK_API_KEY",
        hosts=r"api\.deepseek\.com",
    ),
    _provider(
        *("ark", "volcengine", "volcengine-ark", "doubao"),
        base_url="https://ark.cn-beijing.volces.com/api/v3",
        key="ARK_API_KEY",
        hosts=r"ark\.[a-z0-9-]+\.volces\.com|ark\.[a-z0-9-]+\.bytepluses\.com",
    ),
    _provider(
        "siliconflow",
        base_url="https://api.siliconflow.cn/v1",
        key="SILICONFLOW_API_KEY",
        hosts=r"api\.siliconflow\.(?:cn|com)",
    ),
)


def provider_named(name: str) -> Provider | None:
    """Return the known provider of this name."""
    wanted = name.strip().lower()
    return next((provider for provider in PROVIDERS if wanted in provider.names), None)


def owner_of(host: str) -> Provider | None:
    """Return the known provider that this host belongs to."""
    return next((provider for provider in PROVIDERS if provider.hosts.fullmatch(host.lower().rstrip("."))), None)


def owner_of_key(variable: str) -> Provider | None:
    """Return the known provider whose key this variable holds."""
    return next((provider for provider in PROVIDERS if provider.key_variable == variable), None)
