"""One tiny question to a task's model, with the task's own prompt: does the endpoint answer in the requested form?"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelcall.errors import ConfigError, FatalError
from modelcall.registry import load
from modelcall.types import RowRef

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.types import Outcome, RowScorer

_DOCUMENT: Final = "def add(a, b):\n    return a + b\n"
_PATIENCE: Final = 60.0
"""Seconds for the answer, at most."""
_NEXT: Final = "see whether the server runs, and base_url, api_key_env and model_name of the model file"


async def ask_once(loaded: LoadedTask) -> str:
    """Ask, without retries; return the raw answer.

    Raises:
        ConfigError: No model to ask, or no answer of the requested form.
    """
    if loaded.endpoint is None or loaded.model is None or loaded.scorer != "llm":
        raise ConfigError(
            "--check-endpoint: the task has no endpoint to ask",
            hint="Correct what the notes name; a scorer without a model has none.",
            mistakes=loaded.missing,
        )
    with ExitStack() as servers:
        urls: tuple[str, ...] = ()
        if loaded.endpoint.is_embedded:
            server = servers.enter_context(load("servers", "embedded").target(loaded.model.embedded))
            urls = (server.base_url,)
        outcome = await _asked(loaded, urls)
    if outcome.error_type is not None:
        raise ConfigError(f"the endpoint's answer fails: {outcome.error_type}: {outcome.fail_reason}", hint=_NEXT)
    return outcome.raw or ""


async def _asked(loaded: LoadedTask, urls: tuple[str, ...]) -> Outcome:
    plan = load("scorer plans", "llm").target(_impatient(loaded), lambda *_: None)
    scorer: RowScorer = plan.make(frozenset({loaded.task.data.input_key}), urls)
    try:
        async with asyncio.timeout(_PATIENCE):
            await scorer.open()
            await scorer.settle(None)
            permit = await scorer.permits.take()
            row = {loaded.task.data.input_key: _DOCUMENT}
            return await scorer.score(row, RowRef("check", 0, "check"), permit)
    except (FatalError, TimeoutError) as error:
        reason = error.message if isinstance(error, FatalError) else f"no answer within {_PATIENCE:g} s"
        raise ConfigError(f"the endpoint cannot be used: {reason}", hint=_NEXT) from error
    finally:
        await scorer.close()


def _impatient(loaded: LoadedTask) -> LoadedTask:
    """Return the task with one attempt, and no patience for an outage."""
    retry = loaded.task.retry.model_copy(update={"max_retries": 0, "network": 0, "rate_limit": 0, "format": 0})
    times = loaded.task.environment.model_copy(
        update={"outage_grace": 1.0, "timeout": min(loaded.task.environment.timeout, _PATIENCE)}
    )
    options = loaded.task.options.model_copy(update={"keep_raw": True})
    return replace(
        loaded, task=loaded.task.model_copy(update={"retry": retry, "environment": times, "options": options})
    )
