"""A CSV file in chunks: pyarrow reads what it surely reads as the row reader does, the row reader the rest."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exports.chunks import MAX_ROWS, Chunk, row_chunks
from airflow_provider_sfleads.exports.csv_blocks import BlockSource, is_plain, record_end
from airflow_provider_sfleads.exports.csv_header import HeaderAgain, header_of
from airflow_provider_sfleads.exports.csv_records import Record, records
from airflow_provider_sfleads.exports.csv_rows import rows_of
from airflow_provider_sfleads.exports.streams import ByteStream

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1024 * 1024
#: A block that pyarrow is not to read is halved down to this, so that one odd record does not cost a whole block.
_SMALL = 16 * 1024


def read_chunks(stream: ByteStream, name: str, delimiter: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the file's rows in chunks: the same rows, with the same errors at the same place, as its row reader.

    :param columns: all the file's columns, in the order the rows are to have.
    """
    source = BlockSource(stream)
    header = header_of(records(source, name, delimiter), name, delimiter)
    again = HeaderAgain(header, name)
    parser = _Parser(header, columns, delimiter, again)
    while (block := source.ahead(_BLOCK)) or not source.is_last:
        whole = len(block) if source.is_last and len(block) < _BLOCK else record_end(block)
        # Nested stretches of the block that are still to be read, by where they end, the next one last.
        ends = [source.offset + whole]
        while ends:
            size = ends[-1] - source.offset
            piece = source.ahead(size) if size > 0 else b""
            batch = parser.parsed(piece)
            if batch is not None:
                source.take(size)
                for start in range(0, batch.num_rows, MAX_ROWS):
                    yield batch.slice(start, MAX_ROWS)
            elif size > _SMALL and (half := record_end(piece[: size // 2])):
                ends.append(source.offset + half)
                continue
            elif size >= 0:
                found = _until(ends[-1], source, name, delimiter)
                yield from row_chunks(rows_of(found, header, columns, name, again))
            ends.pop()


def _until(end: int, source: BlockSource, name: str, delimiter: str) -> Iterator[Record]:
    """Yield records until one ends at or after an offset; at least one."""
    for record in records(source, name, delimiter, offset=source.offset, lines=source.lines):
        yield record
        if source.offset >= end:
            return


class _Parser:
    """pyarrow's CSV reader, set to read as the row reader does: every value is text, and an empty one is ``""``."""

    def __init__(self, header: tuple[str, ...], columns: tuple[str, ...], delimiter: str, again: HeaderAgain) -> None:
        import pyarrow as pa
        from pyarrow import csv as pa_csv

        self._header = header
        self._again = again
        self._beginnings = pa.array(sorted(again.beginnings))
        self._delimiter = delimiter
        self._reading = pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK + 1, column_names=list(header))
        self._parsing = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        self._converting = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), include_columns=list(columns), strings_can_be_null=False
        )

    def parsed(self, block: bytes) -> pa.RecordBatch | None:
        """Return the rows of whole records, or None where it is not sure that they are read right."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv as pa_csv

        if not block or not is_plain(block, self._delimiter, len(self._header)):
            return None
        try:
            table = pa_csv.read_csv(pa.BufferReader(block), self._reading, self._parsing, self._converting)
        except pa.ArrowInvalid:  # too many or too few values, or no UTF-8: the row reader says where
            return None
        (batch,) = table.combine_chunks().to_batches() or [None]
        if batch is None or self._holds_header(batch):
            return None
        longest = (pc.max(pc.binary_length(column)).as_py() for column in batch.columns)
        return batch if max(longest) <= csv.field_size_limit() else None

    def _holds_header(self, batch: pa.RecordBatch) -> bool:
        import pyarrow.compute as pc

        first = pc.utf8_trim_whitespace(batch.column(self._header[0]))
        maybe = pc.is_in(pc.utf8_lower(first), value_set=self._beginnings)
        if not all(map(str.isascii, self._again.beginnings)):
            # Of some letters beyond ASCII Python makes another lower case than Arrow.
            maybe = pc.or_(maybe, pc.invert(pc.string_is_ascii(first)))
        lines = batch.filter(maybe).select(list(self._header))
        return any(self._again.is_in(values) for values in zip(*lines.to_pydict().values(), strict=True))
