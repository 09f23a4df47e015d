"""Reading ahead: a worker that has nothing to do reads a large file for the one that publishes it.

Making columns of JSON Lines takes as long as all else about publishing, and one process runs Python on one core. So
whoever publishes a file that several have scored asks for a reader. The rows come through a named pipe, as an Arrow
stream that ends with an empty batch; the pipe bounds how far ahead they are. They are the very batches that the
publisher would have made, which reads by itself if nobody has time, and reads on by itself if its reader dies.
"""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa

from modelcall.errors import ModelCallError
from modelcall.log import Message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from modelcall.formats.base import Source
    from modelcall.pipeline.job import FileJob

PATIENCE_SECONDS: Final = 5.0
"""How long a reader is waited for that was not declined: it comes within milliseconds, unless it dies on its way."""
_BUFFER_BYTES = 1 << 20
"""Of the pipe, where its size can be set (Linux): with its usual 64 KiB both ends wait for each other all the time."""
_HERE = b"\n"
"""A reader's first word: the first batch may be long in coming."""
_BLANK_LINES = b"blank_lines"
"""What the last batch tells, which has no rows."""


class ReadAhead:
    """Has files read by others.

    Args:
        ask: Has a job done by somebody who has nothing else to do, or has it declined; returns at once.
    """

    def __init__(self, ask: Callable[[FileJob], object]) -> None:
        self._ask = ask

    def batches(self, job: FileJob, source: Source, schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
        """Yield the batches of a source, as it does itself, and set its count of blank lines."""
        taken = 0
        with suppress(OSError, pa.ArrowException), self._pipe(job, source) as pipe, pa.ipc.open_stream(pipe) as stream:
            if not stream.schema.equals(schema, check_metadata=True):
                raise pa.ArrowInvalid("not the columns that are wanted")
            for batch, facts in stream.iter_batches_with_custom_metadata():
                if facts is not None:
                    source.blank_lines = int(facts[_BLANK_LINES])
                    return
                taken += 1
                yield batch
        yield from islice(source.batches(schema), taken, None)

    @contextmanager
    def _pipe(self, job: FileJob, source: Source) -> Iterator[BinaryIO]:
        """Ask for a reader, and yield what it writes.

        Raises:
            OSError: There is none.
        """
        with TemporaryDirectory(prefix="modelcall-") as folder:
            path = f"{folder}/rows"
            os.mkfifo(path, 0o600)
            end = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with suppress(OSError, AttributeError):
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)
            with os.fdopen(end, "rb", _BUFFER_BYTES) as pipe:
                self._ask(replace(job, read_into=path, learned=(source.learned,)))
                waiting = select.poll()
                waiting.register(end, select.POLLIN)
                if not waiting.poll(PATIENCE_SECONDS * 1000):
                    raise TimeoutError
                os.set_blocking(end, True)
                if pipe.read(len(_HERE)) != _HERE:
                    raise BrokenPipeError
                say(Message.READ_AHEAD, file=job.name)
                yield pipe


def decline(pipe: str) -> None:
    """Let nobody wait for a reader."""
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def read_into(pipe: str, open_source: Callable[[], tuple[Source, pa.Schema]]) -> None:
    """Write a source's batches into a pipe, as far as they are wanted. Blocking.

    A file that cannot be read is no failure here: who publishes it meets the same, and says so.
    """
    with suppress(OSError, ModelCallError, pa.ArrowException):
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # an error if nobody waits any more
        os.set_blocking(end, True)
        with os.fdopen(end, "wb", _BUFFER_BYTES) as sink:
            sink.write(_HERE)
            sink.flush()
            source, schema = open_source()
            with closing(source), pa.ipc.new_stream(sink, schema) as stream:
                for batch in source.batches(schema):
                    stream.write_batch(batch)
                nothing = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
                stream.write_batch(nothing, custom_metadata={_BLANK_LINES: str(source.blank_lines)})
