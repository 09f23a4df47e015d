"""The stages of the demo, in order."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelcall.cli.demo.corpus import build_corpus
from modelcall.cli.demo.files import write_task
from modelcall.cli.demo.proof import Evidence, all_hold, claims, verified
from modelcall.cli.demo.showing import Screen, read_scores
from modelcall.cli.demo.starts import Starts, recorded_rows
from modelcall.cli.failing import CRASH, OK
from modelcall.cli.output import message, shown
from modelcall.errors import ConfigError
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

if TYPE_CHECKING:
    from modelcall.mock.referee import RefereeReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_FAULTS: Final = "mix=0.05"
_EXAMPLES = """\
\b
Examples:
  modelcall demo
  modelcall demo --folder /tmp/demo --rows 200

\b
Exit codes: 0 everything held, 1 something did not (it is listed)."""


@app.command(epilog=_EXAMPLES)
def demo(
    *,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where input, task and results go.")] = Path(
        "demo"
    ),
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=60, help="Rows of the input.")] = 1200,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the server's faults and latencies.")] = 7,
) -> int:
    """Show the main job on this machine: real input, faults, a kill, the resume, the proof, the scores."""
    screen = Screen()
    folder = folder.absolute()
    screen.stage("1. Input: the source of this Python's standard library, as Parquet and JSON Lines")
    total = build_corpus(folder / "input", rows=rows)
    screen.say(f"{total:,} rows in {shown(folder / 'input')}")
    options = MockOptions(latency=0.05, jitter=0.02, faults=parse_faults([_FAULTS]), seed=seed, time_scale=0.5)
    with EmbeddedServer(options) as server:
        write_task(folder, base_url=server.base_url)
        seen, output = _two_starts(screen, folder, server, total=total)
    made = tuple(claims(seen))
    screen.stage("4. The proof")
    screen.claims(made)
    if not all_hold(made):
        message(*(f"verify: {shown(problem)}" for problem in seen.findings.problems))
        message("the demo did not hold what it promises", f"next: see {shown(folder / 'demo.log')}, and report it")
        return CRASH
    _show_results(screen, folder, output)
    return OK


def _two_starts(screen: Screen, folder: Path, server: EmbeddedServer, *, total: int) -> tuple[Evidence, Path]:
    """Start the task, kill it half-way, start it again; return what was seen and where the output is."""
    log = folder / "demo.log"
    starts = Starts(folder, server, log=log)
    began = datetime.now()  # noqa: DTZ005  names of output folders are local time
    screen.stage("2. The task on an embedded server that plays faults; killed (SIGKILL) half-way")
    screen.say(f"$ cd {shlex.quote(shown(folder))} && modelcall run-task task.yaml")
    with screen.bar("first start", total=total) as progress:
        killed = starts.killed_after(total // 2, progress=progress)
    output = _newest_output(folder / "output", log)
    recorded = recorded_rows(output)
    before = _referee(server)
    screen.say(f"killed after {datetime.now() - began}".split(".", maxsplit=1)[0] + f"; {recorded:,} rows are recorded")  # noqa: DTZ005
    screen.stage("3. The same command again: it goes on where it stopped")
    with screen.bar("second start", total=total - recorded) as progress:
        resumed = starts.to_the_end(progress=progress)
    screen.say(f"{resumed.report.get('rows_of_this_start', 0):,} rows in {resumed.report.get('seconds', 0):g} s")
    seen = Evidence(
        rows=total,
        recorded=recorded,
        killed=killed,
        resumed=resumed,
        before=before,
        after=server.referee(),
        findings=verified(output),
    )
    return seen, output


def _referee(server: EmbeddedServer) -> RefereeReport:
    """Return what the server was asked so far, and let it count anew."""
    report = server.referee()
    server.reset()
    return report


def _newest_output(folder: Path, log: Path) -> Path:
    runs = sorted(path for path in folder.glob("*") if (path / ".modelcall").is_dir())
    if not runs:
        raise ConfigError("the demo's task did not start", hint=f"See {log}.")
    return runs[-1]


def _show_results(screen: Screen, folder: Path, output: Path) -> None:
    counts, some = read_scores(output)
    screen.stage("5. The scores")
    screen.scores(counts)
    screen.rows(some)
    screen.stage("Where everything lies")
    screen.say(f"task, model, prompt  {shown(folder)}/task.yaml, model.yaml, prompt.yaml")
    screen.say(f"input, output        {shown(folder / 'input')}, {shown(output)}")
    screen.say(f"logs                 {shown(folder / 'logs')}, {shown(folder / 'demo.log')}")
    show_next(screen, folder, output)


def show_next(screen: Screen, folder: Path, output: Path) -> None:
    """Say what to type next, and how to make it work where ``modelcall`` is not on the PATH."""
    screen.stage("Next")
    if shutil.which("modelcall") is None:
        activate = shlex.quote(f"{sys.prefix}/bin/activate")
        screen.say(f"source {activate}      # once a shell: puts modelcall on the PATH")
    place = shlex.quote(shown(folder))
    screen.say(f"modelcall verify {shlex.quote(shown(output))}")
    screen.say(f"modelcall pipeline {place}/input {place}/by_rules        # no model: the built-in quality rules")
    screen.say("modelcall serve-mock --port 8000 --faults mix=0.05      # a server of your own to try tasks on")
    screen.say("modelcall run-task YOUR_TASK.yaml                       # a task of yours; begin with configs/tasks/")
