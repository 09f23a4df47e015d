"""What benchmarks say rests on: outputs are checked, processes counted with their children, medians of what ran."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import compare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clients import Bench, Client
from compare import Line, Rounds, Times, middle
from measuring import CommandFailed, Used, measured, medians, memory, table
from scale import Run, Seen, halves, linear
from scored_task import pieces, problem, results, rows_of, write_input

if TYPE_CHECKING:
    from collections.abc import Sequence


def written(folder: Path, scores: Sequence[tuple[int, int | None]]) -> Path:
    rows = [{"id": number, "score": score} for number, score in scores]
    pq.write_table(pa.Table.from_pylist(rows[::2]), folder / "a.parquet")
    (folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[1::2]))
    return folder


def test_an_output_with_each_row_once_and_its_score_is_good(tmp_path: Path) -> None:
    written(tmp_path, [(2, 4), (0, 4), (1, 4)])

    assert problem(tmp_path, 3) is None
    assert sorted(results(tmp_path)) == [(0, 4), (1, 4), (2, 4)]


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ([(0, 4), (1, 4)], "1 of 3 rows did not come out"),
        ([], "3 of 3 rows did not come out"),
        ([(0, 4), (1, 4), (1, 4)], "row 1 came out, and was not in, or came out before"),
        ([(0, 4), (1, 4), (3, 4)], "row 3 came out, and was not in, or came out before"),
        ([(0, 4), (1, None), (2, 4)], "1 of 3 rows have no score, or another one"),
        ([(0, 4), (1, 4), (2, 3)], "1 of 3 rows have no score, or another one"),
    ],
)
def test_what_is_wrong_with_an_output_is_told(tmp_path: Path, scores: list[tuple[int, int | None]], told: str) -> None:
    if scores:
        written(tmp_path, scores)

    assert problem(tmp_path, 3) == told


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of three files, and what is not of it."""
    folder = tmp_path / "lib"
    for name, text in {"a.py": "a" * 25, "b/c.py": "c" * 10, "d.py": "d" * 9, "site-packages/e.py": "e" * 50}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "b/latin.py").write_bytes(b"\xe4" * 50)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))
    return folder


@pytest.mark.usefixtures("library")
def test_rows_are_whole_pieces_of_source_no_two_equal_also_when_it_runs_out() -> None:
    rows = list(rows_of(5, 10))

    assert list(pieces(10)) == ["a" * 10, "a" * 10, "c" * 10]
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["text"] for row in rows] == [
        "# 0\naaaaaa",
        "# 1\naaaaaa",
        "# 2\ncccccc",
        "# 3\naaaaaa",
        "# 4\naaaaaa",
    ]


@pytest.mark.usefixtures("library")
def test_both_formats_hold_the_same_rows(tmp_path: Path) -> None:
    write_input(tmp_path / "a.parquet", 7, 10)
    write_input(tmp_path / "a.jsonl", 7, 10)

    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == lines == list(rows_of(7, 10))


_WORK = "sum(number * number for number in range(3_000_000))"


def test_a_command_is_measured_with_its_children(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_WORK!r}], check=True)"
    alone = measured([sys.executable, "-c", "pass"], cwd=tmp_path)
    together = measured([sys.executable, "-c", parent], cwd=tmp_path)

    assert together.cpu > alone.cpu + 0.05
    assert together.seconds > alone.seconds


_WAITS = "import sys; held = bytearray({megabytes} << 20); print(flush=True); sys.stdin.read()"
_PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"


def memory_while(code: str) -> float:
    """MB of a Python process that prints a line when it is ready, and ends with its input."""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        held = memory(child.pid) / 1024
        child.communicate()
    return held


def test_memory_is_that_of_all_processes_of_a_command_not_of_who_measures() -> None:
    ballast = bytearray(200 << 20)
    small, large = (memory_while(_WAITS.format(megabytes=size)) for size in (0, 150))
    nested = memory_while(_PARENT.format(child=_WAITS.format(megabytes=150)))

    assert 0 < small < 100
    assert small + 140 < large < small + 160
    assert 150 < nested < large + 50  # what it shares with other programs counts in part
    assert len(ballast) > large * (1 << 20)


def test_a_command_that_fails_or_hangs_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3:.*no such thing"):
        measured([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"], cwd=tmp_path)
    with pytest.raises(CommandFailed, match="took more than 0 s"):
        measured([sys.executable, "-c", "import signal; signal.pause()"], cwd=tmp_path, timeout=0.2)


def test_a_line_has_medians_and_ratios() -> None:
    slow = Line("slow", 100, Used(seconds=10.0, cpu=4.0, megabytes=90.0))
    rounds = [Line("fast", 100, Used(seconds, cpu, 50.0)) for seconds, cpu in ((9.0, 0.5), (1.0, 0.4), (2.0, 9.0))]

    assert middle(rounds).used == Used(2.0, 0.5, 50.0)
    assert middle(rounds).cells(None) == ["fast", "100", "50", "5.000", "50", "–", "–"]
    times = Times.of(slow, (rounds[1], rounds[2]))
    assert (times.rate, times.cpu) == pytest.approx((10 / 1.5, 4 / 4.7))
    assert slow.cells(times) == ["slow", "100", "10", "40.000", "90", "6.67", "0.85"]
    assert medians([Times(1, 9), times, Times(9, 1)]) == Times(times.rate, 1)
    assert table(("A", "B"), [("x", "1")]) == "| A | B |\n| --- | ---: |\n| x | 1 |\n"


def test_modelcall_is_run_around_each_other_client_and_who_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def once(bench: Bench, client: Client) -> Line:
        del bench
        ran.append(client.name)
        if client.name == "broken":
            raise CommandFailed
        return Line(client.shown, 10, Used(len(ran), 1.0, 1.0))  # slower and slower

    monkeypatch.setattr(compare, "once", once)
    bench = Bench(Path(), "", argparse.Namespace())
    done = Rounds(bench, [Client(name, name, lambda *_: ()) for name in ("modelcall", "slow", "broken", "bare")])
    done.run(1)
    done.run(2)

    assert " ".join(ran[:6]) == "modelcall slow modelcall broken bare modelcall"
    assert " ".join(ran[6:]) == "modelcall slow modelcall bare modelcall"
    assert {name: len(lines) for name, lines in done.lines.items()} == {"modelcall": 6, "slow": 2, "bare": 2}
    assert [times.rate for times in done.times["slow"]] == pytest.approx([2 / 2, 8 / 8])
    assert [times.rate for times in done.times["bare"]] == pytest.approx([5 / 4.5, 10 / 10])


def test_halves_are_those_of_the_batch_details(tmp_path: Path) -> None:
    ended = ((1.0, 100), (2.0, 200), (2.5, 300), (3.0, 400))
    batches = [
        {"time": f"2026-01-01T00:00:{at:06.3f}+00:00", "seconds": 1.0, "rows_so_far": rows} for at, rows in ended
    ]
    (tmp_path / "details.jsonl").write_text("".join(json.dumps(batch) + "\n" for batch in batches))

    assert halves(tmp_path / "details.jsonl", 400) == (100.0, 200.0)


def test_growth_is_told_without_start_up() -> None:
    def seen(seconds: float, cpu: float, megabytes: float) -> Seen:
        return Seen(Used(seconds, cpu, megabytes), (0.0, 0.0))

    runs = [Run("small", 1001), Run("large", 10_001), Run("huge", 100_001)]
    found = [seen(2.0, 1.5, 100.0), seen(12.0, 5.5, 109.0), seen(91.0, 51.0, 118.0)]

    told = list(linear(runs, found, seen(1.0, 1.0, 90.0)))

    assert told == [
        "large: +10.0% time and -10.0% CPU a row; 1000.0 MB for a million rows more",
        "huge: -10.0% time and +0.0% CPU a row; 100.0 MB for a million rows more",
    ]
