"""Which store has a path, and what it takes to reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcall.config.environment import Environment
from modelcall.config.paths import DataRoot
from modelcall.config.storage import missing_variables, storage
from modelcall.errors import ConfigError
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.remote import RemoteFileSystem
from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.task_manager.stores import Stores

REACH = {"TOS_ENDPOINT": "http://tos.test", "REGION": "r", "TOS_ACCESS_KEY": "ak-0", "TOS_SECRET_KEY": "sk-0"}
HERE = Environment({"HOME": "/home/u", **REACH}, cwd=Path("/work"))


def kinds(root: DataRoot, *paths: str) -> list[str]:
    reached = storage(HERE, root)
    return [reached.kind(path) for path in paths]


def test_stores_by_what_paths_begin_with() -> None:
    paths = ("/x", "tos://b/x", "s3://b/x", "memory://x")
    assert kinds(DataRoot("/work"), *paths) == ["local", "tos", "url", "url"]


def test_a_plug_in_has_what_is_below_its_root_and_urls_that_nobody_knows() -> None:
    mine = DataRoot("mine://base", "my.store:Store")
    assert kinds(mine, "mine://base/x", "mine://other/x", "/x", "tos://b/x") == ["plugin", "plugin", "local", "tos"]
    here = DataRoot("/work/data", "my.store:Store")
    assert kinds(here, "/work/data", "/work/data/x", "/work/database", "/x") == ["plugin", "plugin", "local", "local"]


def test_one_store_of_each_kind_and_none_before_it_is_asked_for() -> None:
    stores = Stores(storage(HERE, DataRoot("/work")), HERE)
    assert isinstance(stores.at("/x"), LocalFileSystem)
    assert isinstance(stores.at("tos://bucket/x"), TosFileSystem)
    assert isinstance(stores.at("memory://x"), RemoteFileSystem)
    assert stores.at("tos://other/y") is stores.at("tos://bucket/x")
    assert stores.at("memory://y") is stores.at("memory://x")
    assert stores.at("/y") is stores.at("/x")


@pytest.mark.parametrize(
    ("unset", "names"),
    [
        ("TOS_ENDPOINT", ["TOS_ENDPOINT"]),
        ("REGION", ["TOS_REGION"]),
        ("TOS_SECRET_KEY", ["TOS_SECRET_KEY"]),
    ],
)
def test_variables_that_are_missing_are_named(unset: str, names: list[str]) -> None:
    values = {name: value for name, value in REACH.items() if name != unset}
    environment = Environment(values, cwd=Path("/work"))
    assert list(missing_variables("tos://b/x", environment)) == names
    assert list(missing_variables("/x", environment)) == []
    with pytest.raises(ConfigError, match=f"tos://b/x: not set: {names[0]}"):
        Stores(storage(environment, DataRoot("/work")), environment).at("tos://b/x")


def test_what_is_printed_of_it_shows_no_credential() -> None:
    shown = repr(storage(HERE, DataRoot("/work")))
    assert "ak-0" not in shown
    assert "sk-0" not in shown


@pytest.mark.parametrize(
    ("values", "folder"),
    [
        ({"HOME": "/home/u"}, "/home/u/.local/state/modelcall"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/state"}, "/state/modelcall"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/state", "MODELCALL_WORK_DIR": "w"}, "/work/w"),
    ],
)
def test_where_this_machine_keeps_what_belongs_elsewhere(values: dict[str, str], folder: str) -> None:
    assert storage(Environment(values, cwd=Path("/work")), DataRoot("/work")).work == folder


def test_the_progress_of_a_remote_folder_has_one_place_on_this_machine() -> None:
    stores = Stores(storage(HERE, DataRoot("/work")), HERE)
    here, there = stores.stat_folder("/stat"), stores.stat_folder("tos://bucket/stat")
    assert (here.path, here.local) == ("/stat", "/stat")
    assert there.path == "tos://bucket/stat"
    assert there.local == stores.stat_folder("tos://bucket/stat").local
    assert there.local.startswith("/home/u/.local/state/modelcall/")
    assert there.local != stores.stat_folder("tos://bucket/other").local
