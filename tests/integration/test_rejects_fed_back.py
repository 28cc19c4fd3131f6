# ruff: noqa: DTZ001 - a clock without zone is what is meant
"""Rejects of every source are mended and fed back: the leads are those that the export itself would have made."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.support import Ran, Record, by_external_id, creating, run

FIELDS = {
    "last": "LastName",
    "company": "Company",
    "interests": "Interests__c",
    "day": "Qualified_On__c",
    "at": "Score_Date__c",
    "budget": "Budget__c",
    "exact": "Employees_Exact__c",
    "score": "Lead_Score__c",
    "trial": "Is_Trial__c",
    "staff": "NumberOfEmployees",
    "number": "City",
    "clock": "Street",
    "note": "Description",
    "moment": "Lead_Source_Detail__c",
}
EAST = timezone(timedelta(hours=5, minutes=30))
KEYS = ("7", "8", "9")


def typed_rows() -> list[Record]:
    """Values of all types, and rows with nothing in most columns."""
    full: Record = {
        "key": 7.0,
        "company": ' "Acme", Ltd\n=1+1 ',
        "interests": ["Product", None, "Pricing"],
        "day": date(2026, 3, 5),
        "at": datetime(2026, 3, 29, 0, 30, 15, 250_000, EAST),
        "budget": Decimal("1234567.8900000000"),
        "exact": 2.0**52 + 1,
        "score": 80.1,
        "trial": True,
        "staff": 12,
        "number": Decimal("70.0000000000"),
        "clock": time(9, 5),
        "note": "#N/A\r\n=HYPERLINK(1)",
        "moment": datetime(2026, 3, 5, 10, 0, 0, 1),
        "raw": b"\x00\xff",
        "whole": {"a": [1, None], "b": date(2026, 1, 2)},
    }
    sparse = dict.fromkeys(full, None) | {"key": 8.0, "company": "Acme"}
    odd = full | {"key": 9.0, "interests": [], "note": "", "score": float("nan"), "exact": -0.0, "budget": Decimal(0)}
    return [full, sparse, odd]


def in_file(kind: str, path: Path, last: str | None) -> FileExport:
    """The rows in a file of that kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row | {"last": last} for row in typed_rows()]
    if kind == "parquet":
        types = {"budget": pa.decimal128(38, 10), "number": pa.decimal128(38, 10), "last": pa.string()}
        table = pa.Table.from_pylist(rows)
        schema = pa.schema([field.with_type(types.get(field.name, field.type)) for field in table.schema])
        pq.write_table(table.cast(schema), path)
        return FileExport(str(path), format="parquet")
    path.write_text("".join(json.dumps(row, default=_json) + "\n" for row in rows))
    return FileExport(str(path), format="jsonl")


def _json(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value.hex() if isinstance(value, bytes) else str(value)


_QUERIES = {
    "duckdb": """
        SELECT CAST(key AS DECIMAL(38, 10)) AS key, company, CASE key WHEN 7 THEN ['Product', NULL, 'Pricing'] END
        AS interests, DATE '2026-03-05' AS day, TIMESTAMPTZ '2026-03-29 00:30:15.25+05:30' AS at,
        CAST(key AS DECIMAL(18, 6)) AS budget, key * 1e17 AS exact, CAST(key AS FLOAT) / 10 AS score,
        key = 7 AS trial, CAST(key AS UTINYINT) AS staff, CAST(key AS DOUBLE) AS number, TIME '09:05:00' AS clock,
        '=1' AS note, TIMESTAMP_NS '2026-03-05 10:00:00.000001234' AS moment, '\\x00\\xFF'::BLOB AS raw,
        {{'a': key}} AS whole, '00000000-0000-0000-0000-000000000007'::UUID AS id,
        INTERVAL 3 HOURS AS wait, {last} AS last
        FROM (VALUES (7, 'Acme'), (8, ' "A", B'), (9, 'x')) AS made(key, company)""",
    "postgres": """
        SELECT CAST(key AS NUMERIC(38, 10)) AS key, company, CASE key WHEN 7 THEN ARRAY['Product', NULL, 'Pricing'] END
        AS interests, DATE '2026-03-05' AS day, TIMESTAMPTZ '2026-03-29 00:30:15.25+05:30' AS at,
        CAST(key AS NUMERIC(18, 6)) AS budget, key * 1e17::float AS exact, CAST(key AS REAL) / 10 AS score,
        key = 7 AS trial, key AS staff, CAST(key AS FLOAT) AS number, TIME '09:05:00' AS clock,
        '=1' AS note, TIMESTAMP '2026-03-05 10:00:00.000001' AS moment, '\\x00ff'::BYTEA AS raw,
        JSON_BUILD_OBJECT('a', key) AS whole, '00000000-0000-0000-0000-000000000007'::UUID AS id,
        INTERVAL '3 hours' AS wait, {last} AS last
        FROM (VALUES (7, 'Acme'), (8, ' "A", B'), (9, 'x')) AS made(key, company)""",
    "sqlite": """
        SELECT key * 1.0 AS key, company, 'Product;Pricing' AS interests, '2026-03-05' AS day,
        '2026-03-29T00:30:15.25+05:30' AS at, key * 1.5 AS budget, key * 1e17 AS exact, key / 10.0 AS score,
        key = 7 AS trial, key AS staff, key * 1.0 AS number, '09:05:00' AS clock, '=1' AS note,
        '2026-03-05T10:00:00' AS moment, x'00ff' AS raw, NULL AS whole, {last} AS last
        FROM (SELECT 7 AS key, 'Acme' AS company UNION ALL SELECT 8, ' "A", B' UNION ALL SELECT 9, 'x')""",
}


def mended(path: Path) -> FileExport:
    """The rejects with the one thing mended that they were rejected for."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["error_code"] for row in rows} == {"REQUIRED_FIELD_MISSING"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(row | {"last": "Ray"} for row in rows)
    return FileExport(str(path))


def leads(org: EmulatorServer) -> dict[str, Record]:
    """What Salesforce holds, less what it gave each lead itself."""
    own = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp"}
    return {key: {n: v for n, v in lead.items() if n not in own} for key, lead in by_external_id(org).items()}


@dataclass(frozen=True)
class Source:
    """One of the places that the rows can come from."""

    kind: str
    folder: Path

    def export(self, last: str | None) -> SqlExport | FileExport:
        """The rows, all with such a last name."""
        if self.kind in _QUERIES:
            word = "CAST(NULL AS VARCHAR(9))" if last is None else f"'{last}'"
            return SqlExport("source", _QUERIES[self.kind].format(last=word))
        return in_file(self.kind, self.folder / f"{last}.data", last)


@pytest.fixture(params=["parquet", "jsonl", "duckdb", "postgres", "sqlite"])
def source(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Source:
    """Each of the places."""
    from airflow.sdk import BaseHook

    kind, url = request.param, urlsplit(postgres_url)
    server = {"host": url.hostname, "port": url.port, "login": url.username, "schema": "postgres"}
    fields = server if kind == "postgres" else {"host": str(tmp_path / "source.db")}
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps({"conn_type": kind, **fields}))
    if kind == "duckdb":
        # Its file has to be there to be opened read-only.
        BaseHook.get_connection("source").get_hook().get_conn().close()  # type: ignore[no-untyped-call]
    return Source(kind, tmp_path)


def test_rejects_make_the_leads_that_the_export_would_make(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pages and in bulk, with one rejects file of both; and the next night finds nothing to do."""
    found: dict[str, dict[str, Record]] = {}
    files: dict[str, list[bytes]] = {}

    def sync(api: str, step: str, rows: Any, **more: Any) -> Ran:  # noqa: ANN401
        given = {"fields": FIELDS, "api": api, "existing": "update", "max_rejects": len(KEYS), **more}
        ran = run(creating(rows, tmp_path / api / step, **given))
        assert ran.error is None
        return ran

    for api in ("collections", "bulk"):
        with EmulatorServer() as org, EmulatorServer() as other:
            for name, where in (("org", org), ("other", other)):
                salesforce = {"host": where.url, "login": "emulator-key", "password": "emulator-secret"}
                connection = json.dumps({"conn_type": "salesforce_leads", **salesforce})
                monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", connection)
            refused = sync(api, "refused", source.export(None), existing="skip", salesforce_conn_id="org")
            assert refused.counts == {"rejected": len(KEYS)}
            path = refused.folder / "rejects.csv"
            files[api] = sorted(path.read_bytes().splitlines())
            back = sync(api, "back", mended(path), salesforce_conn_id="org")
            assert back.counts == {"created": len(KEYS)}
            night = sync(api, "night", source.export("Ray"), salesforce_conn_id="org")
            assert night.counts == {"unchanged": len(KEYS)}
            sync(api, "control", source.export("Ray"), salesforce_conn_id="other")
            found[api] = leads(org)
            assert found[api] == leads(other)
            assert tuple(sorted(found[api])) == KEYS
    assert found["collections"] == found["bulk"]
    assert files["collections"] == files["bulk"]
