"""Exports as other programs leave them behind: what is no lead makes none, and what is one is sent, in both APIs."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import FileExport
from tests.integration.support import by_external_id, creating, leads, moving, no_retry, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")
APIS = pytest.mark.parametrize("api", ["collections", "bulk"])
MARK = "\ufeff"


def written(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder of exports."""
    for name, content in files.items():
        path = folder / "exports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "exports"


def csv_of(*numbers: int) -> str:
    """Return a CSV file of people."""
    return "key,last,company\n" + "".join(f"A{number},Last {number},Acme\n" for number in numbers)


def parquet_of(rows: list[dict[str, Any]], columns: Mapping[str, object]) -> bytes:
    """Return a Parquet file of rows, of columns of the given types, as programs other than Arrow write it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(columns.items()))), sink, store_schema=False)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@APIS
def test_what_a_failed_attempt_left_behind_is_not_loaded(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """By a glob no more than from a folder; an empty part and markers are no matter."""
    folder = written(
        tmp_path,
        {
            "dt=1/part-0.csv": csv_of(1, 2),
            "dt=1/part-1.csv": "",
            "dt=1/_tmp.csv": csv_of(9),
            "dt=1/.h.csv": csv_of(9),
            "_temporary/0/task_0/part-1.csv": csv_of(9),
            "dt=2/.impala_insert_staging/x.csv": csv_of(9),
            "_SUCCESS": "",
        },
    )
    ran = run(creating(FileExport(folder / "**" / "*.csv"), tmp_path / "results", api=api))

    assert (ran.error, ran.counts) == (None, {"created": 2})
    assert sorted(by_external_id(emulator)) == ["A1", "A2"]


@APIS
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("leads.csv", gzip.compress(csv_of(1).encode()), r"leads.csv is no CSV file but a gzip file"),
        ("dt=1/part-0.csv", csv_of(1), r"sub-folders \('dt=1/part-0.csv'\), .* say '.*exports/\*\*/\*\.csv'"),
        ("_a.csv", csv_of(1), r"1 whose name, .*, begins with '\.' or '_'"),
    ],
    ids=["gzip", "sub-folders", "hidden"],
)
def test_an_export_that_cannot_be_right_says_why_and_is_not_tried_again(
    emulator: EmulatorServer, tmp_path: Path, api: str, name: str, content: str | bytes, says: str
) -> None:
    """The same file would be no better in five minutes."""
    folder = written(tmp_path, {name: content})
    ran = run(creating(FileExport(folder), tmp_path / "results", api=api))

    assert no_retry(ran.error)
    assert re.search(says, str(ran.error))
    assert not emulator.leads()


@APIS
def test_nothing_is_sent_from_below_a_header_line_in_another_order(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """A company would become a last name."""
    folder = written(tmp_path, {"leads.csv": csv_of(1) + "key,company,last\nA2,Acme,Roe\n"})
    ran = run(creating(FileExport(folder), tmp_path / "results", api=api))

    assert "leads.csv, line 3: the header line again, with its columns in another order" in str(ran.error)
    assert set(by_external_id(emulator)) <= {"A1"}


@APIS
def test_files_put_together_make_no_lead_of_their_header_lines(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """With a byte order mark or without; what follows one without a header is a reject that can be fed back."""
    text = MARK + csv_of(1) + csv_of(2) + MARK + csv_of(3) + f"{MARK}A4,Last 4,Acme\nA5,Last 5,Acme\n"
    folder = written(tmp_path, {"leads.csv": text})
    ran = run(creating(FileExport(folder), tmp_path / "results", api=api, max_rejects=5))

    assert (ran.error, ran.counts) == (None, {"created": 4, "rejected": 1})
    assert sorted(by_external_id(emulator)) == ["A1", "A2", "A3", "A5"]
    assert [(row["key"], row["error_code"]) for row in ran.rejects] == [("A4", "MALFORMED_ROW")]

    again = run(creating(FileExport(str(ran.full["rejects_path"])), tmp_path / "again", api=api))
    assert (again.error, again.counts) == (None, {"created": 1})
    assert by_external_id(emulator)["A4"]["LastName"] == "Last 4"


@APIS
def test_text_of_parquet_that_does_not_say_so_is_text(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Keys and mapped fields; what is no text is a reject that names the field, and harms no other row."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = [
        {"key": b"A1", "last": "Müller".encode(), "company": b"Acme", "image": b"\x89PNG"},
        {"key": b"A2", "last": b"\xff\xfe", "company": b"Acme", "image": b"text"},
        {"key": b"\xff", "last": b"Roe", "company": b"Acme", "image": None},
        {"key": b"A4", "last": b"Roe", "company": b"Acme", "image": b"\xff"},
    ]
    content = parquet_of(rows, dict.fromkeys(rows[0], pa.binary()))
    folder = written(tmp_path, {"leads.parquet": content})
    ran = run(creating(FileExport(folder), tmp_path / "results", api=api, max_rejects=5))

    assert (ran.error, ran.counts) == (None, {"created": 2, "rejected": 2})
    assert {key: lead["LastName"] for key, lead in by_external_id(emulator).items()} == {"A1": "Müller", "A4": "Roe"}
    refused = [row for row in ran.rows if row["action"] == "rejected"]
    assert {row["error_code"] for row in refused} == {"INVALID_TYPE_ON_FIELD_IN_RECORD"}
    assert sorted(row["error_message"].partition(":")[0] for row in refused) == ["LastName", "column 'key'"]


@APIS
def test_stages_and_scores_of_parquet_are_compared_as_text(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """They decide which rows are sent."""
    import pyarrow as pa

    emulator.seed_leads(leads(people(3), Lead_Stage__c="Lead"))
    stages = (b"Lead", b"SAL", b"Lead")
    rows = [
        {"key": row["key"].encode(), "stage": stage, "score": score}
        for row, stage, score in zip(people(3), stages, (b"90", b"95", b"10"), strict=True)
    ]
    folder = written(tmp_path, {"day.parquet": parquet_of(rows, dict.fromkeys(rows[0], pa.binary()))})
    more: dict[str, Any] = {"current_stage": "stage", "from_stages": ["Lead"], "score": "score", "threshold": 80}
    ran = run(moving(FileExport(folder), tmp_path / "results", api=api, **more))

    assert (ran.error, ran.counts) == (None, {"filtered": 2, "updated": 1})
    assert by_external_id(emulator)["K-0"]["Lead_Stage__c"] == "MQL"
