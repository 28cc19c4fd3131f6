"""A bulk insert without external ID whose worker is killed, wherever that may be: no lead twice, and none lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import FileExport
from tests.integration.dying import Point, dies, sent
from tests.integration.support import Task, creating, killed, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = [pytest.mark.usefixtures("salesforce_conn"), pytest.mark.whole_way]

ROWS = 50_000
PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}
CLIENT = "airflow_provider_sfleads.salesforce.client:Client"
PIECES = "airflow_provider_sfleads.pipeline.staged_pieces:Pieces"
RECORDER = "airflow_provider_sfleads.results.writer:Recorder"
FOLDER = "airflow_provider_sfleads.results.folder:ResultsFolder"


def _is_rows(data: object) -> bool:
    return isinstance(data, bytes) and len(data) > 10_000


POINTS = {
    "reading": Point(at="airflow_provider_sfleads.pipeline.intake:ColumnIntake.take", nth=2),
    "staged": Point(at=f"{CLIENT}.send", before=True, which=sent("POST", to="ingest")),
    "created-not-noted": Point(at=f"{CLIENT}.send", which=sent("POST", to="ingest")),
    "uploading": Point(at="http.client:HTTPConnection.send", nth=2, which=_is_rows),
    "uploaded": Point(at=f"{CLIENT}.send", which=sent("PUT")),
    "closed": Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})),
    "polling": Point(at="airflow_provider_sfleads.salesforce.job_control:Jobs.look", nth=2),
    "downloading": Point(at=f"{CLIENT}.download"),
    "recording": Point(at=f"{RECORDER}.add", nth=2),
    "recorded": Point(at=f"{PIECES}.remove", before=True),
    "over": Point(at=f"{FOLDER}.write_report", before=True),
}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> FileExport:
    """50,000 people."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("export") / "people.parquet"
    pq.write_table(pa.Table.from_pylist(people(ROWS)), path)
    return FileExport(str(path))


@pytest.mark.parametrize("name", POINTS)
def test_every_person_becomes_one_lead_wherever_the_worker_is_killed(
    name: str, export: FileExport, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try finds the job, whatever it was doing, and the report of both covers every row once."""
    if name == "polling":
        emulator.change_settings(bulk_rate=25_000.0)
    task = Task()
    dies(monkeypatch, POINTS[name])
    killed(creating(export, tmp_path, **PLAIN), task)
    ran = task.run(creating(export, tmp_path, **PLAIN))

    assert (ran.error, ran.counts, ran.full["attempts"]) == (None, {"created": ROWS}, 2)
    assert emulator.stats()["leads"] == ROWS
    assert len({row["salesforce_id"] for row in ran.rows}) == ROWS
    # A job whose number nobody had time to note has no rows, and is given up by Salesforce.
    still_open = [job for job in emulator.jobs() if job["state"] == "Open"]
    assert len(still_open) == (1 if name == "created-not-noted" else 0)
