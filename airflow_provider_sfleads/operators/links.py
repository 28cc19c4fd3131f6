"""Links of a task instance: to its results in Airflow's own UI, and to the pages of Salesforce it has to do with.

What a link needs is known only while the task runs, so it is pushed then, as soon as that is known: it is there while
the task runs or is deferred, and after its worker was killed. None holds more than names and ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_sfleads.results.folder import ResultsFolder

log = logging.getLogger(__name__)

#: The address of the page "Lead syncs" in Airflow's UI, below Airflow's own.
PAGE = "plugin/lead-syncs"
#: The XCom by which the page knows what earlier executions did while there is no report.
EXECUTIONS = "earlier_executions"


class _PushedLink(BaseOperatorLink):
    """A link that the task has pushed while it ran."""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401, ARG002 - Airflow's signature
        """Return what was pushed in this try; Airflow writes it down again where a process of the task ends.

        :param operator: unused.
        :param ti_key: whose link it is.
        """
        from airflow.providers.common.compat.sdk import XCom

        # Not None: Airflow would show that as a link to the address "None", and it shows nothing of an empty one.
        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


class LeadSyncResultsLink(_PushedLink):
    """The page that shows what became of each row in the task's last execution."""

    name = "Results"


class BulkJobLink(_PushedLink):
    """The bulk job in Salesforce's Setup; all jobs of the org where the task has several."""

    name = "Bulk job in Salesforce"


class LeadsLink(_PushedLink):
    """The leads in Salesforce."""

    name = "Leads in Salesforce"


def results_url(folder: ResultsFolder) -> str:
    """Return the address of the page for an execution, from the root of Airflow's own host.

    So it leads back to the host by which a person came, whatever others there are; below which path Airflow is
    served there, ``[api] base_url`` says.
    """
    from airflow.providers.common.compat.sdk import conf

    root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    names = ("dag_id", "run_id", "task_id", "map_index", "execution")
    return f"{root}/{PAGE}?{urlencode({name: getattr(folder, name) for name in names}, quote_via=quote, safe='')}"


def jobs_url(base_url: str, job_ids: Iterable[str]) -> str:
    """Return the address of a bulk job, or of the list of all jobs; empty where there is none.

    Salesforce documents no addresses of Setup; its command line (``sf org open``) has this one.

    :param base_url: the org's, as the hook's client has it.
    """
    ids = tuple(job_ids)
    page = f"{base_url}/lightning/setup/AsyncApiJobStatus"
    if len(ids) > 1:
        return f"{page}/home"
    return f"{page}/page?address=%2F{quote(ids[0], safe='')}" if ids else ""


def leads_url(base_url: str) -> str:
    """Return the address of the list of leads.

    :param base_url: the org's, as the hook's client has it.
    """
    return f"{base_url}/lightning/o/Lead/list?filterName=__Recent"


@dataclass(slots=True)
class Links:
    """Pushes the links of a task instance, each when it changes.

    :param ti: Airflow's task instance, as it is in the task's context.
    """

    ti: Any
    _pushed: dict[str, str] = field(default_factory=dict)

    def begin(self, links: Iterable[BaseOperatorLink]) -> None:
        """Leave links empty yet: for each that is looked for at the end and is not there, Airflow logs an error."""
        for link in links:
            self._push(link, "")

    def show_results(self, folder: ResultsFolder) -> None:
        """Show where the results are."""
        self._show(LeadSyncResultsLink(), results_url(folder))

    def show_leads(self, base_url: str) -> None:
        """Show where the leads are."""
        self._show(LeadsLink(), leads_url(base_url))

    def show_jobs(self, base_url: str, job_ids: Iterable[str]) -> None:
        """Show where the bulk jobs are, if there are any."""
        self._show(BulkJobLink(), jobs_url(base_url, job_ids))

    def tell_executions(self, executions: Sequence[Mapping[str, Any]]) -> None:
        """Tell what earlier executions did; Airflow has removed their reports, and this one's may never come."""
        if executions:
            self._push_value(EXECUTIONS, [dict(each) for each in executions])

    def _show(self, link: BaseOperatorLink, url: str) -> None:
        if self._pushed.get(link.xcom_key, "") != url:
            self._push(link, url)

    def _push(self, link: BaseOperatorLink, url: str) -> None:
        if self._push_value(link.xcom_key, url):
            self._pushed[link.xcom_key] = url

    def _push_value(self, key: str, value: object) -> bool:
        try:
            self.ti.xcom_push(key=key, value=value)
        except Exception as error:  # noqa: BLE001
            # Leads do not wait for a link; Airflow that is not there at all, the task learns of by its state.
            log.warning("%s cannot be shown in Airflow's UI: %s", key, type(error).__name__)
            return False
        return True
