"""The status file: what it tells comes back as it was, and it never belongs to two."""

from __future__ import annotations

import json
import stat
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.config.environment import Environment
from modelcall.observe import (
    Cost,
    Ending,
    Phase,
    RunIdentity,
    RunState,
    SlowRow,
    Snapshot,
    Status,
    StatusFile,
    status_folder,
    status_from,
    status_json,
    status_name,
)
from modelcall.observe.status_file import FRESH_SECONDS, forget, look, read
from modelcall.state.lock import Process, this_process

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def identity(process: Process | None = None, **changes: Any) -> RunIdentity:
    made = RunIdentity(
        task="rivers",
        run_id="0123",
        how="new",
        job_index=0,
        world_size=1,
        started="2026-03-01T11:00:00+00:00",
        process=asdict(process or this_process()),
        outputs=("/out",),
        log="/logs/rivers.log",
        grace_seconds=5.0,
    )
    return replace(made, **changes)


def status(process: Process | None = None, *, updated: datetime = NOW, ending: Ending | None = None) -> Status:
    return Status(identity(process), RunState("rivers", Snapshot()), updated.isoformat(), ending)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


COUNTS = st.integers(0, 10**9)
NAMES = st.dictionaries(st.text(max_size=8), COUNTS, max_size=3)
SNAPSHOTS = st.builds(
    Snapshot,
    elapsed=COUNTS.map(float),
    files_total=COUNTS,
    files_open=COUNTS,
    files_done=COUNTS,
    files_failed=COUNTS,
    rows_recorded=COUNTS,
    rows_scored=COUNTS,
    rows_failed=COUNTS,
    rows_total=st.none() | COUNTS,
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    cached_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    attempts=COUNTS,
    retrying=COUNTS,
    retries=NAMES,
    failures=NAMES,
    events=NAMES,
    in_flight=COUNTS,
    limit=COUNTS,
    ceiling=COUNTS,
    rate=COUNTS.map(float),
)
STATES = st.builds(
    RunState,
    task=st.just("rivers"),
    snapshot=SNAPSHOTS,
    phase=st.sampled_from(Phase),
    note=st.text(max_size=20),
    cost=st.none() | st.builds(Cost, COUNTS.map(float), st.text(max_size=3)),
    slowest=st.lists(st.builds(SlowRow, st.text(max_size=9), COUNTS, COUNTS.map(float)), max_size=3).map(tuple),
)


@given(STATES, st.none() | st.builds(Ending, st.integers(0, 255), st.none() | st.text(max_size=9)))
def test_what_is_told_comes_back(state: RunState, ending: Ending | None) -> None:
    told = Status(identity(), state, NOW.isoformat(), ending)
    assert status_from(json.loads(json.dumps(status_json(told)))) == told


def test_the_json_names_what_people_ask_for() -> None:
    now = Snapshot(rows_scored=90, rows_failed=10, rows_total=200, rate=10.0, in_flight=3, limit=4, ceiling=8)
    told = status_json(Status(identity(), RunState("rivers", now, cost=Cost(1.5, "CNY")), NOW.isoformat()))
    assert told["rows"] == {"total": 200, "done": 100, "scored": 90, "failed": 10, "recorded_before": 0, "left": 100}
    assert (told["rows_per_second"], told["eta_seconds"], told["success_rate"]) == (10.0, 10.0, 0.9)
    assert told["requests"] == {"in_flight": 3, "limit": 4, "ceiling": 8, "attempts_ended": 0, "rows_retrying": 0}
    assert (told["cost"], told["currency"], told["phase"], told["exit_code"]) == (1.5, "CNY", "running", None)


def test_it_is_replaced_whole_and_private(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "logs" / ".status" / "rivers.json")
    assert file.claim()
    file.write(status_json(status()))
    first = file.path.stat().st_ino
    file.write(status_json(status()))
    assert file.path.stat().st_ino != first, "a new file in the old one's place"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert names_in(file.path.parent) == ["rivers.json"]


def test_a_start_in_vain_leaves_the_status_of_who_is_at_work(tmp_path: Path) -> None:
    first, second = (StatusFile(tmp_path / "rivers.json") for _ in range(2))
    assert first.claim()
    first.write(status_json(status()))
    assert not second.claim()
    second.write(status_json(replace(status(), updated=(NOW + timedelta(hours=1)).isoformat())))
    record = read(first.path)
    assert record is not None
    assert record.status.updated == NOW.isoformat()
    second.own()
    second.write(status_json(status(ending=Ending(0))))
    record = read(first.path)
    assert record is not None
    assert record.exit_code == 0


GONE = Process(pid=this_process().pid, start="1", boot=this_process().boot, host=this_process().host)
"""A process whose number is another's now."""


def test_a_dead_owner_is_succeeded_and_what_it_left_is_gone(tmp_path: Path) -> None:
    before = StatusFile(tmp_path / "rivers.json")
    before.own()
    socket = Path(tempfile.mkdtemp(prefix="modelcall-")) / "control.sock"
    socket.touch()
    left = replace(status(GONE), identity=identity(GONE, control=str(socket)))
    before.write(status_json(left))
    (tmp_path / "rivers.exit").write_text("137\n")
    record = read(before.path)
    assert record is not None
    assert (record.is_alive, record.exit_code) == (False, 137)
    assert StatusFile(before.path).claim()
    assert names_in(tmp_path) == []
    assert not socket.parent.exists()


def test_life_is_judged_by_process_and_start_time_or_from_afar_by_age(tmp_path: Path) -> None:
    def found(process: Process, *, age: float = 0.0, ending: Ending | None = None) -> bool:
        file = StatusFile(tmp_path / "a.json")
        file.own()
        updated = datetime.now().astimezone() - timedelta(seconds=age)
        file.write(status_json(status(process, updated=updated, ending=ending)))
        record = read(file.path)
        assert record is not None
        return record.is_alive

    elsewhere = replace(this_process(), host="another")
    assert found(this_process(), age=1000)
    assert not found(GONE)
    assert not found(replace(this_process(), boot="another boot"))
    assert not found(this_process(), ending=Ending(0))
    assert found(elsewhere)
    assert not found(elsewhere, age=FRESH_SECONDS + 1)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"version": 1}', "\x00", json.dumps({**status_json(status()), "phase": "flying"})]
)
def test_what_is_no_status_is_passed_over_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(json.dumps(status_json(status())))
    told, others = look(tmp_path)
    assert [record.path.name for record in told] == ["b.json"]
    assert [path.name for path in others] == ["a.json"]


def test_a_pattern_is_any_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(status_json(status())))
    (record,) = look(tmp_path)[0]
    wanted = {"": True, "ver": True, "rivers": True, "Rivers": False, "*": False}
    assert {pattern: record.is_meant(pattern) for pattern in wanted} == wanted


def test_forgetting_removes_only_what_belongs_to_the_run(tmp_path: Path) -> None:
    for name in ("a.json", "a.exit", "b.json", "b.exit"):
        (tmp_path / name).write_text(json.dumps(status_json(status(ending=Ending(0)))))
    record = read(tmp_path / "a.json")
    assert record is not None
    forget(record)
    assert names_in(tmp_path) == ["b.exit", "b.json"]


def test_tasks_of_one_name_are_told_apart_by_their_output() -> None:
    names = {
        status_name(task=task, output=output, job_index=job)
        for task in ("a b", "a_b", "x" * 300)
        for output in ("/1", "/2")
        for job in (None, 0, 1)
    }
    assert len(names) == 18
    assert all(len(name) < 150 and "/" not in name for name in names)


def test_the_folder_is_that_of_the_current_one_unless_moved(tmp_path: Path) -> None:
    assert status_folder(Environment({}, cwd=tmp_path)) == tmp_path / "logs" / ".status"
    moved = Environment({"MODELCALL_STATUS_DIR": "/var/x"}, cwd=tmp_path)
    assert str(status_folder(moved)) == "/var/x"
