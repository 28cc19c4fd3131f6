"""What Airflow is told of a sync beside its state: the asset that it changes, and its lineage."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sfleads.exceptions import ParameterError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset
    from openlineage.client.event_v2 import Dataset, OutputDataset

    from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

log = logging.getLogger(__name__)

#: What a live success has to tell; who needs more finds the report below ``results_path``. Of a task that was cleared
#: there is an event each time: its counts are those of the execution that it tells of, ``executions`` has all of them.
_TOLD = (
    "read",
    "filtered",
    "duplicate_keys",
    "unchanged",
    "created",
    "updated",
    "rejected",
    "operation",
    "interval_start",
    "interval_end",
    "results_path",
    "executions",
)


class TellsLineage(BaseOperator):
    """Inputs and outputs of a sync, with the rows that were read and written.

    Counts are the report's own: where a task was tried again, those of all its tries; where it was cleared, those since
    then, for what OpenLineage was told of the run before still stands. The provider asks in a process of its own and
    catches what is raised.
    """

    export: SqlExport | FileExport
    write_back: SqlTable | None
    _report: Mapping[str, Any] | None = None
    _written_back: int | None = None

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return what is going to be read and written; a dry run writes nothing."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_provider_sfleads.operators.datasets import inputs_of, written_back_to

        outputs = self._leads_to_be()
        if outputs and self.write_back is not None:
            outputs += written_back_to(self.write_back)
        return OperatorLineage(inputs=inputs_of(self.export), outputs=outputs)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what was read and written, and how many rows.

        :param task_instance: the task; the operator itself knows its report, also after a deferral.
        """
        return self._what_was_done(reads=True)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what was read and written before the task failed.

        :param task_instance: the task.
        """
        # A warehouse that could not be read is not asked for names: where it does not answer, the event would be lost.
        return self._what_was_done(reads=self._report is not None and bool(self._report["read"]))

    def _what_was_done(self, *, reads: bool) -> OperatorLineage[Any, Any]:
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_provider_sfleads.operators.datasets import inputs_of, leads_at, written_back_to

        report = self._report
        if report is None:
            return OperatorLineage(outputs=self._leads_to_be())
        outputs = [] if report["dry_run"] else [leads_at(report["host"], report["created"] + report["updated"])]
        if self.write_back is not None and self._written_back is not None:
            outputs += written_back_to(self.write_back, self._written_back)
        return OperatorLineage(inputs=inputs_of(self.export, report["read"]) if reads else [], outputs=outputs)

    def _leads_to_be(self) -> list[OutputDataset]:
        from airflow_provider_sfleads.operators.datasets import leads_at
        from airflow_provider_sfleads.operators.parameters import as_flag

        with suppress(ParameterError):  # the task itself says what is wrong
            if not as_flag("dry_run", self.dry_run):
                return [leads_at(self._hook().client.base_url.partition("://")[2])]
        return []

    @abstractmethod
    def _hook(self) -> SalesforceLeadsHook:
        """Return the hook of the operator's connection."""


def with_alias(outlets: Sequence[Any], conn_id: object) -> list[Any]:
    """Return a task's outlets, with the alias of a connection's leads among them.

    :param outlets: what the author of the Dag gave; all of it stays, in its order.
    :param conn_id: the connection's id; one that is still to be rendered adds nothing.
    """
    from airflow.sdk import AssetAlias

    own = list(outlets)
    if isinstance(conn_id, str) and conn_id and not any(mark in conn_id for mark in ("{{", "{%")):
        name = _alias_name(conn_id)
        if not any(isinstance(outlet, AssetAlias) and outlet.name == name for outlet in own):
            own.append(AssetAlias(name))
    return own


def announce(operator: BaseOperator, context: Mapping[str, Any], conn_id: str, report: Mapping[str, Any]) -> None:
    """Say that the org's leads have been synced; Airflow passes it on when the task has succeeded.

    :param operator: whose success it is.
    :param context: Airflow's task context; one without asset events, such as a test's, is passed over.
    :param conn_id: the connection's id, rendered.
    :param report: what the task returns; a dry run has synced nothing.
    """
    events = context.get("outlet_events")
    if events is None or report["dry_run"]:
        return
    from airflow.sdk import Asset, AssetAlias

    try:
        # Airflow drops events of aliases that are no outlets, and a rendered id was none so far.
        operator.outlets = with_alias(operator.outlets, conn_id)
        lead = Asset(f"salesforce://{report['host']}/Lead")
        events[AssetAlias(_alias_name(conn_id))].add(lead, extra={name: report[name] for name in _TOLD})
    except Exception as error:  # noqa: BLE001
        # The leads are synced: nothing that comes after makes a failure of it.
        log.warning("Other Dags are not told that leads were synced: %s", type(error).__name__)


def dataset_of(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001 - Airflow's signature
    """Return what OpenLineage calls the asset, so that a task with it as an inlet is linked with the syncs."""
    from urllib.parse import urlsplit

    from openlineage.client.event_v2 import Dataset

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/"))


def _alias_name(conn_id: str) -> str:
    return f"salesforce_leads:{conn_id}"
