"""Delete what a check has made: its jobs, then its leads, also those that no answer told of."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.check.trial import MOST_LEADS, Trial
from airflow_provider_sfleads.exceptions import LeadsLeftError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import MAX_RECORDS, delete_call
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.paging import checked, cut, expect, query_pages
from airflow_provider_sfleads.salesforce.replies import results_of
from airflow_provider_sfleads.salesforce.soql import quote

log = logging.getLogger(__name__)

# Leads are looked for and deleted so often, at pauses that double; while an answer is missing, for `Timeouts.late`.
_ROUNDS = 4
_PAUSE = 0.5
_GONE, _LOCKED = "ENTITY_IS_DELETED", "UNABLE_TO_LOCK_ROW"
_NOT_FOUND = 404
_MOST_FOUND = 1000

DELETED = Assumption(
    name="trial_leads.deleted",
    text="The trial leads and jobs of this check are deleted",
    expected="nothing is left",
    remedy="Look for what keeps the Run-As user from deleting leads, such as a trigger.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What became of the leads and jobs of a check.

    :param deleted: how many leads are in the recycle bin.
    :param leads: ids of leads that are still there, and why.
    :param jobs: ids of jobs that are still there.
    :param unanswered: whether a request had no answer, and what it may still make was not seen.
    :param problem: why the org could not be asked.
    """

    deleted: int = 0
    leads: Mapping[str, str] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    unanswered: bool = False
    problem: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left."""
        return not (self.leads or self.jobs or self.unanswered or self.problem)

    def told(self, trial: Trial) -> str:
        """Say what was deleted, or what is left, and how to find and delete that by hand."""
        job = " A job without rows may be left open, which does no harm." if trial.empty_job else ""
        if self.is_clean:
            return f"{self.deleted} trial leads are deleted; they lie in the recycle bin for 15 days.{job}"
        parts = [
            f"{', '.join(lead_id for lead_id in self.leads if self.leads[lead_id] == why)} still there ({why})"
            for why in dict.fromkeys(self.leads.values())
        ]
        parts += [f"job {job_id} is still there" for job_id in self.jobs]
        parts += ["a request had no answer and may still make leads for 10 minutes"] if self.unanswered else []
        parts += [f"the org could not be asked: {self.problem}"] if self.problem else []
        return f"{'; '.join(parts)}. {by_hand(trial)}{job}"


def by_hand(trial: Trial) -> str:
    """Say how to find the leads of a check and delete them by hand."""
    found = f"SELECT Id FROM Lead WHERE {trial.key.name} LIKE {quote(trial.prefix + '%')}"  # noqa: S608 - for people
    return (
        f"Delete by hand the leads that {found} finds, as a user who has Delete on Lead; jobs are under Setup > Bulk "
        "Data Load Jobs."
    )


class Cleanup:
    """Deletes what a trial has made.

    :param trial: knows of it.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._refused: dict[str, str] = {}
        self._in_bin = 0
        self.is_over = False

    def run(self) -> Leftovers:
        """Delete jobs and leads, as far as that can be done now, and do not begin again where somebody ends that.

        :raises KeyboardInterrupt: where whoever waits had enough of it; so does :class:`SystemExit`.
        """
        self._trial.signals.deleting()
        try:
            left = self._run()
        except (KeyboardInterrupt, SystemExit):
            self.is_over = True
            log.warning("Trial leads may be left. %s", by_hand(self._trial))
            raise
        self.is_over = True
        return left

    def ask(self, _org: Org) -> Iterator[Finding]:
        """Delete, as the last probe."""
        self._trial.signals.check()
        left = self.run()
        yield DELETED.judged(left.told(self._trial), holds=left.is_clean)

    def _run(self) -> Leftovers:
        jobs = tuple(job_id for job_id in sorted(self._trial.jobs) if not self._dropped(job_id))
        there: frozenset[str] = frozenset()
        problem, waited, pause = "", 0.0, _PAUSE
        for turn in count():
            there, problem = self._round()
            is_left = bool(problem) or not there <= self._refused.keys()
            may_come = bool(self._trial.unanswered) and waited < self._trial.timeouts.late
            if not may_come and (not is_left or turn == _ROUNDS):
                break
            self._trial.signals.pause(pause)
            waited, pause = waited + pause, 2 * pause
        return Leftovers(
            deleted=self._in_bin,
            leads={lead_id: self._refused.get(lead_id, "locked, or new") for lead_id in sorted(there)},
            jobs=jobs,
            unanswered=bool(self._trial.unanswered),
            problem=problem,
        )

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
        trial = self._trial
        key, condition = trial.key.name, f"{trial.key.name} LIKE {quote(trial.prefix + '%')}"
        if trial.ids:
            condition += f" OR Id IN ({', '.join(map(quote, sorted(trial.ids)))})"
        soql = f"SELECT Id, {key}, IsDeleted FROM Lead WHERE {condition}"  # noqa: S608 - of ours
        pages = query_pages(trial.send, soql, resource="queryAll", conn_id=trial.conn_id, most=_MOST_FOUND)
        records = [record for page in pages for record in page]
        found = checked(records, (key, "IsDeleted"), sobject="Lead", conn_id=trial.conn_id)
        trial.unanswered -= {str(lead[key]) for lead in found}
        self._in_bin = sum(bool(lead["IsDeleted"]) for lead in found)
        return frozenset(to_18(lead["Id"]) or lead["Id"] for lead in found if not lead["IsDeleted"])

    def _delete(self, ids: list[str]) -> None:
        for page in cut(ids, MAX_RECORDS):
            call = delete_call(page)
            reply = expect(call, self._trial.send(call), conn_id=self._trial.conn_id)
            for lead_id, result in zip(page, results_of(reply, len(page)), strict=True):
                code = "" if result.success else result.errors[0].code
                if code and code not in (_GONE, _LOCKED):
                    self._refused[lead_id] = code


@contextmanager
def cleaning_up(trial: Trial) -> Iterator[Probe]:
    """Yield the probe that deletes; where it does not come to that, delete on the way out.

    :raises LeadsLeftError: where something is left.
    """
    cleanup = Cleanup(trial)
    try:
        yield Probe(DELETED, cleanup.ask)
    except BaseException:
        if not cleanup.is_over:
            log.warning("The check ended early. %s", cleanup.run().told(trial))
        raise
    if not cleanup.is_over:
        left = cleanup.run()
        if not left.is_clean:
            raise LeadsLeftError(left.told(trial))
