"""Which of Salesforce's two APIs for many records a load takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.rows import BadRow, Row, RowStream
from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.operators import by_rows
from airflow_provider_sfleads.operators.under_way import MOST_BY_ROWS, Course, UnderWay, Waiting

if TYPE_CHECKING:
    from airflow_provider_sfleads.exports.chunks import Chunk, ChunkStream

log = logging.getLogger(__name__)

_NO_HEADER = "duplicates='allow' takes a header that Bulk API 2.0 does not have"


def carry_out(load: UnderWay) -> Course | Waiting:
    """Choose, and carry the load out.

    A try that goes on with an execution stays with what its first try chose: what is under way there is not known to
    the other API. What bulk has staged, and no job carries, goes by pages where the Dag asks for collections by now.
    Where its records are lost, nothing is under way any more, and bulk's own error advises to take collections.

    :raises ParameterError: ``api="bulk"`` together with ``duplicates="allow"``.
    """
    from airflow_provider_sfleads.operators import in_bulk

    settings, chosen = load.settings, load.execution.api
    if settings.allow_duplicates and settings.api == "bulk":
        raise ParameterError(f"api='bulk' cannot be: {_NO_HEADER}. Take api='auto' or 'collections'.")
    if chosen == "collections":
        return by_rows.carry_out(load, settings.export.open)
    if chosen == "bulk" and not (load.execution.asks_from and settings.api == "collections"):
        return in_bulk.carry_out(load, None)
    if settings.api == "collections" or settings.allow_duplicates:
        reason = "api='collections' asks for it" if settings.api == "collections" else f"auto: {_NO_HEADER}"
        return _by_rows(load, settings.export.open, reason)
    if settings.api == "bulk":
        note(load, "bulk", "api='bulk' asks for it")
        with settings.export.open_chunks() as stream:
            return in_bulk.carry_out(load, stream)
    return _automatic(load)


def note(load: UnderWay, api: str, reason: str) -> None:
    """Take down, for the log, the report and later tries, what was chosen and why; not durable yet."""
    log.info("%s: %s.", "Bulk API 2.0" if api == "bulk" else "sObject Collections", reason)
    load.choose(api, reason)


def _automatic(load: UnderWay) -> Course | Waiting:
    """Look into the export as far as it takes: most nights it holds no more rows than go through collections."""
    from airflow_provider_sfleads.operators import in_bulk

    with load.settings.export.open_chunks() as stream:
        # Which columns are lacking is said before the first row is read; the course makes its plan anew.
        load.plan(stream.columns, lambda _value, _space: True)
        head, error = _head(stream)
        if error is not None or sum(map(len, head)) <= MOST_BY_ROWS:
            n = sum(map(len, head))
            found = RowStream(columns=stream.columns, rows=_rows(head, error))
            reason = f"auto: {n:,} rows read, and up to {MOST_BY_ROWS:,} to be sent go this way"
            return _by_rows(load, lambda: nullcontext(found), reason)
        whole = type(stream)(columns=stream.columns, chunks=chain(head, stream.chunks))
        return in_bulk.carry_out(load, whole)


def _by_rows(load: UnderWay, opened: Callable[[], AbstractContextManager[RowStream]], reason: str) -> Course:
    note(load, "collections", reason)
    load.drop_jobs()
    return by_rows.carry_out(load, opened)


def _head(stream: ChunkStream) -> tuple[list[Chunk], ExportError | None]:
    """The first chunks, until they hold more rows than go through collections, the export ends, or it breaks off."""
    head: list[Chunk] = []
    try:
        for chunk in stream.chunks:
            head.append(chunk)
            if sum(map(len, head)) > MOST_BY_ROWS:
                break
    except ExportError as error:
        return head, error
    return head, None


def _rows(head: list[Chunk], error: ExportError | None) -> Iterator[Row | BadRow]:
    from airflow_provider_sfleads.exports.chunks import chunk_rows

    for chunk in head:
        yield from chunk_rows(chunk)
    if error is not None:
        raise error
