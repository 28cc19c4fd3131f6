"""A schedule of two runs for two data intervals: the older one is tried again after the newer one, or beside it."""

from __future__ import annotations

import time

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.chaos.companion import Companion
from tests.chaos.course import Course
from tests.chaos.door import Visit
from tests.chaos.drawing import Trouble
from tests.chaos.intervals import NEWER, OLDER

_PATIENCE = 60.0


class TwoIntervals(Course):
    """Runs such a schedule; the older run is the one that is disturbed."""

    newer: Companion | None = None

    def _dag_id(self) -> str:
        return "chaos_remembering" if self.conf["memory"] == "results" else "chaos_newer"

    def _begin(self, url: str, secret: str) -> None:
        super()._begin(url, secret)
        self.story.append(f"the newer run comes {self.schedule.way} it, with {len(self.schedule.newer)} rows")

    def _more(self) -> dict[str, str]:
        return dict(OLDER)

    def _tries(self) -> None:
        export = str(self._file("newer", list(self.schedule.newer)))
        self.is_beside = True
        is_beside = self.schedule.way == "beside"
        try:
            if is_beside:
                self.newer = Companion(self._start, {**NEWER, "export": export}, is_held=True)
            visit = self._at_door()
            assert visit is not None
            self._first(visit, self.schedule.troubles[0])
            if not is_beside:
                self.newer = Companion(self._start, {**NEWER, "export": export})
                self._finish()
            self._peace()
            self._finish()
        finally:
            if self.newer is not None:
                self.newer.close()

    def _first(self, visit: Visit, trouble: Trouble) -> None:
        """The first try of the older run, with the newer one let in at about the same time."""
        if self.newer is not None:
            assert self.newer.is_there.wait(_PATIENCE), "the newer run does not come"
            self.newer.let_go(max(0.0, self.schedule.head_start))
        self.org.trouble(trouble)
        if self.newer is not None and self.schedule.head_start < 0:
            time.sleep(-self.schedule.head_start)
        self._through(visit)
        self.org.calm()

    def _finish(self) -> None:
        """Wait until the newer run is a success."""
        if self.newer is not None and not self.told.overlapping:
            self.told.overlapping.append(self.newer.finish())
            self.told.struck[f"newer {self.schedule.way}"] += 1
            self.story.append("  the newer run succeeded")

    def _take_down(self, emulator: EmulatorServer) -> None:
        super()._take_down(emulator)
        if self.conf["memory"] != "results":
            self.told.table = self._table()
