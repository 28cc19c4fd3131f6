"""What the two lead operators have in common: parameters, the course of a task, how it ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from inspect import getfullargspec
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.operators.lineage import TellsLineage, announce, with_alias
from airflow_provider_sfleads.operators.links import BulkJobLink, LeadsLink, LeadSyncResultsLink, Links
from airflow_provider_sfleads.version_compat import HAS_RETRY_POLICIES, deferral_failures

if TYPE_CHECKING:
    from threading import Event

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
    from airflow_provider_sfleads.operators.load_context import PendingJobs
    from airflow_provider_sfleads.operators.load_settings import LoadSettings
    from airflow_provider_sfleads.pipeline.plan_settings import CreateLeads, UpdateStage


def template_fields_of(init: Callable[..., None], inherited: Sequence[str] = ()) -> tuple[str, ...]:
    """Name an operator's template fields: every parameter of its constructor is one.

    :param init: the constructor.
    :param inherited: template fields of the class that it is derived from.
    """
    return tuple(dict.fromkeys((*inherited, *getfullargspec(init).kwonlyargs)))


class LeadSyncOperator(TellsLineage):
    """What the lead operators have in common.

    Each has the outlet ``AssetAlias("salesforce_leads:<salesforce_conn_id>")``, by which a live success adds an event
    of ``Asset("salesforce://<host>/Lead")`` with the report's counts. Of a mapped task, and where the id is a template,
    the outlet is known only when the task runs: all works, but Airflow's graph of assets does not show it.

    :param export: what to read: a ``SqlExport`` or a ``FileExport``.
    :param key: export column that identifies a lead in the warehouse; an empty key rejects the row, the second
        row with a key is counted as ``duplicate_keys``.
    :param results_path: folder at any ``ObjectStoragePath`` URL; results, rejects and report of each run lie below
        ``<dag_id>/<run_id>/<task_id>/<map_index>/<execution>/`` there.
    :param salesforce_conn_id: connection of type ``salesforce_leads``.
    :param external_id_field: Lead's external-ID field that holds the key.
    :param api: ``"collections"``, ``"bulk"`` (Bulk API 2.0), or ``"auto"``: bulk for more than 2,000 rows to send.
    :param batch_size: records to a request, at most 200 (Salesforce's own limit).
    :param concurrency: requests in flight.
    :param max_rejects: rejects that a run bears before it fails without retry: a count, or a share (below 1.0) of the
        rows read. The failure comes after everything has been recorded.
    :param write_back: a ``SqlTable`` that learns each lead's id and stage, so that the next export can use them.
    :param deferrable: free the worker's slot while bulk jobs run; default: Airflow's ``default_deferrable``.
    :param dry_run: read, map, check and look up, but send no change.
    :param nulls: ``"ignore"`` leaves a field alone where the export has nothing, ``"clear"`` empties it.
    :param truncate: cut over-long text to the field's length instead of rejecting the row.
    :param duplicates: ``"allow"`` overrides Salesforce's alert-type duplicate rules (blocking ones cannot be).
    :param changed_only: leave alone, without a call, rows whose values are those that an earlier run wrote or found.
        ``write_back``'s table remembers them, or else a file beside the results of each run of the Dag. What Sales
        edits by hand meanwhile is not noticed.
    :param full_refresh: with ``changed_only``, look at every row once more, and remember anew.
    :param match_email: also find existing people by the e-mail address mapped to ``Email``.
    :param assignment_rule: ``"default"`` runs the org's active lead assignment rule on leads that are created or moved,
        ``None`` runs none, an id runs that rule. A rule chooses the owner, whatever is mapped to ``OwnerId``: map that
        only with ``None``.
    """

    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"fields": "json", "constants": "json"}
    operator_extra_links = (LeadSyncResultsLink(), BulkJobLink(), LeadsLink())
    ui_color = "#e8f3fc"
    _stop: Event | None = None

    def __init__(
        self,
        *,
        export: SqlExport | FileExport,
        key: str,
        results_path: str,
        salesforce_conn_id: str = "salesforce_leads_default",
        external_id_field: str | None = None,
        fields: Mapping[str, str] | None = None,
        constants: Mapping[str, Any] | None = None,
        api: str = "auto",
        batch_size: int | str = 200,
        concurrency: int | str = 4,
        max_rejects: float | str = 0,
        write_back: SqlTable | None = None,
        dry_run: bool | str = False,
        deferrable: bool | str | None = None,
        nulls: str = "ignore",
        truncate: bool | str = False,
        duplicates: str = "reject",
        changed_only: bool | str = False,
        full_refresh: bool | str = False,
        match_email: bool | str = False,
        assignment_rule: str | None = "default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if HAS_RETRY_POLICIES:
            from airflow_provider_sfleads.operators.retry_policy import SalesforceRetryPolicy

            self.retry_policy = self.retry_policy or SalesforceRetryPolicy()
        self.outlets = with_alias(self.outlets, salesforce_conn_id)
        self.export = export
        self.key = key
        self.results_path = results_path
        self.salesforce_conn_id = salesforce_conn_id
        self.external_id_field = external_id_field
        self.fields = fields
        self.constants = constants
        self.api = api
        self.batch_size = batch_size
        self.concurrency = concurrency
        self.max_rejects = max_rejects
        self.write_back = write_back
        # The public name; it hides BaseOperator.dry_run(), which only prints rendered fields.
        self.dry_run = dry_run  # type: ignore[assignment, method-assign]
        self.deferrable = deferrable
        self.nulls = nulls
        self.truncate = truncate
        self.duplicates = duplicates
        self.changed_only = changed_only
        self.full_refresh = full_refresh
        self.match_email = match_email
        self.assignment_rule = assignment_rule
        self.require(export=export, key=key, results_path=results_path)

    template_fields: Sequence[str] = template_fields_of(__init__)

    def require(self, **parameters: object) -> None:
        """Refuse a Dag whose operator lacks a parameter where the Dag is read, not at 3 a.m.

        :raises ParameterError: naming every one that is missing.
        """
        missing = [name for name, value in parameters.items() if not value]
        if missing:
            raise ParameterError(f"{self.task_id}: {', '.join(missing)} must be given and not empty")

    def prepare_for_execution(self) -> Self:
        """Give each execution exports of its own: Airflow renders nested values in place."""
        own = super().prepare_for_execution()
        own.export, own.write_back = copy(own.export), copy(own.write_back)
        return own

    @abstractmethod
    def _change(self) -> CreateLeads | UpdateStage:
        """Read the parameters that only this operator has."""

    @abstractmethod
    def _check(self, settings: LoadSettings) -> None:
        """Refuse parameters that do not go together, and warn of those that are not safe."""

    def execute(self, context: Context) -> dict[str, object]:
        """Run the sync; the report is pushed and written before a failing task raises.

        :raises SalesforceLeadsError: see :mod:`airflow_provider_sfleads.exceptions`; what a retry cannot mend
            fails the task without retry.
        :raises TaskDeferred: while bulk jobs run, with ``deferrable``.
        """
        return self._load(context, None)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, object]:
        """Go on where the task was deferred: the jobs are over, one waits for too long, or the trigger cannot ask.

        :param event: what the trigger says; see
            :class:`~airflow_provider_sfleads.triggers.bulk.SalesforceBulkJobTrigger`.
        """
        if event.get("status") == "queued":
            self.log.info("Jobs have stood in the org's queue for too long: their leads are looked up anew.")
        elif event.get("status") != "finished":
            self.log.error("The trigger could not wait for the jobs: %s", event.get("message"))
        return self._load(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> object:
        """Go on after a deferral; where that timed out or failed, abort the jobs first: nothing else would."""
        from airflow_provider_sfleads.operators.abort_jobs import abort_jobs

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except deferral_failures():
            abort_jobs(self._hook(), context, base=self.results_path, dag_id=self.dag_id, task_id=self.task_id)
            raise

    def _load(self, context: Context, event: Mapping[str, Any] | None) -> dict[str, object]:
        from threading import Event

        from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent
        from airflow_provider_sfleads.operators.load import load
        from airflow_provider_sfleads.operators.load_context import PendingJobs
        from airflow_provider_sfleads.pipeline.prepare import prepare

        self._stop = self._stop or Event()
        if event is None:
            Links(context["ti"]).begin(self.operator_extra_links)
        with no_retry_for_permanent():
            settings = self._settings(self._stop)
            ending = load(settings, partial(prepare, settings), context, deferred=event)
            if isinstance(ending, PendingJobs):
                self._defer(ending)
            self._report = report = ending.report.as_json()
            self._written_back = ending.written_back
            if ending.failure is not None:
                context["ti"].xcom_push(key="return_value", value=report)
                raise ending.failure
            announce(self, context, settings.hook.salesforce_conn_id, report)
            return report

    def _defer(self, waiting: PendingJobs) -> NoReturn:
        from time import time

        from airflow_provider_sfleads.triggers.bulk import SalesforceBulkJobTrigger

        trigger = SalesforceBulkJobTrigger(
            salesforce_conn_id=self.salesforce_conn_id,
            job_ids=list(waiting.job_ids),
            started_at=time() - waiting.elapsed,
            queued_until={job_id: time() + seconds for job_id, seconds in waiting.queued.items()},
        )
        self.log.info("Waiting for %d job(s) in the triggerer; this worker's slot is free.", len(waiting.job_ids))
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)

    def on_kill(self) -> None:
        """Send no further page or job, and abort the jobs under way; what is done by then is still recorded."""
        from threading import Event

        # It may come before the load has begun: then that ends before it has sent anything.
        self._stop = self._stop or Event()
        self._stop.set()

    def _settings(self, stop: Event) -> LoadSettings:
        from airflow_provider_sfleads.core.mapping import FieldMap
        from airflow_provider_sfleads.operators import parameters as read
        from airflow_provider_sfleads.operators.load_settings import LoadSettings
        from airflow_provider_sfleads.salesforce.collections import MAX_RECORDS, auto_assign

        settings = LoadSettings(
            dag_id=self.dag_id,
            task_id=self.task_id,
            stop=stop,
            change=self._change(),
            export=self.export,
            key=read.as_text("key", self.key),
            results_path=read.as_text("results_path", self.results_path),
            hook=self._hook(),
            external_id_field=self.external_id_field or None,
            field_map=FieldMap(
                columns={column: str(name) for column, name in read.as_fields("fields", self.fields).items()},
                constants=read.as_fields("constants", self.constants),
                nulls=read.as_choice("nulls", self.nulls, ("ignore", "clear")),
                truncate=read.as_flag("truncate", self.truncate),
            ),
            api=read.as_choice("api", self.api, ("auto", "collections", "bulk")),
            batch_size=read.as_count("batch_size", self.batch_size, least=1, most=MAX_RECORDS),
            concurrency=read.as_count("concurrency", self.concurrency, least=1, most=32),
            max_rejects=read.as_tolerance("max_rejects", self.max_rejects),
            write_back=self.write_back,
            dry_run=read.as_flag("dry_run", self.dry_run),
            deferrable=read.as_flag("deferrable", _deferrable() if self.deferrable is None else self.deferrable),
            allow_duplicates=read.as_choice("duplicates", self.duplicates, ("reject", "allow")) == "allow",
            changed_only=read.as_flag("changed_only", self.changed_only),
            full_refresh=read.as_flag("full_refresh", self.full_refresh),
            match_email=read.as_flag("match_email", self.match_email),
            auto_assign=auto_assign(self.assignment_rule),
        )
        self._check(settings)
        return settings

    def _hook(self) -> SalesforceLeadsHook:
        from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
        from airflow_provider_sfleads.operators.parameters import as_text

        return SalesforceLeadsHook(salesforce_conn_id=as_text("salesforce_conn_id", self.salesforce_conn_id))


def _deferrable() -> bool:
    """Return whether Airflow's configuration makes tasks deferrable that do not say."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
