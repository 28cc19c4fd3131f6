"""Open a file at any storage, unpack it, and read its lines, with errors that name the place.

By its first bytes a file is told that is not what its name says. Signatures: RFC 1952 (gzip), RFC 8878 (Zstandard),
PKWARE's APPNOTE 4.3 (ZIP, which Excel workbooks are), MS-CFB 2.2 (old Excel workbooks), and the specifications of
Parquet, ORC, Avro, bzip2 and xz.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_sfleads.exceptions import ExportError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

ByteStream = IO[bytes]
ReadLine = Callable[[int], bytes]
"""Returns the next line of a file with its end, or so many bytes of it; nothing at the end."""
#: Longest line that is taken for one; it bounds memory for a file that has no line breaks at all.
MAX_LINE_BYTES = 16 * 1024 * 1024
BYTE_ORDER_MARK = "\ufeff"
_BUFFER = 256 * 1024
_FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}

#: Bytes of a file's head that are looked at.
HEAD = 4096

_NAMES = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet", "gzip": "gzip", "zstd": "zstd"}
_SIGNATURES = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"PARE"), "a Parquet file with an encrypted footer"),
    # What the archive holds first differs by the program that wrote the workbook.
    (re.compile(rb"PK\x03\x04.*?(\[Content_Types\]\.xml|docProps/|xl/)", re.DOTALL), "an Excel workbook"),
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a ZIP archive"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel workbook"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2 file"),
    (re.compile(rb"\xfd7zXZ\0"), "an xz file"),
    (re.compile(rb"Obj\x01"), "an Avro file"),
    (re.compile(rb"ORC"), "an ORC file"),
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*"')
# Control characters that no text holds.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_REMEDIES = {
    "gzip": "Let its name end in .gz, or unpack it",
    "zstd": "Let its name end in .zst, or unpack it",
    "parquet": "Let its name end in .parquet, or say format='parquet'",
    "jsonl": "Let its name end in .jsonl, or say format='jsonl'",
    "plain text": "Let its name end as what it is",
}
_OTHER_REMEDY = "Write it as CSV, JSON Lines or Parquet"


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


def text_lines(readline: ReadLine, name: str, *, offset: int = 0, number: int = 0) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file with their ``\n``, which is the only character that ends one.

    :param offset: bytes of the file that were read before.
    :param number: lines of the file that were read before.
    :raises ExportError: another encoding, a byte that is not UTF-8, a line beyond :data:`MAX_LINE_BYTES`, or a file
        that cannot be read to its end.
    """
    while True:
        with storage_errors(name):
            line = readline(MAX_LINE_BYTES + 1)
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


def check_head(head: bytes, expected: str, name: str) -> None:
    """Refuse a file that begins as something else than it is to be.

    :param head: its first :data:`HEAD` bytes or so; none where it is empty, which is no matter here.
    :param expected: ``csv``, ``jsonl``, ``parquet``, ``gzip`` or ``zstd``.
    :raises ExportError: it says what the file is, and what to do.
    """
    found = _found(head, expected)
    if not head or found == expected:
        return
    what = f"a {_NAMES[found]} file" if found in _NAMES else found
    remedy = _REMEDIES.get(found, _OTHER_REMEDY)
    raise ExportError(f"{name} is no {_NAMES[expected]} file but {what}, by its first bytes. {remedy}.")


def _found(head: bytes, expected: str) -> str:
    """Say what a file is; of text, and of what is not known, where it need not be more, that it is what it is to be."""
    is_lines = expected in ("csv", "jsonl")
    if not _is_text(head):
        found = next((what for signature, what in _SIGNATURES if signature.match(head)), "")
        # What is neither known nor UTF-8 is told better by who reads its lines.
        return found or (expected if is_lines else "of no format that is known")
    head = head.removeprefix(codecs.BOM_UTF8)
    if _PAGE.match(head):
        return "a web page or XML"
    if expected == "csv" and _JSON.match(head):
        return "jsonl"
    return expected if is_lines else "plain text"


def _is_text(head: bytes) -> bool:
    """Say whether a head is UTF-8: text may begin as other formats do, such as with a column named ``PAR1``."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # it may end in the middle of a character
    except UnicodeDecodeError:
        return False
    return _NO_TEXT.search(head) is None
