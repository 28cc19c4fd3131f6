from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.support import FIELDS, Task, creating, leads, moving, no_retry, people, run, writes
from tests.integration.test_bulk_account import at_request

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.integration.conftest import Connect


@pytest.fixture(autouse=True)
def _default_connection(salesforce_conn: str) -> None:
    """Every test has a connection that works, unless it makes another."""


def refused(emulator: EmulatorServer, folder: Path, **more: Any) -> str:
    """What a create task fails with at once, having sent nothing and leaked nothing."""
    ran = run(creating(people(3), folder, **more))
    text = str(ran.error)
    assert no_retry(ran.error)
    assert writes(emulator) == []
    assert "emulator-secret" not in text
    return text


def test_a_wrong_secret_is_called_that(emulator: EmulatorServer, tmp_path: Path, connect: Connect) -> None:
    """The message names the connection, never the secret."""
    connect(password="not-the-secret-at-all")
    text = refused(emulator, tmp_path)

    assert "secret" in text
    assert "salesforce_leads_default" in text
    assert "not-the-secret-at-all" not in text


def test_a_wrong_key_is_called_that(emulator: EmulatorServer, tmp_path: Path, connect: Connect) -> None:
    """Key and secret are told apart."""
    connect(login="not-the-key")

    assert "key" in refused(emulator, tmp_path)


def test_a_connection_that_is_not_there_is_no_matter_for_a_retry(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The export's connections say so too, as an error of this package that names the connection."""
    text = refused(emulator, tmp_path, salesforce_conn_id="nowhere")

    assert "nowhere" in text


def test_no_run_as_user_and_a_flow_that_is_off_are_told_apart(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Each has its own cure in Setup."""
    emulator.change_settings(run_as_user=False)
    no_user = refused(emulator, tmp_path)
    emulator.change_settings(run_as_user=True, flow_enabled=False)
    no_flow = refused(emulator, tmp_path)

    assert "no client credentials user" in no_user
    assert "flow" in no_flow.lower()
    assert no_user != no_flow


def test_a_token_url_that_is_none_is_a_wrong_host(emulator: EmulatorServer, tmp_path: Path) -> None:
    """An HTML page is not taken for an answer of Salesforce."""
    emulator.add_fault("status", path="/oauth2/token", status=404, reply="<html>Not Found</html>")

    assert "no Salesforce token endpoint" in refused(emulator, tmp_path)


def test_a_host_where_nobody_listens_is_worth_a_retry(tmp_path: Path, connect: Connect) -> None:
    """The network may be down; the message names the host."""
    connect(host="http://127.0.0.1:9")
    ran = run(creating(people(3), tmp_path))

    assert not no_retry(ran.error)
    assert "127.0.0.1" in str(ran.error)


def test_missing_access_to_leads_and_to_the_api_are_told_apart(emulator: EmulatorServer, tmp_path: Path) -> None:
    """One is a permission on the object, the other one on the user or org."""
    emulator.change_settings(lead_access=False)
    no_leads = refused(emulator, tmp_path)
    emulator.change_settings(lead_access=True, api_enabled=False)
    no_api = refused(emulator, tmp_path)

    assert "Lead object" in no_leads
    assert "API" in no_api
    assert "Lead object" not in no_api


def test_one_error_lists_all_problems_of_a_mapping(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Nobody mends a Dag five times for five mistakes."""
    emulator.change_settings(hidden_fields=["Budget__c"])
    text = refused(
        emulator,
        tmp_path,
        external_id_field="Company",
        fields={
            "last": "LastName",
            "company": "Compny",
            "a": "CreatedDate",
            "b": "Budget__c",
            "c": "Email",
            "d": "email",
        },
        constants={"NumberOfEmployees": "many", "ConvertedDate": "2026-01-01"},
    )

    for part in (
        "Compny",
        "CreatedDate: the field is read-only",
        "Budget__c",
        "column 'd' -> Email",
        "NumberOfEmployees",
        "ConvertedDate: the field is read-only",
        "external_id_field Company",
        "Company: Salesforce requires it",
    ):
        assert part in text


def test_an_external_id_that_is_not_unique_is_refused_for_inserts(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Salesforce would create a lead twice."""
    assert "not unique" in refused(emulator, tmp_path, external_id_field="Legacy_Id__c")


def test_values_that_salesforce_would_refuse_for_sure_cost_no_call(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Each is rejected with Salesforce's own code, the rest is created."""
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "last": ({"last": " "}, "REQUIRED_FIELD_MISSING"),
        "company": ({"company": None}, "REQUIRED_FIELD_MISSING"),
        "mail": ({"mail": "ada.example.com"}, "INVALID_EMAIL_ADDRESS"),
        "score": ({"score": "seventy"}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        "large": ({"score": 10**17}, "NUMBER_OUTSIDE_VALID_RANGE"),
        "day": ({"day": "20.11.2026"}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        "trial": ({"trial": "maybe"}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        "owner": ({"owner": "somebody"}, "MALFORMED_ID"),
        "segment": ({"segment": "Huge"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        "list": ({"company": ["a"]}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        "k" * 65: ({}, "STRING_TOO_LONG"),
        " ": ({}, "MISSING_ARGUMENT"),
    }
    fields = {
        **FIELDS,
        "mail": "Email",
        "score": "Lead_Score__c",
        "day": "Qualified_On__c",
        "trial": "Is_Trial__c",
        "owner": "OwnerId",
        "segment": "Segment__c",
    }
    empty = dict.fromkeys(fields)
    rows = [{**empty, **people(1)[0], "key": key, **cells} for key, (cells, _) in bad.items()]
    how: dict[str, Any] = {"fields": fields, "max_rejects": len(bad), "assignment_rule": None}
    ran = run(creating([*rows, {**empty, **people(1)[0]}], tmp_path, **how))

    assert {row["key"]: row["error_code"] for row in ran.rows if row["error_code"]} == {
        key.strip(): code for key, (_, code) in bad.items()
    }
    assert ran.counts == {"created": 1, "rejected": len(bad)}
    assert sum(request["records"] for request in writes(emulator)) == 1


def test_a_token_that_expires_in_mid_run_is_renewed_once(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The same batch goes out again, with all threads on one new token, and nothing is created twice."""
    rows = people(3_000)

    at_request(emulator, "POST", "/composite/sobjects", 8, emulator.expire_tokens)
    ran = run(creating(rows, tmp_path, api="collections"))

    assert ran.counts == {"created": 3_000}
    assert emulator.stats()["leads"] == 3_000
    assert (emulator.stats()["token_requests"], ran.full["token_requests"]) == (2, 2)


def test_tokens_that_die_after_some_calls_are_renewed_as_often_as_need_be(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A renewal that worked does not use up the next one."""
    emulator.change_settings(token_calls=4)
    ran = run(creating(people(2_000), tmp_path))

    assert ran.counts == {"created": 2_000}
    assert emulator.stats()["tokens_minted"] <= 5


def test_a_lasting_401_ends_the_run_after_one_renewal(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The error is clear, and every row is accounted for."""
    emulator.add_fault("invalid_session", method="POST", path="/composite/sobjects")
    ran = run(creating(people(1_000), tmp_path))

    assert ran.counts == {"not_sent": 1_000}
    assert emulator.stats()["token_requests"] == 2
    assert "refuses tokens that it has just issued" in str(ran.error)
    assert not no_retry(ran.error)


@pytest.mark.parametrize("used", ["by others", "limit"])
def test_a_request_limit_in_mid_run_leaves_the_rest_for_a_retry(
    emulator: EmulatorServer, tmp_path: Path, used: str
) -> None:
    """The daily limit of the org and max_api_usage of the connection end a run alike."""
    usage = 115_000 if used == "limit" else 110_000
    at_request(emulator, "POST", "/composite/sobjects", 5, lambda: emulator.set_api_usage(usage))
    ran = run(creating(people(3_000), tmp_path, api="collections", concurrency=1))

    assert set(ran.counts) == {"created", "not_sent"}
    assert {row["reason"] for row in ran.rows if row["action"] == "not_sent"} == {"api_usage_limit"}
    assert not no_retry(ran.error)
    assert ran.full["api_usage"]["max"] == 115_000
    assert emulator.stats()["leads"] == ran.counts["created"]


def test_a_limit_reached_before_the_run_is_worth_a_retry(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Nothing is read then, so there is nothing to account for."""
    emulator.set_api_usage(115_000)
    ran = run(creating(people(3), tmp_path))

    assert not no_retry(ran.error)
    assert "REQUEST_LIMIT_EXCEEDED" in str(ran.error)


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-11-21", "to": "2026-11-20"},
        {"from": "2026-11-20", "to": "2026-11-20"},
        {"from": "2026-11-20"},
        {"to": "2026-11-20"},
        {"from": "ada@example.com", "to": "bob@example.com"},
        {"from": 7, "to": ["x"]},
    ],
)
def test_params_that_make_no_interval_do_not_fail_an_operator(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, params: dict[str, Any]
) -> None:
    """They may mean anything in somebody else's Dag: the report has the run's data interval then, the log a warning."""
    day = datetime(2026, 11, 19, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    context = {"params": params, "data_interval_start": day[0], "data_interval_end": day[1]}
    ran = Task(context=context).run(creating(people(3), tmp_path))

    assert ran.error is None
    assert (ran.full["interval_start"], ran.full["interval_end"]) == tuple(moment.isoformat() for moment in day)
    assert emulator.stats()["leads"] == 3
    assert "data interval is reported instead" in caplog.text


def test_the_key_may_be_mapped_to_the_external_id_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It says twice what the operator does anyway."""
    ran = run(creating(people(3), tmp_path, fields={**FIELDS, "key": "External_Id__c"}))

    assert ran.error is None
    assert emulator.stats()["leads"] == 3


def test_an_empty_json_lines_file_is_a_quiet_day(tmp_path: Path) -> None:
    """JSON Lines have no header, so nothing can be said of the columns of no rows."""
    (tmp_path / "day.jsonl").touch()
    ran = run(creating(FileExport(str(tmp_path / "day.jsonl")), tmp_path / "results"))

    assert (ran.error, ran.full["read"]) == (None, 0)


def test_a_warehouse_s_error_does_not_repeat_a_person_s_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes into the task's log."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": ":memory:"}))
    sql = "SELECT 'k' AS key, 'l' AS last, 'c' AS company, CAST(mail AS INT) FROM (SELECT 'ada@example.com' AS mail)"
    ran = run(creating(SqlExport("warehouse", sql), tmp_path))

    assert "Conver" in str(ran.error)
    assert "ada@example.com" not in str(ran.error)


def test_a_stage_task_checks_its_fields_and_columns_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Fields are looked at before the export is opened, its columns before anything is sent."""
    emulator.seed_leads(leads(people(1)))
    columns: dict[str, Any] = {"key": "no_such_key", "lead_id": "sf_id", "score": "points", "threshold": 1}
    columns |= {"current_stage": "phase", "from_stages": ["Lead"]}
    fields = {"stage_field": "Stage__c", "external_id_field": "Ext__c"}
    before = run(moving(people(1), tmp_path, **columns, **fields))
    ran = run(moving(people(1), tmp_path, **columns))

    assert no_retry(before.error)
    assert no_retry(ran.error)
    assert all(part in str(before.error) for part in ("Stage__c", "Ext__c"))
    assert all(part in str(ran.error) for part in ("'no_such_key'", "'sf_id'", "'points'", "'phase'"))
    assert writes(emulator) == []
