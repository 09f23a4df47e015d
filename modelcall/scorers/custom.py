"""A user's scorer behind the pipeline's view: what it adds is checked, what it breaks costs its row only."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcall.errors import ConfigError, FatalError, RowFailure
from modelcall.llm.structured.coerce import WrongTypeError, coerce
from modelcall.llm.structured.strict import same
from modelcall.permits import Permits
from modelcall.redact import redact
from modelcall.registry import load, place_of, source_hash
from modelcall.scorers.columns import parse_columns
from modelcall.scorers.options import construct
from modelcall.scorers.plain import UnsupportedValueError, plain
from modelcall.types import ErrorType, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from modelcall.types import Columns, Permit, PermitSource, Row, RowRef, Scorer


class CustomScorer:
    """A :class:`~modelcall.types.RowScorer` around a user's :class:`~modelcall.types.Scorer`.

    A sync ``score`` runs in threads, as many as requests are allowed in flight; an async one on the event loop.
    """

    is_judge = False

    def __init__(
        self, scorer: Scorer, permits: PermitSource, *, identity: Mapping[str, str], secrets: Sequence[str] = ()
    ) -> None:
        owner = type(scorer).__name__
        if not callable(getattr(scorer, "score", None)):
            raise ConfigError(f"{owner} is no scorer: it has no method score(self, item).")
        declared = getattr(scorer, "columns", None)
        self.columns: Columns | None = None if declared is None else parse_columns(declared, owner=owner)
        self.reads: frozenset[str] | None = None
        self.permits = permits
        self.identity = identity
        self._secrets = tuple(secrets)
        self._scorer = scorer
        self._is_async = inspect.iscoroutinefunction(scorer.score)
        self._threads: ThreadPoolExecutor | None = None

    async def settle(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """There is nothing to settle."""
        return known or {}

    async def open(self) -> None:
        """Make the threads ready; each starts when it is first needed."""
        if not self._is_async:
            self._threads = ThreadPoolExecutor(self.permits.ceiling, thread_name_prefix="scorer")

    async def close(self) -> None:
        """Wait for rows still in threads."""
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:  # noqa: ARG002  the protocol's signature
        """Score one row. Whatever the user's code raises is the row's ``scorer_error``, but a FatalError."""
        began = time.perf_counter()
        result = await self._call(_copied(row))
        if isinstance(result, _Raised):
            return result.outcome(self._secrets)
        try:
            values = self._added(row, result)
        except RowFailure as failure:
            return Outcome(error_type=failure.error_type, fail_reason=failure.message)
        return Outcome(values=values, seconds=time.perf_counter() - began)

    async def _call(self, item: Row) -> object:
        if self._threads is None:
            result = _called(self._scorer, item)
        else:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, _called, self._scorer, item)
        return await _awaited(result) if inspect.isawaitable(result) else result

    def _added(self, row: Row, result: object) -> dict[str, Any]:
        if not isinstance(result, dict):
            raise _scorer_error(
                f"score returned {type(result).__name__}, not a dict: return the row with what you add."
            )
        if broken := _broken(row, result):
            raise RowFailure(ErrorType.BAD_ROW, f"The scorer {broken}: input columns must come back as they were.")
        added = {name: value for name, value in result.items() if name not in row}
        if odd := [name for name in added if not isinstance(name, str)]:
            raise _scorer_error(f"score returned a key that is no text: {odd[0]!r}.")
        return self._typed(_plain(added))

    def _typed(self, added: dict[str, Any]) -> dict[str, Any]:
        if self.columns is None:
            return added
        if odd := sorted(added.keys() ^ self.columns.keys()):
            what = ", ".join(f"{'undeclared' if name in added else 'no'} '{name}'" for name in odd)
            raise _scorer_error(f"score returned {what}: a scorer returns exactly the columns it declares.")
        try:
            return {name: coerce(added[name], kind, name, null_ok=True) for name, kind in self.columns.items()}
        except WrongTypeError as error:
            raise _scorer_error(f"{error}, as the scorer's columns declare.") from None


def build(ref: str, options: Mapping[str, Any], *, max_concurrent: int, secrets: Sequence[str] = ()) -> CustomScorer:
    """Make the scorer that ``package.module:Class`` or an entry point names, with its options.

    Raises:
        ConfigError: Not found, import failed, unknown option, not a scorer.
    """
    found = load("scorers", ref)
    scorer = construct(found.target, options, ref=ref)
    identity = {
        "scorer": found.ref,
        "scorer_source": source_hash(found.target),
        "scorer_options": json.dumps(options, sort_keys=True, default=str, ensure_ascii=False),
    }
    threads = None if inspect.iscoroutinefunction(getattr(scorer, "score", None)) else max_concurrent
    return CustomScorer(scorer, Permits(max_concurrent, most=threads), identity=identity, secrets=secrets)


@dataclass(frozen=True, slots=True)
class _Raised:
    """What the user's code raised. Returned, because some exceptions do not survive a thread's future."""

    error: Exception | SystemExit | asyncio.CancelledError

    def outcome(self, secrets: Sequence[str]) -> Outcome:
        """Return it as the row's failure, secrets masked; a FatalError stops the run."""
        if isinstance(self.error, FatalError):
            raise self.error
        if isinstance(self.error, RowFailure):
            return Outcome(error_type=self.error.error_type, fail_reason=redact(self.error.message, secrets))
        reason = f"{type(self.error).__name__}: {self.error} ({place_of(self.error)})"
        return Outcome(error_type=ErrorType.SCORER_ERROR, fail_reason=redact(reason, secrets))


def _called(scorer: Scorer, item: Row) -> object:
    try:
        return scorer.score(item)
    except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001  the boundary to the user's code
        return _Raised(error)


async def _awaited(pending: Awaitable[object]) -> object:
    try:
        return await pending
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the run cancels this row; else the user's code cancelled something of its own
        return _Raised(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the boundary to the user's code
        return _Raised(error)


def _copied(row: Row) -> Row:
    """Return a row whose changes do not show in ``row``."""
    return {name: copy.deepcopy(value) if isinstance(value, list | dict) else value for name, value in row.items()}


def _broken(row: Row, result: dict[str, Any]) -> str | None:
    for name, value in row.items():
        if name not in result:
            return f"dropped the input column '{name}'"
        if result[name] is not value and not same(result[name], value):
            return f"changed the input column '{name}'"
    return None


def _plain(added: dict[str, Any]) -> dict[str, Any]:
    try:
        return {name: plain(value, name) for name, value in added.items()}
    except UnsupportedValueError as error:
        raise _scorer_error(f"The scorer's value cannot be stored: {error}.") from None


def _scorer_error(reason: str) -> RowFailure:
    return RowFailure(ErrorType.SCORER_ERROR, reason)
