from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.mark.usefixtures("no_sockets")
def test_what_the_machine_lacks_is_a_note(shell: Shell) -> None:
    shell.task("http://127.0.0.1:9/v1")
    done = shell("validate", "task.yaml")
    assert done.code == 0
    assert "valid, 1 missing on this machine" in done.out
    assert "note: task.yaml:2: data.input_folder" in done.err
    assert done.last.startswith("next: ")
    assert not (shell.folder / "logs").exists()


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_sockets")
def test_mistakes_are_exit_2_on_stderr_or_as_json(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task("http://127.0.0.1:9/v1", more="retry: {max_retries: -1}\nlogging: {levl: INFO}\n")
    done = shell("validate", "task.yaml")
    assert done.code == 2
    assert done.out == ""
    assert "retry.max_retries" in done.err
    assert "level" in done.err
    as_json = shell("validate", "task.yaml", "--json")
    assert as_json.code == 2
    assert as_json.json["valid"] is False
    assert {mistake["path"] for mistake in as_json.json["mistakes"]} == {"retry.max_retries", "logging.levl"}


def test_a_scorer_that_cannot_be_imported_is_found(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 1)
    done_task = shell.task("http://127.0.0.1:9/v1")
    done = shell("validate", str(done_task), "--set", "scorer.name=no_such_module_here:Scorer")
    assert done.code == 2
    assert "no_such_module_here" in done.err


def test_the_endpoint_is_asked_one_question(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    server.reset()
    done = shell("validate", "task.yaml", "--check-endpoint", "--json")
    assert done.code == 0
    assert '"score"' in done.json["answer"]
    assert server.referee().requests == 1


def test_the_endpoint_is_asked_for_the_form_that_a_run_asks_for(shell: Shell, server: EmbeddedServer) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(server.base_url)
    schema = "{type: object, properties: {depth: {type: integer}}, required: [depth]}"
    output = f"prompt.output_config={{json_keys: [depth], json_schema: {schema}}}"
    done = shell("validate", "task.yaml", "--check-endpoint", "--json", "--set", output)
    assert done.code == 0, done.err
    assert '"depth"' in done.json["answer"]


def test_an_endpoint_that_does_not_answer_is_exit_2(shell: Shell, closed_port: int) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task(f"http://127.0.0.1:{closed_port}/v1")
    done = shell("validate", "task.yaml", "--check_endpoint")
    assert done.code == 2
    assert "the endpoint" in done.err
    assert "base_url" in done.last


def test_an_endpoint_that_refuses_the_key_is_not_said_to_be_silent(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 1)
    with EmbeddedServer(MockOptions(api_key="another")) as server:
        shell.task(server.base_url)
        done = shell("validate", "task.yaml", "--check_endpoint")
    assert done.code == 2
    assert "the endpoint cannot be used: 127.0.0.1" in done.err
    assert "answered 401" in done.err


def test_an_unknown_fault_of_the_embedded_server_is_found(shell: Shell) -> None:
    shell.rows("in/a.jsonl", 1)
    shell.task("http://unused")
    model = "model={provider: embedded, embedded: {faults: {rate_limt: 0.1}}}"
    done = shell("validate", "task.yaml", "--set", model)
    assert done.code == 2
    assert 'unknown fault "rate_limt"; did you mean "rate_limit"?' in done.err
