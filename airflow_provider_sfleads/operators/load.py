"""The load: open the export and the results, run the plan, write the account of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import uniform
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.describe import SObjectInfo, parse_describe
from airflow_provider_sfleads.core.report import SyncReport, Tally
from airflow_provider_sfleads.core.rows import RowStream
from airflow_provider_sfleads.exceptions import ParameterError, ResultsError, SalesforceLeadsError, WriteBackError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.intervals import Interval, interval_of
from airflow_provider_sfleads.operators.account import Ending, failure_of, report_of, summary
from airflow_provider_sfleads.operators.journal import Execution, Journal
from airflow_provider_sfleads.operators.recorder import Recorder
from airflow_provider_sfleads.results import (
    KeyIndex,
    ResultsFolder,
    settled_rows,
    write_back,
)
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.confirmed import ConfirmedValues
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.write_back import CONFIRMED_COLUMNS, check_table
from airflow_provider_sfleads.sync.lookup import LeadLookup
from airflow_provider_sfleads.sync.pages import PageSender
from airflow_provider_sfleads.sync.plan import Plan
from airflow_provider_sfleads.sync.ports import Settings
from airflow_provider_sfleads.sync.prepare import Ground
from airflow_provider_sfleads.sync.run import SyncRun

if TYPE_CHECKING:
    from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable

log = logging.getLogger(__name__)

Prepare = Callable[[Ground], Plan]

_LONGEST_PAUSE = 30.0
_LONGEST_ASKED = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """The rendered and checked parameters of a load; see the operators for their meaning."""

    operation: str
    dag_id: str
    task_id: str
    export: SqlExport | FileExport
    hook: SalesforceLeadsHook
    results_path: str
    write_back: SqlTable | None
    batch_size: int
    concurrency: int
    max_rejects: float
    dry_run: bool
    changed_only: bool
    full_refresh: bool
    stop: Event


def load(settings: LoadSettings, prepare: Prepare, context: Mapping[str, Any]) -> Ending:
    """Run one load.

    :param settings: the parameters.
    :param prepare: makes the plan; raises before anything is sent where mapping, org and export do not fit.
    :param context: Airflow's task context.
    :raises SalesforceLeadsError: where the load cannot even begin; nothing was sent then.
    """
    mode = "DRY RUN: Salesforce is only read" if settings.dry_run else "LIVE: changes are sent to Salesforce"
    interval = _interval(context)
    span = f"{interval.start.isoformat()} to {interval.end.isoformat()}" if interval else "none"
    log.info("%s. Connection %r, interval: %s.", mode, settings.hook.salesforce_conn_id, span)
    now = datetime.now(UTC)
    with ExitStack() as closing:
        closing.callback(settings.hook.client.close)
        lead = parse_describe(settings.hook.describe("Lead"))
        journal = Journal(context.get("task_state_store"))
        execution = journal.next(now, dry_run=settings.dry_run)
        folder = _folder(settings, context, execution)
        if settings.write_back is not None and not settings.dry_run:
            check_table(settings.write_back)
        under_way = _Load(settings, prepare, folder, execution, interval, _try_number(context), closing)
        try:
            run = under_way.carry_out(lead, journal)
        except SalesforceLeadsError as error:
            return Ending(report=under_way.end_early(), failure=error)
        except OSError as error:
            under_way.end_early()
            raise ResultsError(
                f"Results cannot be written below results_path {settings.results_path!r}: {error}"
            ) from error
        except BaseException:
            # Killed, or a bug: what is recorded so far still adds up, and the journal stays open for a retry.
            under_way.end_early()
            raise
        report = under_way.write_report()
        failure = failure_of(run, report, settings.max_rejects)
        unwritten = under_way.write_back()
        is_open = bool(report.not_sent or run.export_error or unwritten)
        calls, tokens = report.api_calls, report.token_requests
        journal.keep(replace(execution, api_calls=calls, token_requests=tokens, open=is_open))
        if not is_open:
            folder.remove_staging()
    log.info("%s", summary(report))
    return Ending(report=report, failure=unwritten or failure)


def _interval(context: Mapping[str, Any]) -> Interval | None:
    """The interval for the report and the write-back; a Param that only happens to be named ``from`` is none."""
    try:
        return interval_of(context)
    except ParameterError as error:
        log.warning("%s The run's data interval is reported instead.", error)
        return interval_of({**context, "params": {}})


def _try_number(context: Mapping[str, Any]) -> int:
    return int(getattr(context["ti"], "try_number", 1))


def _folder(settings: LoadSettings, context: Mapping[str, Any], execution: Execution) -> ResultsFolder:
    ti, dag_run = context["ti"], context.get("dag_run")
    map_index = getattr(ti, "map_index", None)
    return ResultsFolder(
        base=settings.results_path,
        dag_id=getattr(ti, "dag_id", None) or settings.dag_id,
        run_id=getattr(ti, "run_id", None) or getattr(dag_run, "run_id", None) or "no_run",
        task_id=getattr(ti, "task_id", None) or settings.task_id,
        map_index=-1 if map_index is None else map_index,
        execution=execution.name,
    )


@dataclass(slots=True)
class _Load:
    """One load under way."""

    settings: LoadSettings
    prepare: Prepare
    folder: ResultsFolder
    execution: Execution
    interval: Interval | None
    attempt: int
    until_the_end: ExitStack
    confirmed: ConfirmedValues | None = None
    tally: Tally = field(default_factory=Tally)

    def write_report(self) -> SyncReport:
        """Write the report as it stands."""
        report = self._report()
        self.folder.write_report(report.as_json())
        return report

    def _report(self) -> SyncReport:
        client, operation = self.settings.hook.client, self.settings.operation
        return report_of(self.tally, operation, client, self.folder, self.execution, self.interval)

    def end_early(self) -> SyncReport:
        """Write the report of a try that could not go on; nothing else is left of one that never began."""
        with suppress(OSError):
            self.write_report()
        if not self.tally.read:
            self.folder.remove_staging()
        return self._report()

    def carry_out(self, lead: SObjectInfo, journal: Journal) -> SyncRun:
        """Bring every row of the export to an outcome; the export is closed afterwards."""
        with ExitStack() as closing:
            stream = closing.enter_context(self.settings.export.open())
            index = closing.enter_context(KeyIndex(self.folder.staging()))
            plan = self.prepare(self._ground(lead, stream, index))
            # From here on rows may be sent, and a try that is killed is to be resumed.
            journal.keep(self.execution)
            announcements = None if plan.repeatable else Announcements(self.folder, plan.compare)
            if not plan.repeatable:
                closing.callback(self._conclude, plan)
            earlier = closing.enter_context(self._earlier(plan))
            writer = closing.enter_context(self.folder.writer(columns=stream.columns, resume=self._resumed))
            run = self._run(plan, index, Recorder(writer, salt=self.folder.dag_id))
            run.earlier, run.announce, run.confirmed = earlier, announcements, self._confirmed(plan)
            run.execute(stream.rows)
        return run

    def write_back(self) -> SalesforceLeadsError | None:
        """Tell the warehouse; the sync itself stands, whatever becomes of that."""
        table, confirmed = self.settings.write_back, self.confirmed
        if table is None or self.settings.dry_run:
            return None
        try:
            n = write_back(
                table,
                settled_rows(self.folder, confirmed.sent) if confirmed else settled_rows(self.folder),
                interval_end=self.interval.end if self.interval else None,
                confirmed_column=CONFIRMED_COLUMNS[self.settings.operation] if confirmed else None,
            )
        except SalesforceLeadsError as error:
            return error if error.transient else WriteBackError(f"The leads are synced, but not written back: {error}")
        log.info("Wrote %d rows back to %r.", n, table)
        return None

    def _confirmed(self, plan: Plan) -> ConfirmedValues | None:
        table = self.settings.write_back
        if table is None or not self.settings.changed_only:
            return None
        values = ConfirmedValues(
            self.folder.staging(), plan.compare, mode=plan.mode, is_refresh=self.settings.full_refresh
        )
        self.confirmed = self.until_the_end.enter_context(values)
        self.confirmed.load(table, CONFIRMED_COLUMNS[plan.operation])
        return self.confirmed

    @property
    def _resumed(self) -> bool:
        return self.execution.tries > 1

    @contextmanager
    def _earlier(self, plan: Plan) -> Iterator[EarlierRows | None]:
        """What was done before, where that matters: for a retry, and for leads that a re-run could create again."""
        if plan.repeatable and not self._resumed:
            yield None
            return
        with EarlierRows(self.folder.staging(), plan.compare) as rows:
            if self._resumed:
                rows.resume(self.folder, self.tally)
                if not plan.repeatable:
                    # Before the writer drops the rows that are not sent: they tell which announced ones surely are not.
                    rows.conclude(self.folder)
                log.info("Try %d goes on: %d rows are settled already.", self.execution.tries, self.tally.read)
            if not plan.repeatable:
                rows.remember(self.folder.others())
            yield rows

    def _conclude(self, plan: Plan) -> None:
        """All rows are recorded: what stays announced is what nobody knows of."""
        with EarlierRows(self.folder.staging(), plan.compare) as rows:
            rows.conclude(self.folder)

    def _ground(self, lead: SObjectInfo, stream: RowStream, index: KeyIndex) -> Ground:
        client = self.settings.hook.client
        # Salesforce stamps whole seconds by its own clock.
        ahead = timedelta(seconds=(client.server_time_offset or 0.0) - 1)
        return Ground(
            lead=lead,
            columns=stream.columns,
            seen=index.add,
            user_id=client.user_id,
            started=datetime.fromisoformat(self.execution.started_at) + ahead,
            resumed=self._resumed and not self.settings.dry_run,
        )

    def _run(self, plan: Plan, index: KeyIndex, sink: Recorder) -> SyncRun:
        settings, client = self.settings, self.settings.hook.client
        numbers, lock = count(1), Lock()

        def number() -> str:
            with lock:
                return str(next(numbers))

        conn_id = settings.hook.salesforce_conn_id
        return SyncRun(
            plan=plan,
            sender=PageSender(
                send=client.send, pause=self._pause, stopped=settings.stop.is_set, number=number, conn_id=conn_id
            ),
            lookup=LeadLookup(send=client.send, conn_id=conn_id),
            seen=index.add,
            sink=sink,
            tally=self.tally,
            settings=Settings(
                batch_size=settings.batch_size,
                concurrency=settings.concurrency,
                dry_run=settings.dry_run,
                attempt=self.attempt,
                now=lambda: datetime.now(UTC),
                lead_url=lambda lead_id: f"{client.base_url}/lightning/r/Lead/{lead_id}/view",
                stop=settings.stop,
            ),
        )

    def _pause(self, rounds: int, asked: float) -> None:
        """Wait before records are sent again: longer each time, as long as Salesforce asks, less where stopped."""
        longest = min(_LONGEST_PAUSE, 0.5 * 2**rounds)
        jittered = uniform(longest / 2, longest)  # noqa: S311 - jitter, no secret
        self.settings.stop.wait(max(jittered, min(asked, _LONGEST_ASKED)))
