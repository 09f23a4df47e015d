"""The demo on the screen: bars where there is a terminal, the same text where there is none."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq
from rich.bar import Bar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from modelcall.cli.live import wants_live_view
from modelcall.cli.output import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from modelcall.cli.demo.proof import Claim

_BAR: Final = 40
_SAMPLE: Final = 6
_NAME: Final = 28


class Screen:
    """Where the demo shows itself: stdout, and bars on stderr."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True)

    def stage(self, title: str) -> None:
        """Begin a stage."""
        self._out.print()
        self._out.print(Text(title, style="bold"))

    def say(self, text: str) -> None:
        """Print a line, whatever it holds."""
        self._out.print(Text(f"  {text}"))

    def claims(self, made: Sequence[Claim]) -> None:
        """Print what held and what did not."""
        for claim in made:
            mark = Text("  ok    ", style="green") if claim.holds else Text("  FAILED ", style="bold red")
            self._out.print(mark.append(Text(claim.text, style="default")))

    @contextmanager
    def bar(self, title: str, *, total: int) -> Iterator[Callable[[int], None]]:
        """Show a count that grows, on a terminal only."""
        columns = (TextColumn(f"  {title}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._err, transient=True, disable=not wants_live_view(self._err)) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.update(task, completed=count)

    def scores(self, counts: Counter[int]) -> None:
        """Draw how many rows got which score."""
        most = max(counts.values(), default=1)
        table = Table.grid(padding=(0, 1))
        for score in range(6):
            bar = Bar(size=most, begin=0, end=counts[score], width=_BAR)
            table.add_row(Text(f"  score {score}"), Text(f"{counts[score]:>6,}"), bar)
        self._out.print(table)

    def rows(self, rows: Sequence[dict[str, object]]) -> None:
        """Show a few rows, a line each."""
        for row in rows:
            name = shown(row["id"])
            line = f"  score {row['score']}  {name[:_NAME]:<{_NAME}}  {', '.join(map(shown, _tags(row)))}"
            self._out.print(Text(line[: self._out.width], no_wrap=True))


def _tags(row: dict[str, object]) -> list[object]:
    tags = row["quality_tags"]
    return tags[:4] if isinstance(tags, list) else []


def read_scores(output: Path) -> tuple[Counter[int], list[dict[str, object]]]:
    """Return how often each score was given, and a row or so of each."""
    counts: Counter[int] = Counter()
    some: dict[int, dict[str, object]] = {}
    for path in sorted(output.glob("*.parquet")):
        for row in pq.read_table(path, columns=["id", "score", "quality_tags"]).to_pylist():
            counts[row["score"]] += 1
            some.setdefault(row["score"], row)
    return counts, [some[score] for score in sorted(some, reverse=True)][:_SAMPLE]
