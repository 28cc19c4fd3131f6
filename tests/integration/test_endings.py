from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ExportError, MappingError, ParameterError, ResultsError
from airflow_provider_sfleads.exports import FileExport, SqlTable
from tests.integration.support import FIELDS, creating, moving, people, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.mark.parametrize(
    ("table", "error"),
    [(SqlTable("nowhere", "t"), ExportError), (SqlTable("state", "t; DROP TABLE t"), ParameterError)],
    ids=["connection", "name"],
)
def test_a_table_that_is_none_is_refused_before_anything_is_sent(
    emulator: EmulatorServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: SqlTable,
    error: type[Exception],
) -> None:
    """A wrong write_back must not come to light after the leads were written."""
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "state.db")}))
    ran = run(creating(people(3), tmp_path, write_back=table))

    assert isinstance(ran.error, error)
    assert writes(emulator) == []


def test_a_results_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error says which parameter to mend, and not just what the operating system said."""
    file = tmp_path / "file"
    file.touch()
    ran = run(creating(people(3), file / "below"))

    assert isinstance(ran.error, ResultsError)
    assert str(file / "below") in str(ran.error)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"fields": {**FIELDS, "key": "Nothing__c"}}, MappingError),
        ({"export": FileExport("/nonexistent/leads.csv")}, ExportError),
    ],
    ids=["mapping", "export"],
)
def test_a_try_that_never_began_has_a_report_and_leaves_nothing_staged(
    tmp_path: Path, more: dict[str, Any], error: type[Exception]
) -> None:
    """The report is pushed before a failing task raises, whatever made it fail."""
    ran = run(creating(more.pop("export", people(3)), tmp_path, **more))

    assert isinstance(ran.error, error)
    assert (ran.full["read"], ran.full["operation"]) == (0, "create")
    assert [path.name for path in ran.folder.iterdir()] == ["report.json"]


def test_stages_are_compared_trimmed_wherever_they_stand(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A blank at the end of a rung is a slip of the keyboard and no other stage."""
    emulator.seed_leads([{"LastName": "Ray", "Company": "Acme", "External_Id__c": "K-0"}])
    rows = [row | {"stage": " "} for row in people(1)]
    ran = run(
        moving(rows, tmp_path, ladder=["Lead ", " MQL"], stage="MQL ", current_stage="stage", from_stages=[" ", "Lead"])
    )

    assert ran.counts == {"updated": 1}


def test_an_operator_that_cannot_find_leads_once_rendered_says_so(tmp_path: Path) -> None:
    """What is empty only after rendering is refused as well, and not row by row."""
    ran = run(moving(people(1), tmp_path, external_id_field="", lead_id="", match_email="False"))

    assert isinstance(ran.error, ParameterError)
    assert "lead_id or external_id_field" in str(ran.error)
