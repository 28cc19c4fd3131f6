"""The demo, run small and looked at from outside."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

pytestmark = pytest.mark.whole_way

ROOT = Path(__file__).resolve().parents[2]
STATES = ("filtered", "duplicate_keys", "unchanged", "created", "updated", "rejected", "not_sent")


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the demo without a terminal."""
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240)


def reports(work: Path, dag_id: str) -> list[dict[str, Any]]:
    """The reports of a Dag's runs, in their order."""
    found = [json.loads(path.read_text()) for path in (work / "results" / dag_id).glob("*/*/*/*/report.json")]
    return sorted(found, key=lambda report: str(report["started_at"]))


def ask_emulator(work: Path, sql: str) -> int:
    """A count from the emulator's own file."""
    with closing(sqlite3.connect(work / "salesforce.db")) as db:
        return int(db.execute(sql).fetchone()[0])


def test_the_demo_ends_well_and_its_numbers_are_the_emulators(
    demo_command: list[str], demo_environment: dict[str, str], tmp_path: Path
) -> None:
    """It exits with 0, says that all agree, and an outsider counts the same.

    People type ``git clone <this repository> sfleads && cd sfleads`` and ``python3 dev.py demo``, which becomes this.
    """
    ended = run(demo_command, demo_environment)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Report and emulator agree in all 8 runs." in ended.stdout
    created, moved = (
        reports(tmp_path / "demo", name) for name in ("salesforce_create_leads", "salesforce_nightly_mql_sync")
    )
    assert len(created) == len(moved) == 4
    for report in (*created, *moved):
        assert report["read"] == sum(report[state] for state in STATES) > 0
        assert report["not_sent"] == 0
    assert len({report["interval_start"] for report in created}) == 3
    work = tmp_path / "demo"
    assert sum(report["created"] for report in created) == ask_emulator(
        work, "SELECT COUNT(*) FROM Lead WHERE LastName NOT LIKE 'Oldtimer%'"
    )
    assert sum(report["updated"] for report in moved) == ask_emulator(
        work, "SELECT COUNT(*) FROM Lead WHERE Lead_Stage__c IS NOT NULL"
    )
    assert created[-1]["created"] == moved[-1]["updated"] == 0
    assert moved[0]["updated"] > 0
    assert sum(report["rejected"] for report in created) > 0


def test_the_demo_deletes_no_folder_but_its_own(
    demo_command: list[str], demo_environment: dict[str, str], tmp_path: Path
) -> None:
    """A folder with something else in it is left as it is."""
    somebodys = tmp_path / "demo" / "thesis.txt"
    somebodys.parent.mkdir()
    somebodys.write_text("42")

    ended = run(demo_command, demo_environment)

    assert ended.returncode == 1
    assert "not the demo's" in ended.stdout.replace("\n", " ")
    assert somebodys.read_text() == "42"


def test_a_signal_in_the_middle_of_a_run_ends_everything(
    demo_command: list[str], demo_environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM is not lost to Airflow's own handling of it, and the emulator goes too."""
    output = tmp_path / "output.txt"
    with output.open("w") as writing:
        demo = subprocess.Popen(demo_command, cwd=ROOT, env=demo_environment, stdout=writing, stderr=writing)
    try:
        deadline = time.monotonic() + 120
        while "salesforce_create_leads" not in output.read_text():
            assert demo.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        family = psutil.Process(demo.pid).children(recursive=True)
        demo.terminate()
        assert demo.wait(60) == 130, output.read_text()
    finally:
        demo.kill()
        demo.wait()
    assert family, "it runs an emulator"
    assert not psutil.wait_procs(family, timeout=60)[1]
    assert output.read_text().endswith("Stopped.\n")


@pytest.mark.parametrize("wrong", [["--until", "2999-01-01"], ["--leads", "0"], ["--days", "some"]])
def test_what_cannot_be_done_is_said_at_once(
    demo_command: list[str], demo_environment: dict[str, str], wrong: list[str]
) -> None:
    """Wrong arguments end the demo before anything is made."""
    ended = run([*demo_command, *wrong], demo_environment)

    assert ended.returncode == 2
    assert f"{wrong[0]}" in ended.stderr
