"""A lease on a memory: runs that could undo each other take turns.

Mutual exclusion rests on *write, then look*: a run first writes its claim, and only then lists the others. Of two runs
that hold at the same time both would have written and then looked; whoever wrote later looked when the other one's
claim was there, saw it, and gave way. That takes a storage whose listings show what was written before they began,
such as disks, NFS of one server, S3, GCS and Azure have, and clocks that differ by less than :attr:`Pace.skew`.

A claim that is not renewed in time is lost, and never taken back: the holder goes by the expiry that it has written
*and seen written* in time, less the skew, by two clocks, one of which stands still in no frozen machine. Others go by
the expiry plus the skew.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from uuid import uuid4

from airflow_provider_sfleads.exceptions import LeaseTakenError
from airflow_provider_sfleads.results.claims import Claim, Claims

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast it all goes, in seconds.

    :param lasts: how long a claim lasts.
    :param renewed: how often a holder renews it.
    :param skew: by how much the clocks of workers may differ.
    :param looks: how often a run that waits looks again.
    :param patience: how long it waits.
    :param outlasts: how long the claim of a run that ended without a last word stands where it matters.
    :param handover: how long a deferred run may take to go on once its jobs are over.
    """

    lasts: float = 30.0
    renewed: float = 8.0
    skew: float = 5.0
    looks: float = 2.0
    patience: float = 600.0
    outlasts: float = 24 * 3600.0
    handover: float = 60.0


@dataclass(slots=True, kw_only=True)
class Lease:
    """One run's turn on a memory.

    Claims of one interval stand side by side: mapped tasks, and parallel ones of a Dag run, cannot undo each other.
    An expired claim is that of a killed, a failed or a deferred run. It still stands while ingest jobs of it are not
    over, which could undo what comes after them, and against runs of *older* intervals: what it has sent is not in the
    memory yet, so that these could undo it unseen. The same run's next try takes its claim up at once.

    :param claims: those to the memory.
    :param name: the run's own among them.
    :param holder: the run, as people call it.
    :param interval_end: end of its data interval.
    :param is_over: whether Salesforce is done with a job, or can be made to be.
    :param wait: waits some seconds; says whether the run is to end.
    :param clock: the time, UTC.
    :param ticks: seconds that pass also while the machine's clock is set.
    """

    claims: Claims
    name: str
    holder: str
    interval_end: datetime
    is_over: Callable[[str], bool]
    wait: Callable[[float], bool]
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ticks: Callable[[], float] = time.monotonic
    _token: str = field(default_factory=lambda: uuid4().hex)
    _held: Claim | None = None
    _until: float = 0.0
    _lock: Lock = field(default_factory=Lock)
    _done: Event = field(default_factory=Event)
    _over: dict[str, float] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)

    def acquire(self, jobs: tuple[str, ...] = ()) -> None:
        """Wait for the turn, and keep it until :meth:`release`, :meth:`leave` or the end of the process.

        :param jobs: ids of jobs of earlier tries.
        :raises LeaseTakenError: where somebody else has it for too long, or the run is to end.
        """
        began, said, before = self.ticks(), False, self.claims.get(self.name)
        jobs = tuple(dict.fromkeys((*jobs, *(before.jobs if before else ()))))
        while True:
            other = self._in_the_way() or self._claimed(before, jobs)
            if other is None:
                break
            if not said:
                said = True
                log.info("Waiting: %s.", self._told(other))
            is_to_end = self.wait(self.pace.looks * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            if is_to_end or self.ticks() - began > self.pace.patience:
                raise _taken(f"{self._told(other)} (see {self.claims.directory.path})")
        Thread(target=self._renew_all, name="lease", daemon=True).start()

    def verify(self) -> None:
        """See that the turn is still this run's, right before something is sent.

        :raises LeaseTakenError: it is not.
        """
        held = self._held
        # The holder goes by the expiry less the skew, others by it plus the skew.
        if held is None or self.clock() >= held.expires_at - self._skew or self.ticks() >= self._until:
            raise _taken("this process did not come to renew its turn in time, and others may have theirs now")

    def carry(self, jobs: tuple[str, ...]) -> None:
        """Note, durably, which ingest jobs the run has begun.

        :raises LeaseTakenError: the turn is lost.
        """
        with self._lock:
            self.verify()
            if self._held is not None and self._held.jobs != jobs:
                self._write(replace(self._held, jobs=jobs))
        self.verify()

    def release(self) -> None:
        """Give the turn up for good: what the run did is remembered."""
        self._end(lambda: self.claims.remove(self.name))

    def leave(self) -> None:
        """Give the turn up for now: the run is not over, or what it did is not remembered."""
        with self._lock:
            held, expired = self._held, self.clock() - self._skew
        if held is None:
            self._done.set()
        else:
            self._end(lambda: self.claims.put(self.name, replace(held, expires_at=expired)))

    def _end(self, last: Callable[[], None]) -> None:
        with self._lock:
            self._done.set()
            self._held = None
            try:
                if self._is_own():
                    last()
            except Exception as error:  # noqa: BLE001 - it expires all the same
                log.warning("The turn could not be given up at %s: %s", self.claims.path(self.name), error)

    @property
    def _skew(self) -> timedelta:
        return timedelta(seconds=self.pace.skew)

    def _is_own(self) -> bool:
        found = self.claims.get(self.name)
        return found is not None and found.token == self._token

    def _claimed(self, before: Claim | None, jobs: tuple[str, ...]) -> Claim | None:
        """Write the claim and look; who is in the way, if anybody is, and the claim is as it was before then."""
        mine = Claim(
            holder=self.holder,
            interval_end=self.interval_end,
            since=self.clock(),
            expires_at=datetime.max.replace(tzinfo=UTC),
            token=self._token,
            jobs=jobs,
        )
        self._until, self._held = float("inf"), mine
        self._write(mine)
        other = self._in_the_way()
        if other is None:
            return None
        self._held = None
        if before is None:
            self.claims.remove(self.name)
        else:
            self.claims.put(self.name, replace(before, jobs=jobs))
        return other

    def _write(self, claim: Claim) -> None:
        """Write the claim, good for some time from now; where that took too long, the turn is lost."""
        lasts, ticks = timedelta(seconds=self.pace.lasts), self.ticks()
        claim = replace(claim, expires_at=self.clock() + lasts)
        self.claims.put(self.name, claim)
        # By the expiry before this one: others may have seen that it passed.
        self.verify()
        self._held, self._until = claim, ticks + self.pace.lasts - self.pace.skew

    def _in_the_way(self) -> Claim | None:
        unread = Claim(
            holder=f"a run whose claim cannot be read, below {self.claims.directory.path},",
            interval_end=datetime.max.replace(tzinfo=UTC),
            since=self.clock(),
            expires_at=self.clock(),
            token="",
        )
        others = [claim or unread for claim in self.claims.others(self.name)]
        return next(filter(self._stands, others), None)

    def _told(self, claim: Claim) -> str:
        if self.clock() - claim.expires_at < self._skew:
            return f"{claim.holder} has its turn since {claim.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"{claim.holder} goes first: it waits for its jobs, or was killed or failed at "
            f"{claim.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC with something left to do; let it succeed, or "
            "remove its claim where it never will"
        )

    def _stands(self, claim: Claim) -> bool:
        if claim.interval_end == self.interval_end:
            return False
        ago = (self.clock() - claim.expires_at).total_seconds()
        if ago < self.pace.skew:
            return True
        if ago > self.pace.outlasts:
            return False
        return claim.interval_end > self.interval_end or not all([*map(self._is_past, claim.jobs)])

    def _is_past(self, job_id: str) -> bool:
        """Return whether a job is over, and was for long enough that a run deferred until then has gone on."""
        if job_id not in self._over:
            if not self.is_over(job_id):
                self._running.add(job_id)
                return False
            self._over[job_id] = self.ticks()
        return job_id not in self._running or self.ticks() - self._over[job_id] >= self.pace.handover

    def renew(self) -> None:
        """Renew the claim.

        :raises LeaseTakenError: the turn is lost, and stays so.
        """
        with self._lock:
            try:
                self.verify()
                if not self._is_own():
                    raise _taken("another try of this run has taken its turn up")
                if self._held is not None:
                    self._write(self._held)
            except LeaseTakenError:
                self._held = None
                raise

    def _renew_all(self) -> None:
        while not self._done.wait(self.pace.renewed):
            try:
                self.renew()
            except LeaseTakenError as error:
                if not self._done.is_set():
                    log.error("The turn is lost: %s", error)  # noqa: TRY400 - the message says it all
                return
            except Exception as error:  # noqa: BLE001 - whatever a storage raises, it may be better in a moment
                log.warning("The turn cannot be renewed just now: %s", error)


def _taken(why: str) -> LeaseTakenError:
    error = LeaseTakenError(
        f"Runs of different intervals that could undo each other take turns, and {why}. What is not sent is sent by "
        "the next try."
    )
    error.retry_after = 60.0
    return error
