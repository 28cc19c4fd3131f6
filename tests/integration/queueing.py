"""A stage task that leaves no job in the org's queue for long, and an org in which Sales is at work meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.operators.leads import SalesforceUpdateLeadStageOperator

if TYPE_CHECKING:
    import threading

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.operators.load_settings import LoadSettings

LADDER = ["Lead", "MQL", "SAL", "SQL"]
HOUR = 3_600.0


class HurriedMove(SalesforceUpdateLeadStageOperator):
    """A stage task whose jobs may stand in the queue for ``longest_queued`` seconds at first."""

    longest_queued = 0.2

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), longest_queued=self.longest_queued)


def hurried_move(export: Any, folder: Path, *, longest_queued: float = 0.2, **more: Any) -> HurriedMove:  # noqa: ANN401 - see support
    """Such a task, in bulk."""
    given = {"external_id_field": "External_Id__c", "ladder": LADDER, "task_id": "move", "key": "key", "api": "bulk"}
    operator = HurriedMove(export=export, results_path=str(folder), **(given | more))
    operator.longest_queued = longest_queued
    return operator


def hold(emulator: EmulatorServer, processed: int) -> None:
    """Wait until a job has written so many rows, and let no job write another one by itself."""
    jobs = emulator.emulator.jobs
    with jobs.changed:
        assert jobs.changed.wait_for(lambda: any(job.processed >= processed for job in jobs.all()), 60.0)
        for job in jobs.all():
            job.due = time.monotonic() + HOUR
        jobs.changed.notify_all()


def once_closed(emulator: EmulatorServer, act: Callable[[int], object], *, word: str = "UploadComplete") -> None:
    """Act whenever a job stands in the queue (or is to be aborted, by the word), told how many did before."""
    seen: list[int] = []
    phase = "done" if word == "UploadComplete" else "arrived"

    def look(sight: Sight) -> None:
        if sight.method != "PATCH" or "/jobs/ingest/" not in sight.target:
            return
        if sight.phase == "arrived":
            wanted[:] = [word.encode() in bytes(sight.body)]
        if sight.phase == phase and wanted == [True]:
            seen.append(sight.number)
            act(len(seen) - 1)

    wanted: list[bool] = []
    emulator.watch(look)
