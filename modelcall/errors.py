"""Errors, by what must happen next.

::

    ModelCallError
    ├── ConfigError        nothing was started; exit 2
    ├── FatalError         stop now, progress is kept; exit 4
    ├── FileFailure        this file only: it is `failed` in the ledger, nothing is published for it; exit 3 at the end
    ├── RowFailure         this row only: recorded with its ErrorType and a reason
    └── RetryableError     try again; never leaves modelcall.llm

Foreign exceptions are mapped at one edge each: HTTP in ``llm``, storage in ``fs``, by type, status and error code.

Broad ``except`` clauses, one at each boundary, each with its policy:

- row scorer (``scorers.custom``): the exception becomes the row's ``scorer_error``
- row preprocessor (``data_processing.items``): a ``FileFailure`` with row, file and line: no row is dropped by accident
- a user's module and constructor (``registry``, ``scorers.options``): a ``ConfigError`` with file and line
- the file of a tokenizer (``tokens``): its library raises bare exceptions; a ``ConfigError``
- worker (``engines.worker``): its owner raises it; what is not ours arrives as its traceback
- reading ahead (``pipeline.read_ahead``): nothing; who publishes reads by itself, and meets what is wrong
- observer (``observe.observers``): said once in the log; the run goes on
- command line (``cli.main``): exit 1, with the traceback in the log and one line on the screen
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.types import ErrorType


class ModelCallError(Exception):
    """Root of all errors of this package. ``message`` says what and where, ``hint`` what to do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the hint, so that workers can report."""
        return (_rebuild, (type(self), dict(self.__dict__)))


def _rebuild(kind: type[ModelCallError], attributes: dict[str, object]) -> ModelCallError:
    error = kind.__new__(kind)
    Exception.__init__(error, attributes.get("message"))
    error.__dict__.update(attributes)
    return error


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file that a user wrote."""

    message: str
    where: str = ""
    """The file, and the line if there is one: ``tasks/x.yaml:12``."""
    path: str = ""
    """Dotted YAML path: ``concurrency.chunk_size``."""

    def __str__(self) -> str:
        """One line: ``tasks/x.yaml:12: concurrency.chunk_size: must be at least 1, got 0``."""
        return ": ".join(part for part in (self.where, self.path, self.message) if part)


class ConfigError(ModelCallError):
    """Usage or configuration; nothing was started. Holds *all* mistakes found."""

    def __init__(self, message: str, *, hint: str | None = None, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(message, hint=hint)
        self.mistakes = tuple(mistakes)


class FatalError(ModelCallError):
    """Going on is pointless; what is recorded is kept and the run can be resumed."""


class FileFailure(ModelCallError):  # noqa: N818  named by what it fails, as RowFailure
    """One input file cannot be scored or published; the others go on."""


class RowFailure(ModelCallError):  # noqa: N818  named by what it fails
    """One row has no score, and this is why."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class RetryableError(ModelCallError):
    """The attempt failed and another may succeed. Never leaves ``modelcall.llm``."""
