"""Which URL is asked, and with which key: a key never goes to a host it does not belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from modelcall.config.providers import owner_of, owner_of_key, provider_named
from modelcall.config.urls import UrlRefusedError, host_of, is_loopback, normal_url

if TYPE_CHECKING:
    from modelcall.config.document import KeyPath
    from modelcall.config.environment import Environment
    from modelcall.config.model import ModelConfig
    from modelcall.types import Secret

_URL_VARIABLES: Final = ("OPENAI_BASE_URL", "BASE_URL")
_KEY_VARIABLES: Final = ("API_KEY", "OPENAI_API_KEY")
"""Keys that belong to a URL that came from the environment too."""
_NO_KEY: Final = "EMPTY"
"""What users of self-hosted servers write for no key."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go, and the key that goes with them."""

    base_urls: tuple[str, ...]
    """Without trailing slash; requests go to ``<base_url>/chat/completions``. Empty: embedded, or hosts_file alone."""
    api_key: Secret | None
    hosts_file: str | None = None
    is_embedded: bool = False
    url_source: str = ""
    """``base_url``, ``hosts_file``, ``$BASE_URL``, ``provider deepseek``: for the log."""
    key_source: str = ""
    """Name of the variable that holds the key; empty without one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an endpoint cannot be asked, or what is odd about it."""

    path: KeyPath
    """In the model file."""
    message: str
    kind: Literal["mistake", "missing", "warning"]
    """``mistake``: in the files; ``missing``: on this machine; ``warning``: it works all the same."""


@dataclass(frozen=True, slots=True)
class _Urls:
    urls: tuple[str, ...]
    source: str
    origin: Literal["file", "environment", "provider"]


@dataclass(frozen=True, slots=True)
class _Key:
    key: Secret | None = None
    source: str = ""


def resolve_endpoint(model: ModelConfig, environment: Environment) -> tuple[Endpoint | None, list[Problem]]:
    """Find URL and key of a model; without them None, and the problems say why. Opens no socket."""
    if model.is_embedded:
        return Endpoint((), None, is_embedded=True, url_source="embedded"), []
    urls, problems = _urls(model, environment)
    if urls is None:
        return None, problems
    key, key_problems = _key(model, urls, environment)
    problems = [*problems, *key_problems, *_open_wire(key, urls)]
    if key is None:
        return None, problems
    return Endpoint(urls.urls, key.key, model.hosts_file, url_source=urls.source, key_source=key.source), problems


def _urls(model: ModelConfig, environment: Environment) -> tuple[_Urls | None, list[Problem]]:
    if model.base_url:
        return _Urls(model.base_url, "base_url", "file"), []
    if model.hosts_file:
        return _Urls((), "hosts_file", "file"), []
    for variable in _URL_VARIABLES:
        if value := environment.get(variable):
            return _url_of_variable(variable, value)
    if provider := provider_named(model.provider):
        return _Urls((provider.base_url,), f"provider {model.provider}", "provider"), []
    variables = " or ".join(f"${name}" for name in _URL_VARIABLES)
    message = f"no URL: write base_url in the model file, or set {variables}; {model.provider!r} is no provider we know"
    return None, [Problem(("base_url",), message, "missing")]


def _url_of_variable(variable: str, value: str) -> tuple[_Urls | None, list[Problem]]:
    try:
        return _Urls((normal_url(value),), f"${variable}", "environment"), []
    except UrlRefusedError as error:
        return None, [Problem(("base_url",), f"${variable}: {error}", "missing")]


def _key(model: ModelConfig, urls: _Urls, environment: Environment) -> tuple[_Key | None, list[Problem]]:
    if model.api_key_env is not None:
        return _named_key(model.api_key_env, urls, environment)
    owners = [owner_of(host_of(url)) for url in urls.urls]
    if len(set(owners)) > 1:
        message = "the hosts of the pool do not share a key; name the one for all of them in api_key_env"
        return None, [Problem(("base_url",), message, "mistake")]
    if owners and owners[0]:
        return _variable_key(owners[0].key_variable, f"{host_of(urls.urls[0])} needs a key", environment)
    if urls.origin == "environment":
        return _ambient_key(environment), []
    return _Key(), []


def _named_key(variable: str, urls: _Urls, environment: Environment) -> tuple[_Key | None, list[Problem]]:
    """``api_key_env`` beside a base_url is consent for its host; else the key must belong to the host."""
    if urls.origin != "file" and not _belongs(variable, urls):
        host = host_of(urls.urls[0])
        message = (
            f"the key of ${variable} does not belong to {host} ({urls.source}); "
            "write the base_url it is meant for beside api_key_env"
        )
        return None, [Problem(("api_key_env",), message, "mistake" if urls.origin == "provider" else "missing")]
    return _variable_key(variable, "api_key_env names it", environment)


def _belongs(variable: str, urls: _Urls) -> bool:
    host_owner = owner_of(host_of(urls.urls[0]))
    key_owner = owner_of_key(variable)
    if urls.origin == "environment" and variable in _KEY_VARIABLES and host_owner is None:
        return True
    if key_owner is None:
        # The provider and the variable stand in one file: that the key is the provider's is what the file says.
        return urls.origin == "provider" and variable not in _KEY_VARIABLES
    return key_owner is host_owner


def _variable_key(variable: str, why: str, environment: Environment) -> tuple[_Key | None, list[Problem]]:
    key = environment.secret(variable)
    if key is None:
        state = "a placeholder" if environment.values.get(variable, "").strip() else "not set"
        message = f"${variable} is {state}, and {why}; put {variable}=… in .env"
        return None, [Problem(("api_key_env",), message, "missing")]
    if not key.reveal().isascii() or not key.reveal().isprintable() or " " in key.reveal():
        message = f"${variable} holds a space or a character that no key has; copy it again into .env"
        return None, [Problem(("api_key_env",), message, "missing")]
    return (_Key() if key.reveal() == _NO_KEY else _Key(key, variable)), []


def _ambient_key(environment: Environment) -> _Key:
    for variable in _KEY_VARIABLES:
        key = environment.secret(variable)
        if key is not None:
            return _Key() if key.reveal() == _NO_KEY else _Key(key, variable)
    return _Key()


def _open_wire(key: _Key | None, urls: _Urls) -> list[Problem]:
    if key is None or key.key is None:
        return []
    bare = [url for url in urls.urls if url.startswith("http://") and not is_loopback(url)]
    message = "the key goes over plain http to {}; anyone on the way can read it"
    return [Problem(("base_url",), message.format(host_of(url)), "warning") for url in bare]
