from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcall.errors import ConfigError
from modelcall.fs.local import LocalFileSystem
from modelcall.state.listing import ListedFile, Listing
from modelcall.state.run import RunRecord, RunStore, ShardKey, run_key
from modelcall.state.start import Start, StartRequest, begin

REQUEST = StartRequest(
    fresh=False,
    resume=True,
    dated=False,
    job_index=0,
    world_size=1,
    num_runs=1,
    identity={"prompt": "a", "model": "b"},
    input="/in",
    output_format="parquet",
    output_file=None,
    now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def listing(*names: str, etag: str = "e") -> Listing:
    return Listing(tuple(ListedFile(name, f"/in/{name}", 10, etag) for name in names))


class Bench:
    """A store and the starts made in it."""

    def __init__(self, folder: Path) -> None:
        self.store = RunStore(LocalFileSystem(), str(folder / "runs"))
        self.files = listing("a.jsonl", "b.jsonl")

    def start(
        self, request: StartRequest = REQUEST, before: Callable[[RunRecord], None] = lambda _: None, **changes: object
    ) -> Start:
        request = replace(request, **changes)  # type: ignore[arg-type]
        start = begin(self.store, request, list_input=lambda: self.files, before_create=before)
        self.store.join(start.record, ShardKey(1, request.job_index), stat_folder="/s")
        return start

    def finish(self, start: Start, *jobs: int) -> None:
        for job in jobs or (0,):
            self.store.mark_done(start.record, ShardKey(1, job), {})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_first_start_is_a_new_run_with_its_timestamp_and_listing(bench: Bench) -> None:
    start = bench.start()
    assert (start.how, start.record.number, start.record.timestamp) == ("new", 1, "20260102_030405")
    assert [file.name for file in start.record.files] == ["a.jsonl", "b.jsonl"]
    assert bench.store.newest() == start.record


def test_a_restart_goes_on_with_the_same_run_and_timestamp(bench: Bench) -> None:
    first = bench.start()
    again = bench.start(now=datetime(2030, 1, 1, tzinfo=UTC))
    assert (again.how, again.record) == ("continued", first.record)


def test_shards_join_the_first_ones_run(bench: Bench) -> None:
    first = bench.start(world_size=3, job_index=2)
    second = bench.start(world_size=3, job_index=0)
    assert (second.how, second.record.run) == ("joined", first.record.run)


def test_another_world_size_is_refused(bench: Bench) -> None:
    bench.start(world_size=3)
    with pytest.raises(ConfigError, match="has world_size 3 and num_runs 1"):
        bench.start(world_size=4)


def test_what_changed_is_named(bench: Bench) -> None:
    bench.start()
    with pytest.raises(ConfigError, match="another model, prompt"):
        bench.start(identity={"prompt": "x", "model": "y"})


def test_a_changed_input_file_is_refused(bench: Bench) -> None:
    bench.start()
    bench.files = listing("a.jsonl", "b.jsonl", etag="other")
    with pytest.raises(ConfigError, match=r"2 input file\(s\) changed since the run began: a.jsonl, b.jsonl"):
        bench.start()


def test_files_that_came_later_wait_for_the_next_run(bench: Bench) -> None:
    first = bench.start(world_size=2)
    bench.files = listing("a.jsonl", "b.jsonl", "c.jsonl")
    second = bench.start(world_size=2, job_index=1)
    assert second.record == first.record
    assert second.waiting == ("c.jsonl",)


def test_a_finished_fixed_folder_is_extended_by_new_files_only(bench: Bench) -> None:
    first = bench.start()
    bench.finish(first)
    assert bench.start().how == "continued"
    bench.files = listing("a.jsonl", "b.jsonl", "c.jsonl")
    second = bench.start()
    assert (second.how, second.record.extends, second.record.number) == ("extended", 1, 2)
    assert [file.name for file in second.record.files] == ["c.jsonl"]
    assert [record.number for record in bench.store.chain(second.record)] == [2, 1]


def test_a_finished_folder_with_a_timestamp_is_not_extended(bench: Bench) -> None:
    bench.finish(bench.start(dated=True))
    bench.files = listing("a.jsonl", "b.jsonl", "c.jsonl")
    start = bench.start(dated=True)
    assert (start.how, start.waiting) == ("continued", ("c.jsonl",))


def test_fresh_always_starts_a_new_run(bench: Bench) -> None:
    runs = {bench.start().record.run, bench.start(fresh=True).record.run, bench.start(fresh=True).record.run}
    assert len(runs) == 3


def test_a_fresh_shard_joins_a_fresh_unfinished_run_it_has_no_part_in(bench: Bench) -> None:
    bench.start(world_size=2)
    first = bench.start(fresh=True, world_size=2, job_index=0)
    second = bench.start(fresh=True, world_size=2, job_index=1)
    assert (second.how, second.record.run) == ("joined", first.record.run)
    third = bench.start(fresh=True, world_size=2, job_index=1)
    assert (third.how, third.record.number) == ("new", 3)


def test_a_fresh_shard_does_not_join_a_run_that_was_not_started_fresh(bench: Bench) -> None:
    bench.start(world_size=2, job_index=0)
    assert bench.start(fresh=True, world_size=2, job_index=1).how == "new"


def test_resume_false_continues_a_killed_run_and_starts_over_after_a_finished_one(bench: Bench) -> None:
    first = bench.start(resume=False)
    assert bench.start(resume=False).record == first.record
    bench.finish(first)
    second = bench.start(resume=False)
    assert (second.how, second.record.number) == ("new", 2)
    assert bench.start(resume=False).record == second.record


def test_a_run_is_finished_when_all_its_shards_are(bench: Bench) -> None:
    first = bench.start(world_size=2, job_index=0)
    bench.finish(first, 0)
    assert not bench.store.is_finished(first.record)
    assert bench.start(world_size=2, job_index=0, resume=False).record == first.record
    bench.finish(first, 1)
    assert bench.store.is_finished(first.record)


def test_a_refusal_before_creation_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    def refuse(_: RunRecord) -> None:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        bench.start(before=refuse)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_shard_that_loses_the_race_joins_the_winner(bench: Bench) -> None:
    def somebody_was_faster(record: RunRecord) -> None:
        bench.store.create(replace(record, run="winner"))

    start = bench.start(before=somebody_was_faster)
    assert (start.how, start.record.run) == ("joined", "winner")


def test_what_the_first_shard_settled_is_kept(bench: Bench) -> None:
    record = bench.start().record
    assert bench.store.settled(record) is None
    assert bench.store.settle(record, {"structured": "schema"}) == {"structured": "schema"}
    assert bench.store.settle(record, {"structured": "prompt"}) == {"structured": "schema"}


def test_run_keys_tell_tasks_and_outputs_apart_and_are_safe_names() -> None:
    keys = {run_key(task, out) for task in ("a/../b", "a b", "a-b") for out in ("/x", "/y")}
    assert len(keys) == 6
    assert all("/" not in key and not key.startswith(".") for key in keys)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_way_out_that_is_told_leads_out(bench: Bench, fresh: bool) -> None:
    bench.start(fresh=True, world_size=2, job_index=0)
    changed = replace(REQUEST, fresh=fresh, world_size=2, job_index=1, identity={"prompt": "x"})
    with pytest.raises(ConfigError) as caught:
        bench.start(changed)
    ways = {False: "start over with --fresh", True: "start over with a shard that took part in it"}
    assert caught.value.hint == f"Undo the change to go on with that run, or {ways[fresh]}."
    assert bench.start(changed, fresh=True, job_index=0).how == "new"
    assert bench.start(changed, fresh=True).how == "joined"
