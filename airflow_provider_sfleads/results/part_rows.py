"""Looks into one part of the results, which may be hostile: in a process of its own that :mod:`~.confined` begins."""

from __future__ import annotations

import io
import json
import resource
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.results.parts import GROUP_ROWS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_COUNTED = ["action", "error_code"]
_SEARCHED = ("key", "reason", "error_code", "error_message", "salesforce_id", "contact_id", "old_stage", "new_stage")
# No value that a sync writes comes near it, and no page needs more to tell what a value is.
_SHOWN_CHARACTERS = 10_000
# Salesforce has some hundred error codes, the longest of which has less than a hundred characters.
_MOST_WORDS, _WORD_CHARACTERS = 1_000, 200
#: What reading one file may take beyond what the process itself does.
MEMORY_BYTES = 512 * 1024 * 1024
#: Most bytes of a file that are handed over at once.
ASKED_BYTES = 1024 * 1024
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows to look at; an empty text is no condition.

    :param action: of that action.
    :param code: rejected with that error code.
    :param search: with that text, in any letter case, in some column.
    """

    action: str = ""
    code: str = ""
    search: str = ""


@dataclass(slots=True, kw_only=True)
class PartRows:
    """What was found in a part.

    :param rows: wanted rows, by the columns' names; times are ISO 8601.
    :param total: how many rows there are that were wanted.
    :param actions: rows of each action, of the whole part.
    :param codes: rejected rows of each error code, likewise; see :func:`most_frequent`.
    """

    rows: list[dict[str, Any]]
    total: int
    actions: dict[str, int]
    codes: dict[str, int]


def rows_of(file: pq.ParquetFile, wanted: Wanted, *, skip: int, limit: int) -> PartRows:
    """Return wanted rows of a part, in their order.

    Memory holds :data:`~.parts.GROUP_ROWS` rows, and of those that are not shown few columns.

    :param skip: how many wanted rows to pass over.
    :param limit: how many to return at most.
    """
    import pyarrow.compute as pc

    actions, codes = Counter[str](), Counter[str]()
    rows: list[dict[str, Any]] = []
    total = 0
    columns = [*_SEARCHED, "action"] if wanted.search else _COUNTED
    for group in range(file.num_row_groups):
        places: list[int] = []
        for first, batch in _batches(file, group, columns):
            action = batch.column("action")
            actions.update(_counts(action))
            codes.update(_counts(batch.column("error_code").filter(pc.equal(action, str(Action.REJECTED)))))
            found = _matching(batch, wanted)
            start, end = (min(max(bound - total, 0), len(found)) for bound in (skip, skip + limit))
            places += [first + place for place in found.slice(start, end - start).to_pylist()]
            total += len(found)
        rows += _shown(file, group, places)
    return PartRows(rows=rows, total=total, actions=most_frequent(actions), codes=most_frequent(codes))


def most_frequent(counts: Counter[str]) -> dict[str, int]:
    """Return the most frequent words, and as many as anybody looks at: a part may hold a million that differ."""
    return {word[:_WORD_CHARACTERS]: count for word, count in counts.most_common(_MOST_WORDS)}


def _batches(
    file: pq.ParquetFile, group: int, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the rows of a group, a batch at a time, with the place of the first."""
    first = 0
    for batch in file.iter_batches(batch_size=GROUP_ROWS, row_groups=[group], columns=columns, use_threads=False):
        yield first, batch
        first += batch.num_rows


def _counts(column: pa.Array) -> dict[str, int]:
    import pyarrow.compute as pc

    return {str(each["values"]): each["counts"] for each in pc.value_counts(column).to_pylist()}


def _matching(batch: pa.RecordBatch, wanted: Wanted) -> pa.Array:
    """Return the places of the wanted rows in a batch."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(np.ones(batch.num_rows, dtype=bool))
    if wanted.action:
        found = pc.and_(found, pc.equal(batch.column("action"), wanted.action))
    if wanted.code:
        found = pc.and_(found, pc.fill_null(pc.equal(batch.column("error_code"), wanted.code), fill_value=False))
    if wanted.search:
        found = pc.and_(found, _holding(batch, wanted.search))
    return pc.indices_nonzero(found)


def _holding(batch: pa.RecordBatch, text: str) -> pa.Array:
    """Return which rows hold the text that is searched for."""
    import pyarrow.compute as pc

    matches = (pc.match_substring(batch.column(name), text, ignore_case=True) for name in _SEARCHED)
    return reduce(pc.or_, (pc.fill_null(match, fill_value=False) for match in matches))


def _shown(file: pq.ParquetFile, group: int, places: Sequence[int]) -> list[dict[str, Any]]:
    if not places:
        return []
    rows: list[dict[str, Any]] = []
    for first, batch in _batches(file, group):
        here = [place - first for place in places if first <= place < first + batch.num_rows]
        rows += ({name: _plain(value) for name, value in row.items()} for row in batch.take(here).to_pylist())
        if len(rows) == len(places):
            break
    return rows


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]}..."
    return value


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
        return json.dumps(asdict(found), allow_nan=False).encode()
    except MemoryError:
        problem = f"it takes more than {MEMORY_BYTES // 1024**2} MB of memory."
    except Exception as error:  # noqa: BLE001 - whatever Arrow makes of it
        words = " ".join(" ".join(map(str, error.args)).split())
        problem = f"{words[:_LONGEST_REASON]} ({type(error).__name__})"
    return json.dumps({"problem": problem}).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
