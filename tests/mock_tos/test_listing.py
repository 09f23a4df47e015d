"""Names, page by page, compared with what a sorted list says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mock_tos.sdk import BUCKET, refused, running

if TYPE_CHECKING:
    from tos import TosClientV2

    from modelcall.mock.tos.thread import LocalTos

KEYS = st.lists(st.text("ab/é", min_size=1, max_size=5).filter(lambda key: key not in {".", ".."}), max_size=12)


def pages(client: TosClientV2, **asked: object) -> tuple[list[str], list[str], int]:
    """All keys and prefixes, and how many pages they took."""
    keys, prefixes, token, count = [], [], None, 0
    while True:
        page = client.list_objects_type2(BUCKET, continuation_token=token, list_only_once=True, **asked)
        keys += [entry.key for entry in page.contents]
        prefixes += [entry.prefix for entry in page.common_prefixes]
        count += 1
        if not page.is_truncated:
            return keys, prefixes, count
        token = page.next_continuation_token


def expected(keys: list[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    found = sorted(key for key in set(keys) if key.startswith(prefix))
    if not delimiter:
        return found, []
    plain = [key for key in found if delimiter not in key[len(prefix) :]]
    rest = [key for key in found if delimiter in key[len(prefix) :]]
    common = {key[: key.index(delimiter, len(prefix)) + len(delimiter)] for key in rest}
    return plain, sorted(common)


def test_more_than_a_thousand_names(client: TosClientV2, tos: LocalTos) -> None:
    names = [f"k/{number:05}" for number in range(2501)]
    for name in names:
        tos.put(name, b"")
    assert pages(client, prefix="k/") == (names, [], 3)
    assert pages(client, prefix="k/", max_keys=1000, start_after="k/02000") == (names[2001:], [], 1)
    assert [entry.key for entry in client.list_objects_type2(BUCKET, max_keys=2501).contents] == names
    assert pages(client, max_keys=9999) == (names, [], 3)
    assert refused(lambda: pages(client, max_keys=-1)).code == "InvalidArgument"
    assert [request.status for request in tos.requests("list_objects_type2")][:4] == [200] * 4


def test_pages_show_every_name_once() -> None:
    with running() as (tos, client):

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(KEYS, st.sampled_from(["", "a", "a/", "b"]), st.sampled_from(["", "/"]), st.integers(1, 5))
        def check(keys: list[str], prefix: str, delimiter: str, most: int) -> None:
            for key in list(tos.store.bucket(BUCKET).keys):
                tos.store.remove(BUCKET, key)
            for key in keys:
                tos.put(key, b"1")
            found = pages(client, prefix=prefix, delimiter=delimiter, max_keys=most)
            plain, common = expected(keys, prefix, delimiter)
            assert found[:2] == (plain, common)
            assert found[2] == max(-(-(len(plain) + len(common)) // most), 1)

        check()


def test_an_entry_says_what_the_object_is(client: TosClientV2) -> None:
    put = client.put_object(BUCKET, "k", content=b"123", meta={"a": "1"})
    client.append_object(BUCKET, "log", 0, content=b"12")
    first, second = client.list_objects_type2(BUCKET, fetch_meta=True).contents
    assert (first.key, first.size, first.etag, first.hash_crc64_ecma) == ("k", 3, put.etag, put.hash_crc64_ecma)
    assert (first.object_type, second.object_type, first.owner.display_name) == ("Normal", "Appendable", "modelcall")
    assert first.last_modified == client.head_object(BUCKET, "k").last_modified.replace(
        microsecond=first.last_modified.microsecond
    )


def test_the_first_form_of_the_listing(client: TosClientV2, tos: LocalTos) -> None:
    for key in "abc":
        tos.put(key, b"1")
    page = client.list_objects(BUCKET, max_keys=2)
    assert ([entry.key for entry in page.contents], page.next_marker) == (["a", "b"], "b")
    assert [entry.key for entry in client.list_objects(BUCKET, marker="b").contents] == ["c"]


def test_a_token_that_is_not_ours_is_refused(client: TosClientV2) -> None:
    error = refused(lambda: client.list_objects_type2(BUCKET, continuation_token="é"))
    assert (error.status_code, error.code) == (400, "InvalidArgument")
