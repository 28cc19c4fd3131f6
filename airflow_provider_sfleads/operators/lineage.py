"""What the lead operators answer when Airflow's OpenLineage provider asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sfleads.exceptions import ParameterError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import OutputDataset

    from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook


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
        """What is going to be read and written; a dry run writes nothing."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_provider_sfleads.operators.datasets import inputs_of, written_back_to

        outputs = self._leads_to_be()
        if outputs and self.write_back is not None:
            outputs += written_back_to(self.write_back)
        return OperatorLineage(inputs=inputs_of(self.export), outputs=outputs)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """What was read and written, and how many rows.

        :param task_instance: the task; the operator itself knows its report, also after a deferral.
        """
        return self._what_was_done(reads=True)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """What was read and written before the task failed.

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
        """The hook of the operator's connection."""
