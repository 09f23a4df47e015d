"""llama.cpp's server with a model of random weights: real grammars, real refusals, and answers that mean nothing."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scripts.interop.checks import answers_shown, ends, honest, stopped, whole
from scripts.interop.runs import Job, run
from scripts.interop.servers import Server, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.interop.checks import Table
    from scripts.interop.runs import Ran

PYTHON: Final = Path(".interop/llama/bin/python").absolute()
MAKER: Final = Path("scripts/interop/tiny_llama.py").absolute()
CONTEXT: Final = 4096
MODEL_NAME: Final = "noise"
ROWS: Final = 40
NOISE_ROWS: Final = 400
"""Enough for a run of noise to be stopped half-way."""
FINISHED_WITH_FAILURES: Final = 3

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 5},
        "verdict": {"type": "string", "enum": ["keep", "drop"]},
    },
    "required": ["score", "verdict"],
    "additionalProperties": False,
}
PROMPT: Final[Mapping[str, Any]] = {
    "prompt_template": {"prompt_text": 'Rate from 0 to 5, as {{"score": 3, "verdict": "keep"}}:\n{text}'},
    "output_config": {"json_schema": SCHEMA},
}
GRAMMAR: Final[Mapping[str, Any]] = {"extra_body": {"response_format": {"type": "json_object", "schema": SCHEMA}}}
"""How this server is told a schema: its own key, which the user writes into the parameters."""


class Setting:
    """The server."""

    def __init__(self, folder: Path, server: Server, *, key: str) -> None:
        self.folder = folder
        self._server = server
        self._key = key

    def job(
        self,
        name: str,
        *,
        structured: str,
        rows: int = ROWS,
        client: str = "aiohttp",
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Job:
        """Describe a run. The last row is longer than the model's context."""
        texts = [f"Note {number}: it rains." for number in range(rows - 1)] + ["rain " * CONTEXT]
        described = {
            "provider": "llama.cpp",
            "model_name": MODEL_NAME,
            "base_url": self._server.base_url,
            "client": client,
            "structured": structured,
            "completions_params": {"temperature": 1.0, "max_tokens": 48, **(params or {})},
        }
        settings = {"retry": {"max_retries": 2}, "concurrency": {"max_concurrent_requests": 8}}
        described_rows = [{"id": index, "text": text} for index, text in enumerate(texts)]
        return Job(name, described, PROMPT, described_rows, key or self._key, settings)


@contextlib.contextmanager
def setting(folder: Path) -> Iterator[Setting]:
    """Make the model and serve it."""
    folder.mkdir(parents=True)
    model = folder / "noise.gguf"
    subprocess.run([PYTHON, MAKER, model], check=True)
    port, key = free_port(), secrets.token_hex(12)
    options = {
        "--model": model,
        "--model_alias": MODEL_NAME,
        "--host": "127.0.0.1",
        "--port": port,
        "--api_key": key,
        "--n_ctx": CONTEXT,
        "--n_threads": 1,
        "--n_threads_batch": 1,
    }
    command = [PYTHON, "-m", "llama_cpp.server", *(part for pair in options.items() for part in pair)]
    with serving(command, port=port, log=folder / "llama.log", alive="/openapi.json") as server:
        yield Setting(folder, server, key=key)


def check(folder: Path, table: Table) -> None:
    """Run all cases."""
    with setting(folder) as here:
        for structured in ("auto", "schema", "object"):
            job = here.job(structured, structured=structured)
            _finished(here, table, job, title=f"structured: {structured}", allowed=_ALLOWED[structured])
        for client in ("aiohttp", "openai"):
            job = here.job(f"grammar-{client}", structured="prompt", params=GRAMMAR, client=client)
            _finished(here, table, job, title=f"its own schema key, {client}", allowed=_ALLOWED["grammar"])
        _noise(here, table)
        _wrong_key(here, table)


_FORMAT: Final = frozenset({"invalid_output", "cut"})
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "auto": _FORMAT,
    # It knows no json_schema, and says so; llama-cpp-python 0.3 with status 500.
    "schema": frozenset({"rejected", "retries_exhausted"}),
    "object": _FORMAT,
    "grammar": _FORMAT | {"success"},
}
"""How rows may end, by case; the row that is too long aside."""


def _finished(here: Setting, table: Table, job: Job, *, title: str, allowed: frozenset[str]) -> None:
    ran = run(here.folder, job)
    attempts = sum(row["api_attempts"] for row in ran.rows)
    wrong = [*whole(job, ran), *honest(SCHEMA, ran), *_ended(ran, allowed)]
    table.add(f"llama: {title}", f"exit {ran.exit_code}, {ends(ran)}; {attempts} attempts", wrong)


def _ended(ran: Ran, allowed: frozenset[str]) -> Iterator[str]:
    *rows, long = [row["api_error_type"] or row["api_status"] for row in ran.rows] or ["none"]
    if ran.exit_code != FINISHED_WITH_FAILURES:
        yield f"exit {ran.exit_code}: {ran.told[-300:]!r}"
    if strange := set(rows) - allowed:
        yield f"rows ended as {', '.join(strange)}: {ran.report.get('first_reasons')}"
    if "success" in allowed and not {"success", "invalid_output"} <= set(rows):
        yield "right and wrong answers were to be expected"
    if long != "too_long" and long not in allowed - {"success"} - _FORMAT:
        yield f"the row that is too long ended as {long}"


def _noise(here: Setting, table: Table) -> None:
    ran = run(here.folder, here.job("noise", structured="prompt", rows=NOISE_ROWS))
    shown = answers_shown(ran)
    wrong = list(stopped(ran, saying="of the first 200 rows got no answer of the requested form"))
    if shown != 3:  # noqa: PLR2004  as many as users are promised
        wrong.append(f"{shown} answers shown: {ran.told!r}")
    asked = ran.report.get("rows_of_this_start")
    table.add("llama: structured: prompt, noise", f"exit {ran.exit_code} after {asked} rows, {shown} shown", wrong)


def _wrong_key(here: Setting, table: Table) -> None:
    ran = run(here.folder, here.job("wrong-key", structured="prompt", key="wrong"))
    table.add("llama: wrong key", f"exit {ran.exit_code}", stopped(ran, saying="api_key_env"))
