"""Looks into the results of one execution, a page of rows at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.parts import part_names

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_COUNTED = ["action", "error_code"]
_SEARCHED = ("key", "reason", "error_code", "error_message", "salesforce_id", "contact_id", "old_stage", "new_stage")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPage:
    """Some rows of an execution.

    :param rows: by the columns' names; times are ISO 8601.
    :param total: how many rows there are that were wanted.
    :param actions: rows of each action, of the whole execution.
    :param codes: rejected rows of each error code, likewise; most frequent first.
    """

    rows: Sequence[Mapping[str, object]]
    total: int
    actions: Mapping[str, int]
    codes: Mapping[str, int]


def page_of(directory: Directory, wanted: Wanted, *, offset: int, limit: int) -> ResultsPage:
    """Return wanted rows, in the order of the results.

    Memory holds one group of rows (:data:`~.parts.GROUP_ROWS`), and of those that are not on the page few columns.

    :param directory: folder of the execution.
    :param offset: wanted rows before the page.
    :param limit: rows to a page.
    :raises OSError, ValueError: where the results cannot be read.
    """
    try:
        look = _look(directory, wanted, offset, limit)
    except FileNotFoundError:
        # While a task runs, its small parts become large ones; once joined, they are not joined again at once.
        look = _look(directory, wanted, offset, limit)
    return ResultsPage(
        rows=look.rows, total=look.total, actions=dict(look.actions), codes=dict(look.codes.most_common())
    )


def _look(directory: Directory, wanted: Wanted, offset: int, limit: int) -> _Look:
    look = _Look(wanted, offset, limit)
    for name in part_names(directory):
        look.into(directory, name)
    return look


class _Look:
    def __init__(self, wanted: Wanted, offset: int, limit: int) -> None:
        self._wanted = wanted
        self._first, self._end = offset, offset + limit
        self.rows: list[Mapping[str, object]] = []
        self.total = 0
        self.actions: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()

    def into(self, directory: Directory, name: str) -> None:
        import pyarrow.parquet as pq

        with directory.open(name) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                self._take(file, group)

    def _take(self, file: pq.ParquetFile, group: int) -> None:
        import pyarrow.compute as pc

        columns = [*_SEARCHED, "action"] if self._wanted.search else _COUNTED
        table = file.read_row_group(group, columns=columns)
        is_rejected = pc.equal(table["action"], str(Action.REJECTED))
        self.actions.update(_counts(table["action"]))
        self.codes.update(_counts(table["error_code"].filter(is_rejected)))
        places = self._matching(table)
        start, end = (min(max(bound - self.total, 0), len(places)) for bound in (self._first, self._end))
        self.total += len(places)
        if end > start:
            rows = file.read_row_group(group).take(places.slice(start, end - start)).to_pylist()
            self.rows += [row | {"finished_at": _moment(row["finished_at"])} for row in rows]

    def _matching(self, table: pa.Table) -> pa.Array:
        """The places of the wanted rows in a group."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pa.array(np.ones(table.num_rows, dtype=bool))
        if self._wanted.action:
            found = pc.and_(found, pc.equal(table["action"], self._wanted.action))
        if self._wanted.code:
            found = pc.and_(found, pc.fill_null(pc.equal(table["error_code"], self._wanted.code), fill_value=False))
        if self._wanted.search:
            found = pc.and_(found, self._holding(table))
        return pc.indices_nonzero(found)

    def _holding(self, table: pa.Table) -> pa.Array:
        """Which rows hold the text that is searched for."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        held = pa.array(np.zeros(table.num_rows, dtype=bool))
        for name in _SEARCHED:
            match = pc.match_substring(table[name], self._wanted.search, ignore_case=True)
            held = pc.or_(held, pc.fill_null(match, fill_value=False))
        return held


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    import pyarrow.compute as pc

    return {str(each["values"]): each["counts"] for each in pc.value_counts(column).to_pylist()}


def _moment(value: object) -> object:
    from datetime import datetime

    return value.isoformat() if isinstance(value, datetime) else value
