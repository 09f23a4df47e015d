import multiprocessing
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from modelcall.errors import ConfigError, FatalError
from modelcall.fs.local import LocalFileSystem
from modelcall.state import lock as locks
from modelcall.state import records
from modelcall.state.lock import Lock, acquire, refuse_owned

FACTS = {"run": "r", "world_size": 1}


def take(folder: Path, **clock: object) -> Lock:
    return acquire(LocalFileSystem(), str(folder), facts=FACTS, **clock)  # type: ignore[arg-type]


def rewrite(folder: Path, epoch: int, **changes: object) -> None:
    fs = LocalFileSystem()
    path = f"{folder}/{epoch:06d}.json"
    fs.replace(path, records.dump({**(records.load(fs, path) or {}), **changes}))


def test_a_living_owner_is_named_to_whoever_comes_second(tmp_path: Path) -> None:
    assert take(tmp_path).epoch == 1
    with pytest.raises(ConfigError, match=f"process {os.getpid()} on {platform.node()} has been working on this"):
        take(tmp_path)


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    take(tmp_path).release()
    assert take(tmp_path).epoch == 2


def test_a_killed_owner_is_succeeded(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    take(tmp_path)
    rewrite(tmp_path, 1, pid=child.pid, start=locks.start_time(child.pid))
    with pytest.raises(ConfigError, match=str(child.pid)):
        take(tmp_path)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert take(tmp_path).epoch == 2


def test_another_process_with_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    take(tmp_path)
    rewrite(tmp_path, 1, start="12")
    assert take(tmp_path).epoch == 2


def test_an_owner_of_an_earlier_boot_is_dead(tmp_path: Path) -> None:
    take(tmp_path)
    rewrite(tmp_path, 1, boot="another")
    assert take(tmp_path).epoch == 2


class Clock:
    def __init__(self, at_each_second: object = None) -> None:
        self.now = 0.0
        self.each = at_each_second

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if callable(self.each):
            self.each(self.now)


@pytest.mark.parametrize("elsewhere", [{"host": "elsewhere"}, {"namespace": "pid:[1]", "pid": 1}])
def test_an_owner_that_cannot_be_seen_is_dead_when_its_heart_stands_still(
    tmp_path: Path, elsewhere: dict[str, object]
) -> None:
    take(tmp_path)
    rewrite(tmp_path, 1, **elsewhere)
    clock = Clock()
    assert take(tmp_path, clock=clock, sleep=clock.sleep).epoch == 2
    assert clock.now == locks.LEASE_SECONDS


def test_an_owner_in_another_container_that_beats_is_alive(tmp_path: Path) -> None:
    take(tmp_path)
    rewrite(tmp_path, 1, namespace="pid:[1]", pid=1)
    clock = Clock(lambda now: rewrite(tmp_path, 1, beat=now) if now == locks.BEAT_SECONDS else None)
    with pytest.raises(ConfigError, match="process 1 on"):
        take(tmp_path, clock=clock, sleep=clock.sleep)


def test_an_owner_on_another_host_that_beats_is_alive(tmp_path: Path) -> None:
    take(tmp_path)
    rewrite(tmp_path, 1, host="elsewhere")
    clock = Clock(lambda now: rewrite(tmp_path, 1, beat=now) if now == locks.BEAT_SECONDS else None)
    with pytest.raises(ConfigError, match="on elsewhere"):
        take(tmp_path, clock=clock, sleep=clock.sleep)


def test_an_owner_that_was_replaced_must_not_publish(tmp_path: Path) -> None:
    sleeper = take(tmp_path)
    sleeper.check()
    rewrite(tmp_path, 1, boot="another")
    take(tmp_path)
    with pytest.raises(FatalError, match="taken over"):
        sleeper.check()
    with pytest.raises(FatalError, match="taken over"):
        sleeper.beat()


def test_a_beat_that_is_late_does_not_take_the_release_back(tmp_path: Path) -> None:
    lock = take(tmp_path)
    lock.release()
    lock.beat()
    assert take(tmp_path).epoch == 2


def test_looking_at_a_shard_takes_nothing(tmp_path: Path) -> None:
    fs = LocalFileSystem()
    assert refuse_owned(fs, str(tmp_path)) == 0
    lock = take(tmp_path)
    with pytest.raises(ConfigError, match="has been working on this"):
        refuse_owned(fs, str(tmp_path))
    lock.release()
    assert refuse_owned(fs, str(tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_newest_of_many_epochs_is_found(tmp_path: Path) -> None:
    for epoch in range(1, 40):
        lock = take(tmp_path)
        assert lock.epoch == epoch
        lock.release()


def race(folder: str, barrier: object, out: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        out.put(acquire(LocalFileSystem(), folder, facts=FACTS).epoch)  # type: ignore[attr-defined]
    except ConfigError:
        out.put(0)  # type: ignore[attr-defined]
    barrier.wait()  # type: ignore[attr-defined]


def test_of_processes_that_start_at_once_one_gets_the_lock(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("forkserver")
    barrier, out = fork.Barrier(4), fork.Queue()
    children = [fork.Process(target=race, args=(str(tmp_path), barrier, out)) for _ in range(4)]
    for child in children:
        child.start()
    assert sorted(out.get(timeout=60) for _ in children) == [0, 0, 0, 1]
    for child in children:
        child.join()


def test_a_damaged_lock_is_told(tmp_path: Path) -> None:
    take(tmp_path)
    path = tmp_path / "000001.json"
    record = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**record, "pid": 1}))
    with pytest.raises(FatalError, match="damaged"):
        take(tmp_path)
