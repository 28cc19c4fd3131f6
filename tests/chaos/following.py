"""Follows the processes of a task: from the door to their end, over deferrals, and beyond what froze them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from tests.chaos.door import FROZEN, HANGS, Door, Visit
from tests.chaos.drawing import Schedule
from tests.chaos.operators import ADVICE
from tests.chaos.org import Org
from tests.chaos.schedules import draw
from tests.chaos.told import Told, settled, unaccounted
from tests.integration.real_airflow import RealAirflow, Run

# A task waits half an hour for an org that refuses every call; here that is over sooner. Not so soon that a machine
# which other tests share has not come to the moment at which a trouble strikes.
_LONGEST_TROUBLE = 45.0
_LONGEST_TRY = 150.0
_MOST_DEFERRALS = 6
_LONGEST_PAUSE = 100.0  # seconds from one try to the next
# Airflow has one triggerer, for all schedules.
_DOZING = threading.Lock()


class Following:
    """What follows a task.

    :param folder: for its export and results.
    :param warehouse: URL of the database of the connection ``chaos_warehouse``.
    """

    door: Door
    org: Org

    def __init__(self, airflow: RealAirflow, folder: Path, name: str, warehouse: str) -> None:
        self.schedule: Schedule = draw(name)
        self.airflow = airflow
        self.warehouse = warehouse
        self.folder = folder
        self.told = Told()
        self.story = self.told.story
        self.run: Run | None = None
        self.pending: Visit | None = None
        self.doze = 0.0
        self.detached = 0
        self.by_rows = False
        #: Whether another run sends the same rows meanwhile: whose a request is the org cannot tell.
        self.is_beside = False

    def _through(self, visit: Visit) -> None:
        """Let a try in, and follow it to its end, over its deferrals; where it is frozen, also the one after it."""
        settled_before, folder = self._settled()
        detached, number, word = self.detached, visit.number, ""
        following: Visit | None = visit
        deferrals = 0
        self._begun(visit)
        while following is not None:
            assert deferrals <= _MOST_DEFERRALS, "the task defers again and again"
            deferrals += 1
            self.org.let_in(following, by_rows=self.by_rows)
            word = self._end_of(following)
            if word == FROZEN:
                following = self._at_door()
                assert following is not None, "no try comes after one that is frozen"
                number = following.number
                self._begun(following)
                continue
            following = self._at_door() if word == "TaskDeferred" else None
            if following is not None and not following.resumed:
                self.pending, following = following, None
        self._follow_woken()
        if word == "returned":
            self.told.broken.extend(f"try {number} is a success: {found}" for found in self._unaccounted())
        _, now = self._settled()
        is_same = detached == self.detached and now == folder and not self.is_beside
        if is_same and (again := settled_before & self.org.sent_in(number)):
            self.told.broken.append(f"try {number} sent rows again that were settled: {sorted(again)[:10]}")

    def _begun(self, visit: Visit) -> None:
        self.story.append(f"try {visit.number}")
        self.told.tries += 1

    def _end_of(self, visit: Visit) -> str:
        """Follow a process to its end, or until it is frozen."""
        word = visit.wait(_LONGEST_TROUBLE)
        if word is None:
            self.story.append("  all is well again")
            self.org.calm()
            word = visit.wait(_LONGEST_TRY) or HANGS
        self.story.append(f"  {word}{', having been told to stop' if visit.is_told else ''}")
        self.told.struck["on_kill"] += visit.is_told
        self.told.struck["deferred"] += word == "TaskDeferred"
        # Bulk says so where it lacks the records of a plain insert; somebody heeds it.
        self.by_rows = self.by_rows or (self.detached > 0 and word.endswith(ADVICE))
        return word

    def _follow_woken(self) -> None:
        """Have the process that is frozen wake up by now at the latest, and wait for its end: it may still write."""
        frozen, self.org.frozen = self.org.frozen, None
        if frozen is None:
            return
        if frozen.wake():
            self.story.append("  woken at last")
        word = frozen.wait(_LONGEST_TRY) or HANGS
        self.story.append(f"  the one that was frozen: {word}{', told to stop' if frozen.is_told else ''}")
        self.told.struck["woken"] += 1

    def _unaccounted(self) -> list[str]:
        """What the newest execution leaves unsaid."""
        assert self.run is not None
        paths = sorted(self.folder.glob(f"results/*/{self.run.run_id}/*/*/*/report.json"))
        return [*unaccounted(json.loads(paths[-1].read_text()), len(self.schedule.rows))] if paths else ["no report"]

    def _settled(self) -> tuple[set[str], str | None]:
        """Keys of the rows whose leads are settled in the newest execution so far, and its folder."""
        assert self.run is not None
        folders = sorted(self.folder.glob(f"results/*/{self.run.run_id}/*/*/*"))
        if not folders:
            return set(), None
        return {line["key"] for line in settled({"results_path": str(folders[-1])})}, str(folders[-1])

    def _at_door(self) -> Visit | None:
        """The next process at the door; ``None`` where the task has come to its end."""
        pending, self.pending = self.pending, None
        if pending is not None:
            return pending
        deadline = time.monotonic() + _LONGEST_PAUSE
        while time.monotonic() < deadline:
            visit = self.door.next(0.5)
            if visit is not None:
                return visit
            assert self.run is not None
            if self.run.has_ended():
                return None
            if self._state() == "deferred":
                self.told.triggers.update(self.airflow.triggers())
                self._freeze_triggerer()
        raise AssertionError(f"no further try comes; the task is {self._state()}")

    def _freeze_triggerer(self) -> None:
        seconds, self.doze = self.doze, 0.0
        if seconds:
            with _DOZING:
                self.airflow.freeze("triggerer", seconds)
            self.told.struck["doze"] += 1
            self.story.append(f"  the triggerer was frozen for {seconds} s")

    def _state(self) -> str:
        assert self.run is not None
        return str(self.run.task()["state"])
