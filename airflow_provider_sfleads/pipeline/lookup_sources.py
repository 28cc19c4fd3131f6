"""Where a look-up reads the leads from: by id, by key, or all of the org; whichever is cheapest in calls."""

from __future__ import annotations

import csv
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from airflow_provider_sfleads.core.text import text_of
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.exceptions import RequestRefusedError, SalesforceLeadsError, ServiceUnavailableError
from airflow_provider_sfleads.pipeline.lookup import Leads, Reading, Stopped
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS, retrieve_call
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import (
    JobInfo,
    abort_query,
    create_query,
    delete_query,
    get_query,
    job_of,
    next_locator,
    next_poll,
    query_results,
)
from airflow_provider_sfleads.salesforce.paging import (
    MOST_FOUND,
    Trail,
    checked,
    cut,
    expect,
    mapping,
    objects,
    query_pages,
    sequence,
)
from airflow_provider_sfleads.salesforce.soql import QUERY_BUDGET, in_queries
from airflow_provider_sfleads.salesforce.wire import Call

#: Rows to a page of results: a page whose stream is cut is read anew from its start.
PAGE_ROWS = 500_000
# A record must fit into a block, and pyarrow reads 32 blocks ahead: so they are small, and where that is not enough,
# just large enough for any record, which has up to 400,000 characters, or 1.6 MB.
_BLOCK_BYTES = (1 << 18, 1 << 21)
# A field's name has up to 43 characters, and an object some 900 fields.
_LONGEST_HEADER = 1 << 17
_DAMAGED = "The results of a job are no CSV, or a damaged one."

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
    try:
        job = _ask(reading, create_query(soql))
    except RequestRefusedError as error:
        log.warning("No query job (%s); the leads are read by calls instead.", ", ".join(error.codes) or "refused")
        return None
    try:
        job = _finished(reading, job)
    except BaseException:
        _drop(reading, abort_query(job.id))
        raise
    if job.succeeded:
        return _pages(reading, job, names, page_rows)
    log.warning("Query job %s ended as %s; the leads are read by calls instead.", job.id, job.state)
    _drop(reading, delete_query(job.id))
    return None


def _ask(reading: Reading, call: Call) -> JobInfo:
    return job_of(call, reading.send(call), conn_id=reading.conn_id)


def _finished(reading: Reading, job: JobInfo) -> JobInfo:
    waited = 0.0
    while not job.is_over:
        if reading.stopped():
            raise Stopped
        seconds = next_poll(waited)
        reading.pause(seconds)
        waited += seconds
        job = _ask(reading, get_query(job.id))
    log.info("Query job %s ended as %s: %d leads.", job.id, job.state, job.processed)
    return job


def _pages(reading: Reading, job: JobInfo, names: Sequence[str], page_rows: int) -> Leads:
    path = reading.directory / f"query-{job.id}.csv"
    locator: str | None = None
    trail = Trail("GET jobs/query/.../results", reading.conn_id)
    try:
        while True:
            if reading.stopped():
                raise Stopped
            call = query_results(job.id, locator, page_rows)
            reply = expect(call, reading.download(call, path), conn_id=reading.conn_id)
            count = 0
            for batch in read_page(path, names):
                count += batch.num_rows
                if count > page_rows:
                    raise trail.broken("has more rows on a page than were asked for")
                yield batch
            following = next_locator(reply)
            if following is None:
                return
            locator = trail.follow(following, count)
    finally:
        path.unlink(missing_ok=True)
        _drop(reading, delete_query(job.id))


def read_page(path: Path, names: Sequence[str]) -> Leads:
    """Read a page of a query's results, block by block.

    :param names: the columns wanted, in this order, whatever their letter case in the file.
    :raises ServiceUnavailableError: where one is not there, or the file is damaged; it repeats nothing of the file.
    """
    header, has_rows = _begin(path)
    if not header:
        return
    spelled = {name.lower(): name for name in header}
    if len(spelled) != len(header):
        raise ServiceUnavailableError(_DAMAGED)
    lacking = [name for name in names if name.lower() not in spelled]
    if lacking:
        raise ServiceUnavailableError(f"The results of a job lack the columns {', '.join(lacking)}.")
    if not has_rows:
        return
    columns = [spelled[name.lower()] for name in names]
    done = 0
    for size in _BLOCK_BYTES:
        known = done
        try:
            for batch in _blocks(path, columns, size):
                skipped = min(known, batch.num_rows)
                known -= skipped
                done += batch.num_rows - skipped
                yield batch.slice(skipped).rename_columns(list(names))
        except pa.ArrowInvalid:
            # A record larger than a block, which the next size takes; or something that none does.
            continue
        return
    raise ServiceUnavailableError(_DAMAGED)


def _begin(path: Path) -> tuple[list[str], bool]:
    """Return the header of a file, and whether anything follows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
            if len(line) == _LONGEST_HEADER:
                raise ServiceUnavailableError(_DAMAGED)
            return next(csv.reader([line]), []), bool(file.read(1))
    except (UnicodeDecodeError, csv.Error):
        raise ServiceUnavailableError(_DAMAGED) from None


def _blocks(path: Path, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
    yield from pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=size, use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=columns,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _drop(reading: Reading, call: Call) -> None:
    """Leave no job behind; one that stays is deleted by Salesforce after seven days."""
    try:
        reading.send(call)
    except SalesforceLeadsError as error:
        log.info("A query job could not be dropped: %s", error)


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
