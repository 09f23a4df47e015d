"""Secrets of twelve shapes, where secrets are and where they come back from, are found in nothing that a run leaves."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from modelcall.observe.control import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CANARIES: Mapping[str, str] = {
    "OPENAI_API_KEY": "sk-proj-CANARY01AbCdEfGh0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-api03-CANARY02_abcdefgh-AA",
    "GATEWAY_TOKEN": "CANARY03opaque9f8e7d6c5b4a",
    "ADMIN_PASSWORD": "CANARY04 p@ss \"w0rd\" 'x' \\ %41",
    "TOS_ACCESS_KEY": "AKLTCANARY05YWJjZGVmZ2hpams",
    "TOS_SECRET_KEY": "Q0FOQVJZMDYxMjM0NTY3ODkwYWJjZGVmZ2g/+==",
    "TOS_SECURITY_TOKEN": "nCANARY07.AAECAwQFBgcICQ0tLS-_",
    "SERVICE_TOKEN": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkwOCJ9.c2lnbmF0dXJlQ0FOQVJZMDg",
    "GITHUB_TOKEN": "ghp_CANARY09abcdefghijklmnopqrstuv",
    "HF_TOKEN": "hf_CANARY10abcdefghijklmnop",
    "AWS_SECRET_ACCESS_KEY": "CANARY11/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "PROXY_CREDENTIALS": "CANARY12user:CANARY12pass",
}
HEADER = "CANARY13header0123456789"
"""In the model file, as gateways want it."""
ALL = (*CANARIES.values(), HEADER)
ECHO = " ".join(
    [
        *ALL,
        f"Authorization: Bearer {CANARIES['OPENAI_API_KEY']}",
        f"http://{CANARIES['PROXY_CREDENTIALS']}@proxy:3128/",
        f"https://x/?api_key={CANARIES['GATEWAY_TOKEN']}&X-Tos-Signature={CANARIES['TOS_SECRET_KEY']}",
    ]
)


class Echo(BaseHTTPRequestHandler):
    """Repeats whatever it was sent, and all else, in every way that servers have."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        sent = f"{self.headers['authorization']} {self.headers['x-gateway']} {ECHO}"
        type(self).asked += 1
        kind = type(self).asked % 8
        time.sleep(0.05)
        if kind == 0:
            self._reply(500, json.dumps({"error": {"message": f"no luck with {sent}", "code": sent[:60]}}))
        elif kind == 1:
            self._reply(429, f"slow down, {sent}", **{"retry-after": "0.05", "x-echo": sent})
        elif kind == 2:
            self._reply(503, f"<html>{sent}</html>", **{"content-type": "text/html"})
        elif kind == 3:
            self._completion(f"not JSON: your key is {self.headers['authorization']} {self.headers['x-gateway']}")
        elif kind == 4 and b"row 4 " in body:
            self._reply(400, json.dumps({"error": {"message": f"bad request from {sent}", "type": sent[:60]}}))
        else:
            self._completion(json.dumps({"score": 3, "why": f"asked by {self.headers['authorization']}"}))

    def _completion(self, text: str) -> None:
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        self._reply(200, json.dumps({"id": "1", "model": "echo", "choices": [choice], "usage": usage}))

    def _reply(self, status: int, text: str, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, re.sub(r"[^ -~]", "", value))
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by the standard library
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}  # noqa: TID251  a child's environment
    return subprocess.Popen(
        [sys.executable, "-m", "modelcall", *arguments],
        cwd=folder,
        env={**kept, "LANG": "C.UTF-8", "PYTHONUTF8": "1", **CANARIES},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def forms(secret: str) -> set[bytes]:
    """How a secret may have been written down."""
    spellings = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret), quote(secret, safe="")}
    spellings |= set(re.findall(r"[A-Za-z]*CANARY\d\d[A-Za-z]*", secret))
    return {text.encode() for text in spellings} | {base64.b64encode(secret.encode())}


def found_in(data: bytes) -> list[str]:
    return [secret for secret in ALL if any(form in data for form in forms(secret))]


def everything(folder: Path) -> dict[str, bytes]:
    """Whatever a run has left, but for what was given to it."""
    given = {"task.yaml", "in", "leaky.py"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in given]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


TASK = """\
task_name: canaries
data: {{input_folder: ./in, output_folder: ./out, output_format: jsonl}}
model:
  provider: test
  model_name: echo
  base_url: "{url}"
  api_key_env: OPENAI_API_KEY
  headers: {{x-gateway: {header}}}
prompt:
  prompt_template: {{prompt_text: "{{text}}"}}
  output_config: {{json_keys: [score, why], json_default_values: {{score: 3, why: ""}}, json_key_must_exists: [score]}}
concurrency: {{max_concurrent_requests: 2}}
retry: {{max_retries: 2}}
logging: {{level: DEBUG, batch_size: 5}}
options: {{max_failed_ratio: 1.0}}
"""


def test_a_judge_s_server_that_repeats_all_secrets_gets_none_into_any_artifact(tmp_path: Path, echo: str) -> None:
    (tmp_path / "in").mkdir()
    lines = (json.dumps({"text": f"row {n} of a document"}) + "\n" for n in range(60))
    (tmp_path / "in/a.jsonl").write_text("".join(lines))
    (tmp_path / "task.yaml").write_text(TASK.format(url=echo, header=HEADER))
    override = f"model.headers.x-second={HEADER}-2"
    child = start(tmp_path, "run-task", "task.yaml", "--metrics_port", "0", "--json", "--set", override)
    answers = look_at_it(tmp_path, child)
    out, err = child.communicate(timeout=90)
    assert child.returncode in {0, 3}, err
    artifacts = {"stdout": out.encode(), "stderr": err.encode(), **answers, **everything(tmp_path)}
    assert {name: leaks for name, data in artifacts.items() if (leaks := found_in(data))} == {}
    said = b"".join(data for name, data in artifacts.items() if name.endswith(".log"))
    assert b"no luck with Bearer ***" in said, "it did come back"
    assert b"***" in artifacts["out/a.jsonl"], "also in answers"
    assert {".modelcall", "logs"} <= {part for name in artifacts for part in Path(name).parts}
    assert b"modelcall_retries_total" in artifacts["metrics"]


def look_at_it(folder: Path, child: subprocess.Popen[str]) -> dict[str, bytes]:
    """Ask the run whatever can be asked while it goes on."""
    told: dict[str, Any] = {}
    while not (told.get("metrics") and told.get("retries")):
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
        for path in (folder / "logs/.status").glob("*.json"):
            told = json.loads(path.read_text())
    with urllib.request.urlopen(f"http://{told['metrics']}/metrics") as answer:
        metrics = answer.read()
    live = ask(Path(told["control"]), "status")
    return {"metrics": metrics, "socket": json.dumps(live).encode(), "status while it ran": json.dumps(told).encode()}


LEAKY = """\
import os, sys, logging


class Leaky:
    columns = {"n": "int"}

    def score(self, item):
        print(dict(os.environ))
        secrets = " ".join(value for name, value in sorted(os.environ.items()) if "CANARY" in value or "Q0FO" in value)
        if item["text"].startswith("row 7 "):
            raise ConnectionError("http://user:" + secrets)
        logging.getLogger("modelcall").warning("said %s", secrets)
        raise RuntimeError("failed with " + secrets)
"""


def test_a_scorer_that_raises_with_all_secrets_gets_none_into_any_artifact(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text("".join(json.dumps({"text": f"row {n} "}) + "\n" for n in range(9)))
    (tmp_path / "leaky.py").write_text(LEAKY)
    child = start(tmp_path, "pipeline", "in/a.jsonl", "out.jsonl", "--scorer", "leaky:Leaky", "--quiet")
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 3
    artifacts = {"stdout": out.encode(), **everything(tmp_path)}  # stderr has what the scorer itself printed
    assert {name: leaks for name, data in artifacts.items() if (leaks := found_in(data))} == {}
    assert b"failed with ***" in artifacts["out.jsonl"]


def test_a_crash_with_all_secrets_in_its_traceback_gets_none_into_the_log(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text('{"text": "x"}\n')
    crash = (
        "import os, sys\n"
        "import modelcall.cli.running as running\n"
        "from modelcall.cli.main import run\n"
        "def explode(*_, **__):\n"
        "    raise RuntimeError(' '.join(os.environ.values()))\n"
        "running.Report = explode\n"
        "sys.exit(run(['pipeline', 'in/a.jsonl', 'out.jsonl']))\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}  # noqa: TID251  a child's environment
    environment = {**kept, "LANG": "C.UTF-8", "PYTHONUTF8": "1", **CANARIES}
    done = subprocess.run(
        [sys.executable, "-c", crash], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    artifacts = {"stdout": done.stdout, "stderr": done.stderr, **everything(tmp_path)}
    assert {name: leaks for name, data in artifacts.items() if (leaks := found_in(data))} == {}
    log = b"".join(data for name, data in artifacts.items() if name.endswith(".log"))
    assert b"RuntimeError: " in log
    assert b"Traceback" in log
