"""Set up what only a write shows, for sandboxes and Developer Editions, and delete all that it has made."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_sfleads.check.access import DESCRIBE, ask_organization
from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe, State
from airflow_provider_sfleads.check.trial import MOST_LEADS, Signals, Trial
from airflow_provider_sfleads.check.trial_values import ODD_VALUES, odd_fields, odd_findings, without_value
from airflow_provider_sfleads.check.write_collections import write_collections
from airflow_provider_sfleads.check.write_jobs import write_jobs
from airflow_provider_sfleads.core.mapping import Purpose, check_external_id
from airflow_provider_sfleads.exceptions import (
    LeadsLeftError,
    RequestRefusedError,
    SalesforceLeadsError,
    TrialRefusedError,
)
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import MAX_RECORDS, delete_call
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo, parse_describe
from airflow_provider_sfleads.salesforce.ids import full_id
from airflow_provider_sfleads.salesforce.paging import checked, cut, expect, mapping, query_pages
from airflow_provider_sfleads.salesforce.replies import results_of
from airflow_provider_sfleads.salesforce.soql import quote

log = logging.getLogger(__name__)

DELETED = Assumption(
    name="trial_leads.deleted",
    text="The trial leads and jobs of this check are deleted",
    expected="nothing is left",
    remedy="Look for what keeps the Run-As user from deleting leads, such as a trigger.",
)
_PREFIX = "sfleads-check-{}-"
# Beyond the prefix: a number of two digits.
_LONGEST_NUMBER = 2
# Leads are looked for and deleted so often, at pauses that double; while an answer is missing, for `Timeouts.late`.
_ROUNDS = 4
_PAUSE = 0.5
_GONE, _LOCKED = "ENTITY_IS_DELETED", "UNABLE_TO_LOCK_ROW"
_NOT_FOUND = 404
_MOST_FOUND = 1000


@contextmanager
def write_probes(org: Org) -> Iterator[Sequence[Probe]]:
    """Yield the probes that write; on the way out, whatever ends the check, all that they made is deleted.

    At most :data:`~.trial.MOST_LEADS` leads are made, under one prefix of keys. No assignment rule runs for them,
    their addresses are in ``example.invalid``. What is deleted lies in the recycle bin. SIGINT and SIGTERM are heard
    between two requests, see :class:`~.trial.Signals`.

    :param org: whose options name the external-ID field, which the leads are found by.
    :raises TrialRefusedError: where the org is neither a sandbox nor a Developer Edition, or the leads could not be
        found again; nothing was written.
    :raises LeadsLeftError: where something is left.
    """
    _check_org(org)
    body = mapping(DESCRIBE, org.send(DESCRIBE), conn_id=org.conn_id)
    _check_may(body, org.conn_id)
    lead = parse_describe(body)
    prefix = _PREFIX.format(secrets.token_hex(4))
    key = _key_field(lead, org.options.external_id_field, len(prefix) + _LONGEST_NUMBER)
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
            odd_fields=odd_fields(lead, key.name),
        )
        _check_found(trial)
        log.info(
            "Up to %d trial leads with %s %s01 and so on are made and deleted; jobs are waited for up to %g seconds.",
            MOST_LEADS, key.name, prefix, org.timeouts.jobs,
        )  # fmt: skip
        values = trial.probe(lambda it: odd_findings(it.odd_fields, it.round_trips), ODD_VALUES[0].assumption)
        with _cleaning_up(trial) as last:
            yield [*write_collections(trial), *write_jobs(trial), values, last]
        signals.pass_on()


def _check_org(org: Org) -> None:
    try:
        found = ask_organization(org)
    except RequestRefusedError as error:
        raise TrialRefusedError(
            f"Whether the org of connection {org.conn_id!r} is a sandbox cannot be told, so nothing was written to "
            f"it: {error}"
        ) from error
    _, edition, is_sandbox = found or ("", "", False)
    if not is_sandbox and edition != "Developer Edition":
        raise TrialRefusedError(
            f"The org of connection {org.conn_id!r} is neither a sandbox nor a Developer Edition, so nothing was "
            "written to it. Run the check with --write against a sandbox, and without it here."
        )


def _check_may(describe: Mapping[str, object], conn_id: str) -> None:
    """Refuse to begin what could not be ended: a user made for syncs alone may create leads and not delete them."""
    permissions = {"createable": "Create", "deletable": "Delete"}
    lacking = [name for word, name in permissions.items() if describe.get(word) is not True]
    if lacking:
        raise TrialRefusedError(
            f"The Run-As user of connection {conn_id!r} has no {' and no '.join(lacking)} on Lead, so no trial "
            "leads are made. Give it to that user for this check; syncs need no Delete. Nothing was written."
        )


def _key_field(lead: SObjectInfo, name: str | None, length: int) -> FieldInfo:
    """Return the field that the trial leads are found by, which has to hold keys of that length."""
    if name is None:
        raise TrialRefusedError(
            "Trial leads are found and deleted by an external-ID field: name one that is text and unique, by "
            "--external-id. Nothing was written."
        )
    found = check_external_id(lead, name, Purpose(creates=True, updates=False), unique=True)
    lacking = without_value(lead)
    if isinstance(found, str):
        problem = found
    elif found.type != "string":
        problem = f"external_id_field {found.name}: trial leads need one that is text, and it is of type {found.type}"
    elif found.length < length:
        problem = f"external_id_field {found.name}: it is shorter than {length} characters"
    elif lacking:
        problem = f"Lead requires {', '.join(lacking)}, for which the check cannot make up a value"
    else:
        return found
    raise TrialRefusedError(f"No trial leads can be made: {problem}. Nothing was written.")


def _check_found(trial: Trial) -> None:
    """Refuse to make what would not be found again, as by a key that is encrypted (Shield Platform Encryption)."""
    try:
        _Cleanup(trial).find()
    except RequestRefusedError as error:
        raise TrialRefusedError(
            f"Leads cannot be found by the beginning of {trial.key.name}, so trial leads could not be deleted and none "
            f"are made: {error}"
        ) from error


@contextmanager
def _cleaning_up(trial: Trial) -> Iterator[Probe]:
    """Yield the probe that deletes; where it does not come to that, delete on the way out.

    :raises LeadsLeftError: where something is left.
    """
    cleanup = _Cleanup(trial)
    try:
        yield Probe(DELETED, cleanup.ask)
    except BaseException:
        if not cleanup.is_over:
            log.warning("The check ended early. %s", cleanup.run().seen)
        raise
    if not cleanup.is_over:
        found = cleanup.run()
        if found.state is State.BROKEN:
            raise LeadsLeftError(found.seen)


def _by_hand(trial: Trial) -> str:
    """Say how to find the leads of a check and delete them by hand."""
    found = f"SELECT Id FROM Lead WHERE {_is_ours(trial)}"  # noqa: S608 - for people
    return (
        f"Delete by hand the leads that {found} finds, as a user who has Delete on Lead; jobs are under Setup > Bulk "
        "Data Load Jobs."
    )


def _is_ours(trial: Trial) -> str:
    return f"{trial.key.name} LIKE {quote(trial.prefix + '%')}"


class _Cleanup:
    """Deletes what a trial has made: its jobs, then its leads, also those that no answer told of.

    :param trial: knows of it.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._refused: dict[str, str] = {}
        self._in_bin = 0
        self.is_over = False

    def ask(self, _org: Org) -> Iterator[Finding]:
        """Delete, as the last probe."""
        self._trial.signals.check()
        yield self.run()

    def run(self) -> Finding:
        """Delete jobs and leads, as far as that can be done now, and do not begin again where somebody ends that.

        :raises KeyboardInterrupt: where whoever waits had enough of it; so does :class:`SystemExit`.
        """
        self._trial.signals.deleting()
        try:
            found = self._run()
        except (KeyboardInterrupt, SystemExit):
            self.is_over = True
            log.warning("Trial leads may be left. %s", _by_hand(self._trial))
            raise
        self.is_over = True
        return found

    def _run(self) -> Finding:
        jobs = [job_id for job_id in sorted(self._trial.jobs) if not self._dropped(job_id)]
        waited, pause, turn = 0.0, _PAUSE, 0
        while True:
            there, problem = self._round()
            is_left = bool(problem) or not there <= self._refused.keys()
            may_come = bool(self._trial.unanswered) and waited < self._trial.org.timeouts.late
            if not may_come and (not is_left or turn == _ROUNDS):
                break
            self._trial.signals.pause(pause)
            waited, pause, turn = waited + pause, 2 * pause, turn + 1
        return self._told(there, jobs, problem)

    def _told(self, there: frozenset[str], jobs: Sequence[str], problem: str) -> Finding:
        """Say what was deleted, or what is left, and how to find and delete that by hand.

        :param there: ids of leads that are still there.
        :param jobs: ids of jobs that are.
        :param problem: why the org could not be asked.
        """
        trial = self._trial
        reasons: dict[str, list[str]] = {}
        for lead_id in sorted(there):
            reasons.setdefault(self._refused.get(lead_id, "locked, or new"), []).append(lead_id)
        left = [f"{', '.join(ids)} still there ({why})" for why, ids in reasons.items()]
        left += [f"job {job_id} is still there" for job_id in jobs]
        left += ["a request had no answer and may still make leads for 10 minutes"] if trial.unanswered else []
        left += [f"the org could not be asked: {problem}"] if problem else []
        job = " A job without rows may be left open, which does no harm." if trial.empty_job else ""
        if left:
            return DELETED.judged(f"{'; '.join(left)}. {_by_hand(trial)}{job}", holds=False)
        gone = f"{self._in_bin} trial leads are deleted; they lie in the recycle bin for 15 days.{job}"
        return DELETED.judged(gone, holds=True)

    def _round(self) -> tuple[frozenset[str], str]:
        """Delete what is there; what still is, and why the org could not be asked."""
        there: frozenset[str] = frozenset()
        try:
            there = self.find()
            wanted = sorted(there - self._refused.keys())
            if wanted:
                self._delete(wanted)
                there = self.find()
        except SalesforceLeadsError as error:
            return there, str(error)
        return there, ""

    def _dropped(self, job_id: str) -> bool:
        """Abort a job that is not over and delete it; whether it is gone."""
        try:
            self._trial.send(ingest_jobs.abort_job(job_id))
            for turn in range(_ROUNDS):
                if job_id in self._trial.unread:
                    self._learn(job_id)
                reply = self._trial.send(ingest_jobs.delete_job(job_id))
                if reply.taken or reply.status == _NOT_FOUND:
                    self._trial.jobs.discard(job_id)
                    return True
                # It is just being processed.
                self._trial.signals.pause(_PAUSE * 2**turn)
        except SalesforceLeadsError:
            return False
        return False

    def _learn(self, job_id: str) -> None:
        """Ask a job for its leads, while it can be asked."""
        path = self._trial.folder / f"{job_id}-left.csv"
        call = ingest_jobs.results(job_id, ingest_jobs.ResultKind.SUCCESSFUL, most=ingest_jobs.most_results(MOST_LEADS))
        if self._trial.download(call, path).taken:
            self._trial.learn(job_id, path)

    def find(self) -> frozenset[str]:
        """Return the ids of the trial's leads that are not deleted; of keys without an answer, say which were seen.

        :raises RequestRefusedError: where leads cannot be found by the beginning of their keys.
        """
        trial, key, condition = self._trial, self._trial.key.name, _is_ours(self._trial)
        if trial.ids:
            condition += f" OR Id IN ({', '.join(map(quote, sorted(trial.ids)))})"
        soql = f"SELECT Id, {key}, IsDeleted FROM Lead WHERE {condition}"  # noqa: S608 - of ours
        pages = query_pages(trial.send, soql, resource="queryAll", conn_id=trial.conn_id, most=_MOST_FOUND)
        records = [record for page in pages for record in page]
        found = checked(records, (key, "IsDeleted"), sobject="Lead", conn_id=trial.conn_id)
        trial.unanswered -= {str(lead[key]) for lead in found}
        self._in_bin = sum(bool(lead["IsDeleted"]) for lead in found)
        return frozenset(full_id(lead["Id"]) for lead in found if not lead["IsDeleted"])

    def _delete(self, ids: list[str]) -> None:
        for page in cut(ids, MAX_RECORDS):
            call = delete_call(page)
            reply = expect(call, self._trial.send(call), conn_id=self._trial.conn_id)
            for lead_id, result in zip(page, results_of(reply, len(page)), strict=True):
                code = "" if result.success else result.errors[0].code
                if code and code not in (_GONE, _LOCKED):
                    self._refused[lead_id] = code
