"""What a run writes down about its configuration: everything that was in force, and no credential."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from modelcall.redact import credentials_in, redact

if TYPE_CHECKING:
    from modelcall.config.endpoint import Endpoint
    from modelcall.config.loading import LoadedTask
    from modelcall.config.model import ModelConfig

_HIDDEN: Final = "***"


def resolved_config(loaded: LoadedTask) -> dict[str, Any]:
    """Return the configuration in force as plain JSON values; header values are masked."""
    secrets = secrets_of(loaded)
    return {
        "task": loaded.task.model_dump(mode="json", exclude={"model", "prompt"}),
        "scorer": loaded.scorer,
        "prompt_format_key": loaded.format_key,
        "model": loaded.model and _model(loaded.model),
        "prompt": loaded.prompt and loaded.prompt.model_dump(mode="json"),
        "endpoint": loaded.endpoint and _endpoint(loaded.endpoint),
        "paths": asdict(loaded.paths),
        "files": dict(loaded.files),
        "overrides": [redact(text, secrets) for text in loaded.overrides],
    }


def _model(model: ModelConfig) -> dict[str, Any]:
    return {**model.model_dump(mode="json"), "headers": dict.fromkeys(model.headers, _HIDDEN)}


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "base_urls": list(endpoint.base_urls),
        "url_source": endpoint.url_source,
        "key_source": endpoint.key_source,
        "hosts_file": endpoint.hosts_file,
        "is_embedded": endpoint.is_embedded,
    }


def secrets_of(loaded: LoadedTask) -> tuple[str, ...]:
    """Return the texts that must stand in nothing that a run writes or says: keys, and headers, which may hold one."""
    headers = loaded.model.headers.values() if loaded.model else ()
    key = [loaded.endpoint.api_key.reveal()] if loaded.endpoint and loaded.endpoint.api_key else []
    return tuple(dict.fromkeys((*loaded.environment.secrets(), *key, *credentials_in(headers))))
