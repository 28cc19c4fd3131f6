"""A schedule of one mapped task, whose instances write one table side by side."""

from __future__ import annotations

import json
import time
from pathlib import Path

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.chaos.course import Course
from tests.chaos.door import Visit
from tests.chaos.drawing import Record, Schedule
from tests.integration.real_airflow import Run

WIDTH = 3
_LONGEST = 240.0
_PAUSE = 3.0  # seconds from one trouble to the next


def part_of(schedule: Schedule, index: int) -> list[Record]:
    """The export of one instance: rows of one key are in one of them."""
    numbers: dict[str, int] = {}
    for row in schedule.rows:
        numbers.setdefault(row["key"].strip().lower(), len(numbers))
    return [row for row in schedule.rows if numbers[row["key"].strip().lower()] % WIDTH == index]


class MappedTask(Course):
    """Runs such a schedule: troubles come one after the other, and hit whichever instance is there."""

    def _export(self) -> Path:
        folder = self.folder / "exports"
        folder.mkdir()
        for index in range(WIDTH):
            rows = part_of(self.schedule, index)
            (folder / f"{index}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return folder

    def _tries(self) -> None:
        inside: list[Visit] = []
        troubles = list(self.schedule.troubles)
        deadline, next_at = time.monotonic() + _LONGEST, 0.0
        while True:
            assert time.monotonic() < deadline, f"the mapped task does not end: {self._states()}"
            visit = self.door.next(0.2)
            if visit is not None:
                self._begun(visit)
                self.org.let_in(visit)
                inside.append(visit)
            inside = [visit for visit in inside if not self._has_ended(visit)]
            if inside and time.monotonic() > next_at:
                self.org.calm()
                next_at = time.monotonic() + (_PAUSE if troubles else _LONGEST)
                if troubles:
                    self.org.trouble(troubles.pop(0))
                    self.org.arm()
            assert self.run is not None
            if not inside and visit is None and self.run.has_ended():
                if all(state == "success" for state in self._states()):
                    return
                # What a fault made look permanent.
                self._clear()

    def _has_ended(self, visit: Visit) -> bool:
        word = visit.wait(0.0)
        if word is not None:
            told = ", having been told to stop" if visit.is_told else ""
            self.story.append(f"  {visit.map_index}: {word}{told}")
            self.told.struck["on_kill"] += visit.is_told
            self.told.struck["deferred"] += word == "TaskDeferred"
        return word is not None

    def _instances(self) -> list[Run]:
        run = self.run
        assert run is not None
        return [Run(run.airflow, run.dag_id, run.run_id, run.task_id, map_index) for map_index in range(WIDTH)]

    def _pushed(self) -> list[Record]:
        return [instance.report() for instance in self._instances()]

    def _states(self) -> list[str]:
        return [str(instance.task()["state"]) for instance in self._instances()]

    def _begun(self, visit: Visit) -> None:
        self.story.append(f"try {visit.number} of {visit.map_index}")
        self.told.tries += 1

    def _give_up(self) -> None:
        assert self.run is not None
        self.airflow.call("PATCH", f"/dags/{self.run.dag_id}/dagRuns/{self.run.run_id}", {"state": "failed"})

    def _take_down(self, emulator: EmulatorServer) -> None:
        self.org.calm()
        super()._take_down(emulator)
        self.told.table = self._table()
