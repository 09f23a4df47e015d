"""Names of objects: whatever a key holds, the same key comes back, and no other object is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.mock_tos.sdk import BUCKET, running, whole

if TYPE_CHECKING:
    from collections.abc import Callable

DIFFICULT = [" ", "+", "%", "%20", "é", "名", "/", "//", "#", "?", "&", "=", ":", "~", "a", "\\", '"', "'", "\u0301"]
KEYS = st.lists(st.one_of(st.sampled_from(DIFFICULT), st.characters(exclude_categories=["Cs", "Cc"])), min_size=1).map(
    "".join
)


def is_sent_as_it_is(key: str) -> bool:
    """HTTP libraries resolve segments of dots after the SDK has signed; control characters and long names aside."""
    return len(key.encode()) <= 700 and not {".", ".."} & set(key.split("/"))


@pytest.mark.parametrize(
    "examples", [80, *(pytest.param(2000, marks=pytest.mark.long, id=f"long{n}") for n in range(2))]
)
def test_keys_mean_one_object_each(examples: int, record_property: Callable[[str, object], None]) -> None:
    with running() as (tos, client):

        @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(KEYS.filter(is_sent_as_it_is), min_size=1, max_size=4, unique=True))
        @example(["/lead", "//lead", "a//b", "a/b/", "a b", "a+b", "a%20b"])
        def check(keys: list[str]) -> None:
            for key in list(tos.store.bucket(BUCKET).keys):
                tos.store.remove(BUCKET, key)
            for key in keys:
                client.put_object(BUCKET, key, content=b"<" + key.encode())
            assert tos.keys() == sorted(keys)
            assert [entry.key for entry in client.list_objects_type2(BUCKET).contents] == sorted(keys)
            for key in keys:
                assert whole(client, key) == b"<" + key.encode()
            first = keys[0]
            client.copy_object(BUCKET, "copy", BUCKET, first)
            assert tos.read("copy") == b"<" + first.encode()
            client.delete_object(BUCKET, first)
            assert set(tos.keys()) == {*keys[1:], "copy"} - {first}

        check()
        record_property("requests", tos.log.report()["requests"])
