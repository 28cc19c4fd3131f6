"""One export from six places: the report, the results, the leads and the warehouse's memory come out the same."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
from tests.integration.support import Ran, Record, by_external_id, creating, moving, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

SOURCES = ("postgres", "sqlite", "duckdb", "parquet", "csv", "jsonl")
TYPES = {
    "key": "TEXT",
    "last": "TEXT",
    "company": "TEXT",
    "email": "TEXT",
    "segment": "TEXT",
    "day": "DATE",
    "at": "TIMESTAMPTZ",
    "budget": "DECIMAL(16, 2)",
    "exact": "BIGINT",
    "score": "DOUBLE PRECISION",
    "trial": "BOOLEAN",
    "staff": "INT",
    "stage": "TEXT",
}
FIELDS = {
    "last": "LastName",
    "company": "Company",
    "email": "Email",
    "segment": "Segment__c",
    "day": "Qualified_On__c",
    "at": "Score_Date__c",
    "budget": "Budget__c",
    "exact": "Employees_Exact__c",
    "score": "Lead_Score__c",
    "trial": "Is_Trial__c",
    "staff": "NumberOfEmployees",
}
NAMES = ("Müller-Lüdenscheidt", "山田", "Hartmann 🚀", "O'Brien", "الهاشمي", 'A "B", C', "two\nlines")
ROWS = 60
# What differs from one run to the next, wherever the rows come from.
_OF_A_RUN = {"started_at", "finished_at", "results_path", "rejects_path", "host", "job_ids", "executions"}
_OF_A_ROW = {"salesforce_id", "lead_url", "finished_at", "batch"}
_OF_A_LEAD = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp"}


def typed_rows() -> list[Record]:
    """Rows of all types, with nothing in each column here and there, repeated and empty keys, and rejects."""
    rows: list[Record] = []
    for n in range(ROWS):
        row: Record = {
            "key": f"Ключ-{n}",
            "last": NAMES[n % len(NAMES)],
            "company": f"Ty̌ Gwyn {n}",
            "email": f"person{n}@example.com",
            "segment": ("Enterprise", "SMB")[n % 2],
            "day": date(2026, 2, 28) + timedelta(days=n),
            "at": datetime(2026, 3, 29, 0, 30, 15, 250_000, timezone(timedelta(hours=5, minutes=30)))
            + timedelta(hours=n),
            "budget": Decimal("1234567.89") + n,
            "exact": 9_007_199_254_740_000 + n,
            "score": 40.25 + n,
            "trial": n % 3 == 0,
            "staff": n,
            "stage": (None, "Lead", "MQL")[n % 3],
        }
        # A null in another column of each row, but for what a lead has to have.
        spared = list(row)[3:]
        row[spared[n % len(spared)]] = None
        rows.append(row)
    rows[3]["key"], rows[4]["key"] = None, "  "
    rows[7]["key"], rows[8]["key"] = "Ключ-6", "ключ-9"
    rows[11]["company"], rows[12]["last"] = None, "x" * 81
    rows[13]["email"], rows[14]["segment"] = "nobody at all", "Somewhere"
    return rows


def as_text(value: object) -> str | None:
    """A value in CSV, and where a database has no such type."""
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None else str(value)


def in_database(kind: str, fields: Record, monkeypatch: pytest.MonkeyPatch) -> SqlExport:
    """The rows in a table."""
    from airflow.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps({"conn_type": kind, **fields}))
    marks = ", ".join(["%s" if kind == "postgres" else "?"] * (len(TYPES) + 1))
    with closing(BaseHook.get_connection("source").get_hook().get_conn()) as connection:  # type: ignore[no-untyped-call]
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS typed")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
        cursor.execute(f"CREATE TABLE typed (n INT, {columns})")
        for n, row in enumerate(typed_rows()):
            values = [as_text(v) if kind == "sqlite" and not isinstance(v, bool) else v for v in row.values()]
            cursor.execute(f"INSERT INTO typed VALUES ({marks})", (n, *values))  # noqa: S608 - marks only
        connection.commit()
    names = ", ".join(f'"{name}"' for name in TYPES)
    return SqlExport("source", f"SELECT {names} FROM typed ORDER BY n", fetch_size=7)  # noqa: S608 - names of ours


def in_file(kind: str, folder: Path) -> FileExport:
    """The rows in a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, rows = folder / f"day.{kind}", typed_rows()
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        plain = [
            {name: v if isinstance(v, (bool, int, float)) else as_text(v) for name, v in row.items()} for row in rows
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in plain), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, TYPES)
            writer.writeheader()
            writer.writerows({name: as_text(value) for name, value in row.items()} for row in rows)
    return FileExport(str(path))


def told(ran: Ran) -> Record:
    """What a run has told: its report, its results, its rejects."""
    assert ran.error is None
    return {
        "report": {name: value for name, value in ran.full.items() if name not in _OF_A_RUN},
        "results": [
            {name: value for name, value in row.items() if name not in _OF_A_ROW}
            | {"has_id": bool(row["salesforce_id"])}
            for row in sorted(ran.rows, key=lambda row: (row["key"] or "", row["action"], row["error_code"] or ""))
        ],
        "rejects": sorted((row["error_code"], row["error_message"], row["key"], row["last"]) for row in ran.rejects),
    }


def remembered() -> list[tuple[object, ...]]:
    """What was written back."""
    sql = "SELECT key, action, stage, salesforce_id IS NOT NULL AS has_id FROM state ORDER BY key"
    with SqlExport("state", sql).open() as stream:
        return [tuple(row.values()) for row in stream.rows if isinstance(row, dict)]


def everything(export: SqlExport | FileExport, api: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Create, create again, and move; return all that came of it but times, ids and places."""
    fields = {"conn_type": "sqlite", "host": str(folder / "state.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(fields))
    common: dict[str, Any] = {"api": api, "max_rejects": 6, "write_back": SqlTable("state", "state")}
    stage = {"score": "score", "threshold": 60, "current_stage": "stage", "from_stages": [None, "Lead"]}
    with EmulatorServer() as org:
        salesforce = {"host": org.url, "login": "emulator-key", "password": "emulator-secret"}
        connection = json.dumps({"conn_type": "salesforce_leads", **salesforce})
        monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", connection)
        steps: dict[str, LeadSyncOperator] = {
            "create": creating(export, folder / "create", fields=FIELDS, **common),
            "update": creating(export, folder / "update", fields=FIELDS, existing="update", **common),
            "move": moving(export, folder / "move", fields={"budget": "Budget__c"}, **stage, **common),
        }
        found: Record = {name: told(run(operator)) | {"state": remembered()} for name, operator in steps.items()}
        found["leads"] = {
            key: {name: value for name, value in lead.items() if name not in _OF_A_LEAD}
            for key, lead in by_external_id(org).items()
        }
    return found


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_typed_rows_come_out_the_same_from_wherever_they_come(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    """Postgres, SQLite, DuckDB, Parquet, CSV and JSON Lines; and each value arrives as what it is."""
    url = urlsplit(postgres_url)
    server = {"host": url.hostname, "port": url.port, "login": url.username, "schema": "postgres"}
    outcomes: dict[str, Record] = {}
    for kind in SOURCES:
        folder = tmp_path / kind
        folder.mkdir()
        if kind in ("parquet", "csv", "jsonl"):
            export: SqlExport | FileExport = in_file(kind, folder)
        else:
            fields = server if kind == "postgres" else {"host": str(folder / "source.db")}
            export = in_database(kind, fields, monkeypatch)
        outcomes[kind] = everything(export, api, folder, monkeypatch)

    first = outcomes["postgres"]
    for kind, outcome in outcomes.items():
        for name, found in outcome.items():
            assert found == first[name], f"{name} from {kind} and from postgres"
    assert first["create"]["report"]["created"] == len(first["leads"]) > ROWS - 10
    assert first["update"]["report"]["unchanged"] == len(first["leads"])
    assert first["move"]["report"]["updated"] > 10
    # Salesforce keeps times to the second.
    row, lead = typed_rows()[20], first["leads"]["Ключ-20"]
    expected = {
        "day": "2026-03-20",
        "at": row["at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "budget": 1234587.89,
        "exact": 9_007_199_254_740_020,
    }
    assert {name: lead[FIELDS[name]] for name in expected} == expected
