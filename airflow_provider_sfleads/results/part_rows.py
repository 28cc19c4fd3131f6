"""Looks into one part of the results; runs in a process of its own, see :mod:`~.confined`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
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

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def rows_of(file: pq.ParquetFile, wanted: Wanted, *, skip: int, limit: int) -> PartRows:
    """Return wanted rows of a part, in their order.

    Memory holds :data:`~.parts.GROUP_ROWS` rows, and of those that are not shown few columns.

    :param skip: how many wanted rows to pass over.
    :param limit: how many to return at most.
    """
    actions, codes = Counter[str](), Counter[str]()
    rows: list[dict[str, Any]] = []
    total = 0
    for group in range(file.num_row_groups):
        columns = [*_SEARCHED, "action"] if wanted.search else _COUNTED
        places: list[int] = []
        for first, batch in _batches(file, group, columns):
            _count(batch, actions, codes)
            found = _matching(batch, wanted)
            start, end = (min(max(bound - total, 0), len(found)) for bound in (skip, skip + limit))
            places += [first + place for place in found.slice(start, end - start).to_pylist()]
            total += len(found)
        rows += _shown(file, group, places)
    return PartRows(rows=rows, total=total, actions=most_frequent(actions), codes=most_frequent(codes))


def most_frequent(counts: Counter[str]) -> dict[str, int]:
    """The most frequent words, and as many as anybody looks at: a part may hold a million that differ."""
    return {word[:_WORD_CHARACTERS]: count for word, count in counts.most_common(_MOST_WORDS)}


def _batches(
    file: pq.ParquetFile, group: int, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of a group, a batch at a time, with the place of the first."""
    first = 0
    for batch in file.iter_batches(batch_size=GROUP_ROWS, row_groups=[group], columns=columns, use_threads=False):
        yield first, batch
        first += batch.num_rows


def _count(batch: pa.RecordBatch, actions: Counter[str], codes: Counter[str]) -> None:
    import pyarrow.compute as pc

    action = batch.column("action")
    actions.update(_counts(action))
    codes.update(_counts(batch.column("error_code").filter(pc.equal(action, str(Action.REJECTED)))))


def _counts(column: pa.Array) -> dict[str, int]:
    import pyarrow.compute as pc

    return {str(each["values"]): each["counts"] for each in pc.value_counts(column).to_pylist()}


def _matching(batch: pa.RecordBatch, wanted: Wanted) -> pa.Array:
    """The places of the wanted rows in a batch."""
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
    """Which rows hold the text that is searched for."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    held = pa.array(np.zeros(batch.num_rows, dtype=bool))
    for name in _SEARCHED:
        match = pc.match_substring(batch.column(name), text, ignore_case=True)
        held = pc.or_(held, pc.fill_null(match, fill_value=False))
    return held


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
