"""The environment: the only module that reads it.

Precedence: the process environment, then ``.env``, then ``env/add_P*.env`` for the task's ``api_provider: P``.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from modelcall.errors import Mistake
from modelcall.types import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIAL: Final = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|credentials?)(?:$|_)")
_PLACEHOLDER: Final = re.compile(
    r"(?i)your[-_ ].*|<.*>|\.{3,}|…|x{3,}|\*{3,}|sk-(?:x+|\.{3,}|\*+|…|your.*)?"
    r"|change[-_ ]?me|replace[-_ ]?me|todo|placeholder"
)
_MAX_FILE_BYTES: Final = 256 * 1024


def is_placeholder(value: str) -> bool:
    """Whether a value only marks where one belongs: empty, ``your_key``, ``<key>``, ``sk-xxx``."""
    return not value.strip() or _PLACEHOLDER.fullmatch(value.strip()) is not None


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables of one invocation. It is passed around; its repr shows no values."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where a variable came from: ``environment``, ``.env``, ``env/add_x.env``."""
    cwd: Path = field(default_factory=Path.cwd)
    notes: tuple[Mistake, ...] = ()
    """Lines of environment files that could not be read."""

    @classmethod
    def read(cls, *, process: Mapping[str, str] | None = None, cwd: Path | None = None) -> Environment:
        """Read the process environment and ``.env`` of the current folder."""
        found = dict(os.environ if process is None else process)  # noqa: TID251  the one place
        here = Path.cwd() if cwd is None else cwd
        start = cls(found, dict.fromkeys(found, "environment"), here)
        return start.with_file(here / ".env")

    def for_provider(self, provider: str) -> Environment:
        """Return the environment with ``env/add_<provider>*.env`` below all that is known."""
        environment = self
        for path in sorted((self.cwd / "env").glob(f"add_{provider}*.env")):
            environment = environment.with_file(path)
        return environment

    def with_file(self, path: Path) -> Environment:
        """Return the environment with the variables of a file that are not set yet; without change if it is missing."""
        if not path.is_file():
            return self
        shown = path.relative_to(self.cwd).as_posix() if path.is_relative_to(self.cwd) else path.name
        text, notes = _text(path, shown)
        values, sources = dict(self.values), dict(self.sources)
        for binding in parse_stream(io.StringIO(text)):
            if binding.error:
                notes.append(Mistake("this line sets no variable; skipped", where=f"{shown}:{binding.original.line}"))
            elif binding.key and binding.value is not None and is_placeholder(values.get(binding.key, "")):
                known = {name: value for name, value in values.items() if not is_placeholder(value)}
                values[binding.key] = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
                sources[binding.key] = shown
        return replace(self, values=values, sources=sources, notes=(*self.notes, *notes))

    def get(self, name: str) -> str | None:
        """Return a variable; None if it is missing, empty or a placeholder."""
        value = self.values.get(name, "").strip()
        return None if is_placeholder(value) else value

    def secret(self, name: str) -> Secret | None:
        """Return a variable that holds a credential."""
        value = self.get(name)
        return None if value is None else Secret(value)

    def source(self, name: str) -> str:
        """Say where a variable was found."""
        return self.sources.get(name, "environment")

    def secrets(self) -> frozenset[str]:
        """All values that look like credentials by their variable's name; for redaction."""
        return frozenset(
            value for name in self.values if _CREDENTIAL.search(name) and (value := self.get(name)) is not None
        )

    @property
    def language(self) -> Literal["zh", "en"]:
        """By the variables of the locale, whether the system has that locale or not."""
        locale = self.get("LC_ALL") or self.get("LC_MESSAGES") or self.get("LANG") or ""
        return "zh" if locale.lower().startswith("zh") else "en"


def _text(path: Path, name: str) -> tuple[str, list[Mistake]]:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode("utf-8-sig"), []
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        return "", [Mistake(f"cannot be read and is left out: {reason}", where=name)]
