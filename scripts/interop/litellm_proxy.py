"""LiteLLM's proxy, in front of ModelCall's embedded server: a gateway that renames models and wraps errors."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from scripts.interop.checks import ends, honest, scored, stopped, whole
from scripts.interop.runs import Job, Ran, run
from scripts.interop.servers import embedded, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.interop.checks import Table
    from scripts.interop.servers import Server

LITELLM: Final = Path(".interop/litellm/bin/litellm").absolute()
SAMPLE: Final = Path("configs/samples/embedded_demo.jsonl")
ROWS: Final = 500
IN_FLIGHT: Final = 16
CLIENTS: Final = ("aiohttp", "openai")
UNASKED: Final = "schema"
"""The structured mode that needs no question before row one: many rows meet a refusal at once."""
UPSTREAM_NAME: Final = "embedded-judge"
FAULTS: Final = {
    "plain": ("--latency", "50ms"),
    "rough": ("--latency", "5s", "--faults", "mix=0.05", "--time_scale", "0.01"),
}
"""Options of the upstream behind each name that the proxy offers."""

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 5},
        "quality_tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["score", "quality_tags"],
    "additionalProperties": False,
}
PROMPT: Final[Mapping[str, Any]] = {
    "prompt_template": {
        "system_text": "You choose documents for the training of language models. Answer with one JSON object.",
        "prompt_text": "Rate this document from 0 to 5.\n<document>\n{text}\n</document>",
    },
    "output_config": {"json_schema": SCHEMA},
}


def sample_rows() -> list[dict[str, Any]]:
    """Return the shipped sample as often as it takes, no text twice."""
    texts = [json.loads(line)["text"] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    numbered = (f"{text}\n\nNote {number}." for number in range(ROWS) for text in texts)
    return [{"id": index, "text": text} for index, text in enumerate(islice(numbered, ROWS))]


class Setting:
    """The proxy, its upstreams, and the scores that rows get without a proxy."""

    def __init__(self, folder: Path, proxy: Server, upstreams: Mapping[str, Server], *, key: str) -> None:
        self.folder = folder
        self.proxy = proxy
        self.upstreams = upstreams
        self.key = key
        self.rows = sample_rows()
        self.scores = [row["score"] for row in self.run("direct", url=upstreams["plain"].base_url).rows]

    def run(self, name: str, **choices: str) -> Ran:
        """Run the job of this name."""
        return run(self.folder, self.job(name, **choices))

    def job(
        self,
        name: str,
        *,
        model: str = "plain",
        client: str = "aiohttp",
        structured: str = "auto",
        url: str | None = None,
        key: str | None = None,
    ) -> Job:
        """Describe a run; the URL is the proxy's and the key the right one, unless given."""
        described = {
            "provider": "litellm",
            "model_name": model,
            "base_url": url or self.proxy.base_url,
            "client": client,
            "structured": structured,
            "completions_params": {"temperature": 0.0, "max_tokens": 512},
        }
        limits = {"concurrency": {"max_concurrent_requests": IN_FLIGHT}}
        return Job(name, described, PROMPT, self.rows, key or self.key, limits)

    def asked(self) -> int:
        """Return how many completions the proxy was asked for since it started."""
        return len(re.findall(r'"POST /v1/chat/completions', self.proxy.log.read_text(errors="replace")))


@contextlib.contextmanager
def setting(folder: Path) -> Iterator[Setting]:
    """Start upstreams and proxy."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        upstreams = {name: stack.enter_context(embedded(folder, name, *options)) for name, options in FAULTS.items()}
        key, port, config = f"sk-{secrets.token_hex(12)}", free_port(), folder / "litellm.yaml"
        config.write_text(yaml.safe_dump(_config(upstreams, key)), encoding="utf-8")
        command = [LITELLM, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        proxy = stack.enter_context(serving(command, port=port, log=folder / "litellm.log", alive="/health/liveliness"))
        yield Setting(folder, proxy, upstreams, key=key)


def _config(upstreams: Mapping[str, Server], key: str) -> dict[str, Any]:
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{UPSTREAM_NAME}",
                    "api_base": server.base_url,
                    "api_key": "upstream",
                },
            }
            for name, server in upstreams.items()
        ],
        # Lets x-request-id through, so that the upstream's referee knows the rows.
        "general_settings": {"master_key": key, "forward_client_headers_to_llm_api": True},
    }


def check(folder: Path, table: Table) -> None:
    """Run all cases."""
    with setting(folder) as here:
        for model, client in product(FAULTS, CLIENTS):
            _good(here, table, model=model, client=client)
        for client in CLIENTS:
            _wrong_key(here, table, client=client)
            _unknown_model(here, table, client=client)


def _good(here: Setting, table: Table, *, model: str, client: str) -> None:
    upstream = here.upstreams[model]
    upstream.reset_referee()
    job = here.job(f"{model}-{client}", model=model, client=client)
    ran = run(here.folder, job)
    referee = upstream.get("/__referee__")
    names = sorted({str(row["api_model"]) for row in ran.rows})
    seen = (
        f"{ends(ran)} in {ran.report.get('seconds')} s; api_model {', '.join(names)}; upstream: {referee['requests']}"
        f" requests of {referee['rows']} ids, {sum(referee['faults'].values())} faults, at most"
        f" {referee['max_in_flight']} in flight"
    )
    wrong = [*whole(job, ran), *scored(ran), *honest(SCHEMA, ran), *_counted(referee, is_plain=model == "plain")]
    if [row["score"] for row in ran.rows] != here.scores:
        wrong.append("other scores than without the proxy")
    table.add(f"litellm: {model} upstream, {client}", seen, wrong)


def _counted(referee: Mapping[str, Any], *, is_plain: bool) -> Iterator[str]:
    """One question about the form of answers, then one a row, each under its own id; more only after faults."""
    if referee["rows"] != ROWS + 1 or referee["unlabelled"]:
        yield f"x-request-id: {referee['rows']} ids, {referee['unlabelled']} requests without one"
    if referee["max_in_flight"] > IN_FLIGHT:
        yield "more in flight than allowed"
    if is_plain and referee["requests"] != ROWS + 1:
        yield f"{referee['requests']} requests"
    if not is_plain and not referee["faults"]:
        yield "no fault was played"


def _wrong_key(here: Setting, table: Table, *, client: str) -> None:
    name, before = f"wrong-key-{client}", here.asked()
    ran = here.run(name, client=client, key="sk-wrong", structured=UNASKED)
    asked = here.asked() - before
    wrong = [*stopped(ran, saying="api_key_env"), *_few(asked)]
    table.add(f"litellm: wrong key, {client}", f"exit {ran.exit_code} after {asked} requests", wrong)
    job = here.job(name, client=client, structured=UNASKED)
    again = run(here.folder, job)
    table.add("  the right key, then", f"exit {again.exit_code}, {ends(again)}", [*whole(job, again), *scored(again)])


def _unknown_model(here: Setting, table: Table, *, client: str) -> None:
    before = here.asked()
    ran = here.run(f"unknown-model-{client}", client=client, model="nobody", structured=UNASKED)
    asked = here.asked() - before
    wrong = [*stopped(ran, saying="model_name"), *_few(asked)]
    table.add(f"litellm: unknown model, {client}", f"exit {ran.exit_code} after {asked} requests", wrong)


def _few(asked: int) -> Iterator[str]:
    if not 0 < asked <= IN_FLIGHT + 3:
        yield f"{asked} requests"
