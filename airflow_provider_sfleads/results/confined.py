"""Reads Parquet that may be hostile: in a process that has little memory, little time, and nothing to give away.

Whoever may write to ``results_path`` can leave a file of 25 KB there whose rows take gigabytes: runs of one value,
pages that unpack to anything, long values in dictionaries. Its footer says how many rows and bytes there are, and may
lie; the sizes that a reader goes by are those in front of each page, which Arrow offers no way to look at. So no check
before reading bounds it, nor does reading in small batches. The operating system does, and it also bounds what a fault
in the decoder can do to the API server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any, Self

from airflow_provider_sfleads.results.part_rows import ASKED_BYTES, PartRows, Wanted

#: Seconds that one file may take, of those that a page may take in all.
FILE_SECONDS, PAGE_SECONDS = 20.0, 60.0
# A page of a thousand rows has a few hundred kilobytes.
_ANSWER_BYTES = 32 * 1024 * 1024
_START_SECONDS = 60.0
# What Python itself may need to begin.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV")
_CHILD = "airflow_provider_sfleads.results.part_rows"
# Each has its own memory; whoever comes when all are taken waits.
_TURNS = threading.BoundedSemaphore(4)


class UnreadableError(ValueError):
    """A file cannot be read; the message says why, for people."""


class _GoneError(Exception):
    """The process is no more."""


class ConfinedReader:
    """Reads files one after the other, as long as there is time.

    A process serves until a file is the end of it; the next file has another one.

    :param file_seconds: how long one file may take.
    """

    def __init__(self, *, file_seconds: float = FILE_SECONDS) -> None:
        self._file_seconds = file_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._deadline = 0.0

    def __enter__(self) -> Self:
        if not _TURNS.acquire(timeout=PAGE_SECONDS):
            raise TimeoutError("Too many people look at results just now")
        self._deadline = time.monotonic() + PAGE_SECONDS
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end()
        finally:
            _TURNS.release()

    def rows_of(self, stream: IO[bytes], wanted: Wanted, *, skip: int, limit: int) -> PartRows:
        """Return wanted rows of a part, as :func:`~.part_rows.rows_of` does.

        :raises UnreadableError: where that cannot be done.
        """
        connection = self._connection or self._start()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UnreadableError(f"all of them together take longer than {PAGE_SECONDS:.0f} seconds.")
        asked = {"wanted": asdict(wanted), "skip": skip, "limit": limit, "size": stream.seek(0, os.SEEK_END)}
        try:
            answer = _answered(connection, stream, asked, min(left, self._file_seconds))
        except _GoneError:
            raise UnreadableError(f"the process that read it {_ending(self._end())}.") from None
        except BaseException:
            # It is late, or the two are out of step.
            self._end()
            raise
        if "problem" in answer:
            raise UnreadableError(answer["problem"])
        return PartRows(**answer)

    def _start(self) -> Connection[Any, Any]:
        ours, theirs = Pipe()
        with theirs:
            # Nothing else of the environment: there are Airflow's secrets in it.
            env = {name: os.environ[name] for name in _KEPT if name in os.environ}
            env |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ARROW_DEFAULT_MEMORY_POOL": "system"}
            one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
            handle = theirs.fileno()
            command = [sys.executable, "-m", _CHILD, str(handle), str(int(PAGE_SECONDS))]
            quiet = subprocess.DEVNULL
            self._process = subprocess.Popen(  # noqa: S603 - this package's own module
                command, env=env | one, pass_fds=[handle], stdin=quiet, stdout=quiet, stderr=quiet
            )
        self._connection = ours
        with suppress(_GoneError):
            if ours.poll(_START_SECONDS) and _received(ours) == {}:
                return ours
        raise ChildProcessError(f"The process that reads results does not begin: it {_ending(self._end())}")

    def _end(self) -> int:
        """End the process, if there is one, and return its exit code."""
        code = 0
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                # It ends by itself, or has just ended, and how is what is asked.
                self._process.wait(0.5)
            self._process.kill()
            code = self._process.wait()
        self._process = self._connection = None
        return code


def _answered(
    connection: Connection[Any, Any], stream: IO[bytes], asked: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Ask the process, and give it the bytes that it asks for in turn, until it has an answer.

    :raises UnreadableError: where there is none in time, or it is too large.
    :raises OSError: where the storage fails.
    """
    deadline = time.monotonic() + seconds
    _send(connection, json.dumps(asked).encode())
    while connection.poll(max(deadline - time.monotonic(), 0)):
        said = _received(connection)
        if "read" not in said:
            return said
        offset, size = said["read"]
        stream.seek(offset)
        _send(connection, stream.read(min(size, ASKED_BYTES)))
    raise UnreadableError(f"it takes longer than {seconds:g} seconds.")


def _send(connection: Connection[Any, Any], content: bytes) -> None:
    try:
        connection.send_bytes(content)
    except OSError:
        raise _GoneError from None


def _received(connection: Connection[Any, Any]) -> dict[str, Any]:
    try:
        content = connection.recv_bytes(_ANSWER_BYTES)
    except (EOFError, ConnectionError):
        raise _GoneError from None
    except OSError:
        # Longer than that is for this exception only a message that makes no sense.
        raise UnreadableError("what it holds is too large to be shown.") from None
    said: dict[str, Any] = json.loads(content)
    return said


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
