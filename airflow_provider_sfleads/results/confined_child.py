"""The process in which Parquet is read that may be hostile; :mod:`~.confined` begins it and talks to it."""

from __future__ import annotations

import io
import json
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.results.part_rows import Wanted, rows_of

#: What reading one file may take beyond what the process itself does.
MEMORY_BYTES = 512 * 1024 * 1024
#: Most bytes of a file that are handed over at once.
ASKED_BYTES = 1024 * 1024
_LONGEST_REASON = 200


class _Remote(io.RawIOBase):
    """A file of which the other process hands over the bytes."""

    def __init__(self, connection: Connection[Any, Any], size: int) -> None:
        self._connection = connection
        self._size = size
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at if size < 0 else min(size, self._size - self._at)
        pieces = []
        while left > 0:
            asked = {"read": [self._at, min(left, ASKED_BYTES)]}
            self._connection.send_bytes(json.dumps(asked).encode())
            piece = self._connection.recv_bytes(ASKED_BYTES)
            if not piece:
                break
            pieces.append(piece)
            self._at += len(piece)
            left -= len(piece)
        return b"".join(pieces)


def main(handle: int, seconds: int) -> None:
    """Answer until nobody asks any more.

    :param handle: file descriptor of the connection.
    :param seconds: of the processor's time, after which the process ends in any case.
    """
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet

    # All that is needed is loaded before memory is short.
    connection: Connection[Any, Any] = Connection(handle)
    pa.set_cpu_count(1)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # What would be dumped is personal data.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send_bytes(b"{}")
    while True:
        try:
            asked = json.loads(connection.recv_bytes(ASKED_BYTES))
        except (EOFError, ConnectionError):
            return
        connection.send_bytes(_answer(connection, asked))


def _answer(connection: Connection[Any, Any], asked: dict[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pa.PythonFile(_Remote(connection, asked["size"]), "r")
        with pq.ParquetFile(source, pre_buffer=False) as file:
            found = rows_of(file, Wanted(**asked["wanted"]), skip=asked["skip"], limit=asked["limit"])
        return json.dumps(found.as_json(), allow_nan=False).encode()
    except MemoryError:
        return _problem(f"it takes more than {MEMORY_BYTES // 1024**2} MB of memory.")
    except Exception as error:  # noqa: BLE001 - whatever Arrow makes of it
        words = " ".join(" ".join(map(str, error.args)).split())
        return _problem(f"{words[:_LONGEST_REASON]} ({type(error).__name__})")


def _problem(words: str) -> bytes:
    return json.dumps({"problem": words}).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
