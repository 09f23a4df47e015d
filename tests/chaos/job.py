"""A task of a user, started by the command line in processes that are signalled and killed; the referee watches."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from modelcall.cli.main import run
from modelcall.mock.process import EmbeddedServer
from modelcall.pipeline.row_ids import RowIds
from tests.crash.nursery import Child, Nursery
from tests.crash.run import Place, recorded

FILES, ROWS = 4, 30
LATENCY = 0.02
CEILING = 8
FLUSH_ROWS = CEILING * 10
"""Answers of 200 ms: the flush window, and as much again for a machine that is busy."""
PATIENCE = 120.0
MARK = "MODELCALL_TEST_MARK"
BY_CHANCE = {"api_attempts", "api_prompt_tokens", "api_completion_tokens", "api_cached_tokens", "api_reasoning_tokens"}
"""Columns that tell how often had to be asked."""


@dataclass
class Ended:
    """A start that is over."""

    code: int
    asked: int
    """Requests the server saw from it."""
    err: str


class Warm:
    """A start from the nursery, which looks like any other."""

    def __init__(self, child: Child, err: Path) -> None:
        self._child = child
        self._err = err
        self.pid = child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.code

    def poll(self) -> int | None:
        self._child.wait(seconds=0.001)
        return self._child.code

    def send_signal(self, number: int) -> None:
        self._child.send(signal.Signals(number))

    def communicate(self, timeout: float) -> tuple[str, str]:
        assert self._child.wait(seconds=timeout), "it does not end"
        return "", self._err.read_text()


Process: TypeAlias = "subprocess.Popen[str] | Warm"


def run_task(folder: str, options: tuple[str, ...], environment: Mapping[str, str], told: str = "err") -> int:
    """`modelcall run-task`, in a process that has imported it; ``told`` is where it tells."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)  # noqa: TID251  a child's environment
    with Path(told).open("w") as err, redirect_stderr(err), redirect_stdout(err):
        return run(["run-task", "task.yaml", "-q", *options])


@dataclass
class Job:
    """A folder, a task in it, and the starts of it so far."""

    folder: Path
    server: EmbeddedServer
    nursery: Nursery
    options: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] | None = None
    """By default the one that the server plays."""
    output: str = "./out"
    unkilled: dict[str, Any] | None = None
    """What must come out in the end."""
    launcher: tuple[str, ...] = ()
    kills: int = 0
    files: int = FILES
    rows: int = ROWS
    workers: int = 1

    def __post_init__(self) -> None:
        (self.folder / "in").mkdir(parents=True)
        for number in range(self.files):
            texts = [
                f"{number}-{row}. Silt is carried by rivers from the hills to the sea." for row in range(self.rows)
            ]
            if number % 2:
                pq.write_table(pa.table({"text": texts}), self.folder / f"in/part{number}.parquet")
            else:
                lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
                (self.folder / f"in/part{number}.jsonl").write_text(lines)
        task = {
            "task_name": "job",
            "data": self.data(),
            "model": self.model or {"provider": "test", "model_name": "judge", "base_url": self.server.base_url},
            "prompt": {
                "prompt_template": {"system_text": "Rate.", "prompt_text": "{text}"},
                "output_config": {"json_keys": ["score"], "json_default_values": {"score": 3}},
            },
            "concurrency": {"max_concurrent_requests": CEILING, "num_workers": self.workers},
            "retry": {"max_retries": 8},
            "options": self.options,
        }
        (self.folder / "task.yaml").write_text(yaml.safe_dump(task))
        self.server.reset()

    def data(self) -> dict[str, str]:
        """Where it reads and writes."""
        return {"input_folder": "./in", "output_folder": self.output}

    def environment(self) -> dict[str, str]:
        """What its starts find set beside what everybody does."""
        return {}

    @property
    def mark(self) -> str:
        return str(self.folder)

    def start(self, *options: str) -> Process:
        """Begin `modelcall run-task` in a session of its own: from nothing with a launcher, else from the nursery."""
        if not self.launcher:
            child = self.nursery.fork(run_task, str(self.folder), options, self.environment())
            return Warm(child, self.folder / "err")
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}  # noqa: TID251
        return subprocess.Popen(
            [*self.launcher, sys.executable, "-m", "modelcall", "run-task", "task.yaml", "-q", *options],
            cwd=self.folder,
            env={**inherited, **self.environment(), MARK: self.mark},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def life(
        self,
        blow: Callable[[Process], None],
        *options: str,
        after: int = 0,
        anew: bool = False,
    ) -> Ended:
        """Start, wait for so many requests (or its end), do ``blow`` to it.

        Nothing recorded may be asked again, unless the run begins ``anew``.
        """
        before = set() if anew else self.recorded()
        rows, asked = self.server.rows(), self.server.referee().requests
        process = self.start(*options)
        until = time.monotonic() + PATIENCE
        while process.poll() is None and self.server.referee().requests < asked + after:
            assert time.monotonic() < until, "it does not ask"
            time.sleep(0.002)
        blow(process)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode is not None
        self.kills += process.returncode == -signal.SIGKILL
        now = self.server.rows()
        again = [place for place in before if now[stem_of(place)] != rows[stem_of(place)]]
        assert not again, f"{len(again)} recorded rows were asked again, the first is {min(again)}"
        return Ended(process.returncode, self.server.referee().requests - asked, err)

    def recorded(self) -> set[Place]:
        """Rows whose outcome is on disk."""
        return set().union(*(recorded(self.folder / "in", out, suffix=".parquet") for out in self.outputs()))

    def outputs(self) -> list[Path]:
        """The output folders there are."""
        return [path.parent for path in self.folder.glob("out/.modelcall")] + [
            path.parent for path in self.folder.glob("out/*/.modelcall")
        ]

    def end(self) -> dict[str, Any]:
        """Let it live to its end, and assert what must be true then; return what it brought out."""
        self.launcher = ()
        ended = self.life(lambda _: None)
        assert ended.code == 0, ended.err
        scored = self.scored()
        assert self.unkilled is None or scored == self.unkilled
        referee = self.server.referee()
        rows = self.files * self.rows
        assert referee.answered - rows <= self.excused()
        assert (referee.answered_rows, referee.max_in_flight <= CEILING) == (rows, True)
        assert list(left_behind(self.mark)) == []
        return scored

    def scored(self) -> dict[str, Any]:
        """What it brought out, verified."""
        (output,) = (out for out in self.outputs() if list(out.glob("*.parquet")))
        assert run(["verify", str(output)]) == 0
        return {path.name: values(path.read_bytes()) for path in sorted(output.glob("*.parquet"))}

    def excused(self) -> int:
        """So many answers may have been lost."""
        return self.kills * (CEILING + FLUSH_ROWS)


def any_way(rng: random.Random) -> list[str]:
    """Settings that may change from start to start and must not change what comes out."""
    ways = {
        "concurrency.max_concurrent_files": rng.randrange(1, 4),
        "concurrency.max_concurrent_requests": rng.randrange(1, CEILING + 1),
        "concurrency.chunk_size": rng.choice([1, 7, 100]),
        "concurrency.parquet_save_interval": rng.choice([-1, 1, 20]),
        "options.grace_seconds": rng.choice([0, 1, 5]),
        "environment.timeout": rng.choice([20, 300]),
        "logging.batch_size": rng.choice([1, 50]),
    }
    chosen = rng.sample(sorted(ways), rng.randrange(4))
    return [word for name in chosen for word in ("--set", f"{name}={ways[name]}")]


def left_behind(mark: str) -> Iterator[int]:
    """Processes that the starts of a job have left."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}\0".encode() in path.read_bytes():
                yield int(path.parent.name)
        except OSError:
            continue


def stem_of(place: Place) -> str:
    """What the server knows a row by."""
    file, row = place
    return RowIds(file)[row]


def values(parquet: bytes) -> Any:
    """What an output tells, however often had to be asked."""
    table = pq.read_table(BytesIO(parquet))
    return table.select([name for name in table.column_names if name not in BY_CHANCE]).to_pylist()
