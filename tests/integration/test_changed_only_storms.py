"""Whatever kills and disturbs the runs: after one that succeeded, each lead holds what the export says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import SqlTable
from tests.integration.dying import Point, dies
from tests.integration.support import Record, Task, creating, forked, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

PLACES = (
    "airflow_provider_sfleads.salesforce.client:Client.send",
    "airflow_provider_sfleads.results.files:Directory.publish",
    "airflow_provider_sfleads.results.writer:ResultsWriter.flush",
)
NIGHTS, LEADS = 6, 60
# Few, so that values often change back to what was confirmed before.
COMPANIES = ("Acme", "Bolt", "Corp")


class Story:
    """Some nights of one Dag, drawn from a seed."""

    def __init__(self, seed: int, folder: Path, emulator: EmulatorServer, memory: dict[str, Any]) -> None:
        self._draw = random.Random(seed)
        self._folder = folder
        self._emulator = emulator
        self._memory = memory
        self.rows = people(LEADS)
        self.told: list[str] = []

    def night(self, number: int, monkeypatch: pytest.MonkeyPatch) -> Record:
        """Run one night to its good end, through what disturbs it; the report of the try that succeeded."""
        draw = self._draw
        self.rows = [row | {"company": draw.choice(COMPANIES)} if draw.random() < 0.3 else row for row in self.rows]
        api = draw.choice(["collections", "bulk"])
        more = {"existing": "update", "api": api, "batch_size": 10, "concurrency": draw.choice([1, 3]), **self._memory}
        task = Task(run_id=f"night_{number}")
        for _ in range(draw.choice([0, 1, 1, 2])):
            self._disturb(task, creating(self.rows, self._folder, **more), monkeypatch)
        for _ in range(8):
            ran = task.run(creating(self.rows, self._folder, **more))
            self.told.append(f"night {number}, {api}: {ran.report and ran.counts} {ran.error}")
            if ran.error is None:
                return ran.full
        pytest.fail("\n".join(self.told))

    def _disturb(self, task: Task, operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
        draw = self._draw
        if draw.random() < 0.5:
            point = Point(at=draw.choice(PLACES), nth=draw.randint(1, 12), before=draw.random() < 0.5)
            with monkeypatch.context() as patch:
                dies(patch, point)
                was_killed = forked(operator, task)
            self.told.append(f"  {point} {'struck' if was_killed else 'did not strike'}")
        else:
            effect = draw.choice(["drop_before", "drop_after", "html_503"])
            self._emulator.add_fault(effect, method=draw.choice(["POST", "PATCH", "PUT"]), nth=draw.randint(1, 4))
            ran = task.run(operator)
            self._emulator.clear_faults()
            self.told.append(f"  {effect}: {ran.error}")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("memory", ["table", "results"])
def test_after_each_good_night_the_leads_are_what_the_export_says(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str, seed: int
) -> None:
    """Nothing is taken for confirmed that Salesforce does not hold, and a quiet night after that costs no call."""
    state = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    table = {"write_back": SqlTable("state", "lead_state")} if memory == "table" else {}
    story = Story(seed, tmp_path, emulator, {"changed_only": True, **table})
    for number in range(NIGHTS):
        story.night(number, monkeypatch)
        held = {lead["External_Id__c"]: lead["Company"] for lead in emulator.leads()}
        assert held == {row["key"]: row["company"] for row in story.rows}, "\n".join(story.told)
    more = {"existing": "update", "changed_only": True, **table}
    settling = [Task(run_id=f"quiet_{n}").run(creating(story.rows, tmp_path, **more)) for n in range(2)]
    assert settling[-1].full["unchanged_reasons"] == {"same_values": LEADS}
    assert settling[-1].full["api_calls"] == 1  # what Lead is like is asked for each time
