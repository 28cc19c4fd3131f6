"""What people do about backfills in Airflow, by way of its REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tests.integration.weeks import TASKS, interval_of

if TYPE_CHECKING:
    from tests.integration.real_airflow import RealAirflow
    from tests.integration.support import Record
    from tests.integration.weeks import Company

_ENDS = ("success", "failed")


class Backfilling:
    """An Airflow with the example Dags, connected with one company after the other."""

    def __init__(self, airflow: RealAirflow) -> None:
        self._airflow = airflow
        self._known: set[str] = set()

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of its programs."""
        return self._airflow.env

    def connect(self, company: Company) -> None:
        """Lead Airflow's connections to a company, and let the Dags run."""
        for conn_id, fields in company.connections().items():
            method, path = ("PATCH", f"/{conn_id}") if conn_id in self._known else ("POST", "")
            self._airflow.call(method, f"/connections{path}", {"connection_id": conn_id, **fields})
            self._known.add(conn_id)
        for dag_id in TASKS:
            self.unpause(dag_id)

    def unpause(self, dag_id: str) -> None:
        """Let a Dag run."""
        self._airflow.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def night(self, dag_id: str, day: date) -> None:
        """Run a Dag for a day, by a run that a later backfill takes for its own of that day."""
        start, end = (moment.isoformat() for moment in interval_of(dag_id, day))
        when = {"data_interval_start": start, "data_interval_end": end, "logical_date": start}
        self._airflow.trigger(dag_id, TASKS[dag_id], **when).wait_for("success")

    def backfill(self, dag_id: str, days: Sequence[date], **how: Any) -> None:
        """Start a backfill of some days."""
        # There may be one at a time, and the scheduler looks only twice a minute whether it is over.
        self._airflow.wait_for(lambda: self._is_free(dag_id), f"{dag_id} has no backfill under way")
        span = {"from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T23:59:00Z"}
        self._airflow.call("POST", "/backfills", {"dag_id": dag_id, **span, **how})

    def _is_free(self, dag_id: str) -> bool:
        found = self._airflow.call("GET", f"/backfills?dag_id={dag_id}")["backfills"]
        return all(backfill["completed_at"] for backfill in found)

    def wait_for_runs(self, dag_id: str, days: Sequence[date]) -> list[Record]:
        """Wait until each of some days has a run that has ended; returns the runs, oldest first."""

        def ended() -> bool:
            return [run["state"] in _ENDS for run in self._runs(dag_id, days)] == [True] * len(days)

        self._airflow.wait_for(ended, f"{dag_id} has run for {len(days)} days")
        return self._runs(dag_id, days)

    def _runs(self, dag_id: str, days: Sequence[date]) -> list[Record]:
        found = self._airflow.call("GET", f"/dags/{dag_id}/dagRuns?order_by=logical_date&limit=100")["dag_runs"]
        return _of(days, found)

    def tasks(self, dag_id: str, task_id: str, days: Sequence[date]) -> list[Record]:
        """What became of a task in the runs of some days, in the order in which it ran."""
        path = f"/dags/{dag_id}/dagRuns/~/taskInstances?task_id={task_id}&limit=100&order_by=start_date"
        return _of(days, self._airflow.call("GET", path)["task_instances"])

    def clear(self, dag_id: str, run: Record) -> None:
        """Have a run run again."""
        path = f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}/clear"
        self._airflow.call("POST", path, {"dry_run": False, "only_failed": False})

    def report(self, dag_id: str, run: Record, task_id: str) -> Record:
        """What a task pushed."""
        path = f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self._airflow.call("GET", path)["value"]
        report: Record = json.loads(value) if isinstance(value, str) else value
        return report

    def said(self, dag_id: str, run: Record, task_id: str) -> list[str]:
        """What our own code said in a task's log."""
        logs = self._airflow.folder / f"home/logs/dag_id={dag_id}/run_id={run['dag_run_id']}/task_id={task_id}"
        (path,) = logs.glob("*.log")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line["event"] for line in lines if line.get("logger", "").startswith("airflow_provider_sfleads")]


def _of(days: Sequence[date], found: Sequence[Record]) -> list[Record]:
    return [one for one in found if str(days[0]) <= one["logical_date"][:10] <= str(days[-1])]
