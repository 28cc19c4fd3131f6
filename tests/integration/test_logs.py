"""What the task's log tells, and what it must not."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
from tests.integration.support import FIELDS, Record, Rows, Task, creating, moving, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

# Values that could be anybody's, each so odd that it cannot stand in a log by chance.
PERSON = {
    "mail": "zaphod.b@heartofgold.example",
    "last": "Beeblebrox-Zyx",
    "company": "Sirius Cybernetics-Qqx",
    "phone": "+49 30 99887766",
    "note": "two heads, three arms-Wwv",
}
FIELDS_OF_PERSON = {**FIELDS, "mail": "Email", "phone": "Phone", "note": "Description"}


def persons(count: int) -> list[Record]:
    """Rows with personal data, keyed by e-mail address."""
    return [{**PERSON, "key": f"zaphod{n}@heartofgold.example"} for n in range(count)]


class Log:
    """Everything that was said at any level, and on standard output."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capfd = caplog, capfd
        caplog.set_level(logging.DEBUG, logger="airflow_provider_sfleads")

    def text(self) -> str:
        """What was said of our own; the emulator's requests are not the task's log."""
        ours = [
            r for r in self._caplog.records if not r.name.startswith(("uvicorn", "airflow_provider_sfleads.emulator"))
        ]
        out = "\n".join(
            line for part in self._capfd.readouterr() for line in part.splitlines() if "uvicorn" not in line
        )
        said = "\n".join(f"{record.getMessage()}\n{record.exc_text or ''}" for record in ours)
        return f"{said}\n{out}"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Log:
    """The log of a test."""
    return Log(caplog, capfd)


def tokens_of(emulator: EmulatorServer) -> list[str]:
    """Tokens that the emulator gave out."""
    return [str(token) for token in emulator.emulator.tokens._live]


def assert_clean(text: str, emulator: EmulatorServer, folder: Path | None = None) -> None:
    """No secret, no token, and nothing of a person."""
    written = (folder / "report.json").read_text() if folder is not None else ""
    for part in (text, written):
        assert "emulator-secret" not in part
        assert "emulator-key" not in part
        assert not [token for token in tokens_of(emulator) if token in part]
        assert "Bearer " not in part
        for value in (*PERSON.values(), "heartofgold", "Zyx", "Qqx", "99887766"):
            assert value not in part, value


def test_a_good_run_names_neither_secrets_nor_people(emulator: EmulatorServer, tmp_path: Path, log: Log) -> None:
    """It says what it did, in counts."""
    ran = run(creating(persons(3), tmp_path, fields=FIELDS_OF_PERSON, match_email=True))
    moved = run(moving(persons(3), tmp_path, max_rejects=2))
    text = log.text()

    assert (ran.error, moved.error) == (None, None)
    assert "created 1" in text
    assert "updated" in text
    assert_clean(text, emulator, ran.folder)


@pytest.mark.parametrize(
    "spoil",
    [
        {"last": "Zyx" * 40},
        {"mail": "zaphod.b.heartofgold"},
        {"segment": "Zyx segment"},
        {"score": "Zyx points"},
        {"day": "Zyx day"},
        {"owner": "Zyx owner"},
    ],
    ids=lambda spoil: next(iter(spoil)),
)
def test_rejects_are_logged_by_hashed_key_and_code(
    emulator: EmulatorServer, tmp_path: Path, log: Log, spoil: Record
) -> None:
    """The value that was refused stays in the results."""
    more = {"segment": "Segment__c", "score": "Lead_Score__c", "day": "Qualified_On__c", "owner": "OwnerId"}
    rows = [{**dict.fromkeys(more), **row, **spoil} for row in persons(2)]
    ran = run(creating(rows, tmp_path, fields=FIELDS_OF_PERSON | more, assignment_rule=None))
    text = log.text() + str(ran.error)

    assert ran.counts == {"rejected": 2}
    assert len(set(re.findall(r"key sha:[0-9a-f]{16}", text))) == 2
    assert_clean(text, emulator, ran.folder)


def test_plain_keys_are_logged_as_they_are(tmp_path: Path, log: Log) -> None:
    """They are what one looks for; each Dag hashes addresses its own way."""
    rows = [{"key": key, "last": None, "company": None} for key in ("K-1", "zaphod@heartofgold.example")]
    run(creating(rows, tmp_path, max_rejects=2))
    here = log.text()
    Task(dag_id="another").run(creating(rows, tmp_path, max_rejects=2))
    hashes = [set(re.findall(r"sha:[0-9a-f]+", text)) for text in (here, log.text())]

    assert "key 'K-1': REQUIRED_FIELD_MISSING" in here
    assert len(hashes[0]) == 1
    assert len(hashes[1] - hashes[0]) == 1


def test_a_run_that_salesforce_refuses_in_every_way_names_neither_secrets_nor_people(
    emulator: EmulatorServer, tmp_path: Path, log: Log
) -> None:
    """Locks, lost answers, expired tokens, halved pages, duplicates, and errors that repeat the value."""
    emulator.seed_leads([{"LastName": "X", "Company": "Y", "Case_Key__c": "Zyx taken"}])
    emulator.change_settings(duplicate_rule="block")
    emulator.add_fault("lock", key="zaphod1@", count=1)
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects", nth=2)
    emulator.add_fault(
        "bad_request",
        method="POST",
        path="/composite/sobjects",
        body="zaphod2@",
        reply=[{"errorCode": "JSON_PARSER_ERROR", "message": f"Unexpected value {PERSON['mail']} at [line:1]"}],
    )
    emulator.expire_tokens()
    rows = [{**row, "other": None} for row in persons(6)]
    rows[3]["other"] = "Zyx taken"
    ran = run(creating(rows, tmp_path, fields=FIELDS_OF_PERSON | {"other": "Case_Key__c"}, batch_size=2, concurrency=1))
    text = log.text() + str(ran.error)

    assert ran.error is not None
    assert ran.full["rejected"] >= 2
    assert_clean(text, emulator, ran.folder)


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 403, "reply": [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]},
        {"status": 400, "reply": [{"errorCode": "INVALID_FIELD", "message": f"'{PERSON['last']}' is bad"}]},
        {"status": 404, "reply": [{"errorCode": "NOT_FOUND", "message": f"{PERSON['mail']} does not exist"}]},
        {"status": 403, "reply": [{"errorCode": "INSUFFICIENT_ACCESS", "message": f"{PERSON['mail']} may not"}]},
    ],
    ids=lambda reply: reply["reply"][0]["errorCode"],
)
def test_a_run_that_ends_early_does_not_repeat_what_salesforce_said_of_a_person(
    emulator: EmulatorServer, tmp_path: Path, log: Log, reply: dict[str, Any]
) -> None:
    """Its messages go into the log and the error, both of which many may read."""
    emulator.add_fault("status", method="POST", path="/composite/sobjects", **reply)
    ran = run(creating(persons(3), tmp_path, fields=FIELDS_OF_PERSON))
    text = log.text() + str(ran.error)

    assert ran.error is not None
    assert_clean(text, emulator, ran.folder)


@pytest.mark.parametrize("path", ["/query", "/composite/sobjects/Lead"])
def test_a_look_up_that_fails_does_not_show_whom_it_asked_for(
    emulator: EmulatorServer, tmp_path: Path, log: Log, path: str
) -> None:
    """The query holds keys and e-mail addresses, and Salesforce repeats it where it finds it malformed."""
    ids = emulator.seed_leads([{"LastName": "X", "Company": "Y"}])
    said = f"AND Email IN ('{PERSON['mail']}') ^ ERROR at Row:1:Column:99 unexpected token"
    emulator.add_fault("status", path=path, status=400, reply=[{"errorCode": "MALFORMED_QUERY", "message": said}])
    rows = [{**row, "id": ids[0]} for row in persons(1)]
    by: dict[str, Any] = {} if path == "/query" else {"lead_id": "id"}
    ran = run(moving(rows, tmp_path, **by))
    text = log.text() + str(ran.error)

    assert ran.error is not None
    assert_clean(text, emulator)


def test_a_wrong_secret_is_not_in_the_log(
    emulator: EmulatorServer, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the consumer key."""
    fields = {"conn_type": "salesforce_leads", "host": emulator.url, "login": "emulator-key", "password": "Zyx-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps(fields))
    ran = run(creating(persons(1), tmp_path, fields=FIELDS_OF_PERSON))

    assert ran.error is not None
    assert_clean(log.text() + str(ran.error), emulator)


def test_a_row_that_breaks_the_program_is_not_shown(emulator: EmulatorServer, tmp_path: Path, log: Log) -> None:
    """An export that fails in the middle fails with a message, not with the row."""

    def fail(number: int) -> None:
        if number == 1:
            raise ValueError("the export broke")

    ran = run(creating(Rows(persons(3), before=fail), tmp_path, fields=FIELDS_OF_PERSON))

    assert isinstance(ran.error, ValueError)
    assert_clean(log.text(), emulator)


def test_files_and_tables_that_cannot_be_read_or_written_show_no_row(
    emulator: EmulatorServer, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ragged lines, broken JSON, a table with a trigger that repeats what it was given."""
    (tmp_path / "a.csv").write_text(f"key,last,company\nK-1,{PERSON['last']},a,b,c\nK-2,{PERSON['last']}\n")
    (tmp_path / "b.jsonl").write_text(f'{{"key": "K-1", "last": "{PERSON["last"]}"\n')
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute("CREATE TABLE state (key TEXT CHECK (key NOT LIKE '%@%'), salesforce_id, action, stage, synced_at)")
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "state.db")}))
    texts = []
    for name in ("a.csv", "b.jsonl"):
        ran = run(creating(FileExport(str(tmp_path / name)), tmp_path / "results"))
        texts.append(str(ran.error))
    ran = run(
        creating(persons(2), tmp_path / "results", fields=FIELDS_OF_PERSON, write_back=SqlTable("state", "state"))
    )
    sql = "SELECT key, salesforce_id, nothing FROM state WHERE key = 'zaphod@heartofgold.example'"
    texts += [str(ran.error), str(run(creating(SqlExport("state", sql), tmp_path / "results")).error)]

    assert "None" not in texts
    assert_clean("\n".join(texts) + log.text(), emulator)


def test_a_lead_found_by_e_mail_is_not_named(emulator: EmulatorServer, tmp_path: Path, log: Log) -> None:
    """Ambiguous ones are rejected with ids."""
    emulator.seed_leads([{"LastName": PERSON["last"], "Company": "Y", "Email": PERSON["mail"]}] * 2)
    ran = run(moving(persons(1), tmp_path, fields={"mail": "Email"}, match_email=True))

    assert ran.counts == {"rejected": 1}
    assert_clean(log.text() + str(ran.error), emulator, ran.folder)
