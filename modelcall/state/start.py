"""What a start means: a new run, a part in one, its continuation, or an extension. The same for all shards."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from modelcall import __version__
from modelcall.errors import ConfigError
from modelcall.state.run import RunRecord, RunStore, ShardKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from modelcall.state.listing import ListedFile, Listing
    from modelcall.types import OutputFormat


@dataclass(frozen=True, slots=True)
class StartRequest:
    """How a shard was started."""

    fresh: bool
    """``--fresh`` on the command line."""
    resume: bool
    """``options.resume`` of the task."""
    dated: bool
    """The output folder holds ``{timestamp}``."""
    job_index: int
    world_size: int
    num_runs: int
    identity: Mapping[str, str]
    input: str
    output_format: OutputFormat
    output_file: str | None
    now: datetime
    retry: bool = False
    """``--retry_failed``: only rows of the last run are of interest, finished or not."""


@dataclass(frozen=True, slots=True)
class Start:
    """The run a shard works on."""

    record: RunRecord
    how: Literal["new", "joined", "continued", "extended"]
    waiting: tuple[str, ...] = ()
    """Input files that came after the listing; they wait for the next run."""
    repaired: Mapping[str, ListedFile] = field(default_factory=dict)
    """Files that failed as they were listed, as they are now."""


def begin(
    store: RunStore,
    request: StartRequest,
    *,
    list_input: Callable[[], Listing],
    before_create: Callable[[RunRecord], None],
) -> Start:
    """Decide which run this start belongs to; store a new one if that is what it means.

    ``before_create`` refuses (ConfigError) before anything is written.

    Raises:
        ConfigError: The input, the task or the world size is not that of the run to go on with.
    """
    while True:
        newest = store.newest()
        if newest is None and request.retry:
            raise ConfigError("no run of this task has begun there", hint="Start it without --retry_failed.")
        if newest is not None and not _starts_over(store, newest, request):
            start = _go_on(store, newest, request, list_input())
        else:
            number = newest.number + 1 if newest else 1
            start = Start(_record(request, list_input(), number=number), "new")
        if start.how in {"continued", "joined"}:
            return start
        before_create(start.record)
        if store.create(start.record):
            return start
        # another shard was first: look again, and join it


def _starts_over(store: RunStore, newest: RunRecord, request: StartRequest) -> bool:
    if request.retry:
        return False
    if request.fresh:
        joined = any(
            store.has_joined(newest, ShardKey(run_index, request.job_index))
            for run_index in range(1, newest.num_runs + 1)
        )
        return joined or not newest.fresh or store.is_finished(newest)
    return not request.resume and store.is_finished(newest)


def _go_on(store: RunStore, newest: RunRecord, request: StartRequest, listing: Listing) -> Start:
    _check_identity(newest, request)
    chain = store.chain(newest)
    known = {file.name: file for record in chain for file in record.files}
    repaired = _repaired(store, chain, listing)
    _check_input(known, listing, repaired, request)
    new = tuple(file for file in listing.files if file.name not in known)
    finished = store.is_finished(newest)
    if new and finished and not request.dated and not request.retry:
        record = _record(request, listing, number=newest.number + 1, files=new, extends=newest.number)
        return Start(record, "extended", repaired=repaired)
    _check_world_size(newest, request)
    joined = store.has_joined(newest, ShardKey(1, request.job_index))
    waiting = tuple(file.name for file in new)
    return Start(newest, "continued" if joined else "joined", waiting=waiting, repaired=repaired)


def _repaired(store: RunStore, chain: Sequence[RunRecord], listing: Listing) -> dict[str, ListedFile]:
    """Return the files that may be taken as they are now: nothing is published of them as they were when they failed.

    A file that was taken in another version stays with that one: only a version that has failed may be replaced.
    """
    now = {file.name: file for file in listing.files}
    repaired: dict[str, ListedFile] = {}
    for record in chain:
        for listed in record.files:
            file = now.get(listed.name, listed)
            version = store.version(record, file.name) if file.fingerprint != listed.fingerprint else None
            if version is not None and (version.failed or version.fingerprint == file.fingerprint):
                repaired[file.name] = file
    return repaired


def _check_identity(record: RunRecord, request: StartRequest) -> None:
    changed = sorted(
        name
        for name in record.identity.keys() | request.identity.keys()
        if record.identity.get(name) != request.identity.get(name)
    )
    if changed:
        raise ConfigError(
            f"the run that began at {record.created} was made with another {', '.join(changed)}",
            hint=f"Undo the change to go on with that run, or {_way_out(request)}.",
        )


def _check_world_size(record: RunRecord, request: StartRequest) -> None:
    if (record.world_size, record.num_runs) != (request.world_size, request.num_runs):
        raise ConfigError(
            f"the run that began at {record.created} has world_size {record.world_size} and num_runs {record.num_runs},"
            f" this start {request.world_size} and {request.num_runs}",
            hint=f"Use the same numbers to go on with that run, or {_way_out(request)}.",
        )


def _check_input(
    known: Mapping[str, ListedFile], listing: Listing, repaired: Collection[str], request: StartRequest
) -> None:
    changed = [
        file.name
        for file in listing.files
        if file.name in known and file.fingerprint != known[file.name].fingerprint and file.name not in repaired
    ]
    if changed:
        raise ConfigError(
            f"{len(changed)} input file(s) changed since the run began: {', '.join(sorted(changed)[:5])}",
            hint=f"Restore them, or {_way_out(request)}.",
        )


def _way_out(request: StartRequest) -> str:
    """Say how to start over. A shard that is told was to join a run which other shards started with ``--fresh``."""
    return "start over with a shard that took part in it" if request.fresh else "start over with --fresh"


def _record(
    request: StartRequest,
    listing: Listing,
    *,
    number: int,
    files: tuple[ListedFile, ...] | None = None,
    extends: int | None = None,
) -> RunRecord:
    return RunRecord(
        run=secrets.token_hex(8),
        number=number,
        timestamp=request.now.strftime("%Y%m%d_%H%M%S"),
        created=request.now.strftime("%Y-%m-%d %H:%M:%S"),
        fresh=request.fresh,
        world_size=request.world_size,
        num_runs=request.num_runs,
        identity=dict(request.identity),
        input=request.input,
        files=listing.files if files is None else files,
        output_format=request.output_format,
        output_file=request.output_file,
        extends=extends,
        version=__version__,
    )
