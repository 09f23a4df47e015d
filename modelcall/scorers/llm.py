"""The judge: asks a model about each row, and takes only a validated answer for a score."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from modelcall.errors import RowFailure
from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest, Completion, Failure
from modelcall.llm.structured.check import AnswerCheck, TextCheck
from modelcall.llm.structured.mode import response_format, schema_of
from modelcall.log import Message, is_said
from modelcall.permits import Permits
from modelcall.scorers.hopeless import HopelessWatch
from modelcall.scorers.prompt import RowPrompt
from modelcall.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.config.output import OutputConfig
    from modelcall.config.prompt import PromptConfig
    from modelcall.llm.exchange import Check, EventHook, Reply
    from modelcall.llm.settings import ClientSettings
    from modelcall.types import Columns, Permit, PermitSource, Row, RowRef

STRUCTURED = "structured"
"""Name of what :meth:`JudgeScorer.settle` settles: the structured mode."""


class Asker(Protocol):
    """What the judge needs of :class:`~modelcall.llm.client.ChatClient`."""

    async def open(self) -> None:
        """Make ready."""

    async def close(self) -> None:
        """Release everything."""

    async def ask(self, request: ChatRequest, check: Check, permit: Permit) -> Completion | Failure:
        """Ask until the check is content or the attempts are used up."""

    @property
    def last_success(self) -> tuple[float, float] | None:
        """When the last attempt to be answered began and ended; None: there was none."""

    def succeeded_elsewhere(self, started: float, ended: float) -> None:
        """Take note that another process was answered."""

    def cooled_elsewhere(self, endpoint: str, seconds: float) -> None:
        """Take note that an endpoint asked another process to wait."""

    async def settle_structured(self, schema: Mapping[str, Any] | None, known: str | None) -> str:
        """Find out which structured mode the endpoint accepts; ``known`` is kept."""


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """All a judge is made from; picklable, so that it is made where it works."""

    prompt: PromptConfig
    provider: str
    client: ClientSettings
    max_concurrent_requests: int
    columns: frozenset[str]
    """Columns of the input files: which names in braces are placeholders."""
    input_key: str = "text"
    placeholder: str = "text"
    """Placeholder that takes the document (``prompt_format_key``)."""
    keep_raw: bool = True
    """Keep the text of the last completion (``api_return``)."""
    watch_prompt: bool = True
    """Stop if most of the first rows fail for what is the same for all."""

    def row_prompt(self) -> RowPrompt:
        """Settle the template's placeholders."""
        template = self.prompt.template()
        known = self.columns | {self.placeholder}
        others = template.placeholders(known) - {self.placeholder}
        return RowPrompt(template.compile(known), self.input_key, self.placeholder, others)

    def check(self) -> Check:
        """Compile what answers must hold.

        Raises:
            ConfigError: The schema or a default is not valid.
        """
        output = self.prompt.output_config
        if not output.require_json:
            return TextCheck()
        return AnswerCheck(
            output.columns(),
            required=output.required,
            defaults=output.defaults,
            json_schema=output.json_schema,
            nullable=output.properties(),
        )

    def schema(self) -> Mapping[str, Any] | None:
        """Return what the server may enforce: the user's schema, or one of the columns where the model file insists."""
        output = self.prompt.output_config
        if not output.require_json:
            return None
        if output.json_schema is None and self.client.structured == "schema":
            return schema_of(output.columns(), output.required)
        return output.json_schema

    def identity(self) -> dict[str, str]:
        """What scores depend on, as text; not where the model is served, nor how many requests are in flight."""
        texts = self.prompt.prompt_template
        return {
            "system_text": _hash(texts.system_text.encode()),
            "prompt_text": _hash(texts.prompt_text.encode()),
            "output_config": _hash(_canonical(_meaning(self.prompt.output_config))),
            "input_key": self.input_key,
            "prompt_format_key": self.placeholder,
            "provider": self.provider,
            "model_name": self.client.model_name,
            "completions_params": _canonical(dict(self.client.completions_params)).decode(),
            "structured": self.client.structured,
        }


class JudgeScorer:
    """A :class:`~modelcall.types.RowScorer` that asks a model."""

    is_judge = True

    def __init__(self, spec: JudgeSpec, client: Asker, permits: PermitSource, *, hook: EventHook) -> None:
        self.permits = permits
        self.columns: Columns | None = spec.prompt.columns()
        self.identity: Mapping[str, str] = spec.identity()
        self._client = client
        self._hook = hook
        self._keep_raw = spec.keep_raw
        self._prompt = spec.row_prompt()
        self.reads: frozenset[str] | None = self._prompt.others | {spec.input_key}
        self._check = spec.check()
        self._requires_json = spec.prompt.output_config.require_json
        self._schema = spec.schema()
        self._response_format: Mapping[str, Any] | None = None
        self._watch = HopelessWatch() if spec.watch_prompt else None

    async def open(self) -> None:
        """Open the client."""
        await self._client.open()

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def settle(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """Settle the structured mode, by asking the endpoint if nobody has before."""
        if not self._requires_json:
            return {STRUCTURED: "prompt"}
        mode = await self._client.settle_structured(self._schema, (known or {}).get(STRUCTURED))
        self._response_format = response_format(mode, self._schema)
        return {STRUCTURED: mode}

    @property
    def last_success(self) -> tuple[float, float] | None:
        """As its client has it."""
        return self._client.last_success

    def succeeded_elsewhere(self, started: float, ended: float) -> None:
        """Tell its client."""
        self._client.succeeded_elsewhere(started, ended)

    def cooled_elsewhere(self, endpoint: str, seconds: float) -> None:
        """Tell its client."""
        self._client.cooled_elsewhere(endpoint, seconds)

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:
        """Ask about one row.

        Raises:
            FatalError: The endpoint or the prompt is at fault, not the rows.
        """
        early = self._watch if self._watch is not None and self._watch.begin() else None
        try:
            messages = self._prompt.messages(row)
        except RowFailure as failure:
            return Outcome(error_type=failure.error_type, fail_reason=failure.message, attempts=0)
        request = ChatRequest(ref.request_id, messages, self._response_format)
        end = await self._client.ask(request, self._check, permit)
        if isinstance(end, Completion) and is_said(Message.FORMAT_VALID):  # it would come with every row
            self._hook("valid_answer", {"keys": list(end.values)})
        outcome = _outcome(end)
        if early is not None:
            early.end(outcome)
        return outcome if self._keep_raw else replace(outcome, raw=None)


def build(spec: JudgeSpec, *, hook: EventHook) -> JudgeScorer:
    """Make a judge and its client in the process, and for the event loop, that will use them.

    Raises:
        ConfigError: The schema or a default of the prompt file is not valid.
    """
    permits = Permits(spec.max_concurrent_requests)
    return JudgeScorer(spec, ChatClient(spec.client, permits=permits, hook=hook), permits, hook=hook)


def _outcome(end: Completion | Failure) -> Outcome:
    # Made at once: a copy with changes costs as much as all of the prompt, and this is on the path of every row.
    reply = end.reply
    return Outcome(
        values=end.values if isinstance(end, Completion) else None,
        error_type=end.error_type if isinstance(end, Failure) else None,
        fail_reason=end.reason if isinstance(end, Failure) else None,
        raw=_raw(reply) if reply is not None else None,
        attempts=end.attempts,
        model=reply.model if reply is not None else None,
        finish_reason=reply.finish_reason if reply is not None else None,
        usage=end.usage,
        seconds=end.seconds,
    )


def _raw(reply: Reply) -> str | None:
    return reply.refusal if reply.content is None else reply.content


def _meaning(output: OutputConfig) -> dict[str, Any]:
    """What an output_config comes to, however it is spelt."""
    columns = {name: str(kind) for name, kind in output.columns().items()}
    defaults = {name: value for name, value in output.defaults.items() if value is not None}
    return {
        "require_json": output.require_json,
        "columns": list(columns.items()),
        "required": sorted(output.required),
        "defaults": defaults,
        "json_schema": output.json_schema,
    }


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
