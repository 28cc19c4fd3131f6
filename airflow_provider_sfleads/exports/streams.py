"""Bytes and lines of a file at any storage, with errors that name the place."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Protocol, cast

from airflow_provider_sfleads.exceptions import ExportError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

ByteStream = IO[bytes]
#: Longest line that is taken for one; it bounds memory for a file that has no line breaks at all.
MAX_LINE_BYTES = 16 * 1024 * 1024
_BUFFER = 256 * 1024
_FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn what storage and decompression raise into :class:`ExportError`."""
    try:
        yield
    except ExportError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ExportError(f"{name} is a damaged or cut-off gzip file ({problem}). Write it again.") from None
    except (OSError, ValueError, ImportError) as problem:
        raise ExportError(f"{name} cannot be read: {type(problem).__name__}: {problem}") from None


@contextmanager
def opened(fs: AbstractFileSystem, path: str, name: str, compression: str | None) -> Iterator[ByteStream]:
    """Open a file for buffered reading, decompressed while it is read."""
    with ExitStack() as stack:
        with storage_errors(name):
            stream = stack.enter_context(fs.open(path, "rb"))
            if compression == "gzip":
                stream = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            elif compression == "zstd":
                # pyarrow's decompressor notices a cut-off file; that of zstandard ends as if all were well.
                import pyarrow as pa

                stream = pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
            buffered = stack.enter_context(io.BufferedReader(stream, _BUFFER))
        yield cast("ByteStream", buffered)


class LineSource(Protocol):
    """What lines of bytes come from."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line with its end, or so many bytes of it; nothing at the end."""


def text_lines(stream: LineSource, name: str, *, offset: int = 0, number: int = 0) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file with their ``\n``, which is the only character that ends one.

    :param offset: bytes of the file that were read before.
    :param number: lines of the file that were read before.
    :raises ExportError: another encoding, a byte that is not UTF-8, a line beyond :data:`MAX_LINE_BYTES`, or a file
        that cannot be read to its end.
    """
    while True:
        with storage_errors(name):
            line = stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ExportError(
                f"{name}, line {number} is longer than {MAX_LINE_BYTES:,} bytes; this is not a file of lines."
            )
        yield _decoded(line, name, number, offset)
        offset += len(line)


def _decoded(line: bytes, name: str, number: int, offset: int) -> str:
    if number == 1:
        for mark, encoding in _FOREIGN_MARKS.items():
            if line.startswith(mark):
                raise ExportError(f"{name} is encoded in {encoding}; save it as UTF-8.")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ExportError(
            f"{name}, line {number}, byte {offset + problem.start}: 0x{line[problem.start]:02X} is not UTF-8. "
            "The file is in another encoding (Windows-1252?); save it as UTF-8."
        ) from None
    return text.removeprefix("\ufeff") if number == 1 else text
