import asyncio
import errno
import gzip
import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.errors import ConfigError
from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline.verify import Findings, verify
from modelcall.scorers.quality.scorer import QualityScorer
from modelcall.state.lock import acquire
from modelcall.state.run import RunStore, noted_runs
from modelcall.state.shard import output_at
from modelcall.task_manager.summary import Invocation, Stop, Summary
from modelcall.task_manager.task_run import TaskRun
from modelcall.types import FileCounts
from tests.pipeline.harness import Seen

NOW = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  wall-clock time of the user


class StopEarly(Seen):
    """A user who loses patience when the first file is done."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def file_done(self, file: str, counts: FileCounts) -> None:
        super().file_done(file, counts)
        self._stop.request(15)


class Desk:
    """A user's folder: an input, a task, and starts of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = 0
        self.seen = Seen()
        self.task: dict[str, Any] = {
            "task_name": "rating",
            "data": {"input_folder": "./in", "output_folder": "./out"},
            "scorer": {"name": "quality"},
        }
        for number in range(7):
            self.file(f"f{number}.jsonl", rows=3 + number)

    def file(self, name: str, *, rows: int = 3) -> None:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"text": f"{name} row {row}", "n": row}) + "\n" for row in range(rows)))

    def set(self, path: str, value: Any) -> None:
        block, _, key = path.rpartition(".")
        target = self.task
        for part in filter(None, block.split(".")):
            target = target.setdefault(part, {})
        target[key] = value

    def start(
        self, *, variables: Mapping[str, str] | None = None, stop_early: bool = False, **invocation: Any
    ) -> Summary:
        """Start the task; each start happens an hour after the last, or is asked to stop at its first file's end."""
        (self.folder / "task.yaml").write_text(yaml.safe_dump(self.task))
        environment = Environment.read(process=dict(variables or {}), cwd=self.folder)
        loaded = load_task(self.folder / "task.yaml", environment=environment)
        self.starts += 1
        stop = Stop()
        self.seen = StopEarly(stop) if stop_early else Seen()
        now = NOW + timedelta(hours=self.starts)
        run = TaskRun(loaded, Invocation(**invocation), listener=self.seen, stop=stop, now=now)
        return asyncio.run(run.run())

    def tree(self, folder: str = "out") -> dict[str, bytes]:
        base = self.folder / folder
        files = (path for path in base.rglob("*") if path.is_file())
        return {str(path.relative_to(base)): path.read_bytes() for path in files if ".modelcall" not in path.parts}

    def verify(self, path: str) -> Findings:
        fs = LocalFileSystem()
        to = output_at(fs, str(self.folder / path))
        return verify(to, noted_runs(fs, to.state))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_finished_run_says_so_and_exits_with_its_code(desk: Desk) -> None:
    first = desk.start()
    assert (first.exit_code, first.worked, first.passes[0].rows) == (0, True, 42)
    second = desk.start()
    assert (second.exit_code, second.worked, second.passes[0].rows) == (0, False, 42)
    assert desk.verify("out").problems == []


def test_a_row_without_text_makes_exit_3_now_and_on_the_next_start(desk: Desk) -> None:
    (desk.folder / "in/f3.jsonl").write_text('{"text": null}\n{"text": "good"}\n')
    assert [desk.start().exit_code, desk.start().exit_code] == [3, 3]
    row = pq.read_table(desk.folder / "out/f3.parquet").to_pylist()[0]
    assert (row["score"], row["api_error_type"]) == (None, "bad_row")


def test_failed_rows_below_the_allowed_ratio_are_exit_0(desk: Desk) -> None:
    (desk.folder / "in/f3.jsonl").write_text('{"text": null}\n{"text": "good"}\n')
    desk.set("options.max_failed_ratio", 0.05)
    assert desk.start().exit_code == 0


def test_a_fixed_folder_takes_in_new_files_only_and_refuses_changed_ones(desk: Desk) -> None:
    desk.start()
    before = {path.name: path.stat().st_mtime_ns for path in (desk.folder / "out").glob("*.parquet")}
    desk.file("g.jsonl")
    summary = desk.start()
    assert (summary.how, list(desk.seen.done)) == ("extended", ["g.jsonl"])
    after = {path.name: path.stat().st_mtime_ns for path in (desk.folder / "out").glob("*.parquet")}
    assert after.items() >= before.items()
    assert desk.verify("out").files == 8
    desk.file("f0.jsonl", rows=9)
    with pytest.raises(ConfigError, match=r"changed since the run began: f0\.jsonl"):
        desk.start()


def test_a_timestamp_is_drawn_once_and_shared_by_all_shards_at_all_times(desk: Desk) -> None:
    desk.set("data.output_folder", "./out/{timestamp}")
    for job_index in (3, 0, 4, 1, 2):
        summary = desk.start(job_index=job_index, world_size=5)
        assert summary.exit_code == 0
    folders = [path.name for path in (desk.folder / "out").iterdir() if path.name != ".modelcall"]
    assert folders == ["20260102_040405"]
    sharded = desk.tree(f"out/{folders[0]}")
    shutil.rmtree(desk.folder / "out")
    desk.start()
    (whole,) = [path.name for path in (desk.folder / "out").iterdir() if path.name != ".modelcall"]
    assert desk.tree(f"out/{whole}") == sharded
    assert desk.verify(f"out/{whole}").rows == 42


def test_a_file_that_comes_between_two_shards_waits_for_the_next_run(desk: Desk) -> None:
    desk.start(job_index=0, world_size=2)
    desk.file("late.jsonl")
    second = desk.start(job_index=1, world_size=2)
    assert second.waiting == ("late.jsonl",)
    assert sorted(desk.tree()) == [f"f{number}.parquet" for number in range(7)]
    desk.start(job_index=0, world_size=2)
    desk.start(job_index=1, world_size=2)
    assert "late.parquet" in desk.tree()


def test_fresh_starts_a_new_run_into_a_new_folder(desk: Desk) -> None:
    desk.set("data.output_folder", "./out/{timestamp}")
    runs = {desk.start().run, desk.start().run, desk.start(fresh=True).run}
    assert len(runs) == 2
    assert len([path for path in (desk.folder / "out").iterdir() if path.name != ".modelcall"]) == 2


def test_finished_output_in_the_way_of_a_new_run_is_refused_and_nothing_touched(desk: Desk) -> None:
    desk.start()
    before = desk.tree()
    with pytest.raises(ConfigError, match=r"7 output file\(s\) are there already"):
        desk.start(fresh=True)
    assert desk.tree() == before
    assert desk.start().worked is False


def test_delete_existing_removes_only_what_a_run_wrote(desk: Desk) -> None:
    desk.start()
    (desk.folder / "out/notes.txt").write_text("mine")
    desk.set("options.delete_existing", True)
    assert desk.start().worked is False
    assert desk.start(fresh=True).worked is True
    assert (desk.folder / "out/notes.txt").read_text() == "mine"
    shutil.rmtree(desk.folder / "out")
    (desk.folder / "out").mkdir()
    (desk.folder / "out/f1.parquet").write_text("foreign")
    with pytest.raises(ConfigError, match=r"were not written by a run, the first is f1\.parquet"):
        desk.start()
    assert (desk.folder / "out/f1.parquet").read_text() == "foreign"


def test_resume_false_goes_on_with_its_own_killed_run(desk: Desk) -> None:
    desk.set("options.resume", False)
    desk.set("options.delete_existing", True)
    desk.set("debug", {"enabled": True, "max_files": 2})
    first = desk.start()
    desk.set("debug.enabled", False)
    second = desk.start()
    assert (second.how, second.run, sorted(desk.seen.done)) == (
        "continued",
        first.run,
        [f"f{number}.jsonl" for number in range(2, 7)],
    )
    third = desk.start()
    assert (third.how, third.run != first.run, third.passes[0].files) == ("new", True, 7)


def test_a_run_that_was_interrupted_is_not_finished(desk: Desk) -> None:
    desk.set("options.resume", False)
    desk.set("concurrency.max_concurrent_files", 1)
    desk.file("large.jsonl", rows=5000)
    first = desk.start(stop_early=True)
    assert (first.exit_code, first.passes[0].unfinished > 0) == (143, True)
    second = desk.start()
    assert (second.how, second.run, second.passes[0].files) == ("continued", first.run, 8)


def test_debug_limits_make_a_partial_result_that_a_full_start_completes(desk: Desk) -> None:
    desk.set("debug", {"enabled": True, "max_files": 1, "max_items_per_file": 2})
    desk.start()
    assert [len(pq.read_table(desk.folder / "out/f0.parquet")), len(desk.tree())] == [2, 1]
    assert desk.start().worked is False
    desk.set("debug.enabled", False)
    desk.start()
    assert desk.seen.started["f0.jsonl"] == 2
    assert desk.verify("out").rows == 42


def test_num_runs_scores_into_numbered_folders(desk: Desk) -> None:
    desk.set("distributed", {"enabled": True, "num_runs": 3})
    with pytest.raises(ConfigError) as caught:
        desk.start()
    assert "{run_index}" in str(caught.value.mistakes[0])
    desk.set("data.output_folder", "./out/{task_name}/{run_index}")
    summary = desk.start()
    assert [len(desk.tree(f"out/rating/{index}")) for index in (1, 2, 3)] == [7, 7, 7]
    assert len(summary.passes) == 3
    assert desk.start().worked is False


def test_launcher_variables_count_only_when_the_block_is_enabled(desk: Desk) -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "4"}
    assert desk.start(variables=variables).shard.world_size == 1
    shutil.rmtree(desk.folder / "out")
    desk.set("distributed", {"enabled": True})
    shard = desk.start(variables=variables).shard
    assert (shard.job_index, shard.world_size) == (1, 4)


def change(path: str, value: Any) -> Callable[[Desk], None]:
    return lambda desk: desk.set(path, value)


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (change("data.output_prefix", "x_"), "set of result columns"),
        (change("data.output_format", "jsonl"), "data.output_format"),
        (change("data.output_columns", ["n"]), "data.output_columns"),
        (change("data.input_key", "n"), "input_key"),
    ],
)
def test_a_start_that_would_mix_is_refused(desk: Desk, alter: Callable[[Desk], None], named: str) -> None:
    desk.start()
    alter(desk)
    with pytest.raises(ConfigError, match=named):
        desk.start()


@pytest.mark.parametrize(
    "alter",
    [
        change("concurrency", {"max_concurrent_files": 5, "max_concurrent_requests": 50, "chunk_size": 1}),
        change("environment.timeout", 10),
        change("logging", {"level": "DEBUG"}),
        change("retry.max_retries", 9),
        change("options.max_failed_ratio", 0.5),
    ],
)
def test_a_harmless_change_is_accepted(desk: Desk, alter: Callable[[Desk], None]) -> None:
    desk.start()
    alter(desk)
    assert desk.start().worked is False


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda desk: shutil.rmtree(desk.folder / "in"), "there is no file or folder"),
        (lambda desk: [path.unlink() for path in (desk.folder / "in").iterdir()], "no JSONL or Parquet file"),
        (lambda desk: (desk.folder / "in/p.parquet").write_text("no"), "cannot be used"),
        (lambda desk: (desk.folder / "in/f0.parquet").write_bytes(b""), "cannot be used"),
        (change("data.output_folder", "./in"), "would be read as input"),
        (change("data.output_folder", "./in/out"), "would be read as input"),
        (lambda desk: desk.file("f0.ndjson"), "would share an output name"),
        (change("data.output_folder", "./task.yaml/x"), "is a file, and data.output_folder needs a folder there"),
        (change("data.stat_folder", "./in/f0.jsonl"), "is a file, and data.stat_folder needs a folder there"),
        (lambda desk: (desk.folder / "in/p.jsonl").write_bytes(b"PAR1"), "p.jsonl: named as JSON Lines, but"),
        (change("data.input_key", "txt"), "no input file has the column 'txt'"),
        (change("data.input_folder", "./in/task.csv"), "there is no file or folder"),
    ],
)
def test_what_cannot_work_is_one_clear_refusal_and_writes_nothing(
    desk: Desk, spoil: Callable[[Desk], None], message: str
) -> None:
    spoil(desk)
    with pytest.raises(ConfigError) as caught:
        desk.start()
    told = " ".join([caught.value.message, *map(str, caught.value.mistakes)])
    assert message in told
    assert not (desk.folder / "out").exists()
    assert [path.name for path in desk.folder.rglob(".modelcall")] == []


def test_a_fresh_start_beside_a_working_one_is_refused_and_takes_nothing_from_it(desk: Desk) -> None:
    desk.set("debug", {"enabled": True, "max_files": 2})
    first = desk.start()
    lock = acquire(LocalFileSystem(), str(desk.folder / "out/.modelcall/locks/r1-job000"), facts={})
    for path in (desk.folder / "out").glob("*.parquet"):
        path.unlink()
    with pytest.raises(ConfigError, match="has been working on this"):
        desk.start(fresh=True)
    lock.release()
    again = desk.start()
    assert (again.how, again.run) == ("continued", first.run)


def test_a_shard_that_joins_a_new_run_is_refused_while_old_output_is_in_its_way(desk: Desk) -> None:
    for job_index in (0, 1):
        desk.start(job_index=job_index, world_size=2)
    desk.set("options.delete_existing", True)
    desk.start(job_index=0, world_size=2, fresh=True)
    desk.set("options.delete_existing", False)
    before = desk.tree()
    with pytest.raises(ConfigError, match=r"output file\(s\) are there already"):
        desk.start(job_index=1, world_size=2, fresh=True)
    assert (desk.tree(), desk.seen.rows) == (before, [])
    desk.set("options.delete_existing", True)
    assert desk.start(job_index=1, world_size=2, fresh=True).exit_code == 0
    assert desk.verify("out").problems == []


def torn(desk: Desk) -> None:
    """An input file that looks sound at its start and is cut short."""
    rng = random.Random(1)
    rows = "".join(json.dumps({"text": rng.randbytes(8000).hex()}) + "\n" for _ in range(300))
    (desk.folder / "in/torn.jsonl.gz").write_bytes(gzip.compress(rows.encode(), 1)[:-5000])


def test_what_is_left_of_an_extended_run_still_counts_and_is_tried_again(desk: Desk) -> None:
    torn(desk)
    assert (desk.start().exit_code, list(desk.seen.failed)) == (3, ["torn.jsonl.gz"])
    asked = len(desk.seen.rows)
    assert asked > 42
    desk.file("g.jsonl")
    extended = desk.start()
    assert (extended.how, extended.exit_code, list(desk.seen.failed)) == ("extended", 3, ["torn.jsonl.gz"])
    assert len(desk.seen.rows) == 3
    (desk.folder / "out/f0.parquet").unlink()
    again = desk.start()
    assert (again.exit_code, list(desk.seen.done)) == (3, ["f0.jsonl"])
    assert sum(tally.rows for tally in again.passes) == 45


def test_an_extended_run_is_dealt_out_anew_when_the_world_size_changes(desk: Desk) -> None:
    for job_index in range(3):
        desk.start(job_index=job_index, world_size=3)
    desk.file("g.jsonl")
    desk.file("h.jsonl")
    for path in (desk.folder / "out").glob("*.parquet"):
        path.unlink()
    done = []
    for job_index in range(2):
        assert desk.start(job_index=job_index, world_size=2).how == ("joined" if job_index else "extended")
        done += list(desk.seen.done)
    assert sorted(done) == sorted(f"{name}.jsonl" for name in ("g", "h", *(f"f{number}" for number in range(7))))
    assert desk.verify("out").problems == []


def test_a_scorer_whose_settlement_cannot_be_stored_is_closed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    closed: list[object] = []
    close = QualityScorer.close

    async def noted(self: QualityScorer) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(RunStore, "settle", full)
    monkeypatch.setattr(QualityScorer, "close", noted)
    summary = desk.start()
    assert (summary.exit_code, len(closed)) == (4, 1)
    assert "No space left" in str(summary.error)


def test_what_was_killed_while_it_wrote_run_records_leaves_nothing_though_the_output_is_dated(desk: Desk) -> None:
    desk.set("data.output_folder", "./out/{timestamp}")
    desk.start(stop_early=True)
    (record,) = desk.folder.glob("out/.modelcall/runs/*/000001/run.json")
    left = record.with_name(".settled.json.0123456789abcdef.tmp")
    left.touch()
    assert desk.start().exit_code == 0
    assert not left.exists()
