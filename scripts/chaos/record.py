"""The record of the long suites: one line for each test that ended, appended; and the table that sums it up."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_SHOWN: Final = 5
"""Failures that the table names; the record has them all."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a test ended."""

    date: str
    commit: str
    test: str
    passed: bool
    seconds: float
    did: Mapping[str, float] = field(default_factory=dict)
    """What the test says it did: kills, states, faults, …"""
    failure: str | None = None

    @property
    def suite(self) -> str:
        """The folder of tests it is from."""
        return self.test.split("/")[1]


class Record:
    """The record as a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, results: Iterable[Result]) -> None:
        """Append."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results)

    def of(self, commit: str) -> dict[str, Result]:
        """Return the last result of each test at a commit."""
        return {result.test: result for result in self._all() if result.commit == commit}

    def _all(self) -> Iterator[Result]:
        if self._path.exists():
            with self._path.open(encoding="utf-8") as stream:
                yield from (Result(**json.loads(line)) for line in stream)


def commit() -> str:
    """Return the commit the tree stands at; its name ends with ``-dirty`` if something is changed."""
    names = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    return subprocess.run(names, capture_output=True, text=True, check=True).stdout.strip()


def table(at: str, results: Mapping[str, Result], tests: Iterable[str]) -> Iterator[str]:
    """Yield the lines that say how far the suites are at a commit, and what they did."""
    wanted = Counter(test.split("/")[1] for test in tests)
    yield f"{'suite at ' + at:<28} {'passed':>6} {'failed':>6} {'left':>6} {'seconds':>8}  did"
    for suite in sorted(wanted.keys() | {result.suite for result in results.values()}):
        ended = [result for result in results.values() if result.suite == suite]
        passed, seconds = sum(result.passed for result in ended), sum(result.seconds for result in ended)
        did: Counter[str] = Counter()
        for result in ended:
            did.update(result.did)
        what = ", ".join(f"{count:,.10g} {name}" for name, count in sorted(did.items()))
        left = max(0, wanted[suite] - len(ended))
        yield f"{suite:<28} {passed:>6} {len(ended) - passed:>6} {left:>6} {seconds:>8,.0f}  {what}"
    failures = [result for result in results.values() if not result.passed]
    for result in failures[:_SHOWN]:
        yield f"FAILED {result.test}: {result.failure}"
    if len(failures) > _SHOWN:
        yield f"… and {len(failures) - _SHOWN} more failures"
