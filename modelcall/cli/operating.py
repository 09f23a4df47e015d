"""A run while it goes on, for those who are not at its terminal: status file, control socket, metrics."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from modelcall.cli.beside import beside
from modelcall.cli.failing import CRASH, STOPPED, USAGE
from modelcall.errors import ConfigError, ModelCallError
from modelcall.log import Message, say
from modelcall.observe import Ending, RunIdentity, Status, StatusFile, status_json
from modelcall.observe.control import control_socket
from modelcall.observe.metrics import metrics_server, metrics_text
from modelcall.redact import redact_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from modelcall.cli.observing import Watch
    from modelcall.cli.showing import Address
    from modelcall.cli.steering import Steering
    from modelcall.state.listing import ListedFile
    from modelcall.task_manager.summary import InFlight, Summary
    from modelcall.types import PermitSource

_SECONDS: Final = 1.0
"""Between two writings of the status file."""


Identify: TypeAlias = "Callable[[Summary], RunIdentity]"
"""Puts together what does not change while a run goes on."""


class Operated:
    """One start, as it is seen and steered from outside."""

    def __init__(self, watch: Watch, steering: Steering, *, file: StatusFile | None, secrets: Sequence[str]) -> None:
        self._watch = watch
        self._steering = steering
        self._file = file
        self._secrets = tuple(secrets)
        self._identity: RunIdentity | None = None
        self._writing = threading.Lock()
        self._warned = self._over = False
        self._control = ""
        self._metrics = ""

    def begins(self, identity: RunIdentity) -> None:
        """The run is known: from now on there is a status. Blocking, for a moment."""
        self._identity = identity
        self._write(self._told(None))

    def owns(self) -> None:
        """The shard is ours, and so is its status file."""
        if self._file is not None:
            with suppress(OSError):  # said when it is written
                self._file.own()

    def status(self) -> Mapping[str, Any]:
        """Tell how the run is, with secrets masked."""
        return self._told(None)

    def command(self, name: str, arguments: Mapping[str, Any], *, by: str) -> str:
        """Do what somebody asks for."""
        return self._steering.command(name, arguments, by=by)

    def end(self, ending: Ending) -> None:
        """Write the last status. Only the first end counts."""
        self._control = self._metrics = ""
        self._watch.phases.ended = ending.reason or f"exit {ending.exit_code}"
        self._write(self._told(ending), last=True)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Whatever error this block ends with, the status tells it; an end without one is told by :meth:`end`."""
        try:
            yield
        except ModelCallError as error:
            self.end(Ending(USAGE if isinstance(error, ConfigError) else STOPPED, error.message))
            raise
        except BaseException as error:
            self.end(Ending(CRASH, f"{type(error).__name__}: {error}"))
            raise

    @asynccontextmanager
    async def operated(self, metrics: Address | None) -> AsyncIterator[None]:
        """Write the status, answer at the socket and serve metrics while this block runs.

        Raises:
            ConfigError: The port for metrics cannot be had.
        """
        async with AsyncExitStack() as stack:
            if metrics is not None:
                self._metrics = await stack.enter_async_context(_served(self, metrics))
            if self._file is not None:
                await self._open_socket(stack)
                await stack.enter_async_context(beside(self._keep_writing()))
            yield

    async def _open_socket(self, stack: AsyncExitStack) -> None:
        try:
            self._control = str(await stack.enter_async_context(control_socket(self)))
        except OSError as error:
            say(Message.WARNING, text=f"modelcall ctl cannot reach this run: {error.strerror or error}")

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            if self._identity is not None:
                await asyncio.to_thread(self._write, self._told(None))

    def metrics_text(self) -> str:
        """The numbers of now for Prometheus."""
        identity = self._identity
        labels = {"task": self._watch.task}
        if identity is not None:
            labels |= {"run": identity.run_id, "job": str(identity.job_index)}
        return metrics_text(self._watch.state(), redact_values(labels, self._secrets))

    def _told(self, ending: Ending | None) -> dict[str, Any]:
        if self._identity is None:
            return {"task": self._watch.task, "phase": "starting"}
        identity = replace(self._identity, control=self._control, metrics=self._metrics)
        updated = datetime.now().astimezone().isoformat(timespec="milliseconds")
        status = Status(identity, self._watch.state(), updated, ending)
        told: dict[str, Any] = redact_values(status_json(status), self._secrets)
        return told

    def _write(self, told: Mapping[str, Any], *, last: bool = False) -> None:
        """Write the status; after the last one a thread that was slow to begin writes no more."""
        with self._writing:
            if self._file is None or self._identity is None or self._over:
                return
            self._over = last
            try:
                if self._file.claim():
                    self._file.write(told)
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    say(Message.WARNING, text=f"{self._file.path}: the status cannot be written: {error.strerror}")


class Beginnings:
    """Tells everybody around a start what begins."""

    def __init__(self, watch: Watch, operated: Operated, steering: Steering, *, identify: Identify) -> None:
        self._watch = watch
        self._operated = operated
        self._steering = steering
        self._identify = identify

    def preprocessing_begins(self, summary: Summary) -> None:
        """From now on there is a status."""
        self._watch.phases.preprocessing = True
        self._operated.begins(self._identify(summary))

    def run_begins(self, summary: Summary) -> None:
        """The status tells from now on which run it is."""
        self._watch.phases.preprocessing = False
        self._watch.run_begins(summary)
        self._operated.begins(self._identify(summary))

    def pass_begins(self, files: Sequence[ListedFile], permits: PermitSource, rows: InFlight) -> None:
        """Rows are asked about from now on; the lock of the shard is ours."""
        self._operated.owns()
        self._watch.pass_begins(files, permits, rows)
        self._steering.pass_begins(permits)


@asynccontextmanager
async def _served(run: Operated, at: Address) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        try:
            where = await stack.enter_async_context(metrics_server(run.metrics_text, host=at.host, port=at.port))
        except OSError as error:
            raise ConfigError(
                f"--metrics_port: {at.host}:{at.port} cannot be had: {error.strerror or error}",
                hint="choose another port; 0 takes a free one",
            ) from error
        say(Message.NOTE, text=f"metrics: http://{where}/metrics")
        yield where
