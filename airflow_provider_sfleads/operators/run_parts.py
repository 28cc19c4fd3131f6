"""Put together what sends a load's staged rows, by pages or by jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from airflow_provider_sfleads.operators.load_context import MOST_BY_PAGES, LoadContext, Plan
from airflow_provider_sfleads.operators.run_order import late_check
from airflow_provider_sfleads.pipeline.job_run import BulkRun
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.lead_search import LeadSearch
from airflow_provider_sfleads.pipeline.load_steps import Settling
from airflow_provider_sfleads.pipeline.lookup import Reading
from airflow_provider_sfleads.pipeline.page import PageDelivery
from airflow_provider_sfleads.pipeline.page_loads import PageLoads
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.plan import Seen
from airflow_provider_sfleads.pipeline.ports import RunTerms
from airflow_provider_sfleads.pipeline.reconcile import Reconciliation
from airflow_provider_sfleads.pipeline.row_run import RowRun
from airflow_provider_sfleads.pipeline.staged_pieces import Pieces
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.recorded import created_ids
from airflow_provider_sfleads.results.writer import Recorder
from airflow_provider_sfleads.salesforce.job_control import Jobs


def run_terms_of(load: LoadContext) -> RunTerms:
    """Return how the staged rows of a load are sent and recorded."""
    settings = load.settings
    return RunTerms(
        dry_run=settings.dry_run,
        batch_size=settings.batch_size,
        concurrency=settings.concurrency,
        least=MOST_BY_PAGES if settings.api == "auto" else 0,
        attempt=load.attempt,
        now=lambda: datetime.now(UTC),
        server_now=load.server_now,
        lead_url=load.lead_url,
        stop=settings.stop,
        began=load.server_now(),
        user_ids=load.user_ids,
        since=load.began if load.resumed else None,
        asks=load.execution.asks_from is not None,
        longest_queued=settings.longest_queued,
        deferred=load.deferred,
        doubt=load.doubt,
    )


@dataclass(slots=True)
class _JobJournal:
    """Keeps in the journal which job carries which load."""

    load: LoadContext

    def jobs(self) -> Mapping[str, str]:
        """Return ids of jobs by their load's label."""
        return self.load.execution.jobs

    def note(self, label: str, job_id: str | None) -> None:
        """Write down which job carries a load."""
        before = self.load.execution
        others = {name: known for name, known in before.jobs.items() if name != label}
        try:
            self.load.keep(jobs=others | ({} if job_id is None else {label: job_id}))
        except BaseException:
            # What could not be written down does not hold.
            self.load.execution = replace(self.load.execution, jobs=before.jobs)
            raise
        if self.load.lease is not None:
            self.load.lease.carry(tuple(self.load.execution.jobs.values()))


def _reading(load: LoadContext) -> Reading:
    """Return what look-ups read with."""
    settings, client = load.settings, load.settings.hook.client

    def pause(seconds: float) -> None:
        settings.stop.wait(seconds)

    return Reading(
        send=client.send,
        download=client.download,
        conn_id=settings.hook.salesforce_conn_id,
        concurrency=settings.concurrency,
        directory=load.folder.staging(),
        pause=pause,
        stopped=settings.stop.is_set,
    )


def page_loads(
    load: LoadContext, plan: Plan, pieces: Pieces, sink: Recorder, memory: KeyMemory, earlier: EarlierRows | None
) -> PageLoads:
    """Return what sends the staged rows of a load by pages.

    :param earlier: what earlier tries did, where that matters.
    """
    delivery = PageDelivery(
        plan=plan,
        lead=load.lead,
        lookup=load.lookup(),
        terms=run_terms_of(load),
        sender=load.sender,
        newer=late_check(load, plan),
        announce=partial(load.announce, plan),
    )
    return PageLoads(
        plan=plan,
        pieces=pieces,
        reading=_reading(load),
        memory=memory,
        in_flight=PagesInFlight(delivery=delivery, sink=sink),
        earlier=earlier,
    )


def row_run(load: LoadContext, pages: PageLoads, seen: Seen) -> RowRun:
    """Return what looks at rows one by one: those that pages have put apart, and what these have left."""
    search = LeadSearch(
        lead=load.lead,
        fields=pages.plan.recipe.fields,
        late=load.late,
        claimed=partial(created_ids, load.folder.of_dag),
        now=load.server_now,
    )
    return RowRun(in_flight=pages.in_flight, seen=seen, earlier=pages.earlier, doubts=Reconciliation(search))


def bulk_run(load: LoadContext, plan: Plan, pieces: Pieces, sink: Recorder, memory: KeyMemory) -> BulkRun:
    """Return what sends the staged rows of a load by jobs."""
    settings, client, terms, journal = load.settings, load.settings.hook.client, run_terms_of(load), _JobJournal(load)
    conn_id, stop, scratch = settings.hook.salesforce_conn_id, settings.stop, load.folder.staging()

    def pause(seconds: float) -> None:
        stop.wait(seconds)

    jobs = Jobs(
        send=load.send,
        download=client.download,
        conn_id=conn_id,
        user_id=client.user_id,
        note=journal.note,
        verify=load.ownership.verify,
        pause=pause,
        now=load.server_now,
    )
    reading = _reading(load)
    settling = Settling(
        plan=plan,
        lead=load.lead,
        pieces=pieces,
        sink=sink,
        jobs=jobs,
        reading=reading,
        lookup=load.lookup(),
        memory=memory,
        terms=terms,
        scratch=scratch,
        newer=late_check(load, plan),
    )
    return BulkRun(
        pieces=pieces,
        jobs=jobs,
        sink=sink,
        journal=journal,
        settling=settling,
        terms=terms,
        active_rule=load.active_rule,
        scratch=scratch,
    )
