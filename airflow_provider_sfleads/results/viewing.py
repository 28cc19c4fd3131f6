"""Looks into the results of one execution, a page of rows at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_sfleads.results.confined import ConfinedReader, UnreadableError
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.part_rows import Wanted, most_frequent
from airflow_provider_sfleads.results.parts import part_names


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPage:
    """Some rows of an execution.

    :param rows: by the columns' names; times are ISO 8601.
    :param total: how many rows there are that were wanted.
    :param actions: rows of each action, of the whole execution.
    :param codes: rejected rows of each error code, likewise; most frequent first, and
        no more than a thousand.
    :param problems: which parts could not be read, and why; their rows are not in what is told.
    """

    rows: Sequence[Mapping[str, object]]
    total: int
    actions: Mapping[str, int]
    codes: Mapping[str, int]
    problems: Sequence[str] = ()


def page_of(directory: Directory, wanted: Wanted, *, offset: int, limit: int) -> ResultsPage:
    """Return wanted rows, in the order of the results.

    The parts are read by a process of its own, whose memory and time are bounded (:mod:`~.confined`).

    :param directory: folder of the execution.
    :param offset: wanted rows before the page.
    :param limit: rows to a page.
    :raises OSError: where the storage cannot be read.
    """
    try:
        return _look(directory, wanted, offset, limit)
    except FileNotFoundError:
        # While a task runs, its small parts become large ones; once joined, they are not joined again at once.
        return _look(directory, wanted, offset, limit)


def _look(directory: Directory, wanted: Wanted, offset: int, limit: int) -> ResultsPage:
    rows: list[Mapping[str, object]] = []
    problems: list[str] = []
    total = 0
    actions, codes = Counter[str](), Counter[str]()
    with ConfinedReader() as reader:
        for name in part_names(directory):
            skip, left = max(offset - total, 0), limit - len(rows)
            try:
                with directory.open(name) as stream:
                    found = reader.rows_of(stream, wanted, skip=skip, limit=left)
            except (UnreadableError, PermissionError) as problem:
                problems.append(f"{name} cannot be read: {problem}")
                continue
            rows += found.rows
            total += found.total
            actions = Counter(most_frequent(actions + Counter(found.actions)))
            codes = Counter(most_frequent(codes + Counter(found.codes)))
    return ResultsPage(rows=rows, total=total, actions=actions, codes=most_frequent(codes), problems=problems)
