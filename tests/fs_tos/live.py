"""What a real bucket is asked, beside the contract: answers that the vendor's documentation does not give."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tos.exceptions import TosClientError, TosServerError
from tos.models2 import GenericInput, UploadedPart

from modelcall.errors import FatalError
from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.fs.tos.places import Place
from modelcall.fs.tos.writing import abort_upload
from modelcall.types import Secret, TosAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SWITCH: Final = "MODELCALL_LIVE_TOS"
VARIABLES: Final[Mapping[str, str]] = os.environ  # noqa: TID251  whose bucket it is
PART: Final = 5 << 20
"""The least that TOS takes but for the last."""


@dataclass(frozen=True, slots=True)
class Live:
    """A bucket of somebody's, and a prefix that nothing else has."""

    fs: TosFileSystem
    bucket: str
    prefix: str

    @property
    def sdk(self) -> Any:
        return self.fs._calls.sdk

    @property
    def root(self) -> str:
        return f"tos://{self.bucket}/{self.prefix}"

    def key(self) -> str:
        return f"{self.prefix}/{uuid4().hex}"

    def put(self, key: str, **options: Any) -> Any:
        return self.sdk.put_object(self.bucket, key, content=b"x", **options)

    def begin(self, key: str, *parts: bytes) -> tuple[str, list[UploadedPart]]:
        upload = self.sdk.create_multipart_upload(self.bucket, key).upload_id
        sent = [
            UploadedPart(number, self.sdk.upload_part(self.bucket, key, upload, number, content=part).etag)
            for number, part in enumerate(parts, start=1)
        ]
        return upload, sent

    def complete(self, key: str, upload: str, parts: list[UploadedPart], **options: Any) -> Any:
        return self.sdk.complete_multipart_upload(self.bucket, key, upload, parts, **options)


def store(*, region: str | None = None) -> TosFileSystem:
    token = VARIABLES.get("TOS_SECURITY_TOKEN")
    access = TosAccess(
        endpoint=VARIABLES["TOS_ENDPOINT"],
        region=region or VARIABLES.get("TOS_REGION") or VARIABLES["REGION"],
        access_key=Secret(VARIABLES["TOS_ACCESS_KEY"]),
        secret_key=Secret(VARIABLES["TOS_SECRET_KEY"]),
        security_token=Secret(token) if token else None,
    )
    return TosFileSystem(access)


@contextmanager
def live() -> Iterator[Live]:
    """Yield the bucket; afterwards all that was made is gone, whatever happened."""
    it = Live(store(), VARIABLES["TOS_BUCKET"], f"modelcall-live-{uuid4().hex}")
    try:
        yield it
    finally:
        clear(it)
        it.fs.close()


def clear(it: Live) -> None:
    """Abort every upload and delete every object below the prefix, hidden ones too."""
    for upload in list(it.fs._uploads(Place(it.bucket, ""), prefix=it.prefix)):
        abort_upload(it.fs._calls, Place(it.bucket, upload.key), upload.upload_id)
    keys = [entry.key for page in it.fs._pages(Place(it.bucket, it.prefix)) for entry in page.contents]
    for key in keys:
        it.fs._calls.do(it.sdk.delete_object, Place(it.bucket, key))


def told(call: Callable[[], Any]) -> str:
    """Return status and code of an answer, whichever it is."""
    try:
        return str(call().status_code)
    except TosServerError as error:
        retry = error.header.get("retry-after")
        return f"{error.status_code} {error.code or error.header.get('x-tos-ec') or '(no code)'}" + (
            f", retry-after {retry}" if retry else ""
        )
    except TosClientError as error:
        return f"the SDK says: {error.message}"


def none_match() -> GenericInput:
    return GenericInput(request_headers={"If-None-Match": "*"})


def kind_of_bucket(it: Live) -> str:
    head = it.sdk.head_bucket(it.bucket)
    return (
        f"{head.header.get('x-tos-bucket-type', 'fns')}, versioning: {head.header.get('x-tos-versioning', 'not said')}"
    )


def taken_on_put(it: Live) -> str:
    key = it.key()
    it.put(key)
    return told(lambda: it.put(key, forbid_overwrite=True))


def taken_on_complete(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"y")
    it.put(key)
    return told(lambda: it.complete(key, upload, parts, forbid_overwrite=True))


def none_match_on_put(it: Live) -> str:
    key = it.key()
    it.put(key)
    return told(lambda: it.put(key, generic_input=none_match()))


def none_match_on_complete(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"y")
    it.put(key)
    return told(lambda: it.complete(key, upload, parts, generic_input=none_match()))


def if_match_on_complete(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"y")
    it.put(key)
    wrong = GenericInput(request_headers={"x-tos-if-match": '"0"'})
    return told(lambda: it.complete(key, upload, parts, generic_input=wrong))


def unordered_parts(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"a" * PART, b"b")
    return told(lambda: it.complete(key, upload, parts[::-1]))


def an_empty_part(it: Live) -> str:
    key = it.key()
    upload = it.sdk.create_multipart_upload(it.bucket, key).upload_id
    sent: list[UploadedPart] = []

    def send() -> Any:
        answer = it.sdk.upload_part(it.bucket, key, upload, 1, content=b"")
        sent.append(UploadedPart(1, answer.etag))
        return answer

    return f"sent: {told(send)}; completed: {told(lambda: it.complete(key, upload, sent))}"


def no_parts(it: Live) -> str:
    key = it.key()
    upload, _ = it.begin(key)
    return told(lambda: it.complete(key, upload, []))


def after_an_abort(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"y")
    it.sdk.abort_multipart_upload(it.bucket, key, upload)
    sending = told(lambda: it.sdk.upload_part(it.bucket, key, upload, 2, content=b"y"))
    return f"completed: {told(lambda: it.complete(key, upload, parts))}; a part: {sending}"


def refused_head(it: Live) -> str:
    key = it.key()
    try:
        it.sdk.head_object(it.bucket, key)
    except TosServerError as error:
        said = {name: error.header.get(name) for name in ("x-tos-ec", "content-length")}
        return f"{error.status_code} {said}"
    except TosClientError as error:
        return f"the SDK says: {error.message}"
    return "found what is not there"


def checksum_of_parts(it: Live) -> str:
    key = it.key()
    upload, parts = it.begin(key, b"a" * PART, b"b")
    done = it.complete(key, upload, parts)
    head = it.sdk.head_object(it.bucket, key)
    return f"HEAD shows one: {head.hash_crc64_ecma is not None}, that of the completion: " + str(
        head.hash_crc64_ecma == done.hash_crc64_ecma
    )


def listed_at_once(it: Live) -> str:
    found = 0
    for _ in range(10):
        key = it.key()
        it.put(key)
        page = it.sdk.list_objects_type2(it.bucket, prefix=key, list_only_once=True)
        found += [entry.key for entry in page.contents] == [key]
    return f"{found} of 10"


def uploads_listed_at_once(it: Live) -> str:
    found = 0
    for _ in range(10):
        key = it.key()
        upload, _ = it.begin(key)
        found += [entry.upload_id for entry in it.sdk.list_multipart_uploads(it.bucket, prefix=key).uploads] == [upload]
    return f"{found} of 10"


def archived(it: Live) -> str:
    key = it.key()
    put = told(lambda: it.put(key, generic_input=GenericInput(request_headers={"x-tos-storage-class": "ARCHIVE"})))
    return f"put: {put}; got: {told(lambda: it.sdk.get_object(it.bucket, key))}"


def another_region(it: Live) -> str:
    elsewhere = store(region="cn-nowhere")
    try:
        elsewhere.stat(f"{it.root}/absent")
    except (FatalError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        elsewhere.close()
    return "accepted"


QUESTIONS: Final[Mapping[str, Callable[[Live], str]]] = {
    "kind of bucket": kind_of_bucket,
    "PutObject, name taken, forbid-overwrite": taken_on_put,
    "completion, name taken, forbid-overwrite": taken_on_complete,
    "PutObject, name taken, If-None-Match": none_match_on_put,
    "completion, name taken, If-None-Match": none_match_on_complete,
    "completion, if-match of another etag": if_match_on_complete,
    "completion, parts out of order": unordered_parts,
    "completion, one empty part": an_empty_part,
    "completion, no part": no_parts,
    "after an abort": after_an_abort,
    "HEAD of what is absent": refused_head,
    "checksum of an object of parts": checksum_of_parts,
    "listed right after PutObject": listed_at_once,
    "uploads listed right after their begin": uploads_listed_at_once,
    "an archived object": archived,
    "a wrong region": another_region,
}
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "PutObject, name taken, forbid-overwrite": ("409", "412"),
    "completion, name taken, forbid-overwrite": ("409", "412"),
    "after an abort": ("completed: 404 NoSuchUpload",),
    "HEAD of what is absent": ("404",),
    "uploads listed right after their begin": ("10 of 10",),
}
"""How answers must begin for what the store promises to hold."""
