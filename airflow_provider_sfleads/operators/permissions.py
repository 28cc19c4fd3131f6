"""Find out what the Run-As user may not do, before the export is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_sfleads.exceptions import LeadAccessError, MappingError, ObjectAccessError, SalesforceLeadsError
from airflow_provider_sfleads.operators.load_context import LoadContext
from airflow_provider_sfleads.operators.load_settings import LoadSettings
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, check_contacts
from airflow_provider_sfleads.salesforce.describe import SObjectInfo, check_writable, in_one, parse_describe

log = logging.getLogger(__name__)


def describe_lead(settings: LoadSettings) -> SObjectInfo:
    """Read Lead's describe.

    :raises ObjectAccessError: where the Run-As user cannot see leads, with all else that it may not read.
    """
    conn_id = settings.hook.salesforce_conn_id
    try:
        return parse_describe(settings.hook.describe("Lead"))
    except LeadAccessError as error:
        problems: list[SalesforceLeadsError] = [error]
        with _collecting(problems):
            _check_contacts(settings)
        raise in_one(problems, conn_id=conn_id) from None


def check_permissions(load: LoadContext) -> None:
    """Refuse a load that the Run-As user may not carry out, or whose mapping does not fit the org.

    :raises SalesforceLeadsError: one for all that is lacking.
    """
    from airflow_provider_sfleads.pipeline.staged_pieces import Pieces

    settings, conn_id = load.settings, load.settings.hook.salesforce_conn_id
    problems: list[SalesforceLeadsError] = []
    checks: list[Callable[[], object]] = [lambda: load.plan(())]
    # Jobs that are under way are brought to their end in any case, by the rule that they have.
    if not Pieces(load.folder.staged()).in_jobs(load.execution.jobs):
        checks.insert(0, lambda: check_writable(load.lead, settings.needs, conn_id=conn_id))
        checks.append(lambda: _check_contacts(settings))
        if settings.needs.active_rule and settings.api == "bulk" and load.execution.api != "collections":
            checks.append(load.active_rule)
    for check in checks:
        with _collecting(problems):
            check()
    if problems:
        raise in_one(problems, conn_id=conn_id)
    unseen = load.lead.unseen(STATUS_FIELDS)
    if unseen:
        log.info("The Run-As user does not see %s: results carry no contact_id. Read on Contact shows it.", *unseen)


def hides_rule(load: LoadContext) -> bool:
    """Return whether bulk is out of the question.

    Since it would have to name a rule that the Run-As user may not see.
    """
    try:
        if load.settings.needs.active_rule:
            load.active_rule()
    except ObjectAccessError as error:
        log.warning("%s", error)
        return True
    return False


def _check_contacts(settings: LoadSettings) -> None:
    if settings.needs.contacts:
        check_contacts(settings.hook.client.send, conn_id=settings.hook.salesforce_conn_id)


@contextmanager
def _collecting(problems: list[SalesforceLeadsError]) -> Iterator[None]:
    """Take down what the Run-As user lacks; whatever else goes wrong is raised at once."""
    try:
        yield
    except (ObjectAccessError, MappingError) as error:
        problems.append(error)
