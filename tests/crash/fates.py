"""How a life ends: at a time, at a step, at a file operation; and where in its steps a process can be struck."""

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from modelcall.fs import local_sink
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.local_sink import LocalSink
from modelcall.pipeline import owning
from modelcall.pipeline.failed import FailedRows
from modelcall.pipeline.publish import Publisher
from modelcall.state.file_journal import FileJournal
from modelcall.state.lock import Lock
from modelcall.state.manifest import Manifest

STEPS: dict[str, tuple[Any, str]] = {
    "journal written": (FileJournal, "write"),
    "journal synced": (FileJournal, "sync"),
    "journal read": (FileJournal, "load"),
    "lock taken": (owning, "acquire"),
    "lock checked": (Lock, "check"),
    "file published": (Publisher, "publish"),
    "file committed": (LocalSink, "commit"),
    "name given": (local_sink, "publish_whole"),
    "name taken over": (local_sink, "publish_over"),
    "failed rows listed": (FailedRows, "commit"),
    "manifest written": (Manifest, "put"),
    "journal retired": (FileJournal, "retire"),
    "small file written": (LocalFileSystem, "replace"),
    "small file created": (LocalFileSystem, "put_if_absent"),
    "leftovers swept": (LocalFileSystem, "sweep"),
    "owners before evicted": (LocalFileSystem, "evict"),
}
"""Steps of a run in whose middle a process may be struck: right before them or right after."""

OPERATION = "file operation"
_OPERATIONS = ("open", "write", "fsync", "link", "rename", "replace", "unlink", "mkdir")
_RECOVERY = 16
"""About so many file operations a start does before it asks anything."""


@dataclass(frozen=True)
class Fate:
    """Killed after so many seconds, or struck at the n-th time of a step. By default: lives in peace."""

    seconds: float | None = None
    step: str | None = None
    nth: int = 0
    after: bool = False
    blow: signal.Signals = signal.SIGKILL
    stopped_after: float | None = None
    """The wish to stop comes before, after so many seconds."""


def any_fate(rng: random.Random) -> Fate:
    """A fate that most lives do not survive: a random time, operation, or step, or during recovery."""
    stopped_after = rng.random() * 0.1 if rng.random() < 0.2 else None
    after, kind = rng.random() < 0.5, rng.random()
    if kind < 0.35:
        return Fate(seconds=rng.random() * 0.15, stopped_after=stopped_after)
    if kind < 0.55:
        return Fate(step=OPERATION, nth=rng.randrange(200), after=after, stopped_after=stopped_after)
    return early_fate(rng) if kind < 0.7 else Fate(step=rng.choice(list(STEPS)), nth=rng.randrange(3), after=after)


def early_fate(rng: random.Random) -> Fate:
    """Die while what earlier lives left is being recovered."""
    return Fate(step=OPERATION, nth=rng.randrange(_RECOVERY), after=rng.random() < 0.5)


def short_fate(rng: random.Random) -> Fate:
    """Live hardly long enough to ask."""
    return early_fate(rng) if rng.random() < 0.8 else Fate(seconds=rng.random() * 0.06)


def await_fate(fate: Fate, last_words: Callable[[], None], *, steps: Mapping[str, tuple[Any, str]] = STEPS) -> None:
    """Arrange that this process is struck at its step; ``last_words`` are said right before."""
    if fate.step is None:
        return
    turns = count()
    places = [(os, name) for name in _OPERATIONS] if fate.step == OPERATION else [steps[fate.step]]
    for owner, name in places:
        setattr(owner, name, _fateful(getattr(owner, name), turns, fate, last_words))


def _fateful(
    original: Callable[..., Any], turns: "count[int]", fate: Fate, last_words: Callable[[], None]
) -> Callable[..., Any]:
    def strike() -> None:
        last_words()
        os.kill(os.getpid(), fate.blow)
        time.sleep(0.001)  # a blow that only stops may reach another thread first

    def step(*args: Any, **kwargs: Any) -> Any:
        mine = next(turns) == fate.nth
        if mine and not fate.after:
            strike()
        try:
            return original(*args, **kwargs)
        finally:
            if mine and fate.after:
                strike()

    return step
