"""The store that has a path: one of each kind for a whole start, made when first asked for."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from modelcall.config.paths import scheme
from modelcall.config.storage import require_variables
from modelcall.errors import ConfigError
from modelcall.registry import load
from modelcall.state.place import StatFolder

if TYPE_CHECKING:
    from modelcall.config.environment import Environment
    from modelcall.config.storage import Storage
    from modelcall.fs.base import FileSystem


class Stores:
    """The stores of an invocation's data paths. Threads may share it.

    Raises:
        ConfigError: The file system of one's own that is asked for cannot be used.
    """

    def __init__(self, storage: Storage, environment: Environment) -> None:
        self._storage = storage
        self._environment = environment
        self._known: dict[str, FileSystem] = {}
        self._making = threading.Lock()
        self._disk: FileSystem = load("filesystems", "local").target()
        self._known["local"] = self._disk
        if storage.root.plugin is not None:
            self._known["plugin"] = load("filesystems", storage.root.plugin).target()

    def at(self, path: str) -> FileSystem:
        """Return the store that has a path.

        Raises:
            ConfigError: There is none, its package is not installed, or variables that it needs are not set.
        """
        kind = self._storage.kind(path)
        name = scheme(path) or "" if kind == "url" else kind
        with self._making:
            if name not in self._known:
                self._known[name] = self._made(kind, path)
            return self._known[name]

    def _made(self, kind: str, path: str) -> FileSystem:
        store: FileSystem
        if kind == "tos":
            require_variables(path, self._environment)
            store = load("filesystems", "tos").target(self._storage.tos)
        else:
            store = load("filesystems", "fsspec").target(scheme(path))
        return store

    def stat_folder(self, path: str) -> StatFolder:
        """Return a folder for progress.

        Raises:
            ConfigError: Its store cannot keep any.
        """
        store, disk = self.at(path), self._disk
        if store.capabilities.append:
            return StatFolder(store, path, disk, path)
        if not store.capabilities.put_if_absent:
            raise ConfigError(
                f"{path}: its store cannot create a name for exactly one of several writers, as progress needs it",
                hint="Set data.stat_folder to a folder on the local disk, or in tos:// or s3://.",
            )
        return StatFolder(store, path, disk, self.local_folder(path))

    def own_stat_folder(self, output: str) -> StatFolder:
        """Return the folder on this machine for the progress of an output whose store cannot keep it."""
        path = self.local_folder(output)
        return StatFolder(self._disk, path, self._disk, path)

    def local_folder(self, path: str) -> str:
        """Return where on this machine we keep what belongs to a folder that is elsewhere."""
        return f"{self._storage.work}/{path_key(path)}"


def path_key(path: str) -> str:
    """Return one safe name for a path."""
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
