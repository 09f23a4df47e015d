"""What may be changed in a run while it goes on: the other end of ``modelcall ctl``."""

from __future__ import annotations

import signal
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from modelcall.config.suggest import did_you_mean
from modelcall.log import Message, say
from modelcall.observe.control import ControlError
from modelcall.types import Steerable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.observe import Phases
    from modelcall.task_manager.summary import Stop
    from modelcall.types import PermitSource

CEILING: Final = "max_concurrent_requests"
"""What can be set."""
COMMANDS: Final = ("pause", "resume", "set", "drain")
_PAUSE: Final = "user"


class Steering:
    """Pauses, resumes, drains and sets; what is asked for before rows are begun holds when they are."""

    def __init__(self, stop: Stop, phases: Phases) -> None:
        self._stop = stop
        self._phases = phases
        self._permits: Steerable | None = None
        self._ceiling: int | None = None
        self._said = count(1)
        stop.when_asked(self._signalled, drain=self._go_on)

    def pass_begins(self, permits: PermitSource) -> None:
        """Steer these permits from now on, and hold them to what was asked for before."""
        self._permits = permits if isinstance(permits, Steerable) else None
        self._phases.started = True
        if self._permits is not None and self._ceiling is not None:
            self._permits.set_ceiling(self._ceiling)
        if self._permits is not None and self._phases.paused_by:
            self._permits.pause(_PAUSE)

    def command(self, name: str, arguments: Mapping[str, Any], *, by: str) -> str:
        """Do what somebody asks for; return what was done.

        Raises:
            ControlError: It cannot be done.
        """
        commands: Mapping[str, Callable[[], str]] = {
            "pause": lambda: self._pause(by),
            "resume": lambda: self._resume(by),
            "set": lambda: self._set(arguments, by),
            "drain": lambda: self._drain(by),
        }
        if name not in commands:
            raise ControlError(f"there is no {name!r}{did_you_mean(name, COMMANDS)}: {', '.join(COMMANDS)}")
        if self._stop.asked and name != "set":
            raise ControlError("the run is ending already")
        return commands[name]()

    def _pause(self, by: str) -> str:
        if self._phases.paused_by:
            return f"was paused already: {self._phases.paused_by}"
        self._phases.paused_by = f"by {by}"
        if self._permits is not None:
            self._permits.pause(_PAUSE)
        self._say(Message.CONTROL_PAUSE, by=by)
        return "paused: no request is begun, those in flight end"

    def _resume(self, by: str) -> str:
        if not self._phases.paused_by:
            return "was not paused"
        self._go_on()
        self._say(Message.CONTROL_RESUME, by=by)
        return "resumed"

    def _drain(self, by: str) -> str:
        self._phases.draining_by = f"by {by}"
        self._say(Message.CONTROL_DRAIN, by=by)
        self._stop.drain(by)
        return "draining: no more rows are begun; the run ends when those in flight have ended"

    def _set(self, arguments: Mapping[str, Any], by: str) -> str:
        if not arguments:
            raise ControlError(f"say what: {CEILING}=N")
        for key in arguments:
            if key != CEILING:
                raise ControlError(f"{key!r} cannot be set while a run goes on; {CEILING} can")
        wanted = arguments[CEILING]
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise ControlError(f"{CEILING}: must be a whole number from 1, got {wanted!r}")
        return self._set_ceiling(wanted, by)

    def _set_ceiling(self, wanted: int, by: str) -> str:
        most = self._permits.most if self._permits is not None else None
        if most is not None and wanted > most:
            raise ControlError(f"{CEILING}: the scorer has {most} threads; start again to give it more")
        old = self._permits.ceiling if self._permits is not None else self._ceiling
        self._ceiling = wanted
        if self._permits is not None:
            self._permits.set_ceiling(wanted)
        self._say(Message.CONTROL_SET, by=by, key=CEILING, old=old or "as configured", new=wanted)
        return f"{CEILING}: {old or 'as configured'} -> {wanted}; a resume begins with the task's own again"

    def _signalled(self) -> None:
        self._phases.draining_by = f"by {signal.Signals(self._stop.signal or signal.SIGTERM).name}"
        self._go_on()

    def _go_on(self) -> None:
        """Lift the pause: rows that are begun must be able to end."""
        self._phases.paused_by = ""
        if self._permits is not None:
            self._permits.resume(_PAUSE)

    def _say(self, message: Message, **facts: object) -> None:
        say(message, **facts, cause=next(self._said))  # each is said: somebody did it
