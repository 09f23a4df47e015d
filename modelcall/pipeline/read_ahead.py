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
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from io import BufferedReader, RawIOBase
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa

from modelcall.log import Message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from _typeshed import WriteableBuffer as Buffer

    from modelcall.formats.base import Source
    from modelcall.pipeline.job import FileJob

ARRIVAL_SECONDS: Final = 1.0
"""How long a reader is waited for that was not declined: it comes within milliseconds, unless it dies on its way."""
PATIENCE_SECONDS: Final = 5.0
"""How long one that has come may be silent."""
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
        with ExitStack() as stack:
            with TemporaryDirectory(prefix="modelcall-") as folder:
                path = f"{folder}/rows"
                os.mkfifo(path, 0o600)
                end = _End(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
                pipe = stack.enter_context(BufferedReader(end, _BUFFER_BYTES))
                self._ask(replace(job, read_into=path, learned=(source.learned,)))
                end.wait(ARRIVAL_SECONDS)
                if pipe.read(len(_HERE)) != _HERE:
                    raise BrokenPipeError
            say(Message.READ_AHEAD, file=job.name)
            yield pipe


class _End(RawIOBase):
    """The end of a pipe that is read from. It does not wait for ever: a process that is stopped closes nothing."""

    def __init__(self, end: int) -> None:
        self._end = end
        with suppress(OSError, AttributeError):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)
        self._coming = select.poll()
        self._coming.register(end, select.POLLIN)

    def wait(self, seconds: float) -> None:
        """Wait until there is something to read, or the other end is closed."""
        if not self._coming.poll(seconds * 1000):
            raise TimeoutError

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read what there is, as soon as there is anything."""
        self.wait(PATIENCE_SECONDS)
        return os.readv(self._end, [buffer])

    def close(self) -> None:
        """Let the other end know."""
        if not self.closed:
            os.close(self._end)
        super().close()


def decline(pipe: str) -> None:
    """Let nobody wait for a reader."""
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def read_into(pipe: str, open_source: Callable[[], tuple[Source, pa.Schema]]) -> None:
    """Write a source's batches into a pipe, as far as they are wanted. Blocking.

    A file that cannot be read is no failure here: who publishes it meets the same, and says so. The pipe has no name
    before anything is in it: nobody else can write into what one that died has left unfinished.
    """
    with suppress(Exception):
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # an error if nobody waits any more
        with os.fdopen(end, "wb", _BUFFER_BYTES) as sink:
            Path(pipe).unlink()
            os.set_blocking(end, True)
            sink.write(_HERE)
            sink.flush()
            source, schema = open_source()
            with closing(source), pa.ipc.new_stream(sink, schema) as stream:
                for batch in source.batches(schema):
                    stream.write_batch(batch)
                nothing = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
                stream.write_batch(nothing, custom_metadata={_BLANK_LINES: str(source.blank_lines)})
