"""Whole runs over data that are not on the local disk."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from modelcall.fs.local import LocalFileSystem
from modelcall.fs.remote import RemoteFileSystem
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.cli.test_run_task import wait_for
from tests.cli.test_workers import workers_of
from tests.fs_tos.kit import store
from tests.mock_tos.sdk import BUCKET
from tests.stores.kit import MINIMUM, TEXTS, Desk, lines, scored

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.fs.base import FileSystem
    from modelcall.mock.tos.thread import LocalTos

ROOT = f"tos://{BUCKET}"


def put(fs: FileSystem, path: str, data: bytes) -> None:
    with fs.sink(path) as sink:
        sink.write(data)
        sink.commit()


def copies(tos: LocalTos) -> list[str]:
    return [key for key in tos.keys("stat/") if not key.endswith("/base.json")]


def test_input_output_and_progress_in_tos(desk: Desk, server: EmbeddedServer, tos: LocalTos) -> None:
    fs = store(tos)
    put(fs, f"{ROOT}/in/a.jsonl", lines(TEXTS))
    put(fs, f"{ROOT}/in/more/b c.jsonl", lines(TEXTS[:5]))
    data = {"input_folder": "in", "output_folder": "out/{timestamp}", "stat_folder": "stat", "fs": "tos"}
    desk.task(server.base_url, data=data)

    done = desk.run("--json")

    assert done.code == 0, done.err
    output = done.json["outputs"][0]
    assert output.startswith(f"{ROOT}/out/2")
    assert [text for text, status, _ in scored(fs, f"{output}/a.parquet") if status == "success"] == TEXTS
    assert [text for text, _, _ in scored(fs, f"{output}/more/b c.parquet")] == TEXTS[:5]
    verified = desk.shell("verify", output, "--json")
    assert (verified.code, verified.json["compared"], verified.json["rows"]) == (0, 2, 17)
    assert copies(tos) == []  # all is published
    assert tos.uploads() == []
    again = desk.run("--json")
    assert (again.code, again.json["worked"]) == (0, False)


def test_pipeline_from_one_object_into_one(desk: Desk, tos: LocalTos) -> None:
    fs = store(tos)
    put(fs, f"{ROOT}/in.jsonl", lines(TEXTS))
    command = ("pipeline", f"{ROOT}/in.jsonl", f"{ROOT}/out.parquet", "--fs", "tos", "-q")
    assert desk.shell(*command).code == 0
    assert [text for text, _, _ in scored(fs, f"{ROOT}/out.parquet")] == TEXTS
    assert desk.shell("verify", "out.parquet", "--fs", "tos").code == 0


def test_an_unfinished_run_goes_on_on_another_machine(desk: Desk, server: EmbeddedServer, tos: LocalTos) -> None:
    fs = store(tos)
    put(fs, f"{ROOT}/in/a.jsonl", lines([*TEXTS, "", *TEXTS]))
    data = {"input_folder": f"{ROOT}/in", "output_folder": f"{ROOT}/out", "stat_folder": f"{ROOT}/stat"}
    stop = {"max_concurrent_requests": 1, "max_concurrent_files": 1, "chunk_size": 100}
    desk.task(server.base_url, data={**data, "input_key": "text"}, concurrency=stop, options={"bad_rows": "stop"})
    put(fs, f"{ROOT}/in/b.jsonl", lines(TEXTS) + b"no JSON\n")

    stopped = desk.run()

    assert stopped.code == 4, stopped.err
    recorded = desk.shell("results", "task.yaml", "--json").out.splitlines()
    desk.lose_machine()
    assert desk.shell("results", "task.yaml", "--json").out.splitlines() == recorded
    assert recorded
    server.reset()
    desk.task(server.base_url, data={**data, "input_key": "text"}, concurrency=stop, options={"bad_rows": "keep"})
    assert desk.run().code == 3  # the bad row
    assert server.referee().requests == 25 + len(TEXTS) - len(recorded)
    assert desk.shell("verify", f"{ROOT}/out").code == 0


def test_failed_rows_are_asked_again_on_another_machine(desk: Desk, server: EmbeddedServer, tos: LocalTos) -> None:
    fs = store(tos)
    put(fs, f"{ROOT}/in/a.jsonl", lines(TEXTS))
    data = {"input_folder": f"{ROOT}/in", "output_folder": f"{ROOT}/out"}
    desk.task(server.base_url, data=data, retry={"max_retries": 0})
    assert desk.run().code == 0
    desk.lose_machine()
    again = desk.run("--retry_failed")
    assert again.code == 0
    assert desk.shell("verify", f"{ROOT}/out").code == 0


def test_input_output_and_progress_in_s3(desk: Desk, server: EmbeddedServer, s3: str) -> None:
    fs = RemoteFileSystem("s3")
    put(fs, f"{s3}/in/a.jsonl", lines(TEXTS))
    put(fs, f"{s3}/in/b.jsonl", lines(TEXTS[:3]) + b"no JSON\n")
    places = {"input_folder": f"{s3}/in", "output_folder": f"{s3}/out", "stat_folder": f"{s3}/stat"}
    desk.task(server.base_url, data=places, options={"bad_rows": "stop"})
    assert desk.run().code == 4
    desk.lose_machine()
    recorded = desk.shell("results", "task.yaml", "--json").out.splitlines()
    server.reset()

    done = desk.run("--set", "options.bad_rows=keep")

    assert done.code == 3, done.err  # the row that is no JSON
    assert recorded
    assert server.referee().requests == len(TEXTS) + 3 - len(recorded)
    assert [text for text, status, _ in scored(fs, f"{s3}/out/a.parquet") if status == "success"] == TEXTS
    assert desk.shell("verify", f"{s3}/out").code == 0


def test_failed_rows_are_not_read_back_byte_by_byte(desk: Desk, server: EmbeddedServer, tos: LocalTos) -> None:
    put(store(tos), f"{ROOT}/in/a.jsonl", lines(TEXTS * 4))
    data = {"input_folder": f"{ROOT}/in", "output_folder": f"{ROOT}/out"}
    with EmbeddedServer(MockOptions(faults=parse_faults({"score_missing": 0.4}))) as broken:
        desk.task(broken.base_url, data=data, retry={"max_retries": 0})
        assert desk.run().code == 3
        assert desk.run("--retry_failed").code == 3  # now there is a history, too
    desk.lose_machine()
    desk.task(server.base_url, data=data, retry={"max_retries": 0})
    tos.log.reset()
    assert desk.run("--retry_failed").code == 0
    read = [entry.key for entry in tos.requests("get_object") if "/failed/" in entry.key or "/history/" in entry.key]
    assert 2 <= len(read) <= 8
    assert desk.shell("verify", f"{ROOT}/out").code == 0


def test_progress_in_tos_of_data_that_are_here(desk: Desk, server: EmbeddedServer, tos: LocalTos) -> None:
    desk.shell.rows("in/a.jsonl", 9)
    desk.task(server.base_url, data={"input_folder": "./in", "output_folder": "./out", "stat_folder": f"{ROOT}/stat"})
    assert desk.run().code == 0
    assert len(scored(LocalFileSystem(), str(desk.folder / "out/a.parquet"))) == 9
    assert copies(tos) == []
    assert (desk.folder / "out/.modelcall/locks").is_dir()


def test_worker_processes_copy_their_journals_through_their_owner(desk: Desk, tos: LocalTos) -> None:
    texts = [f"{number}. {TEXTS[0]}" for number in range(80)]
    for name in "abcd":
        put(store(tos), f"{ROOT}/in/{name}.jsonl", lines(texts))
    data = {"input_folder": f"{ROOT}/in", "output_folder": f"{ROOT}/out", "stat_folder": f"{ROOT}/stat"}
    with EmbeddedServer(MockOptions(latency=0.05)) as server:
        desk.task(server.base_url, data=data, concurrency={"num_workers": 2, "max_concurrent_requests": 4})
        child = desk.shell.start("run-task", "task.yaml", "-q", **tos.environment, MODELCALL_WORK_DIR=str(desk.work))
        wait_for(lambda: server.referee().answered_rows >= 40)
        os.kill(workers_of(child.pid)[0], signal.SIGKILL)
        wait_for(lambda: server.referee().answered_rows >= 80)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 143, err
        asked = server.referee()
        desk.lose_machine()

        done = desk.run("--json", "--set", "concurrency.num_workers=1")

        assert (done.code, done.json["rows"]["scored"]) == (0, 320), done.err
        assert server.referee().rows == 320
        lost = server.referee().after_answer
        assert lost <= 24 < asked.answered_rows, "of the worker that was killed, the answers of a flush window"
    assert [key for key in copies(tos) if store(tos).read_bytes(f"{ROOT}/{key}")] == [], (
        "what is left closes the owner before"
    )
    assert desk.shell("verify", f"{ROOT}/out").code == 0


def test_what_is_in_the_memory_of_one_process_is_not_for_several(desk: Desk, server: EmbeddedServer) -> None:
    desk.task(server.base_url, data={"input_folder": "memory://in", "output_folder": "./out"})
    done = desk.run("--set", "concurrency.num_workers=2")
    assert (done.code, "only one process sees what is in its memory" in done.err) == (2, True), done.err


def test_output_in_a_store_that_keeps_no_locks(desk: Desk, server: EmbeddedServer, memory: str) -> None:
    fs = RemoteFileSystem("memory")
    put(fs, f"{memory}/in/a.jsonl", lines(TEXTS))
    desk.task(server.base_url, data={"input_folder": f"{memory}/in", "output_folder": f"{memory}/out"})

    done = desk.run()

    assert done.code == 0, done.err
    assert [text for text, _, _ in scored(fs, f"{memory}/out/a.parquet")] == TEXTS
    assert desk.shell("verify", f"{memory}/out").code == 0
    assert desk.run("--json").json["worked"] is False
    log = "".join(path.read_text() for path in (desk.folder / "logs").glob("*.log"))
    assert "its store does not show files whole at once" in log
    assert f"its store keeps no locks; they and the progress are in {desk.work}/" in log


def test_shards_that_would_not_see_each_other_are_refused(desk: Desk, server: EmbeddedServer, memory: str) -> None:
    put(RemoteFileSystem("memory"), f"{memory}/in/a.jsonl", lines(TEXTS))
    desk.task(server.base_url, data={"input_folder": f"{memory}/in", "output_folder": f"{memory}/out"})
    refused = desk.run("--job_index", "0", "--world_size", "2")
    assert refused.code == 2
    assert "keeps neither locks nor progress, and shards share both" in refused.err
    assert desk.run("--job_index", "0", "--world_size", "2", "--set", "data.stat_folder=./stat").code == 0


def test_progress_in_a_store_that_cannot_keep_it_is_refused(desk: Desk, server: EmbeddedServer, memory: str) -> None:
    desk.shell.rows("in/a.jsonl", 3)
    desk.task(server.base_url, data={"input_folder": "./in", "output_folder": "./out", "stat_folder": f"{memory}/stat"})
    done = desk.run()
    assert done.code == 2
    assert "memory://corpus/stat: its store cannot create a name for exactly one of several writers" in done.err
    assert "Set data.stat_folder" in done.last
    assert not (desk.folder / "out").exists()


@pytest.mark.parametrize("root", [None, "elsewhere://base"])
def test_a_store_of_ones_own_with_five_methods(desk: Desk, server: EmbeddedServer, root: str | None) -> None:
    (desk.folder / "elsewhere_of_stores.py").write_text(MINIMUM)
    base: Path = desk.folder / "elsewhere" / (root.removeprefix("elsewhere://") if root else str(desk.folder)[1:])
    base.joinpath("in").mkdir(parents=True)
    (base / "in/a.jsonl").write_bytes(lines(TEXTS))
    desk.task(server.base_url, data={"input_folder": "in", "output_folder": "out"})
    options = ["--fs", "elsewhere_of_stores:Elsewhere", *(["--root", root] if root else [])]

    done = desk.run(*options)

    assert done.code == 0, done.err
    assert [text for text, _, _ in scored(LocalFileSystem(), str(base / "out/a.parquet"))] == TEXTS
    assert desk.shell("verify", "out", *options).code == 0
    assert desk.run(*options, "--json").json["worked"] is False


def test_variables_that_are_missing_are_notes_and_then_mistakes(
    desk: Desk, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOS_ENDPOINT", "TOS_REGION", "REGION", "TOS_BUCKET", "TOS_ACCESS_KEY", "TOS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    desk.task(server.base_url, data={"input_folder": "in", "output_folder": "./out", "fs": "tos"})
    names = "TOS_BUCKET, TOS_ENDPOINT, TOS_REGION, TOS_ACCESS_KEY, TOS_SECRET_KEY"
    needs = f"data.input_folder: tos://$TOS_BUCKET/in needs {names}, not set"

    noted, refused = desk.shell("validate", "task.yaml"), desk.run()

    assert (noted.code, refused.code) == (0, 2)
    assert needs in noted.err
    assert needs in refused.err
    assert "source env/add_tos_key.env" in refused.err
    verified = desk.shell("verify", "tos://corpus/out")
    assert verified.code == 2
    assert "not set: TOS_ENDPOINT" in verified.err


def test_a_package_that_is_missing_is_a_note_and_then_a_mistake(desk: Desk, server: EmbeddedServer) -> None:
    desk.task(server.base_url, data={"input_folder": "wandb://x/in", "output_folder": "./out"})
    noted, refused = desk.shell("validate", "task.yaml"), desk.run()
    assert (noted.code, refused.code) == (0, 2)
    for said in (noted.err, refused.err):
        assert "data.input_folder: wandb:// URLs need a package: Install wandbfs" in said


def test_a_store_of_ones_own_that_is_not_there_is_a_mistake(desk: Desk, server: EmbeddedServer) -> None:
    desk.shell.rows("in/a.jsonl", 1)
    desk.task(server.base_url, data={"input_folder": "./in", "output_folder": "./out", "fs": "no.such:Store"})
    for said in (desk.shell("validate", "task.yaml"), desk.run()):
        assert said.code == 2
        assert "The filesystem 'no.such:Store' was not found" in said.err


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TOS_SECRET_KEY", "other", "TOS_SECRET_KEY is not that of TOS_ACCESS_KEY"),
        ("TOS_ACCESS_KEY", "other", "TOS does not know this TOS_ACCESS_KEY"),
        ("TOS_BUCKET", "nowhere", "Look at the bucket's name (TOS_BUCKET)"),
    ],
)
@pytest.mark.usefixtures("tos")
def test_a_store_that_refuses_everything_is_told_before_anything_starts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    desk.task("http://127.0.0.1:9/v1", data={"input_folder": "in", "output_folder": "out", "fs": "tos"})
    refused = desk.run()
    assert refused.code == 2
    assert says in refused.err
