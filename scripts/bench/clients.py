"""Who is compared: ModelCall, the script that everybody writes, and packages, each in an environment of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from measuring import lean
from scored_task import write_input, write_task

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

_ROOT: Final = Path(__file__).parents[2]
_PEERS: Final = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Bench:
    """What all clients are given."""

    folder: Path
    url: str
    arguments: argparse.Namespace

    def inputs(self, rows: int) -> Path:
        """Return the input of so many rows, made when it is first asked for."""
        path = self.folder / f"in-{rows}" / "rows.jsonl"
        if not path.exists():
            write_input(path, rows, self.arguments.chars)
        return path


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks."""

    name: str
    """As it is chosen."""
    shown: str
    command: Callable[[Bench, Path, int], Sequence[str | Path]]
    """Of a folder to work in, where the output comes into ``out``, and a number of rows."""
    slow: bool = False
    files: bool = True
    """Whether it writes scored rows."""
    environment: Callable[[Path], Mapping[str, str]] = lambda _: {}
    """Of a folder of its own."""


def modelcall(lane: str) -> Callable[[Bench, Path, int], Sequence[str | Path]]:
    """Return what runs ModelCall in a lane."""

    def command(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
        in_flight = bench.arguments.in_flight
        task = write_task(folder, inputs=bench.inputs(rows), base_url=bench.url, in_flight=in_flight, lane=lane)
        return [sys.executable, "-m", "modelcall", "run-task", task]

    return command


def script(name: str, python: Path, *more: str) -> Callable[[Bench, Path, int], Sequence[str | Path]]:
    """Return what runs one of the scripts of the peers."""

    def command(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
        (folder / "out").mkdir()
        output, in_flight = folder / "out", str(bench.arguments.in_flight)
        return [python, _PEERS / name, bench.inputs(rows), output, in_flight, bench.url, *more]

    return command


def bare(bench: Bench, folder: Path, rows: int) -> Sequence[str | Path]:
    """Return what runs the bare loop."""
    del folder
    numbers = [str(number) for number in (rows, bench.arguments.chars, bench.arguments.in_flight)]
    return [sys.executable, _PEERS / "bare_aiohttp.py", *numbers, bench.url]


@dataclass(frozen=True, slots=True)
class Peer:
    """A package that has an environment of its own."""

    name: str
    packages: tuple[str, ...]
    part: str = ""
    """What of it is used."""
    ways: tuple[str, ...] = ()
    """Further ways to run it."""
    slow: bool = True

    def python(self, folder: Path) -> Path:
        """Return the interpreter of its environment."""
        return folder / self.name / "bin" / "python"

    def install(self, folder: Path) -> None:
        """Make its environment, or complete it."""
        uv = shutil.which("uv") or shutil.which("uv", path=str(_ROOT / ".uv" / "bin"))  # test.sh puts it there
        if uv is None:
            raise SystemExit("--install-peers needs uv: scripts/test.sh sets it up")
        if not self.python(folder).exists():
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / self.name], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", self.python(folder), *self.packages], check=True)

    def clients(self, folder: Path) -> Iterator[Client]:
        """Yield the ways it is run."""
        python, run = self.python(folder), f"run_{self.name}.py"
        package = re.sub(r"(\[.*\])?==", " ", self.packages[0])
        shown = f"{package} {self.part}".strip()
        yield Client(self.name, shown, script(run, python), slow=self.slow)
        for way in self.ways:
            yield Client(f"{self.name}-{way}", f"{shown}, {way}", script(run, python, way), slow=True)


_DATATROVE: Final = ("datatrove==0.10.1", "aiofiles", "aiosqlite", "httpx", "orjson", "xxhash")
"""Of its extra "inference" all but the engines, which take gigabytes."""
PEERS: Final = (
    Peer("datatrove", _DATATROVE, "`InferenceRunner`", ways=("checkpoints",), slow=False),
    Peer("curator", ("bespokelabs-curator==0.1.31",)),
    Peer("litellm", ("litellm==1.106",), "`acompletion`"),
    Peer("distilabel", ("distilabel[openai]==1.5.3", "requests")),
)


def clients(peers: Path) -> Iterator[Client]:
    """Yield the clients there are."""
    own = f"ModelCall {version('modelcall')}"
    yield Client("modelcall", own, modelcall("aiohttp"), environment=lean)
    yield Client("modelcall-openai", f"{own}, `client: openai`", modelcall("openai"), environment=lean)
    handwritten = script("handwritten.py", Path(sys.executable))
    yield Client("handwritten", f"hand-written script, openai {version('openai')}", handwritten)
    yield from (client for peer in PEERS if peer.python(peers).exists() for client in peer.clients(peers))
    yield Client("bare", f"bare loop, aiohttp {version('aiohttp')}, no files", bare, files=False)
