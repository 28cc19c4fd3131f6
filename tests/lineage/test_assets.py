"""Asset events of syncs, as Airflow keeps them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from tests.integration.support import FIELDS, creating, moving, people, report_of, run

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ALIAS = "salesforce_leads:salesforce_leads_default"


@pytest.fixture
def export(tmp_path: Path) -> FileExport:
    """Three people."""
    return written(tmp_path / "people.jsonl", people(3))


def written(path: Path, rows: list[dict[str, Any]]) -> FileExport:
    """An export of some rows."""
    path.write_text("\n".join(map(json.dumps, rows)))
    return FileExport(str(path))


def events_of(dag_run: DagRun) -> list[tuple[str, set[str], dict[str, Any]]]:
    """The events that a run left: the asset, by which aliases, and what they tell."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).filter_by(source_dag_id=dag_run.dag_id, source_run_id=dag_run.run_id)
        found = session.scalars(query.order_by(AssetEvent.id)).all()
        return [(event.asset.uri, {alias.name for alias in event.source_aliases}, dict(event.extra)) for event in found]


def leads_of(emulator: EmulatorServer) -> str:
    """The asset that stands for an org's leads; the emulator has a port, which an org has not."""
    return f"salesforce://{urlsplit(emulator.url).netloc}/Lead"


def test_a_sync_tells_its_counts(run_dag: RunDag, emulator: EmulatorServer, export: FileExport, tmp_path: Path) -> None:
    """Counts, the interval and where to find more: plain JSON, and nothing of any person."""
    with DAG("asset_counts", schedule=None) as dag:
        creating(export, tmp_path / "results")
    dag_run = run_dag(dag)

    ((uri, aliases, extra),) = events_of(dag_run)
    assert (uri, aliases) == (leads_of(emulator), {ALIAS})
    report = report_of(dag_run, "create")
    assert extra == {name: report[name] for name in extra}
    counts = ("read", "filtered", "duplicate_keys", "unchanged", "created", "updated", "rejected")
    assert [extra.pop(name) for name in counts] == [3, 0, 0, 0, 3, 0, 0]
    assert set(extra) == {"operation", "interval_start", "interval_end", "results_path", "executions"}


def test_a_dry_run_tells_nobody(run_dag: RunDag, export: FileExport, tmp_path: Path) -> None:
    """It has synced nothing."""
    with DAG("asset_dry", schedule=None) as dag:
        creating(export, tmp_path / "results", dry_run="{{ 1 == 1 }}")
    dag_run = run_dag(dag)
    assert (dag_run.state, events_of(dag_run)) == ("success", [])


def test_a_failed_run_tells_nobody(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Even where leads were created; a task that is mended and cleared tells then."""
    dirty = written(tmp_path / "dirty.jsonl", [*people(2), {"key": "K-9", "last": "x" * 81, "company": "Acme"}])
    with DAG("asset_failed", schedule=None) as dag:
        creating(dirty, tmp_path / "results")
    dag_run = run_dag(dag)
    assert (dag_run.state, len(emulator.leads()), events_of(dag_run)) == ("failed", 2, [])


def test_mapped_tasks_tell_of_each(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Whether the alias is among the author's outlets or not."""
    exports = [written(tmp_path / f"{n}.jsonl", people(n, start=10 * n)) for n in (1, 2)]
    common: dict[str, Any] = {
        "key": "key",
        "external_id_field": "External_Id__c",
        "fields": FIELDS,
        "results_path": str(tmp_path / "results"),
    }
    with DAG("asset_mapped", schedule=None) as dag:
        SalesforceCreateLeadsOperator.partial(task_id="create", **common).expand(export=exports)
        SalesforceCreateLeadsOperator.partial(task_id="again", outlets=[AssetAlias(ALIAS)], **common).expand(
            export=exports
        )
    found = events_of(run_dag(dag))
    assert {(uri, *aliases) for uri, aliases, _ in found} == {(leads_of(emulator), ALIAS)}
    assert sorted(extra["read"] for _, _, extra in found) == [1, 1, 2, 2]
    assert sum(extra["created"] for _, _, extra in found) == 3


def test_a_deferred_task_tells(
    run_dag: RunDag, emulator: EmulatorServer, export: FileExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that ends it does, once."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
    monkeypatch.setattr("airflow_provider_sfleads.triggers.bulk._HANDOVER", 0.0)
    emulator.change_settings(bulk_delay=1.0)
    with DAG("asset_deferred", schedule=None) as dag:
        creating(export, tmp_path / "results", api="bulk", deferrable=True)
    dag_run = run_dag(dag)
    assert emulator.stats()["token_requests"] == 3, "it was not deferred"
    ((uri, aliases, extra),) = events_of(dag_run)
    assert (uri, aliases, extra["created"]) == (leads_of(emulator), {ALIAS}, 3)


def test_a_connection_that_is_rendered(
    run_dag: RunDag, emulator: EmulatorServer, export: FileExport, tmp_path: Path
) -> None:
    """The alias is that of the connection, which is known when the task runs."""
    with DAG("asset_rendered", schedule=None, params={"org": "salesforce_leads_default"}) as dag:
        task = creating(export, tmp_path / "results", salesforce_conn_id="{{ params.org }}")
    assert task.outlets == []
    ((uri, aliases, _),) = events_of(run_dag(dag))
    assert (uri, aliases) == (leads_of(emulator), {ALIAS})


def test_the_authors_own_outlets_stay(run_dag: RunDag, export: FileExport, tmp_path: Path) -> None:
    """In their order, with the alias once; their own events are Airflow's business."""
    mine = Asset("x-mine://leads")
    with DAG("asset_outlets", schedule=None) as dag:
        one = creating(export, tmp_path / "results", outlets=[mine])
        two = moving(export, tmp_path / "results", outlets=[AssetAlias(ALIAS), mine])
        one >> two
    assert (one.outlets, two.outlets) == ([mine, AssetAlias(ALIAS)], [AssetAlias(ALIAS), mine])
    found = events_of(run_dag(dag))
    assert [uri.partition(":")[0] for uri, _, _ in found].count("x-mine") == 2
    told = [(extra["operation"], extra["created"], extra["updated"]) for _, aliases, extra in found if aliases]
    assert told == [("create", 3, 0), ("update_stage", 0, 3)]


def test_a_task_without_asset_events_runs(tmp_path: Path) -> None:
    """As in tests that make up their own context."""
    assert run(creating(people(1), tmp_path)).counts == {"created": 1}


def test_nothing_of_openlineage_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its provider is installed where lineage is wanted."""
    for name in ("openlineage", "airflow.providers.openlineage"):
        for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")] or [name]:
            monkeypatch.setitem(sys.modules, module, None)
    assert run(creating(people(1), tmp_path)).counts == {"created": 1}
