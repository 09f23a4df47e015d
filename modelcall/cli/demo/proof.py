"""What the demo claims, checked: nothing here is said because it should be so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.cli.failing import OK
from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline.verify import verify
from modelcall.state.run import noted_runs
from modelcall.state.shard import output_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelcall.cli.demo.starts import Ended
    from modelcall.mock.referee import RefereeReport
    from modelcall.pipeline.verify import Findings


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that must hold."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of the two starts."""

    rows: int
    recorded: int
    """Rows on disk when the first start was dead."""
    killed: Ended
    resumed: Ended
    before: RefereeReport
    """What the server was asked by the first start."""
    after: RefereeReport
    """What it was asked by the second one."""
    findings: Findings


def verified(output: Path) -> Findings:
    """Read again what the run wrote, as ``modelcall verify`` does."""
    storage = LocalFileSystem()
    place = output_at(storage, str(output))
    return verify(place, noted_runs(storage, place.state))


def claims(seen: Evidence) -> Iterator[Claim]:
    """Yield what must hold, with the numbers that tell.

    A row without an outcome must be asked to get one. So if the second start asked about exactly as many rows as had
    none, it asked about none that had.
    """
    left = seen.rows - seen.recorded
    faults = sum(seen.before.faults.values()) + sum(seen.after.faults.values())
    asked = seen.before.requests + seen.after.requests
    yield Claim(
        f"the first start was killed with {seen.recorded:,} of {seen.rows:,} rows recorded",
        seen.killed.exit_code < 0 and 0 < seen.recorded < seen.rows,
    )
    yield Claim(
        f"the second start asked about the {left:,} rows that were left, and about no recorded one: "
        f"the server saw {seen.after.rows:,}",
        seen.after.rows == left,
    )
    yield Claim(f"it ended with exit code {seen.resumed.exit_code}", seen.resumed.exit_code == OK)
    yield Claim(f"{faults:,} of {asked:,} requests met a fault, and no row was lost to one", _survived(seen, faults))
    yield Claim(
        f"verify: {seen.findings.rows:,} rows, each once and in order, {seen.findings.compared} files compared "
        "with their input",
        _whole(seen.findings, seen.rows),
    )


def _survived(seen: Evidence, faults: int) -> bool:
    return faults > 0 and seen.findings.scored == seen.rows


def _whole(findings: Findings, rows: int) -> bool:
    return not findings.problems and findings.rows == rows and findings.compared == findings.files


def all_hold(made: Sequence[Claim]) -> bool:
    """Whether every claim holds."""
    return all(claim.holds for claim in made)
