"""What a run asks TOS for: requests take longest of all, so that none is made in vain."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.mock.tos.thread import LocalTos
from modelcall.pipeline import owning
from modelcall.state import copies
from modelcall.task_manager.summary import Invocation, Stop
from modelcall.task_manager.task_run import TaskRun
from tests.mock_tos.sdk import small
from tests.pipeline.harness import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelcall.mock.tos.log import Entry
    from modelcall.task_manager.summary import Summary
    from modelcall.types import Outcome, RowRef

NOW = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  wall-clock time of the user
KINDS = {
    "head_object": "HEAD",
    "get_object": "GET",
    "put_object": "PUT",
    "delete_object": "DELETE",
    "list_objects_type2": "LIST",
    "list_multipart_uploads": "UPLOADS",
    "create_multipart_upload": "BEGIN",
    "upload_part": "PART",
    "complete_multipart_upload": "END",
}
STATE = "out/.modelcall"
RUN = f"{STATE}/runs/KEY/000001"
LOCK = f"{STATE}/locks/r1-job000"
WORK = "stat/[0-9a-f]{16}-r1-job000"


class Watch(Seen):
    """Notes how much had been asked when something happened."""

    def __init__(self, tos: LocalTos, rows: int) -> None:
        super().__init__()
        self.tos = tos
        self.left = rows
        self.began = 0
        self.scored = 0
        self.sent = 0

    def file_started(self, file: str, *, recorded: int) -> None:
        super().file_started(file, recorded=recorded)
        self.began = self.began or len(self.tos.requests())

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        super().row_done(ref, outcome)
        self.left -= 1
        if not self.left:
            self.scored, self.sent = len(self.tos.requests()), self.tos.log.report()["sent"]


class Place:
    """A task whose folders are all on TOS."""

    def __init__(self, tos: LocalTos, folder: Path) -> None:
        self.tos = tos
        self.folder = folder

    def start(self, *, rows: int, **invocation: Any) -> tuple[Summary, Watch]:
        data = {"fs": "tos", "input_folder": "in", "output_folder": "out", "stat_folder": "stat"}
        task = {"task_name": "t", "data": data, "scorer": {"name": "quality"}}
        (self.folder / "task.yaml").write_text(yaml.safe_dump(task))
        variables: Mapping[str, str] = {**self.tos.environment, "XDG_STATE_HOME": str(self.folder / "state")}
        loaded = load_task(
            self.folder / "task.yaml", environment=Environment.read(process=dict(variables), cwd=self.folder)
        )
        watch = Watch(self.tos, rows)
        run = TaskRun(loaded, Invocation(**invocation), listener=watch, stop=Stop(), now=NOW)
        return asyncio.run(run.run()), watch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with LocalTos(small(latency=0.01)) as tos:
        for name, value in tos.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(owning, "BEAT_SECONDS", 3600)  # what is counted must not depend on how long it takes
        monkeypatch.setattr(copies, "COPY_SECONDS", 3600)
        yield Place(tos, tmp_path)


def parquet(table: pa.Table, **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def asked(entries: list[Entry]) -> list[str]:
    """Requests as ``HEAD key``; the name of the task's folder of runs is of no interest."""
    keys = ("/".join("KEY" if part.startswith("t-") else part for part in entry.key.split("/")) for entry in entries)
    return [f"{KINDS[entry.operation]} {key}" for entry, key in zip(entries, keys, strict=True)]


def test_a_small_file_costs_few_requests(place: Place) -> None:
    texts = [f"row {row} of a small file" for row in range(300)]
    place.tos.put("in/a.parquet", parquet(pa.table({"text": texts})))
    summary, watch = place.start(rows=300)
    assert summary.exit_code == 0
    requests = asked(place.tos.requests())
    assert requests[watch.began : watch.scored] == ["GET in/a.parquet"]
    assert [re.sub(f"{WORK}/", "WORK/", line) for line in requests[watch.scored :]] == [
        "PUT WORK/journal/000001/00000001.copy",  # what the file is made of, in case this machine is lost
        "BEGIN out/a.parquet",
        "GET in/a.parquet",
        "HEAD in/a.parquet",  # still what was listed?
        f"HEAD {LOCK}/000002.json",  # is the shard ours still?
        f"HEAD {STATE}/history/a.parquet.jsonl",  # left by an earlier run?
        "PART out/a.parquet",
        "END out/a.parquet",
        f"HEAD {STATE}/failed/a.parquet.jsonl",
        f"BEGIN {STATE}/manifest/a.parquet.json",
        f"HEAD {LOCK}/000002.json",
        f"PART {STATE}/manifest/a.parquet.json",
        f"END {STATE}/manifest/a.parquet.json",
        "PUT WORK/journal/000001/base.json",  # published: its copies are of no use any more
        "HEAD WORK/journal/000001/00000001.copy",
        "DELETE WORK/journal/000001/00000001.copy",
        f"PUT {RUN}/done-r1-job000.json",
        f"PUT {LOCK}/000001.json",
    ]
    assert len(requests) <= 44


def test_a_file_more_costs_no_more_than_its_own_requests(place: Place) -> None:
    data = parquet(pa.table({"text": ["a", "b"]}))
    for number in range(40):
        place.tos.put(f"in/{number:02d}.parquet", data)
    summary, watch = place.start(rows=80)
    assert summary.exit_code == 0
    of_one = Counter(line.split()[0] for line in asked(place.tos.requests()) if "17.parquet" in line)
    assert of_one == {"GET": 3, "HEAD": 4, "BEGIN": 2, "PART": 2, "END": 2}, (
        "looked at, read, published; two side lists"
    )
    assert watch.began <= 40 * 2 + 30  # looked at, taken?; and what a run costs
    assert place.tos.log.report()["most_in_flight"] > 4, "many calls are made side by side"


def test_one_column_of_many_is_all_that_is_read_before_publishing(place: Place) -> None:
    rows = 3000
    columns = {f"c{number:02d}": [f"{number} {row} " * 20 for row in range(rows)] for number in range(49)}
    data = parquet(
        pa.table({"text": columns["c00"], **columns}), row_group_size=1000, compression="none", use_dictionary=False
    )
    place.tos.put("in/a.parquet", data)
    summary, watch = place.start(rows=rows)
    assert summary.exit_code == 0
    assert watch.sent < len(data) * 0.05
    published = place.tos.read("out/a.parquet")
    assert published is not None
    assert pq.read_table(io.BytesIO(published)).num_rows == rows


def test_an_input_that_is_replaced_after_the_listing_ends_the_run(place: Place) -> None:
    place.tos.put("in/a.parquet", parquet(pa.table({"text": ["a"]})))
    other = parquet(pa.table({"text": ["b"]}))

    def replace(change: Any) -> None:
        if change.key.endswith("settled.json"):  # looked at, not read yet
            place.tos.put("in/a.parquet", other)

    place.tos.watch(replace)
    summary, _ = place.start(rows=1)
    assert summary.exit_code == 4
    assert "in/a.parquet: changed while it was being read" in str(summary.error)
    assert place.tos.keys("out/a") == []


def test_a_second_start_does_what_is_left(place: Place) -> None:
    data = parquet(pa.table({"text": ["a", "b"]}))
    for number in range(20):
        place.tos.put(f"in/{number:02d}.parquet", data)
    assert place.start(rows=40)[0].exit_code == 0
    for number in (3, 17):
        place.tos.store.remove("corpus", f"out/{number:02d}.parquet")
    run = next(key for key in place.tos.keys("out/.modelcall/runs") if "done-" in key)
    place.tos.store.remove("corpus", run)
    summary, watch = place.start(rows=4)
    assert (summary.exit_code, summary.passes[0].rows) == (0, 40)
    assert sorted(watch.done) == ["03.parquet", "17.parquet"]
