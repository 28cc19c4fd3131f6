"""Bytes and lines of a file at any storage, with errors that name the place."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.signatures import HEAD, check_head

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

ByteStream = IO[bytes]
#: Longest line that is taken for one; it bounds memory for a file that has no line breaks at all.
MAX_LINE_BYTES = 16 * 1024 * 1024
BYTE_ORDER_MARK = "\ufeff"
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
def opened(
    fs: AbstractFileSystem, path: str, name: str, compression: str | None, *, expected: str | None = None
) -> Iterator[io.BufferedReader]:
    """Open a file for buffered reading, decompressed while it is read.

    :param expected: format that has to be in it; default: any.
    :raises ExportError: it cannot be opened, or begins as a file of another format does.
    """
    with ExitStack() as stack:
        with storage_errors(name):
            stream = _buffered(stack.enter_context(fs.open(path, "rb")), stack)
            if compression is not None:
                check_head(stream.peek(HEAD)[:HEAD], compression, name)
                stream = _buffered(stack.enter_context(_unpacked(stream, compression)), stack)
            if expected is not None:
                check_head(stream.peek(HEAD)[:HEAD], expected, name)
        yield stream


def _buffered(stream: Any, stack: ExitStack) -> io.BufferedReader:  # noqa: ANN401 - files of fsspec have no type
    return stack.enter_context(io.BufferedReader(stream, _BUFFER))


def _unpacked(stream: io.BufferedReader, compression: str) -> AbstractContextManager[Any]:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=stream, mode="rb")
    # pyarrow's decompressor notices a cut-off file; that of zstandard ends as if all were well.
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, "r"), compression)  # type: ignore[no-any-return]


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
    return text.lstrip(BYTE_ORDER_MARK) if number == 1 else text
