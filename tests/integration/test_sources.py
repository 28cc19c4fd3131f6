"""The same rows from every kind of export, and a file as messy as real ones are."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.support import COUNTS, FIELDS, Record, by_external_id, creating, moving, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

COLUMNS = ("key", "last", "company", "score", "stage", "trial", "staff")
SOURCES = ("sqlite", "duckdb", "postgres", "csv", "jsonl", "parquet", "csv.gz", "jsonl.zst")


def awkward() -> list[Record]:
    """Rows with nulls, numbers, repeated and empty keys, text that CSV has to quote, and rejects."""
    rows: list[Record] = [
        dict(
            zip(
                COLUMNS,
                (f"K-{n}", f"Näme {n}", 'A, "B"\nC', 60.5 + n, None if n % 3 else "Lead", bool(n % 2), n),
                strict=True,
            )
        )
        for n in range(40)
    ]
    rows[5]["key"], rows[6]["key"] = None, "k-4"
    rows[7]["company"], rows[8]["last"] = None, "x" * 81
    rows[9]["score"] = rows[9]["staff"] = None
    rows[10]["stage"] = "SAL"
    return rows


def database(kind: str, folder: Path, url: str) -> dict[str, object]:
    """Fields of a connection to an empty place in a database."""
    if kind != "postgres":
        return {"conn_type": kind, "host": str(folder / "warehouse")}
    parts = urlsplit(url)
    return {
        "conn_type": kind,
        "host": parts.hostname,
        "port": parts.port,
        "login": parts.username,
        "schema": "postgres",
    }


def in_database(kind: str, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> SqlExport:
    """The rows in a table."""
    from contextlib import closing

    from airflow.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps(database(kind, folder, url)))
    mark = "%s" if kind == "postgres" else "?"
    with closing(BaseHook.get_connection("source").get_hook().get_conn()) as connection:  # type: ignore[no-untyped-call]
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS awkward")
        cursor.execute(
            "CREATE TABLE awkward (n INT, key TEXT, last TEXT, company TEXT, score DOUBLE PRECISION, stage TEXT, "
            "trial BOOLEAN, staff INT)"
        )
        for n, row in enumerate(awkward()):
            marks = ", ".join([mark] * (len(COLUMNS) + 1))
            cursor.execute(f"INSERT INTO awkward VALUES ({marks})", (n, *row.values()))  # noqa: S608 - marks only
        connection.commit()
    return SqlExport("source", f"SELECT {', '.join(COLUMNS)} FROM awkward ORDER BY n", fetch_size=7)  # noqa: S608


def in_file(kind: str, folder: Path) -> FileExport:
    """The rows in a file."""
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"day.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(awkward()), path)
    elif kind == "jsonl.zst":
        import zstandard

        path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in awkward()).encode()))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in awkward()), encoding="utf-8")
    else:
        opened: Callable[..., Any] = gzip.open if kind.endswith("gz") else open
        with opened(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(awkward())
    return FileExport(str(path))


@pytest.mark.parametrize("kind", SOURCES)
def test_the_same_rows_give_the_same_leads_and_the_same_report_from_wherever_they_come(
    emulator: EmulatorServer,
    tmp_path: Path,
    kind: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Databases, files and their compression differ in types, not in outcome."""
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    is_database = kind in ("sqlite", "duckdb", "postgres")
    export = in_database(kind, tmp_path, url, monkeypatch) if is_database else in_file(kind, tmp_path)
    fields = {**FIELDS, "score": "Lead_Score__c", "trial": "Is_Trial__c", "staff": "NumberOfEmployees"}
    created = run(creating(export, tmp_path / "create", fields=fields, max_rejects=3))
    again = run(creating(export, tmp_path / "again", fields=fields, max_rejects=3, existing="update"))
    stage: dict[str, Any] = {"current_stage": "stage", "from_stages": [None, "Lead"]}
    moved = run(moving(export, tmp_path / "move", score="score", threshold=70, max_rejects=3, **stage))

    assert (created.error, again.error, moved.error) == (None, None, None)
    assert created.counts == {"created": 36, "duplicate_keys": 1, "rejected": 3}
    assert created.full["reject_reasons"] == {
        "MISSING_ARGUMENT": 1,
        "REQUIRED_FIELD_MISSING": 1,
        "STRING_TOO_LONG": 1,
    }
    assert again.counts == {"unchanged": 36, "duplicate_keys": 1, "rejected": 3}
    assert moved.counts == {"filtered": 9, "updated": 29, "duplicate_keys": 1, "rejected": 1}
    found = by_external_id(emulator)
    assert len(found) == 36
    for row in awkward():
        if (lead := found.get(row["key"])) is not None:
            assert (lead["LastName"], lead["Company"]) == (row["last"], row["company"])
            assert (lead["Lead_Score__c"], lead["Is_Trial__c"], lead["NumberOfEmployees"]) == (
                row["score"],
                row["trial"],
                row["staff"],
            )
            is_moved = (row["score"] or 0) > 70 and row["stage"] in (None, "Lead")
            assert lead["Lead_Stage__c"] == ("MQL" if is_moved else None)


MESSY_ROWS = 9_240
HEADER = ["Prospect ID", "Lead Number", "Lead Source", "Do Not Email", "TotalVisits", "Country", "City", "What is it, "]
HEADER += ["Activity Score", "Profile Score", "Last Notable Activity", ""]


def messy_csv(path: Path) -> list[Record]:
    """A file like the one a web shop's marketing tool gives out; returns its rows."""
    dice = random.Random(20261120)
    rows: list[Record] = []
    for n in range(MESSY_ROWS):
        has_score = dice.random() < 0.54
        cells = [
            str(UUID(int=dice.getrandbits(128), version=4)),
            str(660_737 - n),
            dice.choice(["Olark Chat", "Organic Search", "google", "", "Direct, Traffic"]),
            dice.choice(["No", "Yes"]),
            dice.choice(["0", "5", "2.5", ""]),
            dice.choice(["India", "", "unknown"]),
            dice.choice(["Select", "Mumbai", "", "Thane & Outskirts", 'Town "of" Quotes']),
            dice.choice(["Better Career Prospects", "a, b, c", ""]),
            str(dice.randint(7, 18)) if has_score else "",
            str(dice.randint(11, 20)) if has_score else "",
            dice.choice(["Modified", "Email Opened", "SMS, Sent"]),
            "",
        ]
        rows.append(dict(zip(HEADER, cells, strict=True)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(row.values() for row in rows)
    return rows


def test_a_messy_file_of_9_240_rows_is_accounted_for_to_the_last_row(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The first run creates, the second changes no value, and those with a high score become MQLs."""
    rows = messy_csv(tmp_path / "leads.csv")
    export = FileExport(str(tmp_path / "leads.csv"))
    how: dict[str, Any] = {
        "key": "Prospect ID",
        "fields": {
            "Lead Number": "LastName",
            "City": "City",
            "Country": "Country",
            "Activity Score": "Lead_Score__c",
            "What is it,": "Description",
            "Do Not Email": "HasOptedOutOfEmail",
        },
        "constants": {"Company": "unknown", "LeadSource": "Web"},
    }
    first = run(creating(export, tmp_path / "first", **how))
    history = emulator.history()
    second = run(creating(export, tmp_path / "second", **how))
    third = run(creating(export, tmp_path / "third", existing="update", **how))

    assert (first.error, second.error, third.error) == (None, None, None)
    assert first.counts == {"created": MESSY_ROWS}
    assert (second.counts, third.counts) == ({"unchanged": MESSY_ROWS}, {"unchanged": MESSY_ROWS})
    assert third.full["unchanged_reasons"] == {"same_values": MESSY_ROWS}
    assert emulator.history() == history
    found = by_external_id(emulator)
    assert len(found) == MESSY_ROWS
    for row in rows:
        lead = found[row["Prospect ID"]]
        assert lead["LastName"] == row["Lead Number"]
        assert lead["City"] == (row["City"] or None)
        assert lead["Lead_Score__c"] == (float(row["Activity Score"]) if row["Activity Score"] else None)
        assert lead["HasOptedOutOfEmail"] is (row["Do Not Email"] == "Yes")
    calls = len(writes(emulator))
    moved = run(moving(export, tmp_path / "move", key="Prospect ID", score="Activity Score", threshold=14))
    high = {row["Prospect ID"] for row in rows if row["Activity Score"] and int(row["Activity Score"]) > 14}
    assert moved.error is None
    assert moved.counts == {"updated": len(high), "filtered": MESSY_ROWS - len(high)}
    assert {key for key, lead in by_external_id(emulator).items() if lead["Lead_Stage__c"] == "MQL"} == high
    assert len(writes(emulator)) - calls <= -(-len(high) // 200) + 2
    assert sum(moved.full[name] for name in COUNTS) == MESSY_ROWS
