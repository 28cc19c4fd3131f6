from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from tests.integration.support import FIELDS, creating, folder_of, leads, moving, no_retry, people, report_of, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

LADDER = ["Lead", "MQL", "SAL", "SQL"]


def csv_of(rows: list[dict[str, Any]], path: Path) -> FileExport:
    """The rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return FileExport(str(path))


def test_every_parameter_of_a_create_takes_jinja(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """What Jinja hands over is text, also inside the export, and is read as what it says."""
    csv_of(people(5), tmp_path / "day.csv")
    words = {
        "path": str(tmp_path / "day.csv"),
        "format": "csv",
        "key": "key",
        "results": str(tmp_path / "results"),
        "conn": "salesforce_leads_default",
        "external": "External_Id__c",
        "field": "Company",
        "city": "Paris",
        "api": "collections",
        "two": "2",
        "share": "0.5",
        "no": "False",
        "nulls": "clear",
        "duplicates": "allow",
        "rule": "None",
        "existing": "update",
    }
    take = {name: f"{{{{ params.{name} }}}}" for name in words}
    with DAG("jinja_create", schedule=None, params=words) as dag:
        SalesforceCreateLeadsOperator(
            task_id="create",
            export=FileExport(take["path"], format=take["format"]),
            key=take["key"],
            results_path=take["results"],
            salesforce_conn_id=take["conn"],
            external_id_field=take["external"],
            fields={"last": "LastName", "company": take["field"]},
            constants={"City": take["city"]},
            api=take["api"],
            batch_size=take["two"],
            concurrency=take["two"],
            max_rejects=take["share"],
            dry_run=take["no"],
            nulls=take["nulls"],
            truncate=take["no"],
            duplicates=take["duplicates"],
            match_email=take["no"],
            assignment_rule=take["rule"],
            existing=take["existing"],
        )
    dag_run = run_dag(dag)

    report = report_of(dag_run, "create")
    assert (dag_run.state, report["created"], report["dry_run"]) == ("success", 5, False)
    assert emulator.stats()["calls"]["PATCH /services/data/v{version}/composite/sobjects/{sobject}/{field}"] == 3
    assert {lead["City"] for lead in emulator.leads()} == {"Paris"}
    assert {lead["OwnerId"] == lead["CreatedById"] for lead in emulator.leads()} == {True}


def test_every_parameter_of_a_stage_move_takes_jinja(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query and its bind values too, and the table to write back to."""
    import duckdb

    ids = emulator.seed_leads(leads(people(3)))
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as db:
        db.execute("CREATE TABLE scores AS SELECT 'K-0' AS key, 80 AS score, 'Lead' AS stage, ? AS id", [ids[0]])
        db.execute("INSERT INTO scores VALUES ('K-1', 60, 'Lead', ?), ('K-2', 90, 'Lost', ?)", [ids[1], ids[2]])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(warehouse)}))
    words = {
        "conn": "warehouse",
        "table": "scores",
        "least": "50",
        "id": "id",
        "stage": "MQL",
        "field": "Lead_Stage__c",
        "score": "score",
        "threshold": "69.5",
        "from": "stage",
        "eligible": "Lead",
        "target": "synced",
    }
    take = {name: f"{{{{ params['{name}'] }}}}" for name in words}
    del words["from"]
    take["from"] = "{{ 'stage' }}"
    with DAG("jinja_move", schedule=None, params=words) as dag:
        SalesforceUpdateLeadStageOperator(
            task_id="move",
            export=SqlExport(
                take["conn"], "SELECT * FROM {{ params.table }} WHERE score > ?", parameters=[take["least"]]
            ),
            key="key",
            results_path=str(tmp_path / "results"),
            lead_id=take["id"],
            stage=take["stage"],
            stage_field=take["field"],
            score=take["score"],
            threshold=take["threshold"],
            current_stage=take["from"],
            from_stages=[None, take["eligible"]],
            ladder=["Lead", take["stage"], "SQL"],
            write_back=SqlTable(take["conn"], take["target"]),
        )
    dag_run = run_dag(dag)

    report = report_of(dag_run, "move")
    assert (dag_run.state, report["updated"], report["filtered"]) == ("success", 1, 2)
    with duckdb.connect(str(warehouse), read_only=True) as db:
        assert db.execute("SELECT key, salesforce_id, action, stage FROM synced").fetchall() == [
            ("K-0", ids[0], "updated", "MQL")
        ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dry_run", "maybe"),
        ("dry_run", ""),
        ("dry_run", "1"),
        ("max_rejects", "some"),
        ("max_rejects", "-1"),
        ("max_rejects", "1.5"),
        ("batch_size", "201"),
        ("batch_size", "0"),
        ("concurrency", "many"),
        ("nulls", "drop"),
        ("duplicates", "maybe"),
        ("assignment_rule", "mine"),
        ("existing", "replace"),
        ("api", "soap"),
        ("results_path", " "),
        ("key", " "),
    ],
)
def test_text_that_a_parameter_does_not_take_is_an_error(
    emulator: EmulatorServer, tmp_path: Path, name: str, value: str
) -> None:
    """It names parameter and value, and nothing is sent."""
    given: dict[str, Any] = {"folder": tmp_path, name: value}
    operator = creating(people(3), given.pop("folder"), **{k: v for k, v in given.items() if k != "results_path"})
    if name == "results_path":
        operator.results_path = value
    ran = run(operator)

    assert no_retry(ran.error)
    assert name in str(ran.error)
    assert emulator.stats()["leads"] == 0


def test_a_sql_file_is_read_and_rendered(run_dag: RunDag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries can lie beside the Dag."""
    (tmp_path / "people.sql").write_text(
        "SELECT 'K-' || range AS key, 'L' AS last, 'C' AS company FROM range({{ params.n }})"
    )
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": ":memory:"}))
    with DAG("sql_file", schedule=None, params={"n": 4}, template_searchpath=[str(tmp_path)]) as dag:
        creating(SqlExport("warehouse", "people.sql"), tmp_path / "results")
    dag_run = run_dag(dag)

    assert report_of(dag_run, "create")["created"] == 4


def test_mapped_tasks_write_to_folders_of_their_own(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """One task per file, and each its own account."""
    exports = [csv_of(people(n + 1, start=10 * n), tmp_path / f"{n}.csv") for n in range(3)]
    with DAG("mapped", schedule=None) as dag:
        SalesforceCreateLeadsOperator.partial(
            task_id="create",
            key="key",
            fields=FIELDS,
            external_id_field="External_Id__c",
            results_path=str(tmp_path / "results"),
        ).expand(export=exports)
    dag_run = run_dag(dag)

    assert dag_run.state == "success"
    for index in range(3):
        report = report_of(dag_run, "create", map_index=index)
        assert report["created"] == index + 1
        assert folder_of(report).parent.name == str(index)
    assert emulator.stats()["leads"] == 6


def test_default_args_supply_common_parameters(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """What all tasks of a Dag share is said once."""
    common = {
        "export": csv_of(people(3), tmp_path / "day.csv"),
        "key": "key",
        "results_path": str(tmp_path / "results"),
        "external_id_field": "External_Id__c",
        "ladder": LADDER,
        "max_rejects": 1,
    }
    with DAG("defaults", schedule=None, default_args=common) as dag:
        create = SalesforceCreateLeadsOperator(task_id="create", fields=FIELDS)
        create >> SalesforceUpdateLeadStageOperator(task_id="move")
    dag_run = run_dag(dag)

    assert dag_run.state == "success"
    assert report_of(dag_run, "move")["updated"] == 3
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_a_task_can_be_copied_as_airflow_copies_it(tmp_path: Path) -> None:
    """`DAG.partial_subset` and with it `airflow dags test --task-regex` deep-copy tasks."""
    with DAG("copied", schedule=None) as dag:
        create = creating(FileExport("day.csv"), tmp_path)
    copy.deepcopy(create)

    assert dag.partial_subset("create").task_dict["create"].task_id == "create"


def test_lists_and_dicts_that_jinja_renders_to_text_are_read_as_such(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Also numbers, None and switches in Python's spelling, whether Jinja gives text or the objects themselves."""
    emulator.seed_leads(leads(people(4), Lead_Stage__c="Lead"))
    rows = [{**row, "now": now, "score": 80} for row, now in zip(people(4), ("", "Lead", "SAL", "x"), strict=True)]
    path = csv_of(rows, tmp_path / "day.csv").path
    words: dict[str, Any] = {
        "fields": {"score": "Lead_Score__c"},
        "constants": {"City": "Paris", "Is_Trial__c": True},
        "ladder": LADDER,
        "from_stages": [None, "Lead"],
        "threshold": 70,
        "max_rejects": 0.5,
        "two": 2,
        "no": False,
    }
    take = {name: f"{{{{ params.{name} }}}}" for name in words}
    for native in (False, True):
        with DAG(f"rendered_{native}", schedule=None, params=words, render_template_as_native_obj=native) as dag:
            SalesforceUpdateLeadStageOperator(
                task_id="move",
                export=FileExport(path),
                key="key",
                results_path=str(tmp_path / "results"),
                external_id_field="External_Id__c",
                current_stage="now",
                score="score",
                batch_size=take["two"],
                concurrency=take["two"],
                dry_run=take["no"],
                truncate=take["no"],
                match_email=take["no"],
                **{name: take[name] for name in words if name not in ("two", "no")},
            )
        dag_run = run_dag(dag)
        report = report_of(dag_run, "move")
        assert dag_run.state == "success"
        assert report["filtered"] == 2
        assert report["updated"] == (0 if native else 2)
    moved = [lead for lead in emulator.leads() if lead["Lead_Stage__c"] == "MQL"]
    assert {(lead["City"], lead["Lead_Score__c"], lead["Is_Trial__c"]) for lead in moved} == {("Paris", 80, True)}
    assert len(moved) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ladder", "Lead, MQL, SQL"),
        ("from_stages", "Lead"),
        ("fields", "score: Lead_Score__c"),
        ("constants", "['City']"),
        ("threshold", "high"),
        ("threshold", ""),
        ("stage", " "),
        ("ladder", "['MQL', 'MQL']"),
        ("ladder", "['MQL', '']"),
    ],
)
def test_rendered_text_that_is_no_list_dict_or_number_is_an_error(
    emulator: EmulatorServer, tmp_path: Path, name: str, value: str
) -> None:
    """One stage as text is not a list of letters; nothing is sent."""
    emulator.seed_leads(leads(people(1)))
    given: dict[str, Any] = {"score": "score", "threshold": 1, "current_stage": "now", "from_stages": [None]}
    ran = run(moving(people(1, score=5, now=None), tmp_path, **given | {name: value}))

    assert no_retry(ran.error)
    assert name in str(ran.error)
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {None}


def test_what_a_task_before_returns_can_be_mapped_over(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A task that lists the files, and a sync for each; one that fails leaves the others alone."""
    from airflow.sdk import task

    for n in range(3):
        csv_of(people(2, start=2 * n), tmp_path / f"{n}.csv")
    (tmp_path / "1.csv").write_text("key,last,company\nK-2,,Acme\n")
    with DAG("mapped_over_files", schedule=None) as dag:

        @task
        def paths() -> list[str]:
            return [str(tmp_path / f"{n}.csv") for n in range(3)]

        SalesforceCreateLeadsOperator.partial(
            task_id="create",
            key="key",
            fields=FIELDS,
            external_id_field="External_Id__c",
            results_path=str(tmp_path / "results"),
        ).expand(export=paths().map(FileExport))
    dag_run = run_dag(dag)

    assert dag_run.state == "failed"
    counts = [report_of(dag_run, "create", map_index=index) for index in range(3)]
    assert [(report["created"], report["rejected"]) for report in counts] == [(2, 0), (0, 1), (2, 0)]
    assert emulator.stats()["leads"] == 4
