"""Send staged rows by ingest jobs, and bring each piece to an outcome, whatever is interrupted on the way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.exceptions import (
    DisownedError,
    OutcomeUnknownError,
    RequestRefusedError,
    SalesforceLeadsError,
)
from airflow_provider_sfleads.pipeline.job_watch import Over, Watch
from airflow_provider_sfleads.pipeline.load_steps import Settling
from airflow_provider_sfleads.pipeline.plan import reason_for
from airflow_provider_sfleads.pipeline.ports import JobJournal, ResultsSink, RunTerms
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces, Role
from airflow_provider_sfleads.pipeline.staged_rows import field_names, write_csv
from airflow_provider_sfleads.salesforce.ingest_jobs import MAX_UPLOAD_BYTES, JobInfo, JobSpec, JobState, longest_queued
from airflow_provider_sfleads.salesforce.job_control import LASTING, Jobs, heals, unfinished
from airflow_provider_sfleads.salesforce.query_job import Stopped

log = logging.getLogger(__name__)

# Jobs of one run that Salesforce works on at the same time: more would not be faster, and others wait behind them.
_MOST_RUNNING = 10
# A job that is aborted is over in a moment; longer than this a task that is to end does not wait for it.
_LONGEST_ABORT = 10.0
# Seconds for which a look-up counts: a load that had to wait until a job was over is looked up again.
_FRESH = 60.0


@dataclass(slots=True, kw_only=True)
class BulkRun:
    """One run, in one process; :meth:`carry_on` in a later one goes on where it was.

    :param pieces: the staged rows.
    :param jobs: makes jobs and asks for them.
    :param sink: where outcomes go.
    :param journal: which job carries which load.
    :param settling: looks parts up, and settles loads.
    :param terms: how it is carried out.
    :param active_rule: asks for the org's active assignment rule for leads.
    :param scratch: local folder for CSV files.
    :param makes_jobs: else what no job carries yet is left to others; jobs there are are brought to their end.
    :param halted: why sending stopped early.
    """

    pieces: Pieces
    jobs: Jobs
    sink: ResultsSink
    journal: JobJournal
    settling: Settling
    terms: RunTerms
    active_rule: Callable[[], str | None]
    scratch: Path
    makes_jobs: bool = True
    halted: SalesforceLeadsError | None = None
    _watch: Watch = field(init=False)
    _unknown: set[str] = field(default_factory=set)
    _looked_up: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Watch nothing yet."""
        self._watch = Watch(look=self.jobs.look, server_now=self.terms.server_now, longest_queued=self._longest_queued)

    def carry_on(self, patience: float | None) -> tuple[str, ...]:
        """Look up, send, wait and settle, until nothing is left to do here.

        :param patience: seconds to wait for jobs before this gives the wait up to somebody else; ``None`` for ever.
        :return: ids of the jobs to wait for; none where the run is through, or cannot go on.
        """
        self.pieces.tidy(self.sink.marks())
        self._name_left_over()
        self._take_up()
        while not self.terms.stop.is_set():
            self._send_all()
            if not self._watch.running:
                if self.halted is not None or not self._sendable():
                    return ()
                continue
            over = self._wait(patience)
            if over is None and not self.terms.stop.is_set():
                return self._watch.job_ids
            for piece, job in over or ():
                if job is not None and job.state is JobState.UPLOAD_COMPLETE:
                    self._withdraw(piece, job)
                else:
                    self._collect(piece, job)
        self.abort_running()
        self._settle_over()
        return ()

    def _wait(self, patience: float | None) -> Over | None:
        try:
            return self._watch.wait(self.terms.stop.wait, patience)
        except SalesforceLeadsError as error:
            self._halt(error)
            self._unknown |= self._watch.marks
            self._watch.running.clear()
            return []

    @property
    def elapsed(self) -> float:
        """Seconds since the oldest of the jobs to wait for was begun."""
        return self._watch.elapsed

    @property
    def queued(self) -> dict[str, float]:
        """Seconds after which jobs that stand in the queue by then have to be taken out of it, by id."""
        return self._watch.queued

    def reason_left(self, piece: Piece) -> Reason:
        """Return why a piece is not settled."""
        if piece.is_doubtful or piece.mark in self._unknown or piece.mark in self._watch.marks:
            return Reason.OUTCOME_UNKNOWN
        return reason_for(self.halted) if self.halted else Reason.STOPPED

    def abort_running(self) -> None:
        """Abort what runs, since the task is to end; nothing is waited for."""
        for job_id in self._watch.job_ids:
            self.jobs.abort(job_id)

    def break_off(self) -> None:
        """Settle what is over in a moment, since something else than an outcome ends the run, and no step is half done.

        What becomes of all other rows that a job carries is not known then.
        """
        try:
            aborted = self._watch.job_ids
            # Also of a job that was just made, or has just been over.
            self._take_up()
            for job_id in set(self._watch.job_ids).difference(aborted):
                self.jobs.abort(job_id)
            self._settle_over()
        finally:
            carried = self.journal.jobs()
            self._unknown |= {piece.mark for piece in self.pieces.all(Role.LOAD) if piece.slot.label in carried}

    def _name_left_over(self) -> None:
        """Name the jobs that an earlier try may have made in the moment in which it was killed."""
        carried, since = self.journal.jobs(), self.terms.since
        loads = [piece for piece in self.pieces.all(Role.LOAD) if piece.slot.label not in carried]
        if since is not None and loads:
            operations = {self.settling.way(load).kind.operation for load in loads}
            self.jobs.name_left_over(operations, since=since, known=carried.values())

    def _take_up(self) -> None:
        """See what became of jobs that are recorded and not watched: those of earlier tries."""
        carried, watched = self.journal.jobs(), self._watch.marks
        for piece in self.pieces.all(Role.LOAD):
            job_id = carried.get(piece.slot.label)
            if job_id is None or piece.mark in watched:
                continue
            try:
                job, is_untouched = self.jobs.find(job_id, self.scratch)
            except SalesforceLeadsError as error:
                self._unknown.add(piece.mark)
                self._halt(error)
                continue
            if job is None:
                self._lost(piece, job_id)
            elif is_untouched:
                self.journal.note(piece.slot.label, None)
            else:
                log.info("Job %s, begun before, is in state %s.", job.id, job.state)
                if job.is_over:
                    self._settle_begun_before(piece, job)
                else:
                    self._watch.add(piece, job)

    def _settle_begun_before(self, piece: Piece, job: JobInfo) -> None:
        """Settle a job that ended unseen: the next try sends what it left out, unless that is sure to fail again."""
        is_lasting = job.state is JobState.FAILED and not heals(job.error_message)
        if is_lasting or self.terms.deferred:
            self._collect(piece, job)
        else:
            self._settle(piece, job)

    def _lost(self, piece: Piece, job_id: str) -> None:
        """Take a load back whose job is gone, and with it what it says of its rows."""
        if self.settling.way(piece).kind.repeatable:
            how = "the leads of its rows are looked at" if self.settling.plan.fresh else "its rows are sent"
            log.warning("Job %s is deleted; %s again, which is harmless.", job_id, how)
            self.pieces.doubt(piece)
        else:
            log.error("Job %s is deleted: what became of its %d rows nobody can tell.", job_id, piece.rows)
            # Before the job is forgotten: rows without one are sent.
            self.settling.make_unknown(piece)
        self.journal.note(piece.slot.label, None)

    def _sendable(self) -> list[Piece]:
        """Return what is to be looked up, or to be sent."""
        return self.uncarried() if self.makes_jobs else []

    def uncarried(self) -> list[Piece]:
        """Return what no job carries: parts, and loads that were not sent, or are to be sent once more."""
        waiting = self._watch.marks | self._unknown
        return [p for p in self.pieces.all() if p.role in (Role.PART, Role.LOAD) and p.mark not in waiting]

    def _send_all(self) -> None:
        """Look up the parts and send the loads, one part after another, so that no look-up is old when it is used."""
        while self.halted is None and not self.terms.stop.is_set() and len(self._watch.running) < _MOST_RUNNING:
            todo = self._sendable()
            if not todo:
                return
            # Loads first: what was looked up goes out before the next part is looked up.
            piece = min(todo, key=lambda p: (p.role is not Role.LOAD, p.slot))
            try:
                if piece.role is Role.PART:
                    self._look_up(piece)
                elif self._is_fresh(piece):
                    self._send(piece)
                else:
                    self.settling.put_back(piece)
            except Stopped:
                return
            except OutcomeUnknownError as error:
                self._unknown.add(piece.mark)
                self._halt(error)
            except SalesforceLeadsError as error:
                self._halt(error)

    def _look_up(self, part: Piece) -> None:
        self.settling.look_up(part)
        loads = (p for p in self.pieces.all(Role.LOAD) if replace(p.slot, kind=part.slot.kind) == part.slot)
        self._looked_up |= dict.fromkeys((load.mark for load in loads), time.monotonic())

    def _is_fresh(self, load: Piece) -> bool:
        """Return whether a load can go out as it is.

        Where its leads may have moved on since, it is looked up once more.
        """
        looked_up = self._looked_up.get(load.mark)
        return not self.settling.plan.fresh or (looked_up is not None and time.monotonic() - looked_up < _FRESH)

    def _longest_queued(self, load: Piece) -> float | None:
        """Return how long the job of a load may stand in the queue: its leads move on, and another job can be sent."""
        if not self.settling.plan.fresh or self.halted is not None or self.terms.stop.is_set():
            return None
        return longest_queued(load.slot.round, self.terms.longest_queued)

    def _withdraw(self, piece: Piece, job: JobInfo) -> None:
        """Take a job out of the queue, so that its leads are looked up anew; one that has begun meanwhile goes on."""
        try:
            found, is_untouched = self.jobs.withdraw(job.id)
        except SalesforceLeadsError as error:
            log.warning("Whether job %s still stands in the queue is not known: %s", job.id, error)
            self._watch.add_again(piece, job)
            return
        if is_untouched:
            log.info("Job %s stood in the queue for too long: its leads are looked up anew, for another job.", job.id)
            self.journal.note(piece.slot.label, None)
            self._looked_up.pop(piece.mark, None)
        elif found is not None and not found.is_over:
            self._watch.add_again(piece, found)
        elif found is not None and found.state is JobState.ABORTED:
            # It had just begun: what it left out is looked up anew.
            self._settle(piece, found)
        else:
            self._collect(piece, found)

    def _send(self, piece: Piece) -> None:
        older = self.settling.leave_newer(piece)
        if older != piece:
            # It comes up as a load of its own, and its leads stand as they were looked up.
            if older is not None and piece.mark in self._looked_up:
                self._looked_up[older.mark] = self._looked_up[piece.mark]
            return
        kind = self.settling.way(piece).kind
        rule = self._rule_of(kind.auto_assign)
        spec = JobSpec(operation=kind.operation, external_id_field=kind.external_id_field, assignment_rule_id=rule)
        csv = self.scratch / f"{piece.mark}.csv"
        try:
            size = self._write_csv(piece, csv, by_id=kind.operation == "update")
            job = self.jobs.start(piece.slot.label, spec, csv)
        finally:
            csv.unlink(missing_ok=True)
        self._watch.add(piece, job, is_new=True)
        said = f"{piece.rows:,} rows, {size / 1e6:.1f} MB uploaded, {len(self._sendable())} more parts to go"
        log.info("Job %s (%s): %s.", job.id, kind.operation, said)

    def _write_csv(self, piece: Piece, csv: Path, *, by_id: bool) -> int:
        with self.pieces.reading(piece) as batches:
            first = next(batches)
            size = write_csv(chain([first], batches), csv, field_names(first.schema), by_id=by_id)
        if size > MAX_UPLOAD_BYTES:
            raise RequestRefusedError(
                f"A part of the export makes an upload of {size:,} bytes, and Salesforce takes {MAX_UPLOAD_BYTES:,}.",
                status=400,
            )
        return size

    def _rule_of(self, auto_assign: str) -> str | None:
        """Return the assignment rule that a job names to have the effect that REST's header has."""
        if auto_assign == "FALSE":
            return None
        if auto_assign != "TRUE":
            return auto_assign
        return self.active_rule()

    def _collect(self, piece: Piece, job: JobInfo | None) -> None:
        if job is None:
            self._lost(piece, self.journal.jobs().get(piece.slot.label, "?"))
            return
        if self._settle(piece, job) and job.state is not JobState.JOB_COMPLETE and not self.terms.stop.is_set():
            self._halt(unfinished(job, rows=piece.rows, conn_id=self.jobs.conn_id))

    def _settle(self, piece: Piece, job: JobInfo) -> bool:
        """Settle a load; whether that went well."""
        try:
            stop = self.settling.settle(piece, job)
        except SalesforceLeadsError as error:
            self._unknown.add(piece.mark)
            self._halt(error)
            return False
        if stop is not None:
            self._halt(stop)
        return True

    def _settle_over(self) -> None:
        """Settle what is over in a moment."""
        self._watch.hurry()
        with suppress(SalesforceLeadsError):
            while over := self._watch.wait(time.sleep, _LONGEST_ABORT):
                for piece, job in over:
                    self._collect(piece, job)

    def _halt(self, error: SalesforceLeadsError) -> None:
        if isinstance(error, DisownedError):
            # Neither is anything sent, nor waited for and written down.
            raise error
        # That no retry helps is what has to be told, whatever else went wrong before.
        if self.halted is None or (isinstance(error, LASTING) and not isinstance(self.halted, LASTING)):
            self.halted = error
            log.error("Sending stops: %s", error)
