"""Schedules that write back, and those of three nights, of which the second is disturbed."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.chaos.companion import Companion
from tests.chaos.course import Course
from tests.chaos.told import unaccounted
from tests.integration.support import folder_of


class WrittenBack(Course):
    """Runs a schedule that writes back."""

    def _take_down(self, emulator: EmulatorServer) -> None:
        super()._take_down(emulator)
        if self.conf["memory"] == "table":
            self.told.table = self._table()


class Nights(WrittenBack):
    """Runs such a schedule; the second night is the one that is disturbed."""

    def _dag_id(self) -> str:
        return "chaos_remembering" if self.conf["memory"] == "results" else "chaos_changed_only"

    def _tries(self) -> None:
        before = self._file("before", list(self.schedule.newer))
        self._night(before)
        super()._tries()
        self.org.settle()
        self._night(before)
        self.told.struck["three nights"] += 1

    def _take_down(self, emulator: EmulatorServer) -> None:
        super()._take_down(emulator)
        # What was detached takes the night before with it.
        self.told.overlapping = [report for report in self.told.overlapping if folder_of(report).exists()]

    def _night(self, export: Path) -> None:
        """Let another run of the Dag go through in peace."""
        companion = Companion(self._start, {"export": str(export)})
        try:
            report = companion.finish()
        finally:
            companion.close()
        self.told.broken.extend(f"in peace: {found}" for found in unaccounted(report, len(self.schedule.rows)))
        self.told.overlapping.append(report)
        self.story.append(f"  another night: {self.told.overlapping[-1]}")
