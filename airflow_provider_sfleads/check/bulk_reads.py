"""Probe Bulk API 2.0 as far as reading goes: a query job that pages, and the list of ingest jobs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from airflow_provider_sfleads.check.access import API
from airflow_provider_sfleads.check.lead_describe import READ
from airflow_provider_sfleads.check.probe import Assumption, Exchange, Finding, Org, Probe
from airflow_provider_sfleads.pipeline.lookup import Reading, Stopped
from airflow_provider_sfleads.pipeline.lookup_sources import query_leads
from airflow_provider_sfleads.salesforce.ingest_jobs import jobs_of, list_jobs
from airflow_provider_sfleads.salesforce.paging import expect

_PAGE_ROWS = 2
_SOQL = "SELECT Id FROM Lead LIMIT 5"

JOB = Assumption(
    "query_job.runs",
    "Large look-ups run as query jobs",
    "created, complete, read and deleted",
    "Let the Run-As user use Bulk API (API Enabled is all it takes), and look at Setup > Bulk Data Load Jobs.",
)
PAGES = Assumption(
    "query_job.pages",
    "Their results come in pages",
    "a locator on each page but the last",
    "Let proxies pass the header Sforce-Locator: without it all leads but those of the first page are overlooked.",
)
LIST = Assumption(
    "ingest_jobs.list",
    "Ingest jobs can be listed",
    "a page of jobs",
    "Let the Run-As user use Bulk API: without the list a job whose answer was lost is not found again.",
)


def probes() -> tuple[Probe, ...]:
    """Return the questions."""
    return (
        Probe(JOB, query_job, needs=(READ,)),
        Probe(LIST, ingest_jobs, needs=(API,)),
    )


def query_job(org: Org) -> Iterator[Finding]:
    """Read a few leads by a job, two to a page."""
    before = len(org.exchanges)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        time.sleep(seconds)

    with tempfile.TemporaryDirectory(prefix="sfleads-check-") as folder:
        reading = Reading(
            send=org.send,
            download=org.download,
            conn_id=org.conn_id,
            concurrency=1,
            directory=Path(folder),
            pause=pause,
            stopped=lambda: sum(waited) > org.job_timeout,
        )
        try:
            leads = query_leads(reading, _SOQL, ("Id",), page_rows=_PAGE_ROWS)
            rows = None if leads is None else sum(batch.num_rows for batch in leads)
        except Stopped:
            yield JOB.not_tried(
                f"it waits since {org.job_timeout:g} s in the org's queue", "Run the check again later."
            )
            yield PAGES.not_tried(f"{JOB.name} was not tried", f"See {JOB.name}.")
            return
    yield from _judged(org, org.exchanges[before:], rows)


def _judged(org: Org, exchanges: Sequence[Exchange], rows: int | None) -> Iterator[Finding]:
    dropped = [e for e in exchanges if e.call.method == "DELETE" and e.reply.taken]
    if rows is None:
        last = next((e for e in reversed(exchanges) if e.call.method != "DELETE"), None)
        if last is not None:
            expect(last.call, last.reply, conn_id=org.conn_id)
        yield JOB.judged("the job failed", holds=False)
        yield PAGES.not_tried(f"{JOB.name} does not hold", f"See {JOB.name}.")
        return
    seen = f"{rows} leads read{'' if dropped else ', and the job could not be deleted'}"
    yield JOB.judged(seen, holds=bool(dropped))
    locators = [e.reply.headers.get("sforce-locator") for e in exchanges if e.call.path.endswith("/results")]
    if None in locators:
        yield PAGES.judged("no Sforce-Locator", holds=False)
    elif rows <= _PAGE_ROWS and len(locators) == 1:
        yield PAGES.not_tried("too few leads for a second page", f"Have {_PAGE_ROWS + 1} leads in the org.")
    else:
        ends = locators[-1] == "null" and "null" not in locators[:-1]
        # A page may have less than was asked for.
        paged = len(locators) > 1
        yield PAGES.judged(f"{rows} leads on {len(locators)} pages", holds=ends and paged)


def ingest_jobs(org: Org) -> Iterator[Finding]:
    """List the org's ingest jobs, as after a job whose answer was lost."""
    call = list_jobs()
    jobs, following = jobs_of(call, org.send(call), conn_id=org.conn_id)
    more = ", and more" if following else ""
    yield LIST.judged(f"{len(jobs)} jobs{more}", holds=True)
