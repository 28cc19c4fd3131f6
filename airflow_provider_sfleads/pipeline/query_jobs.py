"""Read leads by a Bulk API 2.0 query job: few calls however many leads, and its rows go over the disk."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from airflow_provider_sfleads.exceptions import RequestRefusedError, SalesforceLeadsError, ServiceUnavailableError
from airflow_provider_sfleads.pipeline.lookup_reading import Leads, Reading, Stopped
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
from airflow_provider_sfleads.salesforce.paging import Trail, expect
from airflow_provider_sfleads.salesforce.wire import Call

log = logging.getLogger(__name__)

#: Rows to a page of results: a page whose stream is cut is read anew from its start.
PAGE_ROWS = 500_000
# A record must fit into a block, and pyarrow reads 32 blocks ahead: so they are small, and where that is not enough,
# just large enough for any record, which has up to 400,000 characters, or 1.6 MB.
_BLOCK_BYTES = (1 << 18, 1 << 21)
# A field's name has up to 43 characters, and an object some 900 fields.
_LONGEST_HEADER = 1 << 17
_DAMAGED = "The results of a job are no CSV, or a damaged one."


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
    """The header of a file, and whether anything follows."""
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
