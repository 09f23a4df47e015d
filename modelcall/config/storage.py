"""How the data paths of an invocation are reached: which store has a path, and what it takes to get there."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from modelcall.config.paths import NO_BUCKET, is_below, scheme
from modelcall.errors import ConfigError
from modelcall.types import TosAccess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.config.environment import Environment
    from modelcall.config.paths import DataRoot

_NEEDED: Final = (("TOS_ENDPOINT",), ("TOS_REGION", "REGION"), ("TOS_ACCESS_KEY",), ("TOS_SECRET_KEY",))
HINT: Final = "set them, in .env or by `source env/add_tos_key.env`"


@dataclass(frozen=True, slots=True)
class Storage:
    """What tells the stores of data paths apart. Picklable; its repr shows no credential."""

    root: DataRoot
    work: str
    """Local folder for what is recorded here of runs whose stat folder is elsewhere."""
    tos: TosAccess | None
    """None: not all of it is set."""

    def kind(self, path: str) -> Literal["local", "tos", "plugin", "url"]:
        """Say which store has a path. A plug-in has all below its root, and URLs that nobody else knows."""
        name = scheme(path)
        if self.root.plugin is not None and (is_below(path, self.root.base) or is_strange(name)):
            return "plugin"
        if name is None:
            return "local"
        return "tos" if name == "tos" else "url"


def storage(environment: Environment, root: DataRoot) -> Storage:
    """Return how data paths are reached in this environment."""
    return Storage(root, _work_folder(environment), _tos(environment))


def missing_variables(path: str, environment: Environment) -> Iterator[str]:
    """Yield the names of variables that a path needs and that are not set."""
    if scheme(path) != "tos":
        return
    if NO_BUCKET in path:
        yield "TOS_BUCKET"
    yield from (names[0] for names in _NEEDED if not any(map(environment.get, names)))


def require_variables(path: str, environment: Environment) -> None:
    """Refuse a path that cannot be reached.

    Raises:
        ConfigError: With the names of the variables that are not set.
    """
    if names := ", ".join(missing_variables(path, environment)):
        raise ConfigError(f"{path}: not set: {names}", hint=f"{HINT[0].upper()}{HINT[1:]}.")


def is_strange(name: str | None) -> bool:
    """Whether there is no store for URLs that begin so."""
    if name is None or name == "tos":
        return False
    import fsspec  # noqa: PLC0415  a tenth of a second, for few

    return name not in fsspec.available_protocols()


def missing_package(name: str) -> str | None:
    """Say what must be installed for URLs that begin so; None if nothing is missing."""
    import fsspec  # noqa: PLC0415  as above

    try:
        fsspec.get_filesystem_class(name)
    except ImportError as error:
        return str(error)
    return None


def _tos(environment: Environment) -> TosAccess | None:
    region = environment.get("TOS_REGION") or environment.get("REGION")
    endpoint = environment.get("TOS_ENDPOINT")
    access_key, secret_key = environment.secret("TOS_ACCESS_KEY"), environment.secret("TOS_SECRET_KEY")
    if endpoint is None or region is None or access_key is None or secret_key is None:
        return None
    return TosAccess(endpoint, region, access_key, secret_key, environment.secret("TOS_SECURITY_TOKEN"))


def _work_folder(environment: Environment) -> str:
    own, state, home = (environment.get(name) for name in ("MODELCALL_WORK_DIR", "XDG_STATE_HOME", "HOME"))
    if own is not None:
        return os.path.normpath(environment.cwd / own)
    if state is not None or home is not None:
        return f"{state or f'{home}/.local/state'}/modelcall"
    return f"{tempfile.gettempdir()}/modelcall-{os.getuid()}"
