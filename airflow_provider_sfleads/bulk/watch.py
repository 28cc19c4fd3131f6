"""Jobs under way: asked about ever more rarely, with what they have done so far in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_sfleads.bulk.pieces import Piece
from airflow_provider_sfleads.core.bulk import JobInfo, next_poll
from airflow_provider_sfleads.exceptions import SalesforceLeadsError

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
    :param clock: seconds, for waiting.
    """

    look: Callable[[str], JobInfo | None]
    server_now: Callable[[], datetime]
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

    def add(self, piece: Piece, job: JobInfo) -> None:
        """Watch a job; one that began some time ago is asked about as rarely as it deserves."""
        now = self.clock()
        age = max(0.0, (self.server_now() - job.created_at).total_seconds()) if job.created_at else 0.0
        due = now if job.is_over else now + next_poll(0.0)
        self.running.append(_Watched(piece=piece, job=job, began=now - age, due=due))
        self._newest = now

    def hurry(self) -> None:
        """Ask about all of them soon."""
        self._newest = now = self.clock()
        for watched in self.running:
            watched.began = watched.due = now

    def wait(self, sleep: Callable[[float], object], patience: float | None) -> Over | None:
        """Wait until a job is over, and return those that are; they are watched no longer.

        :param sleep: waits some seconds; answers whether the run is to end.
        :param patience: seconds since the newest job was begun after which to give up; ``None`` for ever.
        :return: the jobs that are over (``None`` for one that is deleted), or ``None`` where the wait was given up.
        :raises SalesforceLeadsError: where a job can no longer be asked about.
        """
        while self.running:
            now = self.clock()
            due = min(watched.due for watched in self.running)
            if patience is not None and max(due, now) > self._newest + patience:
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
            if job is None or job.is_over:
                self.running.remove(watched)
                over.append((watched.piece, job))
            else:
                self._note(watched, job)
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
        watched.due, watched.unseen_since = now + next_poll(elapsed), None
        if (job.processed, job.state) != (watched.job.processed, watched.job.state):
            log.info("Job %s: %s", job.id, progress_of(job, rows=watched.piece.rows, elapsed=elapsed))
        watched.job = job


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
