"""A task's judge, planned: from what the user wrote to what the judge is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.llm.payload import Payload
from modelcall.llm.settings import Adaptive, ClientSettings, Retries
from modelcall.scorers.llm import JudgeSpec, build
from modelcall.scorers.planning import ScorerPlan

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.config.model import ModelConfig
    from modelcall.config.task import TaskConfig
    from modelcall.llm.exchange import EventHook
    from modelcall.types import RowScorer


def plan(loaded: LoadedTask, hook: EventHook) -> ScorerPlan:
    """Plan the judge of a task.

    Raises:
        ConfigError: The task says nothing of a model or a prompt, its schema is not valid, or the parameters of its
            model ask for what a judge cannot use.
    """
    if loaded.model is None or loaded.prompt is None or loaded.endpoint is None:
        raise ConfigError("the judge needs a model and a prompt", hint="Write model: and prompt: into the task file.")
    spec = JudgeSpec(
        prompt=loaded.prompt,
        provider=loaded.model.provider,
        client=_client(loaded, loaded.model, loaded.task),
        max_concurrent_requests=loaded.task.concurrency.max_concurrent_requests,
        columns=frozenset(),
        input_key=loaded.task.data.input_key,
        placeholder=loaded.format_key,
        keep_raw=loaded.task.options.keep_raw,
    )
    Payload(spec.client)  # refuses parameters; else the client would, when a run has begun that only knows these

    def make(columns: frozenset[str], base_urls: tuple[str, ...], *, retry: bool = False) -> RowScorer:
        client = replace(spec.client, base_urls=base_urls or spec.client.base_urls)
        return build(replace(spec, columns=columns, client=client, watch_prompt=not retry), hook=hook)

    template = loaded.prompt.template()
    return ScorerPlan(
        spec.prompt.columns(),
        is_judge=True,
        identity=spec.identity(),
        needed=spec.input_key,
        make=make,
        unknown=lambda columns: template.unknown(columns | {spec.placeholder}),
    )


def _client(loaded: LoadedTask, model: ModelConfig, task: TaskConfig) -> ClientSettings:
    endpoint = loaded.endpoint
    retry = task.retry
    return ClientSettings(
        base_urls=endpoint.base_urls if endpoint else (),
        model_name=model.model_name,
        api_key=endpoint.api_key if endpoint else None,
        completions_params=model.completions_params,
        lane=model.client,
        structured=model.structured,
        headers=model.headers,
        proxy=model.proxy,
        masked=tuple(loaded.environment.secrets()),
        hosts_file=endpoint.hosts_file if endpoint else None,
        timeout=task.environment.timeout,
        retries=Retries(
            network=retry.budget("network"), rate_limit=retry.budget("rate_limit"), format=retry.budget("format")
        ),
        format_retry=retry.enable_format_validation_retry,
        outage_grace=task.environment.outage_grace,
        requests_per_minute=model.max_requests_per_minute,
        tokens_per_minute=model.max_tokens_per_minute,
        hedge_after=model.hedge_after,
        adaptive=Adaptive(enabled=model.adaptive.enabled, floor=model.adaptive.min, start=model.adaptive.start),
    )
