"""``--ui``: a backfill from Airflow's own interface works, and nothing is left running afterwards."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import requests

from demo.ui import free_port, is_healthy

ROOT = Path(__file__).resolve().parents[2]
DAG = "salesforce_create_leads"


class Ui:
    """A demo that is left running."""

    def __init__(self, command: list[str], env: dict[str, str], work: Path) -> None:
        self.work = work
        self.url = f"http://127.0.0.1:{free_port()}"
        self.output = work.with_name("output.txt")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--ui", "--port", self.url.rpartition(":")[2]],
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Poll until something is so; fail where the demo ends before, or it takes too long."""
        deadline = time.monotonic() + 200
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{what}: in vain. The demo said:\n{self.output.read_text()}")
            time.sleep(0.2)

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON of that path
        """Call Airflow's API as its interface does."""
        reply = requests.request(method, f"{self.url}/api/v2{path}", json=body, timeout=60)
        assert reply.ok, reply.text
        return reply.json()

    def backfill(self, dag_id: str, first: date, last: date) -> list[dict[str, Any]]:
        """Backfill some days and return the reports."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        days = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T23:59:00Z"}
        self.call("POST", "/backfills", {"dag_id": dag_id, "max_active_runs": 1, **days})
        wanted = ["success"] * ((last - first).days + 1)
        self.wait_for(lambda: self._backfilled(dag_id) == wanted, f"backfilled runs of {dag_id}")
        found = (self.work / "results" / dag_id).glob("backfill*/*/*/*/report.json")
        return [json.loads(path.read_text()) for path in found]

    def _backfilled(self, dag_id: str) -> list[str]:
        runs = self.call("GET", f"/dags/{dag_id}/dagRuns?limit=50")["dag_runs"]
        return [run["state"] for run in runs if run["run_type"] == "backfill"]


@pytest.fixture
def ui(demo_command: list[str], demo_environment: dict[str, str], tmp_path: Path) -> Iterator[Ui]:
    """The demo with its interface, ended with everything it has started whatever the test does."""
    running = Ui(demo_command, demo_environment, tmp_path / "demo")
    family: list[psutil.Process] = []
    try:
        yield running
        family = psutil.Process(running.process.pid).children(recursive=True)
    finally:
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(60)
        finally:
            _, alive = psutil.wait_procs(family, timeout=60)
            for process in (running.process, *alive):
                process.kill()
            running.process.wait()
    assert len(family) > 5, "it runs an emulator, a database, and Airflow's programs"
    assert not alive, "Ctrl-C ends everything"
    assert running.process.returncode == 0, running.output.read_text()


def count_leads(work: Path) -> int:
    """How many leads the emulator holds, in its own file."""
    with closing(sqlite3.connect(work / "salesforce.db")) as db:
        return int(db.execute("SELECT COUNT(*) FROM Lead").fetchone()[0])


def test_a_backfill_that_is_dry_at_first_runs_to_its_end_and_the_emulator_agrees(ui: Ui) -> None:
    """A week that Salesforce has not seen is backfilled over Airflow's API, as the guide says."""
    ui.wait_for(lambda: is_healthy(ui.url), "Airflow's health")
    ui.wait_for(lambda: "Ctrl-C" in ui.output.read_text(), "the guide")
    assert f"{DAG}_dry_run" in ui.output.read_text()
    before = count_leads(ui.work)
    until = date.fromisoformat(json.loads((ui.work / "demo.json").read_text())["until"])
    days = until - timedelta(days=10), until - timedelta(days=4)
    assert len(ui.call("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]) == 4, "the demo's own runs are to be seen"

    dry = ui.backfill(f"{DAG}_dry_run", *days)
    assert count_leads(ui.work) == before
    live = ui.backfill(DAG, *days)

    assert (len(dry), len(live)) == (7, 7)
    assert sum(report["created"] for report in live) == count_leads(ui.work) - before > 500
    # A dry run does not know what the one before it would have created.
    assert sum(report["would_create"] for report in dry) >= sum(report["created"] for report in live)
