"""What a run leaves behind: report, results, rejects."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport
from tests.integration.support import (
    COUNTS,
    FIELDS,
    Ran,
    Record,
    Rows,
    Task,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
    report_of,
    run,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

TEXT, COUNT, MAYBE_TEXT = str, int, (str, type(None))
REPORT: dict[str, Any] = {
    **dict.fromkeys(("read", *COUNTS), COUNT),
    "api_calls": COUNT,
    "token_requests": COUNT,
    "api": TEXT,
    "job_ids": list,
    "results_path": TEXT,
    "rejects_path": TEXT,
    "dry_run": bool,
    "started_at": TEXT,
    "finished_at": TEXT,
    "api_reason": TEXT,
    "host": TEXT,
    "operation": TEXT,
    "interval_start": MAYBE_TEXT,
    "interval_end": MAYBE_TEXT,
    "attempts": COUNT,
    "reject_reasons": dict,
    "unchanged_reasons": dict,
    "api_usage": dict,
    "executions": list,
}
STRINGS = (
    "key",
    "action",
    "reason",
    "salesforce_id",
    "error_code",
    "error_message",
    "api",
    "batch",
    "contact_id",
    "old_stage",
    "new_stage",
    "lead_url",
)
RESULTS = (
    "key",
    "action",
    "reason",
    "salesforce_id",
    "error_code",
    "error_message",
    "error_fields",
    "api",
    "batch",
    "attempt",
    "finished_at",
    "contact_id",
    "old_stage",
    "new_stage",
    "lead_url",
)
XCOM_LIMIT = 4096


def mixed(emulator: EmulatorServer, folder: Path, how: str) -> Ran:
    """A run with rows of every kind, or one that cannot send, or one that reads nothing."""
    emulator.seed_leads(leads(people(2)))
    rows = [*people(6), {"key": " "}, {"key": "bad", "last": "x" * 81, "company": "Acme"}, *people(1)]
    if how == "empty":
        return run(creating(Rows([], columns=tuple(rows[0])), folder))
    if how == "not sent":
        emulator.add_fault("invalid_session", method="POST", path="/composite/sobjects")
    day = datetime(2026, 11, 19, tzinfo=UTC)
    context = {"data_interval_start": day, "data_interval_end": day + timedelta(days=1)}
    return Task(context=context).run(creating(rows, folder, dry_run=how == "dry run"))


@pytest.mark.parametrize("how", ["failing", "empty", "not sent", "dry run"])
def test_a_report_has_the_designed_keys_no_more_and_no_less(emulator: EmulatorServer, tmp_path: Path, how: str) -> None:
    """People build on the names and types, in whatever way a run ends."""
    report = mixed(emulator, tmp_path, how).full

    assert set(report) == set(REPORT)
    for name, kind in REPORT.items():
        assert isinstance(report[name], kind), name
        assert not (kind is COUNT and isinstance(report[name], bool)), name
    assert report["api"] == ("collections" if how == "failing" else "none")
    assert report["operation"] == "create"
    assert report["host"] == emulator.url.removeprefix("http://")
    assert report["job_ids"] == []
    assert set(report["api_usage"]) == {"used", "max"}
    began, ended = (datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at"))
    assert began < ended
    assert began.tzinfo is not None
    if how != "empty":
        assert (report["interval_start"], report["interval_end"]) == (
            "2026-11-19T00:00:00+00:00",
            "2026-11-20T00:00:00+00:00",
        )


@pytest.mark.parametrize("how", ["failing", "empty", "not sent", "dry run"])
def test_the_report_lies_beside_the_results_as_it_was_pushed(
    emulator: EmulatorServer, tmp_path: Path, how: str
) -> None:
    """One account, in two places, and with no secret and no token in either."""
    ran = mixed(emulator, tmp_path, how)
    text = (ran.folder / "report.json").read_text(encoding="utf-8")

    assert json.loads(text) == ran.full
    assert (ran.error is None) == (how == "empty")
    assert "emulator-secret" not in text
    assert sorted(path.name for path in ran.folder.iterdir() if path.name != "_staging") == [
        *(["preview.json"] if how == "dry run" else []),
        "rejects.csv",
        "report.json",
        "results-00000.parquet" if how == "empty" else "results-00000-00002.parquet",
    ]


def test_the_xcom_stays_small_at_100_000_rows(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A million rows must not end up in Airflow's database; memory and calls do not grow with filtered rows either."""

    class Cold(Rows):
        """Rows made while they are read."""

        def _each(self) -> Any:  # noqa: ANN401
            for number in range(100_000):
                yield {"key": f"K-{number}", "score": number % 50}

    ran = run(moving(Cold([], columns=("key", "score")), tmp_path, score="score", threshold=70))

    assert (ran.error, ran.counts) == (None, {"filtered": 100_000})
    assert len(json.dumps(ran.report)) < XCOM_LIMIT
    assert emulator.stats()["api_used"] <= 1
    assert len(ran.rows) == 100_000


def test_the_xcom_stays_small_whatever_is_rejected(emulator: EmulatorServer, tmp_path: Path) -> None:
    """At most the 20 most frequent reasons, with the longest codes there are."""
    codes = [f"{'X' * 60}_{n:03}" for n in range(60)]
    emulator.add_fault(
        "status",
        method="POST",
        path="/composite/sobjects",
        status=200,
        reply=[
            {"success": False, "errors": [{"statusCode": code, "message": "no", "fields": []}]}
            for n, code in enumerate(codes)
            for _ in range(2 if n < 20 else 1)
        ],
    )
    ran = run(creating(people(80), tmp_path))

    assert ran.counts == {"rejected": 80}
    assert ran.full["reject_reasons"] == dict.fromkeys(codes[:20], 2)
    assert len(json.dumps(ran.report)) < XCOM_LIMIT
    assert no_retry(ran.error)


def test_results_have_the_designed_columns_and_a_line_for_each_row_read(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Names, order and types; people read them with DuckDB for years."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ran = mixed(emulator, tmp_path, "failing")
    (part,) = ran.folder.glob("results-*.parquet")
    schema = pq.read_schema(part)

    assert tuple(schema.names) == RESULTS
    assert {name for name in RESULTS if schema.field(name).type == pa.string()} == set(STRINGS)
    assert schema.field("error_fields").type == pa.list_(pa.string())
    assert schema.field("attempt").type == pa.int32()
    assert schema.field("finished_at").type == pa.timestamp("us", tz="UTC")
    assert Counter((row["key"], row["action"], row["reason"] or row["error_code"]) for row in ran.rows) == Counter(
        [
            ("K-0", "unchanged", "already_exists"),
            ("K-1", "unchanged", "already_exists"),
            *[(f"K-{n}", "created", None) for n in range(2, 6)],
            ("", "rejected", "MISSING_ARGUMENT"),
            ("bad", "rejected", "STRING_TOO_LONG"),
            ("K-0", "duplicate_key", None),
        ]
    )


def test_lines_of_rows_that_were_sent_say_how_when_and_where(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Id, link, request and try; a row that was not sent names no request."""
    ran = mixed(emulator, tmp_path, "failing")
    found = by_external_id(emulator)

    line = ran.by_key["K-5"]
    assert line["salesforce_id"] == found["K-5"]["Id"]
    assert line["lead_url"] == f"{emulator.url}/lightning/r/Lead/{found['K-5']['Id']}/view"
    assert (line["api"], line["batch"], line["attempt"]) == ("collections", "1", 1)
    assert line["finished_at"].tzinfo is not None
    bad = ran.by_key["bad"]
    assert (bad["api"], bad["batch"], bad["error_fields"]) == (None, None, ["LastName"])
    assert bad["error_message"]


def test_rejects_have_the_original_columns_and_go_back_in_once_mended(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Also columns that are not mapped, text with commas, quotes and line breaks, and a key with blanks."""
    rows: list[Record] = [
        {"note": 'a, "b"\nc', "key": f" K-{n} ", "last": last, "company": "Acme", "": None, "n": n}
        for n, last in enumerate(["ok", None, "", "x" * 81, "é😀"])
    ]
    first = run(creating(rows, tmp_path / "results"))
    path = first.folder / "rejects.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == [*rows[0], "error_code", "error_message"]
    assert [line[1] for line in lines] == [" K-1 ", " K-2 ", " K-3 "]
    assert {line[0] for line in lines} == {'a, "b"\nc'}
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *([*line[:2], "Mended", *line[3:]] for line in lines)])
    second = run(creating(FileExport(str(path)), tmp_path / "again"))

    assert second.error is None
    assert second.counts == {"created": 3}
    assert {key: lead["LastName"] for key, lead in by_external_id(emulator).items()} == {
        "K-0": "ok",
        **{f"K-{n}": "Mended" for n in (1, 2, 3)},
        "K-4": "é😀",
    }


def test_rejects_of_a_rejects_file_keep_its_columns(tmp_path: Path) -> None:
    """What is mended badly comes back with the new error, not with two columns of each name."""
    first = run(creating([{**people(1)[0], "last": ""}], tmp_path / "results"))
    path = first.folder / "rejects.csv"
    second = run(creating(FileExport(str(path)), tmp_path / "again"))

    assert (second.folder / "rejects.csv").read_text() == path.read_text()


def test_rejects_of_salesforce_are_there_as_well(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Rows refused here and there stand in one file, with the words of whoever refused."""
    emulator.change_settings(duplicate_rule="block")
    emulator.seed_leads([{"LastName": "Last 1", "Company": "Acme"}])
    ran = run(creating([*people(3), {"key": "K-9", "last": "", "company": "Acme"}], tmp_path))

    assert sorted((row["key"], row["error_code"]) for row in ran.rejects) == [
        ("K-1", "DUPLICATES_DETECTED"),
        ("K-9", "REQUIRED_FIELD_MISSING"),
    ]
    assert all(row["error_message"] for row in ran.rejects)


def test_a_failing_task_has_written_and_pushed_everything_before_it_raises(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """In real Airflow: the XCom, the file and the rejects are there although the task failed."""
    with DAG("pushed_before_it_fails", schedule=None) as dag:
        creating([*people(3), {"key": "x"}], tmp_path, fields=FIELDS)
    dag_run = run_dag(dag)

    report = report_of(dag_run, "create")
    ran = Ran(report=report, error=None)
    assert dag_run.state == "failed"
    assert json.loads((ran.folder / "report.json").read_text()) == report
    assert (len(ran.rows), len(ran.rejects)) == (4, 1)
    assert emulator.stats()["leads"] == 3
