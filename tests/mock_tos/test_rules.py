"""Faults as users write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelcall.errors import ConfigError
from modelcall.mock.tos.faults import TosFault, parse_faults
from modelcall.mock.tos.options import TosOptions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("cut", TosFault("cut")),
        ("mix=0.05", TosFault("mix", rate=0.05)),
        ("503=0.1,op=get_object|head_object", TosFault("status", rate=0.1, status=503, op="get_object|head_object")),
        ("delay,seconds=50ms,key=^a/", TosFault("delay", seconds=0.05, key="^a/")),
        ("cut=1,after=10,skip=2,times=3", TosFault("cut", rate=1, after=10, skip=2, times=3)),
        ({"fault": "stale_listing", "changes": 4}, TosFault("stale_listing", changes=4)),
    ],
)
def test_one_rule(written: str | dict[str, Any], rule: TosFault) -> None:
    assert parse_faults([written]) == (rule,)


def test_files_and_mappings(tmp_path: Path) -> None:
    rules = (TosFault("drop", rate=0.1), TosFault("cut", after=5))
    assert parse_faults({"drop": 0.1, "cut": {"after": 5}}) == rules
    listed = tmp_path / "list.yaml"
    listed.write_text("- drop=0.1\n- {fault: cut, after: 5}\n")
    mapped = tmp_path / "map.json"
    mapped.write_text('{"drop": 0.1, "cut": {"after": 5}}')
    assert parse_faults([str(listed), str(mapped)]) == rules * 2


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("cutt", 'unknown fault "cutt"; did you mean "cut"'),
        ("cut,aftr=5", 'unknown key "aftr"; did you mean "after"'),
        ("cut=2", "rate must be from 0 to 1"),
        ("cut,after=-1", "after must be from 0"),
        ("cut,times=x", "times must be from 0"),
        ("cut,op=(", "op is no regular expression"),
        ("200", "status must be from 300 to 599"),
        ("delay,seconds=soon", "seconds must be from 0"),
        ({"rate": 1}, "lacks the key `fault`"),
        ("absent.yaml", "absent.yaml: cannot be read"),
    ],
)
def test_mistakes_are_named(written: str | dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be understood") as caught:
        parse_faults([written])
    assert says in caught.value.message


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults(["cutt", "drop=7"])
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"buckets": ("A_",)}, "3 to 63 of a-z"),
        ({"buckets": ()}, "needs a bucket"),
        ({"latency": -1}, "latency must be at least 0"),
        ({"port": 70000}, "port must be from 0"),
        ({"secret_key": ""}, "keys must not be empty"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TosOptions(**options)
    assert says in caught.value.message
