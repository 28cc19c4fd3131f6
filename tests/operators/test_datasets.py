"""How OpenLineage is told what a sync reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
from airflow_provider_sfleads.operators.datasets import inputs_of, written_back_to
from airflow_provider_sfleads.operators.lineage import dataset_of


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("/exports/leads.csv", "file", "/exports/leads.csv"),
        ("file:///exports/leads.csv", "file", "/exports/leads.csv"),
        ("/exports/a#b.csv", "file", "/exports/a#b.csv"),
        ("/exports/2026/", "file", "/exports/2026"),
        ("/exports/2026-*/leads-?.csv", "file", "/exports"),
        ("/*.csv", "file", "/"),
        ("s3://lake/exports/leads.parquet", "s3://lake", "exports/leads.parquet"),
        ("s3://aws_default@lake/exports/leads.parquet", "s3://lake", "exports/leads.parquet"),
        ("s3://key:hidden@lake/exports/", "s3://lake", "exports"),
        ("s3a://lake/**/leads.csv", "s3://lake", "/"),
        ("gcs://lake/exports/2026-11-??/a.csv", "gs://lake", "exports"),
        ("abfs://azure@container/leads.csv", "abfs://container", "leads.csv"),
        ("https://files.acme.com/exports/leads.csv?signature=hidden", "https://files.acme.com", "exports"),
    ],
)
def test_files(path: str, namespace: str, name: str) -> None:
    """By OpenLineage's naming, without what stands before an @ or after a question mark; of a glob, its folder."""
    (found,) = inputs_of(FileExport(path), 7)
    assert (found.namespace, found.name) == (namespace, name)
    assert found.inputFacets is not None
    assert found.inputFacets["inputStatistics"].rowCount == 7  # type: ignore[attr-defined]


def test_a_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it lies does not depend on who looks."""
    monkeypatch.chdir(tmp_path)
    (found,) = inputs_of(FileExport("exports/leads.csv"))
    assert (found.name, found.inputFacets) == (f"{tmp_path}/exports/leads.csv", {})


def warehouse(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> str:
    """Define a connection."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
    return "warehouse"


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM scores", {"main.scores"}),
        ("SELECT * FROM scores a JOIN scores b USING (k) JOIN crm.leads l USING (k)", {"main.scores", "crm.leads"}),
        ("WITH q AS (SELECT * FROM scores) SELECT * FROM q WHERE k IN (SELECT k FROM b)", {"main.scores", "main.b"}),
        ("SELECT * FROM scores WHERE day = %(day)s AND name LIKE '%%s%s' AND n > %s", {"main.scores"}),
        ("SELECT * FROM read_csv('/a.csv') JOIN READ_JSON ('/*.json') USING (k) JOIN b USING (k)", {"main.b"}),
        ("SELECT * FROM '/exports/a.parquet'", set()),
        ("SELEC", set()),
        ("", set()),
    ],
)
def test_tables(sql: str, tables: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a query reads, and neither functions nor files; one that cannot be parsed reads nothing."""
    conn_id = warehouse(monkeypatch, conn_type="duckdb", host="/srv/wh.duckdb")
    found = inputs_of(SqlExport(conn_id, sql), 7)
    assert {each.name for each in found} == tables
    assert {each.namespace for each in found} <= {"duckdb:///srv/wh.duckdb"}
    assert [bool(each.inputFacets) for each in found] == [len(found) == 1] * len(found)


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"conn_type": "duckdb", "host": "md:scores?motherduck_token=hidden"}, "duckdb://md:scores"),
        ({"conn_type": "sqlite", "host": "/srv/wh.db", "login": "me", "password": "hidden"}, "sqlite:///srv/wh.db"),
        ({"conn_type": "sqlite", "host": "/srv/wh.db?mode=ro"}, "sqlite:///srv/wh.db"),
        # In memory: gone when the task ends.
        ({"conn_type": "duckdb"}, None),
        ({"conn_type": "duckdb", "host": ":memory:"}, None),
        ({"conn_type": "sqlite"}, None),
        # No database, and one that does not answer.
        ({"conn_type": "http", "host": "acme.com"}, None),
        ({"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "password": "hidden"}, None),
    ],
)
def test_databases(fields: dict[str, Any], namespace: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name holds a credential, and what has no name is left out."""
    conn_id = warehouse(monkeypatch, **fields)
    found = [*inputs_of(SqlExport(conn_id, "SELECT * FROM scores")), *written_back_to(SqlTable(conn_id, "scores"), 1)]
    expected = [] if namespace is None else [(namespace, "main.scores")] * 2
    assert [(each.namespace, each.name) for each in found] == expected


def test_what_is_no_export_of_ours_is_left_out() -> None:
    """Somebody's own class, as long as it can be read."""
    assert inputs_of(object(), 1) == []


def test_the_asset_is_called_as_the_output_is() -> None:
    """So that what another task has for an inlet is linked with it."""
    found = dataset_of(Asset("salesforce://acme.my.salesforce.com/Lead"), None)
    assert (found.namespace, found.name) == ("salesforce://acme.my.salesforce.com", "Lead")
