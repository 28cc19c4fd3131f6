"""Where a look-up reads the leads from: by id, by key, or all of the org; whichever is cheapest in calls."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_provider_sfleads.core.text import text_of
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.exceptions import RequestRefusedError
from airflow_provider_sfleads.pipeline.lookup import Leads, Reading
from airflow_provider_sfleads.pipeline.result_file import read_page
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS, retrieve_call
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo
from airflow_provider_sfleads.salesforce.paging import (
    MOST_FOUND,
    checked,
    cut,
    mapping,
    objects,
    query_pages,
    sequence,
)
from airflow_provider_sfleads.salesforce.query_job import PAGE_ROWS, QueryJobs, Stopped
from airflow_provider_sfleads.salesforce.soql import QUERY_BUDGET, in_queries
from airflow_provider_sfleads.salesforce.wire import Call

log = logging.getLogger(__name__)

# What a query job costs beside its pages of results, in calls: it is created, asked about for some minutes, deleted.
_JOB_CALLS = 25
# For so few calls nobody needs to know how many leads there are.
_FEW_CALLS = 2
# Leads read for each lead wanted, at most: beyond that, the time that Salesforce takes is worth more than the calls.
_READ_FOR_ONE = 50
# Bytes: quotes and comma; and the query's other text.
_AROUND_A_KEY, _AROUND_ALL_KEYS = 3, 400
_WAITING_PER_THREAD = 2


def query_leads(reading: Reading, soql: str, names: Sequence[str], *, page_rows: int = PAGE_ROWS) -> Leads | None:
    """Run a query job and return the leads it found, as strings, a null for what a lead does not have.

    :param names: the fields of the SELECT.
    :param page_rows: rows to a page of results.
    :return: ``None`` where Salesforce would not run the job, or it failed: then there are other ways to read.
    :raises Stopped: where the run is to end; the job is aborted.
    """
    jobs = QueryJobs(
        send=reading.send,
        download=reading.download,
        conn_id=reading.conn_id,
        pause=reading.pause,
        stopped=reading.stopped,
        page_rows=page_rows,
    )
    job = jobs.run(soql)
    return None if job is None else _found(jobs, job, names, reading.directory / f"query-{job.id}.csv")


def _found(jobs: QueryJobs, job: JobInfo, names: Sequence[str], path: Path) -> Leads:
    with closing(jobs.pages(job, path)) as pages, suppress(StopIteration):
        next(pages)
        while True:
            count = 0
            for batch in read_page(path, names):
                count += batch.num_rows
                yield batch
            pages.send(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which leads are wanted.

    :param fields: Lead fields to read, ``Id`` first.
    :param ids: begins anew with the 18-character ids wanted.
    :param id_count: how many there are.
    :param external: external-ID field of the keys.
    :param keys: begins anew with the keys wanted.
    :param key_count: how many there are.
    :param key_bytes: what they take in UTF-8.
    """

    fields: tuple[str, ...]
    ids: Callable[[], Iterator[str]]
    id_count: int
    external: FieldInfo | None
    keys: Callable[[], Iterator[str]]
    key_count: int
    key_bytes: int

    @property
    def calls(self) -> int:
        """How many calls read these leads alone, about."""
        key_text = self.key_bytes + self.key_count * _AROUND_A_KEY
        return -(-self.id_count // MAX_RETRIEVE_IDS) + -(-key_text // (QUERY_BUDGET - _AROUND_ALL_KEYS))


def read_leads(reading: Reading, wanted: Wanted) -> Leads:
    """Read leads: those wanted, and maybe others; a lead that is missing or deleted is not among them.

    How many leads the org has is asked first, unless next to nothing is wanted: of none, none is read.

    :return: strings, in the order of ``wanted.fields``; null where a lead has nothing.
    :raises Stopped: where the run is to end.
    """
    count, calls = wanted.id_count + wanted.key_count, wanted.calls
    if not count:
        return
    where = f" WHERE {wanted.external.name} != null" if wanted.external and not wanted.id_count else ""
    held = _count(reading, where) if calls > _FEW_CALLS else None
    if held == 0:
        return
    if held is not None and _JOB_CALLS + held // PAGE_ROWS < calls and held <= _READ_FOR_ONE * count:
        log.info("Reading the org's %d leads by a query job: %d calls would be needed otherwise.", held, calls)
        soql = f"SELECT {', '.join(wanted.fields)} FROM Lead{where}"  # noqa: S608 - names are describe's
        leads = query_leads(reading, soql, wanted.fields)
        if leads is not None:
            yield from leads
            return
    log.info("Reading %d leads in about %d calls.", count, calls)
    yield from read_by_calls(reading, wanted)


def read_by_calls(reading: Reading, wanted: Wanted) -> Leads:
    """Read the leads wanted, and no others; a lead that is missing or deleted is not among them.

    :return: as :func:`read_leads` does.
    :raises Stopped: where the run is to end.
    """
    yield from _side_by_side(
        reading, (_retrieval(reading, ids, wanted.fields) for ids in cut(wanted.ids(), MAX_RETRIEVE_IDS))
    )
    yield from _side_by_side(reading, _queries(reading, wanted))


def _count(reading: Reading, where: str) -> int | None:
    """Return how many leads there are; ``None`` where Salesforce will not count them (it may take too long)."""
    soql = f"SELECT COUNT() FROM Lead{where}"  # noqa: S608 - the field's name is describe's
    call = Call(method="GET", path="query", params={"q": soql})
    try:
        total = mapping(call, reading.send(call), conn_id=reading.conn_id).get("totalSize")
    except RequestRefusedError as error:
        log.info("Salesforce does not count the leads: %s", ", ".join(error.codes))
        return None
    return total if isinstance(total, int) else None


def _retrieval(reading: Reading, ids: Sequence[str], fields: tuple[str, ...]) -> Callable[[], pa.RecordBatch]:
    def read() -> pa.RecordBatch:
        call = retrieve_call(ids, fields)
        records = sequence(call, reading.send(call), conn_id=reading.conn_id, count=len(ids))
        there = objects([record for record in records if record is not None], call, conn_id=reading.conn_id)
        return in_columns(checked(there, fields, sobject="Lead", conn_id=reading.conn_id), fields)

    return read


def _queries(reading: Reading, wanted: Wanted) -> Iterator[Callable[[], pa.RecordBatch]]:
    external = wanted.external
    if external is None or not wanted.key_count:
        return
    select = tuple(dict.fromkeys(wanted.fields))
    texts: Iterable[tuple[str, object]]
    if external.type in NUMBERS:
        texts = in_queries(select, "Lead", external.name, map(Decimal, wanted.keys()))
    else:
        texts = in_queries(select, "Lead", external.name, wanted.keys())
    for soql, _ in texts:
        yield lambda soql=soql: _query(reading, soql, wanted.fields)  # type: ignore[misc]


def _query(reading: Reading, soql: str, fields: tuple[str, ...]) -> pa.RecordBatch:
    pages = query_pages(reading.send, soql, resource="query", conn_id=reading.conn_id, most=MOST_FOUND)
    found = checked(chain.from_iterable(pages), fields, sobject="Lead", conn_id=reading.conn_id)
    return in_columns(found, fields)


def in_columns(records: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> pa.RecordBatch:
    """Make columns of strings of records out of JSON."""
    rows = list(records)
    columns = [pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in fields]
    return pa.RecordBatch.from_arrays(columns, names=list(fields))


def _text(value: object) -> str | None:
    if isinstance(value, str):
        # JSON can hold half of a surrogate pair, and no column can.
        return value if value.isascii() else value.encode(errors="replace").decode()
    return None if value is None else text_of(value)


def _side_by_side(reading: Reading, tasks: Iterator[Callable[[], pa.RecordBatch]]) -> Leads:
    """Run tasks, ``concurrency`` at a time, and yield what they return in order; few results wait."""
    waiting: deque[Future[pa.RecordBatch]] = deque()
    with ThreadPoolExecutor(reading.concurrency, thread_name_prefix="salesforce") as pool:
        try:
            for task in tasks:
                if reading.stopped():
                    raise Stopped
                waiting.append(pool.submit(task))
                if len(waiting) >= reading.concurrency * _WAITING_PER_THREAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
