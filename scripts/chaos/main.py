"""Run the long suites in pieces that can be interrupted, keep a record, and print what it sums up to.

Each test (or small group of quick ones) runs in a pytest of its own and is recorded when it ends. The next call goes on
with what has not passed yet at this commit.
"""

from __future__ import annotations

import argparse
import queue
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # reads only what our own pytest wrote

from scripts.chaos.record import Record, Result, commit, table

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path("logs/chaos")
_PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-m", "long", "-o", "junit_family=xunit1")
"""The older form of the report is the one that holds what tests say they did."""
_MANY, _GROUP = 40, 20
"""A test with more parameters than this is made of quick ones; so many of them share a pytest."""


def main() -> int:
    """Run; return 0 if nothing failed, 1 if something did, 2 if the suites cannot be collected."""
    parser = argparse.ArgumentParser(prog="chaos.sh", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="a folder of tests/, or a test id (default: all)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--fresh", action="store_true", help="run what has passed at this commit, too")
    parser.add_argument("--workers", type=int, default=2, help="pytests at a time (default: 2)")
    arguments = parser.parse_args()
    record, at = Record(FOLDER / "record.jsonl"), commit()
    tests = _collect(arguments.suites)
    if not tests:
        print("no long test was found", file=sys.stderr)
        return 2
    again = arguments.fresh or at.endswith("-dirty")  # nobody knows what stood in a tree with changes
    skipped = set() if again else {test for test, result in record.of(at).items() if result.passed}
    groups = _groups([test for test in tests if test not in skipped])
    suites = Suites(record, at, groups, until=time.monotonic() + 60 * arguments.minutes)
    suites.run(arguments.workers)
    results = record.of(at)
    print("\n".join(table(at, results, tests)))
    return 0 if all(result.passed for result in results.values()) else 1


def _collect(suites: Sequence[str]) -> list[str]:
    where = [suite if suite.startswith("tests") else f"tests/{suite}" for suite in suites]
    found = subprocess.run([*_PYTEST, "--collect-only", *where], capture_output=True, text=True, check=False)
    if found.returncode not in {0, 5}:  # 5: no test
        sys.stderr.write(found.stdout + found.stderr)
        return []
    return [line for line in found.stdout.splitlines() if line.startswith("tests/") and "::" in line]


def _groups(tests: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for _, of_one in groupby(tests, key=lambda test: test.partition("[")[0]):
        same = list(of_one)
        size = _GROUP if len(same) > _MANY else 1
        groups += [same[start : start + size] for start in range(0, len(same), size)]
    return groups


class Suites:
    """Groups of tests, being run."""

    def __init__(self, record: Record, at: str, groups: Sequence[list[str]], *, until: float) -> None:
        self._record = record
        self._at = at
        self._until = until
        self._left: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        for group in groups:
            self._left.put(group)
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def run(self, workers: int) -> None:
        """Run until nothing is left, the time is over, or somebody presses Ctrl-C or ends us."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop())
        threads = [threading.Thread(target=self._work, args=(worker,)) for worker in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _stop(self) -> None:
        self._stopping.set()
        for process in list(self._running):
            process.send_signal(signal.SIGINT)  # its fixtures end what they started

    def _work(self, worker: int) -> None:
        while not self._stopping.is_set() and time.monotonic() < self._until:
            try:
                group = self._left.get_nowait()
            except queue.Empty:
                return
            results = self._run(group, FOLDER / f"{worker}.xml")
            with self._lock:
                self._record.add(results)
                for result in results:
                    print(
                        f"{'passed' if result.passed else 'FAILED'} {result.seconds:7.1f} s  {result.test}", flush=True
                    )

    def _run(self, group: Sequence[str], report: Path) -> list[Result]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        command = [*_PYTEST, f"--junitxml={report}", *group]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._running.add(process)
        if self._stopping.is_set():
            self._stop()
        out, _ = process.communicate()
        self._running.discard(process)
        if process.returncode:
            date = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
            (FOLDER / f"failed-{date}-{report.stem}.log").write_text(out, encoding="utf-8")
        return [] if self._stopping.is_set() else _results(group, self._at, report, out)


def _results(group: Sequence[str], at: str, report: Path, out: str) -> list[Result]:
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    cases = ET.parse(report).getroot().iter("testcase") if report.exists() else ()  # noqa: S314  our own pytest's
    ended = {case.get("name"): case for case in cases}
    missing = ET.Element("testcase")
    ET.SubElement(missing, "error", message=f"it did not run: {out[-500:]}")
    return [_result(test, date, at, ended.get(_name(test), missing)) for test in group]


def _name(test: str) -> str:
    function, bracket, parameters = test.partition("[")
    return function.rpartition("::")[2] + bracket + parameters


def _result(test: str, date: str, at: str, case: ET.Element) -> Result:
    wrong = [each.get("message", "") for each in case if each.tag in {"failure", "error"}]
    return Result(
        date=date,
        commit=at,
        test=test,
        passed=not wrong,
        seconds=round(float(case.get("time", 0)), 1),
        did={name: float(each.get("value", 0)) for each in case.iter("property") if (name := each.get("name"))},
        failure=wrong[0] if wrong else None,
    )


if __name__ == "__main__":
    sys.exit(main())
