"""The SDK's client as we use it: fixed settings, and retries of our own.

The SDK's retries are off: they miss what breaks while a body is read, and would multiply ours. Two of its settings are
dangerous and fixed here. ``high_latency_log_threshold`` at 0 makes failed uploads look like successes, and above a
trifle prints to stdout; ``dns_cache_time`` above 0 changes how the whole process resolves names.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import tos
from crcmod.crcmod import _usingExtension as crc_is_fast
from tenacity import Retrying, retry_if_exception, stop_after_delay
from tos.exceptions import TosServerError

from modelcall.errors import ConfigError
from modelcall.fs.tos.failures import FAILURES, is_passing, is_without_reason, meaning, wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.tos.places import Place
    from modelcall.types import TosAccess

T = TypeVar("T")

BUDGET_SECONDS: Final = 120.0
"""How long one operation is tried again."""
_CONNECTIONS: Final = 64


class TosCalls:
    """Calls to TOS, each tried again for ``budget`` seconds. Threads may share it; the event loop must not call it."""

    def __init__(self, access: TosAccess, *, budget: float = BUDGET_SECONDS) -> None:
        self._budget = budget
        self._who = f"endpoint {access.endpoint}, region {access.region}"
        self.sdk = _client(access, check=crc_is_fast)
        self.reading = _client(access, check=False)
        """For ranges, of which TOS has no checksum: the SDK would compute one in vain."""

    def close(self) -> None:
        """Close all connections."""
        self.sdk.close()
        self.reading.close()

    def do(self, call: Callable[..., T], at: Place, /, *arguments: object, **options: object) -> T:
        """Call an SDK method with bucket and key until it succeeds.

        Raises:
            OSError: ``FileNotFoundError``, ``PermissionError``, ``FileExistsError`` (a condition that failed, 409 or
                412), ``TimeoutError`` (TOS did not answer in all the time), ``ECANCELED`` (an upload that is gone),
                or another.
            FatalError: No request will succeed: a wrong key, no such bucket.
        """
        key = (at.key,) if at.key else ()
        return self.again(lambda: read_out(call(at.bucket, *key, *arguments, **options)), at)

    def again(self, work: Callable[[], T], at: Place) -> T:
        """Do work until it succeeds; errors as of :meth:`do`."""
        rules = Retrying(
            stop=stop_after_delay(self._budget), wait=wait, retry=retry_if_exception(is_passing), reraise=True
        )
        try:
            return rules(work)
        except FAILURES as error:
            raise meaning(error, at, who=self._who) from error

    def head(self, at: Place) -> Any:  # noqa: ANN401  the SDK's own
        """Return what TOS says of an object; errors as of :meth:`do`."""

        def once() -> Any:  # noqa: ANN401  the SDK's own
            try:
                return read_out(self.sdk.head_object(at.bucket, at.key))
            except TosServerError as error:
                if is_without_reason(error):  # the same refusal of a GET has a body that tells
                    self.reading.get_object(at.bucket, at.key, range_start=0, range_end=0).resp.resp.close()
                raise

        return self.again(once, at)


def read_out(answer: T) -> T:
    """Read an answer to its end, where the SDK leaves even an empty one open: its connection is free at once."""
    cast("Any", answer).resp.resp.raw.drain_conn()
    return answer


def checksum(data: bytes | bytearray) -> str | None:
    """Return Content-MD5 where the SDK's own check would be slow: without crcmod's C part it does 7 MB a second."""
    if crc_is_fast:
        return None
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _client(access: TosAccess, *, check: bool) -> Any:  # noqa: ANN401  the SDK has no types
    endpoint = access.endpoint.rstrip("/")
    if "tos-s3-" in endpoint:
        hint = "Take the endpoint of TOS itself: the same name without s3-."
        raise ConfigError(f"TOS_ENDPOINT {endpoint} speaks S3, which is another protocol", hint=hint)
    return tos.TosClientV2(
        access.access_key.reveal(),
        access.secret_key.reveal(),
        endpoint,
        access.region,
        security_token=access.security_token.reveal() if access.security_token else None,
        max_retry_count=0,
        max_connections=_CONNECTIONS,
        enable_crc=check,
        dns_cache_time=0,
        high_latency_log_threshold=1e-9,
        connection_time=10,
        socket_timeout=30,
    )
