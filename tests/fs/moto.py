"""An S3 of one's own: moto's server in a child process, which ends when this one does."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def moto_server() -> Iterator[str]:
    """Yield the address of a new S3."""
    child = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with child:  # waits for its end, which that of its input brings about
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        gc.collect()  # a client of s3fs that goes later is closed by a task in whatever loop runs then
        child.communicate()
