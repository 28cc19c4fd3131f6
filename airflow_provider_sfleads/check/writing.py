"""What only a write shows: the probes of ``--write``, for sandboxes and Developer Editions."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_sfleads.check.access import organization_of
from airflow_provider_sfleads.check.assumption import Assumption, Finding
from airflow_provider_sfleads.check.findings import Probe
from airflow_provider_sfleads.check.interruptions import Interruptions
from airflow_provider_sfleads.check.made_up import without_value
from airflow_provider_sfleads.check.org import Org, Wanted
from airflow_provider_sfleads.check.removal import Left, Removal, by_hand
from airflow_provider_sfleads.check.trial_leads import MOST_LEADS, Patience, Trial
from airflow_provider_sfleads.check.values import VALUES, placed
from airflow_provider_sfleads.check.write_context import WriteContext
from airflow_provider_sfleads.check.write_jobs import write_jobs
from airflow_provider_sfleads.check.write_refusals import write_refusals
from airflow_provider_sfleads.check.write_requests import write_requests
from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo, parse_describe
from airflow_provider_sfleads.core.mapping import Purpose, check_external_id
from airflow_provider_sfleads.core.paging import mapping
from airflow_provider_sfleads.core.wire import Call
from airflow_provider_sfleads.exceptions import LeadsLeftError, RequestRefusedError, TrialRefusedError

log = logging.getLogger(__name__)

_PREFIX = "sfleads-check-{}-"
_DESCRIBE = Call(method="GET", path="sobjects/Lead/describe")
_PERMISSIONS = {"createable": "Create", "deletable": "Delete"}
# Beyond the prefix: a number of two digits.
_LONGEST_NUMBER = 2

DELETED = Assumption(
    name="trial_leads.deleted",
    text="The trial leads and jobs of this check are deleted",
    expected="nothing is left",
    remedy="Look for what keeps the Run-As user from deleting leads, such as a trigger.",
)


@contextmanager
def write_probes(org: Org, wanted: Wanted, patience: Patience | None = None) -> Iterator[Sequence[Probe]]:
    """Yield the probes that write; on the way out, whatever ends the check, all that they made is deleted.

    At most :data:`~.trial_leads.MOST_LEADS` leads are made, under one prefix of keys. No assignment rule runs for them,
    their addresses are in ``example.invalid``. What is deleted lies in the recycle bin. SIGINT and SIGTERM are heard
    between two requests, see :class:`~.interruptions.Interruptions`.

    :param wanted: names the external-ID field, which the leads are found by.
    :param patience: how long to wait for jobs, and for what a request without an answer may have made.
    :raises TrialRefusedError: where the org is neither a sandbox nor a Developer Edition, or the leads could not be
        found again; nothing was written.
    :raises LeadsLeftError: where something is left.
    """
    _check_org(org)
    body = mapping(_DESCRIBE, org.send(_DESCRIBE), conn_id=org.conn_id)
    _check_may(body, org.conn_id)
    lead = parse_describe(body)
    prefix = _PREFIX.format(secrets.token_hex(4))
    key = _key_field(lead, wanted, len(prefix) + _LONGEST_NUMBER)
    patience = patience or Patience()
    with (
        tempfile.TemporaryDirectory(prefix="sfleads-check-") as folder,
        Interruptions(field=key.name, prefix=prefix) as interruptions,
    ):
        trial = Trial(
            org=org,
            lead=lead,
            key=key,
            prefix=prefix,
            interruptions=interruptions,
            folder=Path(folder),
            patience=patience,
        )
        _check_found(trial)
        log.info(
            "Up to %d trial leads with %s %s01 and so on are made and deleted; jobs are waited for up to %g seconds.",
            MOST_LEADS, key.name, prefix, patience.jobs,
        )  # fmt: skip
        with _deleting(trial) as last:
            yield [*_asking(trial), last]
        interruptions.hand_on()


def _asking(trial: Trial) -> list[Probe]:
    context = WriteContext(trial=trial, odd=placed(trial.lead, trial.key.name))
    values = context.probe(lambda context: context.odd.findings(context.trips), VALUES, needs=())
    return [*write_requests(context), *write_refusals(context), *write_jobs(context), values]


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


def _key_field(lead: SObjectInfo, wanted: Wanted, length: int) -> FieldInfo:
    """Return the field that the trial leads are found by."""
    if wanted.external_id_field is None:
        raise TrialRefusedError(
            "Trial leads are found and deleted by an external-ID field: name one that is text and unique, by "
            "--external-id. Nothing was written."
        )
    found = check_external_id(lead, wanted.external_id_field, Purpose(creates=True, updates=False), unique=True)
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
        Removal(trial).find()
    except RequestRefusedError as error:
        raise TrialRefusedError(
            f"Leads cannot be found by the beginning of {trial.key.name}, so trial leads could not be deleted and none "
            f"are made: {error}"
        ) from error


def _unfit(info: FieldInfo, length: int) -> str:
    if info.type != "string":
        return f"external_id_field {info.name}: trial leads need one that is text, and it is of type {info.type}"
    return "" if info.length >= length else f"external_id_field {info.name}: it is shorter than {length} characters"


class _Ending:
    """Deletes what a trial has made, once.

    :param trial: what to delete.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.is_over = False

    def run(self) -> Left:
        """Delete, and do not begin again where somebody ends that."""
        self._trial.interruptions.deleting()
        try:
            left = Removal(self._trial).run()
        except (KeyboardInterrupt, SystemExit):
            self.is_over = True
            log.warning("Trial leads may be left. %s", by_hand(self._trial))
            raise
        self.is_over = True
        return left

    def ask(self, _org: Org) -> Iterator[Finding]:
        """Delete, as the last probe."""
        self._trial.interruptions.check()
        left = self.run()
        yield DELETED.judged(left.told(self._trial), holds=left.is_clean)


@contextmanager
def _deleting(trial: Trial) -> Iterator[Probe]:
    """Yield the probe that deletes; where it does not come to that, delete on the way out."""
    ending = _Ending(trial)
    try:
        yield Probe.about(DELETED, ending.ask)
    except BaseException:
        if not ending.is_over:
            log.warning("The check ended early. %s", ending.run().told(trial))
        raise
    if not ending.is_over:
        left = ending.run()
        if not left.is_clean:
            raise LeadsLeftError(left.told(trial))
