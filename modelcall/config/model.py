"""The model file: which model, at which endpoint, asked how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from modelcall.config.fields import (
    Block,
    Duration,
    NotNegative,
    OrDefaults,
    Positive,
    PositiveDuration,
    PositiveNumber,
    Price,
    Share,
    Text,
    Texts,
    Truth,
    looks_secret,
    refuse,
)
from modelcall.config.urls import UrlRefusedError, normal_url

_TOKENS_PRICED: Final = 1_000_000
EMBEDDED: Final = "embedded"
"""The provider that a run starts for itself."""

SECRET_KEYS: Final = frozenset(
    {"api_key", "apikey", "key", "token", "api_token", "access_token", "secret", "secret_key", "password"}
    | {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-auth-token", "cookie"}
)
"""Keys and headers that hold credentials, in lower case."""
KEYS_STAY_OUT: Final = (
    "keys never stand in YAML: put the key in .env as NAME=…, and write `api_key_env: NAME` in the model file"
)
_OURS: Final = {"model": "write model_name", "messages": "write a prompt file", "stream": "answers are never streamed"}
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in SECRET_KEYS or looks_secret(value):
            refuse(f"the header {name}: {KEYS_STAY_OUT}")
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            refuse("the header {name} is not a plain name with a value of one line", name=repr(name))
    return headers


def _params(params: dict[str, Any]) -> dict[str, Any]:
    problems = [f"`{name}` cannot be set here: {instead}" for name, instead in _OURS.items() if params.get(name)]
    secret = [key for key, value in _texts(params) if key.lower() in SECRET_KEYS or looks_secret(value)]
    problems += [f"`{key}`: {KEYS_STAY_OUT}" for key in dict.fromkeys(secret)]
    if problems:
        refuse("{problems}", problems="; ".join(problems))
    _must_be_json(params)
    return params


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)


def _must_be_json(params: dict[str, Any]) -> None:
    try:
        text = orjson.dumps(params)
    except (TypeError, ValueError):
        refuse("holds a value that JSON cannot carry")
    if orjson.loads(text) != params:  # orjson writes NaN and infinities as null
        refuse("holds a number that JSON cannot carry: .nan or .inf")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or looks_secret(name):
        refuse("must be the name of an environment variable, such as OPENAI_API_KEY, not the key itself")
    return name


def _base_urls(urls: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if urls == ():
        refuse("must name at least one URL, or be left out")
    try:
        return None if urls is None else tuple(dict.fromkeys(map(normal_url, urls)))
    except UrlRefusedError as error:
        refuse(str(error))


def _proxy(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        refuse("is no URL; write http://HOST:PORT")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        refuse("must be a URL such as http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        refuse("must hold no user name or password: credentials never stand in YAML")
    return url


def _adaptive(value: object) -> object:
    if value is None or isinstance(value, dict):
        return value or {}
    return {"enabled": value}


class AdaptiveBlock(Block):
    """How the number of requests in flight follows the endpoint."""

    enabled: Truth = Field(default=True, description="false: always max_concurrent_requests.")
    min: Positive = Field(default=1, description="The limit never falls below this.")
    start: Positive | None = Field(default=None, description="The limit at the start. Default: automatic.")


class Prices(Block):
    """Prices per million tokens."""

    prompt: Price = Field(description="Tokens of the prompt.")
    completion: Price = Field(description="Tokens of the answer.")
    cached: Price | None = Field(default=None, description="Tokens of the prompt that came from a cache.")
    currency: Text = Field(default="USD", description="Currency, as it is shown.")

    def amount(self, *, prompt: int, completion: int, cached: int) -> float:
        """What tokens cost. Cached ones are part of the prompt's; without a price of their own they cost the same."""
        of_cached = self.prompt if self.cached is None else self.cached
        return ((prompt - cached) * self.prompt + cached * of_cached + completion * self.completion) / _TOKENS_PRICED


class EmbeddedBlock(Block):
    """The embedded server that a run starts for itself."""

    latency: Duration = Field(default=0.0, description="Median time of an answer (seconds).")
    jitter: Duration = Field(default=0.0, description="Spread of that time (seconds).")
    faults: OrDefaults[dict[Text, Share]] = Field(default={}, description="Faults by name, with their rate (0 to 1).")
    capacity: Positive | None = Field(default=None, description="Requests in flight above which it answers 429.")
    time_scale: PositiveNumber = Field(default=1.0, description="Factor on all its times.")
    seed: NotNegative = Field(default=0, description="Seed of faults and times.")


class ModelConfig(Block):
    """A model file."""

    provider: Text = Field(description="Name of the provider; embedded: the run starts a server for itself.")
    model_name: Text = Field(description="Name of the model at the endpoint.")
    completions_params: Annotated[OrDefaults[dict[str, Any]], AfterValidator(_params)] = Field(
        default={}, description="Passed as they are to chat completions: temperature, max_tokens, extra_body, …"
    )
    base_url: Annotated[Texts | None, AfterValidator(_base_urls)] = Field(
        default=None, description="URL of the endpoint up to /v1, or a list of them: a pool that shares the load."
    )
    hosts_file: Text | None = Field(
        default=None, description="File with one base_url a line, read again while the run goes on."
    )
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = Field(
        default=None, description="Environment variable that holds the key for the base_url beside it."
    )
    client: Literal["aiohttp", "openai"] = Field(
        default="aiohttp", description="aiohttp: the fast client; openai: the official SDK."
    )
    structured: Literal["auto", "schema", "object", "prompt"] = Field(
        default="auto", description="How the form of answers is asked for; auto: the most the server accepts."
    )
    headers: Annotated[OrDefaults[dict[str, str]], AfterValidator(_headers)] = Field(
        default={}, description="Further HTTP headers; no credentials."
    )
    proxy: Annotated[Text, AfterValidator(_proxy)] | None = Field(
        default=None, description="URL of the HTTP proxy. Default: none, whatever is set."
    )
    max_requests_per_minute: PositiveNumber | None = Field(default=None, description="Most requests a minute.")
    max_tokens_per_minute: PositiveNumber | None = Field(default=None, description="Most tokens a minute.")
    hedge_after: PositiveDuration | None = Field(
        default=None, description="Ask another endpoint too if an answer takes longer than this (seconds)."
    )
    adaptive: Annotated[AdaptiveBlock, BeforeValidator(_adaptive, json_schema_input_type=bool | AdaptiveBlock)] = Field(
        default=AdaptiveBlock(), description="Whether the number of requests in flight follows the endpoint."
    )
    prices: Prices | None = Field(default=None, description="Prices per million tokens.")
    embedded: EmbeddedBlock | None = Field(default=None, description="The server that provider: embedded starts.")

    @property
    def is_embedded(self) -> bool:
        """Whether the run starts the server for itself."""
        return self.provider == EMBEDDED

    @model_validator(mode="before")
    @classmethod
    def _embedded_model_name(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("provider") == EMBEDDED:
            return {"model_name": "embedded-judge", **data}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.base_url and self.hosts_file:
            refuse("write base_url or hosts_file, not both")
        if self.embedded is not None and not self.is_embedded:
            refuse("the block `embedded` goes with `provider: embedded` only")
        if self.is_embedded and (self.base_url or self.hosts_file or self.api_key_env):
            refuse(
                "`provider: embedded` takes no base_url, hosts_file or api_key_env: the run starts the server itself"
            )
        return self
