# ruff: noqa: TID253 - a test is no Dag file
"""Texts that are dates and texts that are none, and dates of a warehouse that Python does not have, in both APIs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.support import FIELDS, by_external_id, creating, leads, moving, people, run

pytestmark = pytest.mark.usefixtures("salesforce_conn")
BOTH = pytest.mark.parametrize("api", ["collections", "bulk"])
NO_DATE = "INVALID_TYPE_ON_FIELD_IN_RECORD"

TAKEN = {
    "snowflake": ("2026-03-05 10:00:00.000 -0800", "2026-03-05T18:00:00.000+0000"),
    "snowflake_z": ("2026-03-05 10:00:00.000 Z", "2026-03-05T10:00:00.000+0000"),
    "bigquery": ("2026-03-05 10:00:00 UTC", "2026-03-05T10:00:00.000+0000"),
    "bigquery_micros": ("2026-03-05 10:00:00.123456 UTC", "2026-03-05T10:00:00.000+0000"),
    "postgres": ("2026-03-05 10:00:00.5+00", "2026-03-05T10:00:00.000+0000"),
    "duckdb": ("2026-03-05 10:00:00+02", "2026-03-05T08:00:00.000+0000"),
    "sql_server": ("2026-03-05 10:00:00.1234567 +02:00", "2026-03-05T08:00:00.000+0000"),
    "nanoseconds": ("2026-03-05 10:00:00.123456789 -0330", "2026-03-05T13:30:00.000+0000"),
    "no_zone": ("2026-03-05 10:00", "2026-03-05T10:00:00.000+0000"),
    "day": ("2026-03-05", "2026-03-05T00:00:00.000+0000"),
}
REFUSED = {
    "milliseconds": "1712031500000",
    "seconds": "1712031500",
    "eleven": "17120315000",
    "zone": "2026-03-05+02:00",
    "west": "2026-03-05-05:00",
    "utc": "2026-03-05Z",
    "underscore": "2026-03-05_10:00:00",
    "berlin": "2026-03-05 10:00:00.000 Europe/Berlin",
    "infinity": "infinity",
    "far": "20000-01-01",
    "nothing": "0000-00-00",
}


@BOTH
@pytest.mark.parametrize(("field", "width"), [("Score_Date__c", 28), ("Qualified_On__c", 10)])
def test_only_texts_that_are_dates_are_stored(
    emulator: EmulatorServer, tmp_path: Path, api: str, field: str, width: int
) -> None:
    """In a date-time field the moment, in a date field its day as written; the rest are rejects that name the field."""
    path = tmp_path / "in.csv"
    texts = {key: text for key, (text, _) in TAKEN.items()} | REFUSED
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["key", "last", "company", "at"], *([k, "Ray", "Acme", v] for k, v in texts.items())]
        )
    ran = run(
        creating(FileExport(path), tmp_path / "res", fields={**FIELDS, "at": field}, max_rejects=len(REFUSED), api=api)
    )
    assert ran.counts == {"created": len(TAKEN), "rejected": len(REFUSED)}
    stored = {key: moment if width > 10 else text[:10] for key, (text, moment) in TAKEN.items()}
    assert {key: lead[field] for key, lead in by_external_id(emulator).items()} == stored
    told = {key: ran.by_key[key] for key in REFUSED}
    assert {(row["error_code"], *row["error_fields"]) for row in told.values()} == {(NO_DATE, field)}
    assert all(f"{field}: value not of required type: it takes a date" in row["error_message"] for row in told.values())


@BOTH
@pytest.mark.parametrize("fetch_size", [2, 100])
@pytest.mark.parametrize(
    "value", ["'infinity'::date", "'-infinity'::date", "date '20000-01-01'", "date '0044-03-15 BC'"]
)
def test_a_date_that_python_does_not_have_costs_its_row(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: str, fetch_size: int, value: str
) -> None:
    """In the first batch or after it; the rejects show what the warehouse has."""
    monkeypatch.setenv("AIRFLOW_CONN_PG", postgres_url)
    day = f"CASE i WHEN 5 THEN {value} ELSE date '2026-03-05' END AS d"
    sql = f"SELECT 'A'||i AS key, 'Ray' AS last, 'Acme' AS company, {day} FROM generate_series(1, 6) i"  # noqa: S608
    export = SqlExport("pg", sql, fetch_size=fetch_size)
    ran = run(creating(export, tmp_path, fields={**FIELDS, "d": "Qualified_On__c"}, max_rejects=1, api=api))
    assert ran.counts == {"created": 5, "rejected": 1}
    row = ran.by_key["A5"]
    assert (row["error_code"], row["error_fields"]) == (NO_DATE, ["Qualified_On__c"])
    (reject,) = ran.rejects
    assert reject["d"] == value.split("'")[1]


UNMAPPED = {
    "postgres": "SELECT 'K-'||i AS key, 'Last '||i AS last, 'Acme' AS company, "
    "CASE i WHEN 1 THEN timestamptz 'infinity' ELSE now() END AS valid_to, "
    "CASE i WHEN 2 THEN date '0044-03-15 BC' ELSE date '2026-03-05' END AS d, ARRAY[timestamp '20000-01-01'] AS list, "
    "daterange('2026-03-05', 'infinity') AS span, time '24:00' AS clock FROM generate_series(0, 2) i",
    "duckdb": "SELECT 'K-'||i AS key, 'Last '||i AS last, 'Acme' AS company, "
    "CASE i WHEN 1 THEN timestamptz 'infinity' ELSE now() END AS valid_to, "
    "CASE i WHEN 2 THEN date '0044-03-15 (BC)' ELSE date '2026-03-05' END AS d, [timestamp '20000-01-01'] AS list "
    "FROM range(3) t(i)",
}


@pytest.fixture(params=["postgres", "duckdb", "parquet"])
def unmapped(
    request: pytest.FixtureRequest, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> SqlExport | FileExport:
    """Three people, and columns with dates that Python does not have, which no field takes."""
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES", postgres_url)
    monkeypatch.setenv("AIRFLOW_CONN_DUCKDB", json.dumps({"conn_type": "duckdb"}))
    if request.param != "parquet":
        return SqlExport(request.param, UNMAPPED[request.param], fetch_size=2)
    path = tmp_path / "in.parquet"
    duckdb.execute(f"COPY ({UNMAPPED['duckdb']}) TO '{path}' (FORMAT parquet)")
    return FileExport(path)


@BOTH
def test_where_nobody_maps_it_it_is_no_matter(unmapped: SqlExport | FileExport, tmp_path: Path, api: str) -> None:
    """A SELECT * has columns that no lead takes."""
    ran = run(creating(unmapped, tmp_path / "res", api=api))
    assert ran.error is None
    assert ran.counts == {"created": 3}


@BOTH
def test_nor_where_leads_move(
    emulator: EmulatorServer, unmapped: SqlExport | FileExport, tmp_path: Path, api: str
) -> None:
    """The stage's operator reads the same exports."""
    emulator.seed_leads(leads(people(3), Lead_Stage__c="Lead"))
    ran = run(moving(unmapped, tmp_path / "res", api=api))
    assert ran.error is None
    assert ran.counts == {"updated": 3}
