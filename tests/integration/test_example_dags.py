from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.permissions import known_permissions
from airflow_provider_sfleads.exports import SqlExport
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from tests.integration.copied import DAGS, copied_dag
from tests.integration.support import creating, report_of, try_of, writes

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.whole_way

DAY = datetime(2026, 11, 20, 2, tzinfo=UTC)


def example_dag(dag_id: str) -> DAG:
    """The Dag as Airflow reads it from ``dags/``."""
    from demo.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS / f"{dag_id}.py"))
    assert not bag.import_errors
    return bag.dags[dag_id]


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DuckDB warehouse with two days of sign-ups and scores."""
    import duckdb

    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            "CREATE TABLE signups (lead_key VARCHAR, first_name VARCHAR, last_name VARCHAR, company VARCHAR, "
            "email VARCHAR, phone VARCHAR, city VARCHAR, country VARCHAR, lead_source VARCHAR, "
            "signed_up_at TIMESTAMPTZ)"
        )
        db.execute("CREATE TABLE lead_scores (lead_key VARCHAR, score DOUBLE, stage VARCHAR, scored_at TIMESTAMPTZ)")
        for n, day in enumerate(("2026-11-19 10:00+00", "2026-11-19 11:00+00", "2026-11-20 10:00+00")):
            db.execute(
                "INSERT INTO signups VALUES (?, 'Ada', ?, 'Acme', ?, NULL, NULL, NULL, 'Web', ?)",
                [f"L-{n}", f"Lovelace {n}", f"ada{n}@example.com", day],
            )
            db.execute("INSERT INTO lead_scores VALUES (?, ?, NULL, ?)", [f"L-{n}", 69.5 + n, day])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(path)}))
    monkeypatch.setenv("AIRFLOW_VAR_SALESFORCE_RESULTS", str(tmp_path / "results"))
    return path


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_both_example_dags_create_and_qualify_what_is_new_in_the_interval(
    run_dag: RunDag, emulator: EmulatorServer
) -> None:
    """The day's sign-ups become leads, and those over the threshold become MQLs."""
    created = run_dag(example_dag("salesforce_create_leads"), logical_date=DAY)
    moved = run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3))

    assert (created.state, moved.state) == ("success", "success")
    assert report_of(created, "create_leads")["created"] == 2
    assert report_of(moved, "move_to_mql")["updated"] == 1
    stages = {lead["External_Id__c"]: lead["Lead_Stage__c"] for lead in emulator.leads()}
    assert stages == {"L-0": None, "L-1": "MQL"}


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_the_example_dags_run_with_what_the_documentation_lists(run_dag: RunDag, emulator: EmulatorServer) -> None:
    """Every permission that the page does not name is taken away, of all fields that no task maps, too."""
    dags = [example_dag(path.stem) for path in sorted(DAGS.glob("salesforce_*.py"))]
    own = {"External_Id__c", "Lead_Stage__c"}
    for dag in dags:
        for task in dag.tasks:
            own |= {*(getattr(task, "fields", None) or {}).values(), *(getattr(task, "constants", None) or {})}
    listed = {"ApiEnabled", "ViewSetup", "Lead.Read", "Lead.Create", "Lead.Edit", "Contact.Read", "Contact.Email.Read"}
    listed |= {f"Lead.{name}.{kind}" for name in own for kind in ("Read", "Edit")}
    emulator.change_settings(denied=[name for name in known_permissions() if name not in listed])

    runs = [run_dag(dag, logical_date=DAY.replace(hour=3 + n)) for n, dag in enumerate(dags)]

    assert [run.state for run in runs] == ["success"] * len(dags)
    assert len(emulator.leads()) == 2


BOTH = pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [("salesforce_create_leads", "create_leads"), ("salesforce_nightly_mql_sync", "move_to_mql")],
    ids=["create", "move"],
)
NONE_OF_ITS_OWN: dict[str, Any] = {"logical_date": None}


@BOTH
@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_a_manual_run_reads_the_stretch_of_its_params_and_says_so(
    run_dag: RunDag, emulator: EmulatorServer, caplog: pytest.LogCaptureFixture, dag_id: str, task_id: str
) -> None:
    """`from` is in it and `to` is not; they go before an interval of the run's own."""
    caplog.set_level(logging.INFO, logger="airflow_provider_sfleads")
    emulator.seed_leads([{"LastName": "x", "Company": "y", "External_Id__c": "L-1"}] * (task_id == "move_to_mql"))
    conf = {"from": "2026-11-19T11:00:00Z", "to": "2026-11-20T10:00:00+00:00"}
    for when in (NONE_OF_ITS_OWN, {"logical_date": DAY.replace(month=3)}):
        dag_run = run_dag(example_dag(dag_id), run_conf=conf, **when)
        report = report_of(dag_run, task_id)
        assert dag_run.state == "success"
        assert (report["read"], report["interval_start"]) == (1, "2026-11-19T11:00:00+00:00")
        assert report["interval_end"] == "2026-11-20T10:00:00+00:00"
        assert "interval: 2026-11-19T11:00:00+00:00 to 2026-11-20T10:00:00+00:00" in caplog.text
        caplog.clear()
    assert [lead["External_Id__c"] for lead in emulator.leads()] == ["L-1"]


@BOTH
@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({}, "'from' and 'to'"),
        ({"from": "2026-11-19T00:00:00Z"}, "only one of them is given"),
        ({"from": "2026-11-20T00:00:00Z", "to": "2026-11-19T00:00:00Z"}, "must lie before"),
    ],
    ids=["none", "half", "backwards"],
)
@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_a_run_without_a_stretch_of_time_is_refused_at_once_and_says_what_to_do(
    run_dag: RunDag,
    emulator: EmulatorServer,
    capfd: pytest.CaptureFixture[str],
    *,
    dag_id: str,
    task_id: str,
    conf: dict[str, str],
    says: str,
) -> None:
    """No retry can mend it, and nothing is sent."""
    dag = example_dag(dag_id)
    dag_run = run_dag(dag, run_conf=conf, **NONE_OF_ITS_OWN)
    text = "".join(capfd.readouterr())

    assert dag.task_dict[task_id].retries == 3
    assert (dag_run.state, try_of(dag_run, task_id)) == ("failed", ("failed", 1))
    assert says in text
    assert writes(emulator) == []


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_a_bare_cron_string_gives_no_stretch_of_time_and_is_refused(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its interval has no width in Airflow 3: a Dag that was copied and given one would read nothing, every night."""
    from airflow.sdk import DAG

    sql = "SELECT lead_key AS key, last_name AS last, company FROM signups WHERE signed_up_at >= CAST(? AS TIMESTAMPTZ)"
    with DAG(
        "bare_cron", schedule="0 2 * * *", start_date=DAY.replace(day=1), user_defined_macros=INTERVAL_MACROS
    ) as dag:
        creating(SqlExport("warehouse", sql, parameters=["{{ interval_start() }}"]), tmp_path, retries=3)
    dag_run = run_dag(dag, logical_date=DAY)

    assert (dag_run.state, try_of(dag_run, "create")) == ("failed", ("failed", 1))
    assert "CronDataIntervalTimetable" in "".join(capfd.readouterr())
    assert writes(emulator) == []


@pytest.mark.parametrize(("threshold", "moved"), [(None, {"L-1"}), (69, {"L-0", "L-1"}), (70.5, set()), (200, set())])
@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_the_threshold_param_is_the_threshold(
    run_dag: RunDag, emulator: EmulatorServer, threshold: float | None, moved: set[str]
) -> None:
    """Only a greater score counts."""
    emulator.seed_leads([{"LastName": "x", "Company": "y", "External_Id__c": f"L-{n}"} for n in range(3)])
    conf = {} if threshold is None else {"threshold": threshold}
    dag_run = run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3), run_conf=conf)

    report = report_of(dag_run, "move_to_mql")
    assert dag_run.state == "success"
    assert (report["read"], report["updated"]) == (2, len(moved))
    assert {lead["External_Id__c"] for lead in emulator.leads() if lead["Lead_Stage__c"]} == moved


@BOTH
@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_the_dry_run_param_changes_nothing_anywhere(
    run_dag: RunDag, emulator: EmulatorServer, warehouse: Path, dag_id: str, task_id: str
) -> None:
    """Not in Salesforce, and not in the warehouse, but for an empty table that the export can join."""
    import duckdb

    if task_id == "move_to_mql":
        emulator.seed_leads([{"LastName": "x", "Company": "y", "External_Id__c": f"L-{n}"} for n in range(3)])
    history = emulator.history()
    dag_run = run_dag(example_dag(dag_id), logical_date=DAY.replace(hour=3), run_conf={"dry_run": True})

    report = report_of(dag_run, task_id)
    assert (dag_run.state, report["dry_run"]) == ("success", True)
    assert report["would_create"] + report["would_update"] > 0
    assert emulator.history() == history
    with duckdb.connect(str(warehouse), read_only=True) as db:
        tables = {name for (name,) in db.execute("SHOW TABLES").fetchall()}
        assert tables - {"lead_scores", "signups"} == ({"salesforce_leads"} if task_id == "move_to_mql" else set())
        if task_id == "move_to_mql":
            assert db.execute("SELECT COUNT(*) FROM salesforce_leads").fetchone() == (0,)


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_the_same_day_again_creates_and_moves_nothing(run_dag: RunDag, emulator: EmulatorServer) -> None:
    """A backfill over days that were done is harmless, and the warehouse knows the ids by then."""
    for dag_id, day in (("salesforce_create_leads", DAY), ("salesforce_nightly_mql_sync", DAY.replace(hour=3))):
        run_dag(example_dag(dag_id), logical_date=day)
    history = emulator.history()
    created = run_dag(example_dag("salesforce_create_leads"), logical_date=DAY)
    moved = run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3))

    assert report_of(created, "create_leads")["unchanged_reasons"] == {"already_exists": 2}
    report = report_of(moved, "move_to_mql")
    assert (report["read"], report["filtered"], report["unchanged_reasons"]) == (2, 1, {"already_at_stage": 1})
    assert emulator.history() == history
    with SqlExport("warehouse", "SELECT key, stage FROM salesforce_leads ORDER BY key").open() as stream:
        assert [tuple(row.values()) for row in stream.rows if isinstance(row, dict)] == [("L-0", None), ("L-1", "MQL")]


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_the_table_tells_whom_last_night_qualified_by_the_documented_statement_also_after_a_re_run(
    run_dag: RunDag, emulator: EmulatorServer
) -> None:
    """With their ids, in one statement."""
    sql = "SELECT key, salesforce_id FROM salesforce_leads WHERE stage = 'MQL' AND moved_at >= CURRENT_DATE"
    assert sql in (DAGS.parent / "docs/how-to/move-to-mql.md").read_text(encoding="utf-8")
    run_dag(example_dag("salesforce_create_leads"), logical_date=DAY)
    qualified: list[tuple[object, ...]] = []
    for _ in range(2):
        run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3))
        with SqlExport("warehouse", sql).open() as stream:
            qualified.append(tuple(tuple(row.values()) for row in stream.rows if isinstance(row, dict)))

    at_mql = [lead for lead in emulator.leads() if lead["Lead_Stage__c"] == "MQL"]
    assert qualified == [tuple((lead["External_Id__c"], lead["Id"]) for lead in at_mql)] * 2
    assert len(at_mql) == 1


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_a_lead_that_sales_sets_back_is_moved_when_its_score_crosses_the_threshold_again(
    run_dag: RunDag, emulator: EmulatorServer
) -> None:
    """How the last sync saw the lead is not asked, only how it stands in Salesforce now."""
    for dag_id, day in (("salesforce_create_leads", DAY), ("salesforce_nightly_mql_sync", DAY.replace(hour=3))):
        run_dag(example_dag(dag_id), logical_date=day)
    (moved,) = [lead["Id"] for lead in emulator.leads() if lead["Lead_Stage__c"] == "MQL"]
    emulator.edit_lead(moved, Lead_Stage__c="Lead")
    run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3))

    assert emulator.lead(moved)["Lead_Stage__c"] == "MQL"


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_a_deleted_lead_stays_so_where_the_export_leaves_out_what_the_warehouse_knows(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """By the condition that the page on creates gives; without it, a day that runs again brings the lead back."""
    condition = "AND NOT EXISTS (SELECT 1 FROM salesforce_leads k WHERE k.key = signups.lead_key)"
    assert condition in (DAGS.parent / "docs/how-to/create-leads.md").read_text(encoding="utf-8")
    run_dag(example_dag("salesforce_create_leads"), logical_date=DAY)
    (lost,) = [lead["Id"] for lead in emulator.leads() if lead["External_Id__c"] == "L-0"]
    emulator.delete_lead(lost)

    changes = {"ORDER BY": f"{condition} ORDER BY"}
    careful = copied_dag("salesforce_create_leads", "create_what_is_not_known", tmp_path, changes)
    for dag, leads in ((careful, {"L-1"}), (example_dag("salesforce_create_leads"), {"L-0", "L-1"})):
        assert run_dag(dag, logical_date=DAY).state == "success"
        assert {lead["External_Id__c"] for lead in emulator.leads()} == leads
