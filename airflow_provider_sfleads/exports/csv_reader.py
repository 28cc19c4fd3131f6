"""A CSV file in record batches: pyarrow reads the blocks that it surely reads as CSV is meant, the rest goes by record.

Only by the record is it known what is wrong with a row, and on which line it stands (``csv_records``).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from airflow_provider_sfleads.exports.csv_records import Record, RepeatedHeader, header_of, records, rows_of
from airflow_provider_sfleads.exports.record_batches import MAX_ROWS, Chunk, row_lists

_MAX_BLOCK = 1024 * 1024
#: A block that pyarrow is not to read is halved down to this, so that one odd record does not cost a whole block.
_MIN_BLOCK = 16 * 1024
_LINE = 4 * 1024
_MARK = b"\xef\xbb\xbf"
_QUOTE, _LF, _CR = b'"\n\r'


def read_chunks(stream: BufferedReader[Any], name: str, delimiter: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the file's rows in chunks.

    :param columns: all the file's columns, in the order the rows are to have.
    :raises ExportError: as ``csv_records`` does, after the rows before it.
    """
    source = _Source(stream)
    header = header_of(records(source.readline, name, delimiter), name, delimiter)
    repeated = RepeatedHeader(header, name)
    parsed = _parser(header, columns, delimiter, repeated)
    size = _MAX_BLOCK
    while (block := source.ahead(size)) or not source.is_at_end:
        whole = len(block) if source.is_at_end and len(block) < size else record_end(block)
        batch = parsed(block[:whole])
        if batch is not None:
            source.take(whole)
            for start in range(0, batch.num_rows, MAX_ROWS):
                yield batch.slice(start, MAX_ROWS)
            size = min(size * 2, _MAX_BLOCK)
        elif size > _MIN_BLOCK:
            size //= 2
        else:
            found = _records_until(source.offset + whole, source, name, delimiter)
            yield from row_lists(rows_of(found, header, columns, name, repeated))


def _records_until(end: int, source: _Source, name: str, delimiter: str) -> Iterator[Record]:
    """Yield records until one ends at or after an offset; at least one."""
    for record in records(source.readline, name, delimiter, offset=source.offset, lines=source.lines):
        yield record
        if source.offset >= end:
            return


class _Source:
    """A stream that is looked at ahead, and taken by the block or by the line.

    An error of the stream is raised only when all that came before it has been taken.
    """

    def __init__(self, stream: BufferedReader[Any]) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0
        self._has_ended = False
        self._problem: Exception | None = None
        #: Bytes and lines that were taken so far.
        self.offset = 0
        self.lines = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing comes after what was looked at, and no error either."""
        return self._has_ended and self._problem is None

    def ahead(self, size: int) -> bytes:
        """Return the next ``size`` bytes without taking them; fewer at the end and before an error."""
        lacking = self._at + size - len(self._held)
        if lacking > 0 and not self._has_ended:
            pieces = [self._held[self._at :]]
            while lacking > 0 and not self._has_ended:
                pieces.append(self._read())
                lacking -= len(pieces[-1])
            self._held, self._at = b"".join(pieces), 0
        return self._held[self._at : self._at + size]

    def _read(self) -> bytes:
        read = b""
        try:
            read = self._stream.read1()  # as much as one refill of its buffer
        except Exception as problem:  # noqa: BLE001  (raised when its place is reached)
            self._problem = problem
        self._has_ended = not read
        return read

    def take(self, size: int) -> None:
        """Take bytes that were looked at."""
        self.lines += self._held.count(b"\n", self._at, self._at + size)
        self._at += size
        self.offset += size

    def readline(self, limit: int) -> bytes:
        """Take the next line, as the ``readline`` of a stream."""
        size = _LINE
        while b"\n" not in (held := self.ahead(size)) and len(held) == size < limit:
            size = min(2 * size, limit)
        line = held[: held.find(b"\n") + 1 or limit][:limit]
        if not line.endswith(b"\n") and len(line) < limit and self._problem is not None:
            raise self._problem
        self.take(len(line))
        return line


def _parser(
    header: tuple[str, ...], columns: tuple[str, ...], delimiter: str, repeated: RepeatedHeader
) -> Callable[[bytes], pa.RecordBatch | None]:
    """Return pyarrow's CSV reader, set to read every value as text, and an empty one as ``""``.

    It gives the rows of whole records, or ``None`` where it is not sure that they are read right.
    """
    reading = pa_csv.ReadOptions(use_threads=False, block_size=_MAX_BLOCK + 1, column_names=list(header))
    parsing = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    converting = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), include_columns=list(columns), strings_can_be_null=False
    )

    def parsed(block: bytes) -> pa.RecordBatch | None:
        if not block or not is_plain(block, delimiter):
            return None
        try:
            table = pa_csv.read_csv(pa.BufferReader(block), reading, parsing, converting)
        except pa.ArrowInvalid:  # too many or too few values, or no UTF-8
            return None
        (batch,) = table.combine_chunks().to_batches() or [None]
        if batch is None or _holds_header(batch, header, repeated):
            return None
        longest = (pc.max(pc.binary_length(column)).as_py() for column in batch.columns)
        return batch if max(longest) <= csv.field_size_limit() else None

    return parsed


def _holds_header(batch: pa.RecordBatch, header: tuple[str, ...], repeated: RepeatedHeader) -> bool:
    beginnings = sorted(repeated.beginnings)
    first = pc.utf8_trim_whitespace(batch.column(header[0]))
    maybe = pc.is_in(pc.utf8_lower(first), value_set=pa.array(beginnings))
    if not "".join(beginnings).isascii():
        # Of some letters beyond ASCII Python makes another lower case than Arrow.
        maybe = pc.or_(maybe, pc.invert(pc.string_is_ascii(first)))
    lines = batch.filter(maybe).select(list(header))
    return any(map(repeated.is_in, zip(*lines.to_pydict().values(), strict=True)))


def record_end(block: bytes) -> int:
    """Return how many bytes of ``block``, which starts a record, are whole records, if its quotes are in order."""
    end = block.rfind(b"\n") + 1
    quotes = np.count_nonzero(np.frombuffer(block, np.uint8, count=end) == _QUOTE)
    while quotes % 2:  # this line break stands inside a value
        previous = block.rfind(b"\n", 0, end - 1) + 1
        quotes -= block.count(b'"', previous, end)
        end = previous
    return end


def is_plain(block: bytes, delimiter: str) -> bool:
    r"""Say whether ``block`` is surely read alike by ``csv_records`` and by pyarrow.

    That is so where quotes stand around values and are doubled inside them (RFC 4180), and ``\r`` outside them stands
    only before ``\n``.

    :param block: whole records, the last one with or without a line end.
    """
    # pyarrow takes a byte order mark away from any block and from no line.
    if b"\0" in block or block.startswith(_MARK) or b"\n" + _MARK in block:
        return False
    # With a line end at its end, so that each quote has neighbours: the last byte is that before the first.
    data = np.frombuffer(block if block.endswith(b"\n") else block + b"\n", np.uint8)
    quotes = np.flatnonzero(data == _QUOTE) if b'"' in block else np.empty(0, np.int64)
    opening, closing = quotes[0::2], quotes[1::2]
    if len(opening) != len(closing):
        return False
    if quotes.size:
        before, after = data[opening - 1], data[closing + 1]
        starts_value = (before == ord(delimiter)) | (before == _LF)
        ends_value = (after == ord(delimiter)) | (after == _LF) | (after == _CR)
        is_pair = opening[1:] == closing[:-1] + 1
        starts_value[1:] |= is_pair
        ends_value[:-1] |= is_pair
        if not (starts_value.all() and ends_value.all()):
            return False
    if b"\r" not in block:
        return True
    returns = np.flatnonzero(data == _CR)
    loose = returns[data[returns + 1] != _LF]
    return bool((np.searchsorted(quotes, loose) % 2 == 1).all())
