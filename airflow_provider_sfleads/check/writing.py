"""Set up what only a write shows: the probes of ``--write``, for sandboxes and Developer Editions."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_sfleads.check.access import organization_of
from airflow_provider_sfleads.check.cleanup import Cleanup, cleaning_up
from airflow_provider_sfleads.check.probe import Org, Probe
from airflow_provider_sfleads.check.trial import MOST_LEADS, Signals, Timeouts, Trial
from airflow_provider_sfleads.check.trial_values import VALUES, odd_fields, without_value
from airflow_provider_sfleads.check.write_collections import write_collections
from airflow_provider_sfleads.check.write_jobs import write_jobs
from airflow_provider_sfleads.check.write_refusals import write_refusals
from airflow_provider_sfleads.core.mapping import Purpose, check_external_id
from airflow_provider_sfleads.exceptions import RequestRefusedError, TrialRefusedError
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo, parse_describe
from airflow_provider_sfleads.salesforce.paging import mapping
from airflow_provider_sfleads.salesforce.wire import Call

log = logging.getLogger(__name__)

_PREFIX = "sfleads-check-{}-"
_DESCRIBE = Call(method="GET", path="sobjects/Lead/describe")
_PERMISSIONS = {"createable": "Create", "deletable": "Delete"}
# Beyond the prefix: a number of two digits.
_LONGEST_NUMBER = 2


@contextmanager
def write_probes(org: Org, timeouts: Timeouts | None = None) -> Iterator[Sequence[Probe]]:
    """Yield the probes that write; on the way out, whatever ends the check, all that they made is deleted.

    At most :data:`~.trial.MOST_LEADS` leads are made, under one prefix of keys. No assignment rule runs for them,
    their addresses are in ``example.invalid``. What is deleted lies in the recycle bin. SIGINT and SIGTERM are heard
    between two requests, see :class:`~.signals.Signals`.

    :param org: whose options name the external-ID field, which the leads are found by.
    :param timeouts: how long to wait for jobs, and for what a request without an answer may have made.
    :raises TrialRefusedError: where the org is neither a sandbox nor a Developer Edition, or the leads could not be
        found again; nothing was written.
    :raises LeadsLeftError: where something is left.
    """
    _check_org(org)
    body = mapping(_DESCRIBE, org.send(_DESCRIBE), conn_id=org.conn_id)
    _check_may(body, org.conn_id)
    lead = parse_describe(body)
    prefix = _PREFIX.format(secrets.token_hex(4))
    key = _key_field(lead, org.options.external_id_field, len(prefix) + _LONGEST_NUMBER)
    timeouts = timeouts or Timeouts()
    with (
        tempfile.TemporaryDirectory(prefix="sfleads-check-") as folder,
        Signals(field=key.name, prefix=prefix) as signals,
    ):
        trial = Trial(
            org=org,
            lead=lead,
            key=key,
            prefix=prefix,
            signals=signals,
            folder=Path(folder),
            timeouts=timeouts,
            odd_fields=odd_fields(lead, key.name),
        )
        _check_found(trial)
        log.info(
            "Up to %d trial leads with %s %s01 and so on are made and deleted; jobs are waited for up to %g seconds.",
            MOST_LEADS, key.name, prefix, timeouts.jobs,
        )  # fmt: skip
        values = trial.probe(lambda trial: trial.odd_fields.findings(trial.round_trips), VALUES)
        with cleaning_up(trial) as last:
            yield [*write_collections(trial), *write_refusals(trial), *write_jobs(trial), values, last]
        signals.pass_on()


def _check_org(org: Org) -> None:
    try:
        found = organization_of(org)
    except RequestRefusedError as error:
        raise TrialRefusedError(
            f"Whether the org of connection {org.conn_id!r} is a sandbox cannot be told, so nothing was written to "
            f"it: {error}"
        ) from error
    if found is None or not (found.is_sandbox or found.edition == "Developer Edition"):
        raise TrialRefusedError(
            f"The org of connection {org.conn_id!r} is neither a sandbox nor a Developer Edition, so nothing was "
            "written to it. Run the check with --write against a sandbox, and without it here."
        )


def _check_may(describe: Mapping[str, object], conn_id: str) -> None:
    """Refuse to begin what could not be ended: a user made for syncs alone may create leads and not delete them."""
    lacking = [name for word, name in _PERMISSIONS.items() if describe.get(word) is not True]
    if lacking:
        raise TrialRefusedError(
            f"The Run-As user of connection {conn_id!r} has no {' and no '.join(lacking)} on Lead, so no trial "
            "leads are made. Give it to that user for this check; syncs need no Delete. Nothing was written."
        )


def _key_field(lead: SObjectInfo, name: str | None, length: int) -> FieldInfo:
    """Return the field that the trial leads are found by."""
    if name is None:
        raise TrialRefusedError(
            "Trial leads are found and deleted by an external-ID field: name one that is text and unique, by "
            "--external-id. Nothing was written."
        )
    found = check_external_id(lead, name, Purpose(creates=True, updates=False), unique=True)
    problem = found if isinstance(found, str) else _unfit(found, length)
    lacking = without_value(lead)
    if lacking and not problem:
        problem = f"Lead requires {', '.join(lacking)}, for which the check cannot make up a value"
    if problem or isinstance(found, str):
        raise TrialRefusedError(f"No trial leads can be made: {problem}. Nothing was written.")
    return found


def _check_found(trial: Trial) -> None:
    """Refuse to make what would not be found again, as by a key that is encrypted (Shield Platform Encryption)."""
    try:
        Cleanup(trial).find()
    except RequestRefusedError as error:
        raise TrialRefusedError(
            f"Leads cannot be found by the beginning of {trial.key.name}, so trial leads could not be deleted and none "
            f"are made: {error}"
        ) from error


def _unfit(info: FieldInfo, length: int) -> str:
    if info.type != "string":
        return f"external_id_field {info.name}: trial leads need one that is text, and it is of type {info.type}"
    return "" if info.length >= length else f"external_id_field {info.name}: it is shorter than {length} characters"
