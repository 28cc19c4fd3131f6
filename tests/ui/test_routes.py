"""The routes behind the page, asked over a real socket: what they tell, and whom."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.folder import ResultsFolder
from tests.core.reports import VALUES
from tests.results.hostile import repeated
from tests.s3 import Lake
from tests.ui import made_up
from tests.ui.servers import Server

LAST = datetime(2026, 11, 23, 3, tzinfo=UTC)
EXECUTION = "20261123T030000.000000Z"
HOSTILE = '<img src=x onerror="alert(1)">'
FORMULA = '=HYPERLINK("http://127.0.0.1/","x")'
COUNTS = ("read", "filtered", "duplicate_keys", "unchanged", "created", "updated", "rejected", "not_sent")


def write_results(base: Path | str, dag_id: str, run_id: str, execution: str, *, codes: int = 250) -> ResultsFolder:
    """Leave the results of an execution, with rejects by three codes."""
    folder = ResultsFolder(base, dag_id, run_id, "sync", -1, execution)
    with folder.writer(columns=("id", "name", "list"), part_rows=100) as writer:
        for number in range(50):
            writer.write(Outcome(key=f"ok-{number}", action=Action.CREATED, salesforce_id="00Q5g00000000AAAA0"))
        for number in range(codes):
            rejected = Outcome(
                key=f"{HOSTILE}-{number}", action=Action.REJECTED, error_code=("A", "B", "C")[number % 3],
                error_message=f"{HOSTILE} is too long", error_fields=("LastName",), attempt=1, finished_at=LAST,
            )  # fmt: skip
            writer.write(rejected, {"id": f"{number}", "name": FORMULA, "list": "Ltd; =1+1"})
    folder.write_report({"read": 50 + codes})
    return folder


@pytest.fixture(scope="module")
def runs(server: Server) -> dict[str, str]:
    """Three nights of two Dags, and what went wrong in them."""
    with made_up.database(server.database) as session:
        made_up.clear(session)
        for dag_id in ("stage", "create", "other"):
            made_up.add_dag(session, dag_id)
        found = {}
        for night in range(3):
            ran_at = LAST - timedelta(days=night)
            for dag_id in ("stage", "create"):
                run_id = f"scheduled__{ran_at.isoformat()}"
                path = ResultsFolder(server.folder, dag_id, run_id, "sync", -1, EXECUTION).url
                report = {"results_path": path, "rejects_path": f"{path}/rejects.csv", "updated": 10 + night}
                made_up.add_sync(session, dag_id, ran_at, report=report, as_text=night == 1)
                found[f"{dag_id}-{night}"] = run_id
        made_up.add_sync(session, "stage", LAST + timedelta(hours=1), report=None, state="failed")
        found["killed"] = f"scheduled__{(LAST + timedelta(hours=1)).isoformat()}"
        # Neither is a sync: another task's return value, and another operator without one.
        made_up.add_sync(session, "other", LAST, report=None, operator="EmptyOperator", state="failed")
    write_results(server.folder, "stage", found["stage-0"], EXECUTION)
    write_results(server.folder, "stage", found["stage-0"], "20261122T030000.000000Z", codes=1)
    return found


def names(syncs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return Dag and run of each."""
    return [(each["dag_id"], each["run_id"]) for each in syncs]


def rows_url(run_id: str, dag_id: str = "stage") -> str:
    """Return the route of a run's rows."""
    return f"/api/dags/{dag_id}/runs/{run_id}/tasks/sync/rows"


def test_the_syncs_of_all_dags_come_newest_first(server: Server, runs: dict[str, str]) -> None:
    """Whichever way Airflow stored the report; the counts add up."""
    found = server.get("/api/syncs").json()

    assert set(names(found["syncs"])) == {(key.partition("-")[0], run) for key, run in runs.items() if "-" in key}
    assert [each["ran_at"] for each in found["syncs"]] == sorted((e["ran_at"] for e in found["syncs"]), reverse=True)
    assert names(found["unreported"]) == [("stage", runs["killed"])]
    assert found["dags"] == ["create", "stage"]
    first = next(each for each in found["syncs"] if each["run_id"] == runs["stage-0"])
    assert first["updated"] == 10
    assert first["execution"] == EXECUTION
    assert (first["seconds"], first["state"]) == (2.0, "success")
    assert set(COUNTS) < set(first)


@pytest.mark.parametrize("by", ["ran", "interval"])
def test_the_time_bounds_what_is_shown(server: Server, runs: dict[str, str], by: str) -> None:
    """The day of the run, or that of what it read; the second bound is not included."""
    day = "2026-11-22" if by == "ran" else "2026-11-21"
    after = "2026-11-23" if by == "ran" else "2026-11-22"

    found = server.get("/api/syncs", dag_id="stage", since=day, until=after, by=by).json()

    assert names(found["syncs"]) == [("stage", runs["stage-1"])]


def test_an_interval_is_compared_as_a_time(server: Server, runs: dict[str, str]) -> None:
    """One that a run by hand was given in another zone, and that lies elsewhere than its run's."""
    assert runs
    with made_up.database(server.database) as session:
        far = {"interval_start": "2026-03-01T00:30:00+01:00", "interval_end": "2026-03-02T00:30:00+01:00"}
        run_id = made_up.add_sync(session, "create", LAST + timedelta(days=40), report=far)

    february = server.get("/api/syncs", since="2026-02-28", until="2026-03-01", by="interval").json()
    march = server.get("/api/syncs", since="2026-03-01", until="2026-03-02", by="interval").json()

    assert names(february["syncs"]) == [("create", run_id)]
    assert march["syncs"] == []


@pytest.mark.parametrize("since", ["yesterday", "0001-01-01", "9999-12-31"])
def test_a_bad_time_is_refused_in_words(server: Server, since: str) -> None:
    """Not by a traceback."""
    reply = server.get("/api/syncs", since=since, by="interval")

    assert reply.status_code == 422
    assert "since" in reply.text


def test_a_name_that_no_database_takes_is_refused_in_words(server: Server) -> None:
    """In an address and in a parameter."""
    assert server.get("/api/syncs", dag_id="a\0b").status_code == 422
    assert server.get(rows_url("a%00b")).status_code == 422


def test_rows_are_told_page_by_page(server: Server, runs: dict[str, str]) -> None:
    """Every row once, in order, with what there is of each kind."""
    url = rows_url(runs["stage-0"])
    pages = [server.get(url, action="rejected", offset=offset, limit=100).json() for offset in (0, 100, 200)]

    keys = [row["key"] for page in pages for row in page["rows"]]
    assert keys == [f"{HOSTILE}-{number}" for number in range(250)]
    assert pages[0]["total"] == 250
    assert pages[0]["actions"] == {"created": 50, "rejected": 250}
    assert pages[0]["codes"] == {"A": 84, "B": 83, "C": 83}
    assert pages[0]["rows"][0]["error_fields"] == ["LastName"]
    assert pages[0]["rows"][0]["finished_at"] == LAST.isoformat()
    assert pages[0]["execution"] == EXECUTION
    assert pages[0]["executions"] == [EXECUTION, "20261122T030000.000000Z"]
    assert pages[0]["report"] == {"read": 300}


def test_what_is_told_stays_in_no_cache(server: Server, runs: dict[str, str]) -> None:
    """Of a browser that several people use, say; and nothing is taken for what it is not."""
    for path in (rows_url(runs["stage-0"]), rows_url(runs["stage-0"]).replace("/rows", "/rejects.csv"), "/api/syncs"):
        reply = server.get(path)
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_rows_are_found_by_action_code_and_text(server: Server, runs: dict[str, str]) -> None:
    """All conditions hold together; the text may be anywhere, in any case, and is no pattern."""
    url = rows_url(runs["stage-0"])

    assert server.get(url, code="B").json()["total"] == 83
    assert server.get(url, action="created").json()["total"] == 50
    assert server.get(url).json()["total"] == 300
    assert [row["key"] for row in server.get(url, search="OK-7").json()["rows"]] == ["ok-7"]
    assert server.get(url, search="onerror", code="A").json()["total"] == 84
    assert server.get(url, search=".*").json()["total"] == 0
    log = (server.folder / "api-server.log").read_text()
    assert "rows" in log
    assert "OK-7" not in log


def test_another_execution_is_shown_on_demand(server: Server, runs: dict[str, str]) -> None:
    """That of an earlier re-run; one that does not exist is named, and no path."""
    url = rows_url(runs["stage-0"])

    assert server.get(url, execution="20261122T030000.000000Z").json()["actions"] == {"created": 50, "rejected": 1}
    for wrong in ("20261121T030000.000000Z", "../../../../create"):
        reply = server.get(url, execution=wrong)
        assert reply.status_code == 404
        assert "There is no execution" in reply.json()["detail"]


def test_a_report_cannot_lead_to_the_rows_of_another_dag(server: Server, runs: dict[str, str]) -> None:
    """Whoever may edit the XComs of one Dag would read those of another through it."""
    other = ResultsFolder(server.folder, "stage", runs["stage-0"], "sync", -1, EXECUTION).url
    with made_up.database(server.database) as session:
        run_id = made_up.add_sync(session, "other", LAST + timedelta(days=1), report={"results_path": other})
        dots = f"{server.folder}/other/{run_id}/sync/../../../stage/{runs['stage-0']}/sync/-1/{EXECUTION}"
        second = made_up.add_sync(session, "other", LAST + timedelta(days=2), report={"results_path": dots})

    for run in (run_id, second):
        reply = server.get(rows_url(run, "other"))
        assert reply.status_code == 404
        assert "is not the folder of this task instance" in reply.json()["detail"]


def test_a_link_leads_nowhere(server: Server, runs: dict[str, str]) -> None:
    """Whoever may write to results_path would be read the API server's own files by it, or the rows of another Dag."""
    assert runs
    folder = leave_results(server, str(server.folder), hour=5)
    place = Path(folder.directory.path)
    secret = server.folder / "secret.cfg"
    secret.write_text("secret,key\n1,2\n")
    for name in ("rejects.csv", "report.json"):
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(secret)
    (place / "results-00001.parquet").rename(place / "moved")
    (place / "results-00001.parquet").symlink_to(place / "moved")
    url = rows_url(folder.run_id)
    download = url.replace("/rows", "/rejects.csv")

    assert [server.get(download, **{"for": each}).status_code for each in ("", "spreadsheet")] == [404, 404]
    assert (server.get(url).json()["total"], server.get(url).json()["report"]) == (200, None)
    task = place.parent.parent
    task.rename(task.parent / "elsewhere")
    task.symlink_to(task.parent / "elsewhere")
    reply = server.get(url)
    assert reply.status_code == 404
    assert "A link leads to the results" in reply.json()["detail"]


def test_what_is_not_there_is_said(server: Server, runs: dict[str, str]) -> None:
    """A run whose results are gone, one that left no report, and one that does not exist."""
    gone = server.get(rows_url(runs["stage-2"]))
    killed = server.get(rows_url(runs["killed"]))
    never = server.get(rows_url("never"))

    assert [reply.status_code for reply in (gone, killed, never)] == [404, 404, 404]
    assert "There are no results in" in gone.json()["detail"]
    assert "has not begun" in never.json()["detail"]


@pytest.mark.parametrize("store", ["nosuchstore://lake", "memory://nosuchconnection@lake"])
def test_a_storage_that_cannot_be_read_is_named(server: Server, runs: dict[str, str], store: str) -> None:
    """A driver that the API server lacks, or a connection."""
    run_id = f"scheduled__{(LAST + timedelta(days=3)).isoformat()}"
    path = f"{store}/results/stage/{run_id}/sync/-1/{EXECUTION}"
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "stage", run_id)
        made_up.add_sync(session, "stage", LAST + timedelta(days=3), report={"results_path": path})

    reply = server.get(rows_url(run_id))

    assert runs
    assert reply.status_code == 503
    assert "The API server cannot read the results" in reply.json()["detail"]


def test_rejects_are_downloaded_as_they_are(server: Server, runs: dict[str, str]) -> None:
    """The file itself, as an attachment that no cache keeps."""
    reply = server.get(rows_url(runs["stage-0"]).replace("/rows", "/rejects.csv"))
    folder = ResultsFolder(server.folder, "stage", runs["stage-0"], "sync", -1, EXECUTION)

    assert reply.content == Path(folder.rejects_url.removeprefix("file://")).read_bytes()
    assert reply.headers["Content-Disposition"].startswith('attachment; filename="rejects-stage-scheduled__')
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_for_a_spreadsheet_formulas_are_text(server: Server, runs: dict[str, str]) -> None:
    """And nothing else is another."""
    reply = server.get(rows_url(runs["stage-0"]).replace("/rows", "/rejects.csv"), **{"for": "spreadsheet"})

    rows = list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))
    assert len(rows) == 250
    assert {row["name"] for row in rows} == {f"'{FORMULA}"}
    assert {row["list"] for row in rows} == {"Ltd; '=1+1"}
    assert [row["id"] for row in rows[:2]] == ["0", "1"]
    assert rows[0]["error_message"] == f"{HOSTILE} is too long"


CLEARED = ("20261122T030000.000000Z", EXECUTION)


def test_a_night_that_was_cleared_keeps_what_it_did(server: Server, runs: dict[str, str]) -> None:
    """Its live executions are summed, and said to be several; a dry one behind them neither adds nor hides anything."""
    ran_at = LAST + timedelta(days=5)
    done = {"created": 0, "would_create": 0, "updated": 0, "unchanged": 5_000, "read": 5_000}
    live = [made_up.entry(name, created=n, read=n, api_calls=2) for name, n in zip(CLEARED, (4_095, 40), strict=True)]
    dry = made_up.entry(f"{EXECUTION}-dry-run", would_create=7)
    with made_up.database(server.database) as session:
        ids = {"green": made_up.add_sync(session, "stage", ran_at, report=done | {"created": 40, "executions": live})}
        later = ran_at + timedelta(days=1)
        looked = done | {"dry_run": True, "would_create": 7, "executions": [*live, dry]}
        ids["dry"] = made_up.add_sync(session, "stage", later, report=looked, as_text=True)

    def told(run_id: str) -> list[tuple[object, ...]]:
        found = server.get("/api/syncs", dag_id="stage", run_id=run_id).json()["syncs"]
        return [(each["dry_run"], each["created"], each["again"], each.get("opens")) for each in found]

    assert runs
    assert told(ids["green"]) == [(False, 4_135, "cleared once", None)]
    assert told(ids["dry"]) == [(True, 0, "", None), (False, 4_135, "cleared once", EXECUTION)]
    with made_up.database(server.database) as session:
        for run_id in ids.values():
            made_up.remove_run(session, "stage", run_id)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_cleared_night_without_a_new_report_keeps_what_it_did(
    server: Server, runs: dict[str, str], *, as_text: bool
) -> None:
    """Airflow removes the report when the task begins anew; what was done before is told beside the missing one."""
    ran_at = LAST + timedelta(days=7)
    told = [made_up.entry(name, created=n) for name, n in zip(CLEARED, (4_095, 40), strict=True)]
    with made_up.database(server.database) as session:
        run_id = made_up.add_sync(session, "stage", ran_at, report=None, state="failed")
        value: object = json.dumps(told) if as_text else told
        task = {"task_id": "sync", "map_index": -1}
        made_up.add_xcom(session, "stage", ran_at, task, "earlier_executions", value)
    (found,) = server.get("/api/syncs", dag_id="stage", run_id=run_id).json()["unreported"]

    assert runs
    assert (found["state"], found["earlier"]["created"]) == ("failed", 4_135)
    assert server.get("/api/syncs", dag_id="stage", run_id=runs["killed"]).json()["unreported"][0]["earlier"] is None
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "stage", run_id)


def test_the_executions_of_a_task_are_told_with_their_rows(server: Server, runs: dict[str, str]) -> None:
    """One below another, with what they come to, also where one is gone or left no report."""
    run_id = f"scheduled__{(LAST + timedelta(days=9)).isoformat()}"
    with made_up.database(server.database) as session:
        path = ResultsFolder(server.folder, "stage", run_id, "sync", -1, EXECUTION).url
        made_up.add_sync(session, "stage", LAST + timedelta(days=9), report={"results_path": path})
    gone = made_up.entry("20261121T030000.000000Z", created=5)
    for name, n, entries in ((CLEARED[0], 4_095, []), (EXECUTION, 40, [gone])):
        folder = write_results(server.folder, "stage", run_id, name, codes=1)
        report = VALUES | {"created": n, "results_path": folder.url}
        folder.write_report(report | {"executions": [*entries, made_up.entry(name, created=n)]})
    write_results(server.folder, "stage", run_id, f"{EXECUTION}-dry-run", codes=1)

    found = server.get(rows_url(run_id), execution=CLEARED[0]).json()

    assert runs
    assert found["executions"] == [f"{EXECUTION}-dry-run", EXECUTION, CLEARED[0]]
    assert [(each["execution"], each["created"]) for each in found["history"]] == [
        (gone["execution"], 5), (CLEARED[0], 4_095), (EXECUTION, 40)
    ]  # fmt: skip
    assert (found["counts"]["created"], found["again"]) == (4_140, "cleared twice")
    assert (found["execution"], found["report"]["created"]) == (CLEARED[0], 4_095)
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "stage", run_id)


def leave_results(server: Server, base: str, *, hour: int) -> ResultsFolder:
    """Leave results at some storage, which a run's report speaks of."""
    ran_at = LAST + timedelta(hours=hour)
    folder = write_results(base, "stage", f"scheduled__{ran_at.isoformat()}", EXECUTION)
    report = {"results_path": folder.url, "rejects_path": folder.rejects_url}
    with made_up.database(server.database) as session:
        made_up.add_sync(session, "stage", ran_at, report=report)
    return folder


@pytest.mark.parametrize("name", ["plain", "a*[b]? #1"])
def test_rows_and_rejects_are_read_from_s3(
    server: Server, server_lake: Lake, runs: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folder is called, through the connection that its URL names."""
    assert runs
    monkeypatch.setenv("AIRFLOW_CONN_THE_LAKE", server_lake.connection)
    hour = 2 if name == "plain" else 3
    folder = leave_results(server, f"{server_lake.url}/{name}", hour=hour)
    reply = server.get(rows_url(folder.run_id), action="rejected", limit=3, offset=100)
    rejects = server.get(rows_url(folder.run_id).replace("/rows", "/rejects.csv"))

    assert reply.json()["actions"] == {"created": 50, "rejected": 250}
    assert [row["key"] for row in reply.json()["rows"]] == [f"{HOSTILE}-{n}" for n in range(100, 103)]
    assert (reply.json()["problems"], reply.json()["report"]) == ([], {"read": 300})
    assert len(list(csv.DictReader(io.StringIO(rejects.text)))) == 250


def test_files_that_cannot_be_read_are_named(server: Server, runs: dict[str, str]) -> None:
    """The rows of the others are there, and the server is none the worse for it."""
    assert runs
    folder = leave_results(server, str(server.folder), hour=4)
    place = Path(folder.directory.path)
    repeated(place / "results-00001.parquet", "x" * 650_000, 10_000)
    (place / "report.json").write_text("[" * 100_000)
    (place / "rejects.csv").write_bytes(b"," * 3_000_000)
    reply = server.get(rows_url(folder.run_id))
    rejects = server.get(rows_url(folder.run_id).replace("/rows", "/rejects.csv"), **{"for": "spreadsheet"})

    assert (reply.status_code, reply.json()["total"], reply.json()["report"]) == (200, 200, None)
    assert reply.json()["problems"] == [
        "report.json cannot be read: it is nested too deeply.",
        "results-00001.parquet cannot be read: it takes more than 512 MB of memory.",
    ]
    assert rejects.status_code == 422
    assert "rejects.csv has no header" in rejects.json()["detail"]
