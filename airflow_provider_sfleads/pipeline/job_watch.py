"""Jobs under way: asked about ever more rarely, with what they have done so far in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.staged_pieces import Piece
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobState, next_poll

log = logging.getLogger(__name__)

# An org may be down for maintenance while a job waits there; the job outlives that, and so does the wait.
_LONGEST_OUTAGE = 1800.0

Over = list[tuple[Piece, JobInfo | None]]


@dataclass(slots=True, kw_only=True)
class _Watched:
    piece: Piece
    job: JobInfo
    began: float
    due: float
    unseen_since: float | None = None


@dataclass(slots=True, kw_only=True)
class Watch:
    """Waits for jobs.

    :param look: how a job stands; ``None`` where it is deleted.
    :param server_now: Salesforce's clock.
    :param longest_queued: seconds for which a load's job may stand in the queue; ``None`` for ever.
    :param clock: seconds, for waiting.
    """

    look: Callable[[str], JobInfo | None]
    server_now: Callable[[], datetime]
    longest_queued: Callable[[Piece], float | None]
    clock: Callable[[], float] = time.monotonic
    running: list[_Watched] = field(default_factory=list)
    _newest: float = 0.0

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Ids of the jobs under way."""
        return tuple(watched.job.id for watched in self.running)

    @property
    def marks(self) -> frozenset[str]:
        """Marks of the loads that they carry."""
        return frozenset(watched.piece.mark for watched in self.running)

    @property
    def elapsed(self) -> float:
        """Seconds since the oldest of them was begun."""
        return max((self.clock() - watched.began for watched in self.running), default=0.0)

    @property
    def queued(self) -> dict[str, float]:
        """Seconds for which those in the queue may stand there yet, by id; not of those that may for ever."""
        return {
            watched.job.id: deadline - self.clock()
            for watched in self.running
            if (deadline := self._deadline(watched)) is not None
        }

    def add(self, piece: Piece, job: JobInfo, *, is_new: bool = False) -> None:
        """Watch a job; one that began some time ago is asked about as rarely as it deserves.

        :param is_new: whether it was closed just now.
        """
        now = self.clock()
        created = None if is_new else job.created_at
        age = max(0.0, (self.server_now() - created).total_seconds()) if created else 0.0
        watched = _Watched(piece=piece, job=job, began=now - age, due=now)
        if not job.is_over:
            watched.due = self._next(watched, next_poll(0.0))
        self.running.append(watched)
        self._newest = now

    def add_again(self, piece: Piece, job: JobInfo) -> None:
        """Watch on a job that could not be kept from the queue just now; it is not asked about again at once."""
        self.add(piece, job)
        watched = self.running[-1]
        watched.due = self._newest + next_poll(self._newest - watched.began)

    def _deadline(self, watched: _Watched) -> float | None:
        """Return until when a job may stand in the queue; ``None`` where it does not, or may for ever."""
        if watched.job.state is not JobState.UPLOAD_COMPLETE:
            return None
        longest = self.longest_queued(watched.piece)
        return None if longest is None else watched.began + longest

    def _is_overdue(self, watched: _Watched) -> bool:
        deadline = self._deadline(watched)
        return deadline is not None and deadline <= self.clock()

    def _next(self, watched: _Watched, seconds: float) -> float:
        """Return when a job is asked about next: in so many seconds, or when it has been queued for too long."""
        due, deadline = self.clock() + seconds, self._deadline(watched)
        return due if deadline is None else min(due, deadline)

    def hurry(self) -> None:
        """Ask about all of them soon."""
        self._newest = now = self.clock()
        for watched in self.running:
            watched.began = watched.due = now

    def wait(self, sleep: Callable[[float], object], patience: float | None) -> Over | None:
        """Wait until a job is over, or has stood in the queue for too long; those jobs are watched no longer.

        :param sleep: waits some seconds; answers whether the run is to end.
        :param patience: seconds since the newest job was begun after which to give up; ``None`` for ever.
        :return: these jobs (``None`` for one that is deleted), or ``None`` where the wait was given up.
        :raises SalesforceLeadsError: where a job can no longer be asked about.
        """
        while self.running:
            now = self.clock()
            due = min(watched.due for watched in self.running)
            if patience is not None and due > max(now, self._newest + patience):
                return None
            if sleep(max(0.0, due - now)):
                return None
            over = self._asked()
            if over:
                return over
        return []

    def _asked(self) -> Over:
        over: Over = []
        for watched in [watched for watched in self.running if watched.due <= self.clock()]:
            try:
                job = self.look(watched.job.id)
            except SalesforceLeadsError as error:
                self._ride_out(watched, error)
                continue
            if job is not None:
                self._note(watched, job)
            if job is None or job.is_over or self._is_overdue(watched):
                self.running.remove(watched)
                over.append((watched.piece, job))
        return over

    def _ride_out(self, watched: _Watched, error: SalesforceLeadsError) -> None:
        now = self.clock()
        watched.unseen_since = watched.unseen_since or now
        if not error.transient or now - watched.unseen_since > _LONGEST_OUTAGE:
            raise error
        watched.due = now + next_poll(now - watched.began)
        log.warning("Job %s could not be asked about, and goes on meanwhile: %s", watched.job.id, error)

    def _note(self, watched: _Watched, job: JobInfo) -> None:
        now = self.clock()
        elapsed = now - watched.began
        if not job.is_over and (job.processed, job.state) != (watched.job.processed, watched.job.state):
            log.info("Job %s: %s", job.id, progress_of(job, rows=watched.piece.rows, elapsed=elapsed))
        watched.job, watched.unseen_since = job, None
        watched.due = self._next(watched, next_poll(elapsed))


def progress_of(job: JobInfo, *, rows: int, elapsed: float) -> str:
    """Say how far a job is.

    :param rows: rows that it has to process.
    :param elapsed: seconds since it was begun.
    """
    said = f"{job.state}, {job.processed:,} of {rows:,} rows processed, {job.failed:,} failed"
    if not job.processed or elapsed <= 0:
        return said
    rate = job.processed / elapsed
    left = max(0, rows - job.processed) / rate
    return f"{said} ({rate:,.0f} rows/s, about {_span(left)} left)"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
