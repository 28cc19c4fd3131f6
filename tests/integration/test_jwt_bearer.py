"""Syncs whose token requests are signed: both operators, both APIs, rotation, and what goes wrong."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME
from airflow_provider_sfleads.exceptions import AuthenticationError, WrongKeyOrSecretError
from airflow_provider_sfleads.exports import FileExport
from tests.integration.support import Rows, Task, creating, moving, no_retry, people, report_of, run
from tests.integration.test_logs import Log
from tests.signing_keys import PASSWORD, certificate, material, pem

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

# The header of every assertion, in Base64.
ASSERTION = "eyJhbGciOiJSUzI1NiIs"


class Connection:
    """Airflow's connection, which signs; each call changes what it says."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fields: dict[str, Any] = {"conn_type": "salesforce_leads", "host": url, "login": "emulator-key"}
        self._extra: dict[str, Any] = {"auth": "jwt_bearer", "username": RUN_AS_USERNAME, "private_key": pem()}
        self._monkeypatch = monkeypatch

    def __call__(self, **extra: object) -> None:
        """Save it."""
        self._extra |= extra
        saved = json.dumps(self._fields | {"extra": self._extra})
        self._monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", saved)


@pytest.fixture
def connection(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A connection whose key is that of the app's certificate."""
    emulator.change_settings(jwt_certificates=[certificate()], client_secret="nobody-knows-it")
    made = Connection(emulator.url, monkeypatch)
    made()
    return made


@pytest.fixture
def log(connection: Connection, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Log:
    """The log of a test."""
    del connection
    return Log(caplog, capfd)


def assert_clean(text: str, emulator: EmulatorServer) -> None:
    """No line of a key, no assertion, no token, and not who the user is."""
    keys = [pem(), pem("second"), pem(password=PASSWORD)]
    assert not [line for line in material(*keys) if line in text]
    assert not [token for token in emulator.tokens_issued() if token in text]
    assert not [word for word in (ASSERTION, PASSWORD, RUN_AS_USERNAME, "emulator-key") if word in text]


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_both_operators_run(emulator: EmulatorServer, tmp_path: Path, log: Log, api: str) -> None:
    """As with a secret, and tell as little."""
    created = run(creating(people(30), tmp_path, api=api))
    moved = run(moving(people(30), tmp_path, api=api))
    assert (created.counts, moved.counts) == ({"created": 30}, {"updated": 30})
    assert (created.full["api"], created.full["token_requests"]) == (api, 1)
    written = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert_clean(log.text() + written + json.dumps(created.full), emulator)


def test_a_deferred_task_and_its_trigger_sign_too(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, log: Log, connection: Connection
) -> None:
    """Worker, trigger, and the worker that goes on: each asks for a token of its own, with an encrypted key."""
    connection(private_key=pem(password=PASSWORD), private_key_password=PASSWORD)
    emulator.change_settings(bulk_rate=200.0)
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, people(3_000))))
    with DAG("signed_and_deferred", schedule=None) as dag:
        export = FileExport(str(tmp_path / "people.jsonl"))
        creating(export, tmp_path / "results", external_id_field=None, api="bulk", deferrable=True)

    report = report_of(run_dag(dag), "create")
    assert (report["created"], report["token_requests"]) == (3_000, 3)
    assert_clean(log.text() + json.dumps(report), emulator)


def test_a_token_that_expires_in_the_middle_is_replaced(emulator: EmulatorServer, tmp_path: Path, log: Log) -> None:
    """Each renewal signs anew, once for all threads."""
    emulator.change_settings(token_calls=3)
    ran = run(creating(people(40), tmp_path, batch_size=2, concurrency=1))
    assert ran.counts == {"created": 40}
    assert ran.full["token_requests"] == emulator.stats()["tokens_minted"] > 3
    assert_clean(log.text(), emulator)


def test_a_key_is_rotated_without_a_gap(
    emulator: EmulatorServer, tmp_path: Path, log: Log, connection: Connection
) -> None:
    """While both certificates are good either key is; when the old one is gone, the old key says what to do."""
    emulator.change_settings(jwt_certificates=[certificate(), certificate("second")])
    assert run(creating(people(2), tmp_path)).counts == {"created": 2}
    emulator.change_settings(jwt_certificates=[certificate("second")])
    emulator.expire_tokens()

    refused = run(creating(people(2, start=2), tmp_path))
    assert isinstance(refused.error, WrongKeyOrSecretError)
    assert no_retry(refused.error)
    assert "upload the certificate" in str(refused.error)

    connection(private_key=pem("second"))
    assert run(creating(people(2, start=2), tmp_path)).counts == {"created": 2}
    assert_clean(log.text() + str(refused.error), emulator)


def test_a_key_that_is_revoked_in_the_middle_costs_no_row(
    emulator: EmulatorServer, tmp_path: Path, log: Log, connection: Connection
) -> None:
    """What was sent is recorded; retries say what to do, and one with the new key sends the rest, each once."""

    def revoke(number: int) -> None:
        if number == 0:
            emulator.change_settings(jwt_certificates=[certificate("second")])

    emulator.change_settings(token_calls=5)
    task, one_by_one = Task(), {"batch_size": 2, "concurrency": 1}
    first = task.run(creating(Rows(people(40), before=revoke), tmp_path, **one_by_one))
    assert first.counts == {"created": 8, "not_sent": 32}
    second = task.run(creating(people(40), tmp_path))
    assert isinstance(second.error, WrongKeyOrSecretError)
    assert no_retry(second.error)

    connection(private_key=pem("second"))
    third = task.run(creating(people(40), tmp_path, **one_by_one))
    assert third.error is None
    assert sorted(lead["External_Id__c"] for lead in emulator.leads()) == sorted(row["key"] for row in people(40))
    said = f"{first.error} {second.error}"
    assert said.count("upload the certificate") == 2
    assert_clean(log.text() + said, emulator)


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "key": ({"private_key": pem("second")}, {}, "upload the certificate"),
    "user": ({"username": "somebody@example.invalid"}, {}, "Check username"),
    "approval": ({}, {"jwt_approved": False}, "Pre-authorise that user"),
    "audience": ({"audience": "https://test.salesforce.com"}, {}, "addressed to https://test.salesforce.com"),
    "sandbox": ({}, {"jwt_audiences": ["https://test.salesforce.com"]}, "addressed to https://login.salesforce.com"),
    "app": ({}, {"client_id": "another"}, "Enter the consumer key"),
    "flow": ({}, {"flow_enabled": False}, "Enable JWT Bearer Flow"),
    "password": (
        {"private_key": pem(password=PASSWORD), "private_key_password": "wrong"},
        {},
        "does not open private_key",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_set_up_wrongly_fails_before_a_row_is_read(
    emulator: EmulatorServer, tmp_path: Path, log: Log, connection: Connection, name: str
) -> None:
    """One request, one error, and no retry."""
    extra, settings, words = WRONG[name]
    connection(**extra)
    emulator.change_settings(**settings)
    read: list[int] = []
    ran = run(creating(Rows(people(3), before=read.append), tmp_path))
    assert words in str(ran.error)
    assert no_retry(ran.error)
    assert read == []
    assert emulator.stats()["tokens_minted"] == 0
    assert len(emulator.requests()) <= 1
    assert_clean(log.text() + str(ran.error), emulator)


def test_a_clock_that_is_off_is_said(emulator: EmulatorServer, tmp_path: Path, log: Log) -> None:
    """An assertion is over before it arrives."""
    emulator.emulator.clock = lambda: time.time() + 600
    ran = run(creating(people(1), tmp_path))
    assert isinstance(ran.error, AuthenticationError)
    assert "set the clock by NTP" in str(ran.error)
    assert no_retry(ran.error)
    assert_clean(log.text() + str(ran.error), emulator)
