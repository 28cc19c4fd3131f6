"""An export in chunks: record batches where its rows lie in columns, lists of rows where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.batches import batch_rows, in_python_types, is_readable

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows in columns, all of which Python's own types can hold; or rows one by one, and those that could not be read.
Chunk: TypeAlias = "pa.RecordBatch | list[Row | BadRow]"

#: Most rows of a chunk.
MAX_ROWS = 20_000
#: About the most bytes of a record batch; one row alone may have more.
MAX_BYTES = 4 * 1024 * 1024
_ROWS_OF_A_LIST = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkStream:
    """An opened export.

    :param columns: column names, in the export's order.
    :param chunks: the rows, once, in order; every record batch and every :data:`Row` has all ``columns``, in that
        order. A column may have another Arrow type in the next batch.
    """

    columns: tuple[str, ...]
    chunks: Iterator[Chunk] = field(repr=False)

    @property
    def rows(self) -> Iterator[Row | BadRow]:
        """The rows one by one, for what is few or slow anyway."""
        for chunk in self.chunks:
            yield from chunk_rows(chunk)


def chunk_rows(chunk: Chunk) -> Iterator[Row | BadRow]:
    """Yield the rows of a chunk one by one."""
    if isinstance(chunk, list):
        yield from chunk
    else:
        yield from batch_rows(chunk, where="the export", first=1)


def batch_chunks(batches: Iterable[Chunk], where: str) -> Iterator[Chunk]:
    """Yield the rows of a source's batches in batches of at most :data:`MAX_ROWS` and about :data:`MAX_BYTES`.

    Small ones are put together, for what is done once a batch; an error among them comes after the rows before it.
    A batch with a value that Python cannot hold (year 10000, text that is not UTF-8) becomes a list of rows, and a list
    of rows stays one.

    :param where: name of the source, for messages.
    """
    first = 1
    for batch in gathered(batches):
        if isinstance(batch, list):
            yield batch
            first += len(batch)
            continue
        for piece in sized(batch):
            readable = in_python_types(piece)
            yield readable if is_readable(readable) else list(batch_rows(readable, where=where, first=first))
            first += len(piece)


def sized(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield ``batch`` in pieces of at most :data:`MAX_ROWS` and about :data:`MAX_BYTES`."""
    pieces = max(-(-batch.nbytes // MAX_BYTES), 1)
    length = max(min(MAX_ROWS, batch.num_rows // pieces), 1)
    for start in range(0, batch.num_rows, length):
        yield batch.slice(start, length)


def gathered(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield chunks with small record batches of one schema put together; an error comes after the rows before it."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        for chunk in chunks:
            if held and not _fits(chunk, held[0], rows, size):
                yield _joined(held)
                held, rows, size = [], 0, 0
            if isinstance(chunk, list):
                yield chunk
                continue
            held.append(chunk)
            rows += chunk.num_rows
            size += chunk.nbytes
    except Exception:
        if held:
            yield _joined(held)
        raise
    if held:
        yield _joined(held)


def _fits(chunk: Chunk, held: pa.RecordBatch, rows: int, size: int) -> bool:
    return (
        not isinstance(chunk, list)
        and rows + chunk.num_rows <= MAX_ROWS
        and size + chunk.nbytes <= MAX_BYTES
        and chunk.schema.equals(held.schema)
    )


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    whole = batches if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole[0] if whole else batches[0]


def row_chunks(rows: Iterable[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    """Yield ``rows`` in lists; an error among them comes after the rows before it."""
    rows = iter(rows)
    while True:
        chunk: list[Row | BadRow] = []
        try:
            chunk.extend(islice(rows, _ROWS_OF_A_LIST))
        except Exception:
            if chunk:
                yield chunk
            raise
        if not chunk:
            return
        yield chunk
