"""What ``--json`` writes: all answers, replayable, and nothing of anybody in it."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.check.command import Contract, carry_out
from airflow_provider_sfleads.check.probe import CheckOptions, Org, State
from airflow_provider_sfleads.check.recording import ORG_ID, Redactor, recording_of, write_private
from tests.check.conftest import ALL, client_of, people
from tests.samples.replay import answers, replaying

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.check.conftest import Check

NAMED = CheckOptions(external_id_field="Number_Key__c", stage_field="Lead_Stage__c", match_email=True)


def recorded(contract: Contract) -> dict[str, Any]:
    """What is written of a check."""
    return recording_of(contract.org, contract.findings)


def told(recording: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and states of its findings."""
    return [(each["name"], each["state"]) for each in recording["findings"]]


@pytest.mark.parametrize("options", [ALL, NAMED], ids=["text key", "number key"])
def test_a_recording_can_be_checked_again_and_comes_to_the_same(
    check: Check, emulator: EmulatorServer, options: CheckOptions
) -> None:
    """Placeholders stand for the same value wherever they stand, so that look-ups still find what they found."""
    for number, lead in enumerate(emulator.leads()):
        emulator.edit_lead(lead["Id"], Number_Key__c=number + 771)
    recording = json.loads(json.dumps(recorded(check(options))))

    with replaying(answers(recording), whole=True) as stub:
        again = recorded(carry_out(Org(client_of(stub.url), options)))
    assert told(again) == told(recording)
    first, second = ({each["name"]: each["seen"] for each in found["findings"]} for found in (recording, again))
    assert first | {"clock.offset": ""} == second | {"clock.offset": ""}
    assert {state for _, state in told(recording)} >= {State.HOLDS.value}


def secrets_of(emulator: EmulatorServer) -> list[str]:
    """All that must not be in a file: values of leads, ids, token, secret, host, the user's name."""
    values = [
        str(value)
        for lead in emulator.leads()
        for name, value in lead.items()
        if name in {"LastName", "FirstName", "Company", "Email", "Phone", "External_Id__c", "Id", "CreatedById"}
    ]
    settings = emulator.settings
    user = ["Leads Integration", "leads.integration", "Emulated Org"]
    host = [emulator.url, emulator.url.partition("://")[2], "127.0.0.1"]
    return [*values, *emulator.tokens_issued(), settings.client_secret, settings.client_id, *host, *user]


def test_nobody_is_in_a_recording(check: Check, emulator: EmulatorServer) -> None:
    """Not in requests, answers, headers or findings; what the check made up stays, to be replayed."""
    contract = check()
    text = json.dumps(recorded(contract), ensure_ascii=False)

    found = [secret for secret in secrets_of(emulator) if secret.lower() in text.lower()]
    assert found == []
    assert len(secrets_of(emulator)) > 50
    assert ORG_ID in text
    assert "Contract\\\\nCheck" in text or "Contract%5CnCheck" in text
    # What describe tells is why somebody sends us one.
    assert '"Lead_Stage__c"' in text
    assert '"label": "Lead Stage"' in text
    assert '"value": "MQL"' in text


def test_what_a_refusal_says_of_somebody_is_taken_out(check: Check, emulator: EmulatorServer) -> None:
    """Its words stay."""
    lead = people(1)[0]
    message = (
        f"duplicate value found: External_Id__c duplicates value {lead['External_Id__c']} of "
        f"{lead['External_Id__c'].lower()} ({lead['Email']}, +49 30 123456, other@people.example) on record with id: "
        f"00Q5g0000000007EAA at {emulator.url}/x"
    )
    reply = [{"errorCode": "DUPLICATE_VALUE", "message": message, "fields": []}]
    emulator.add_fault("status", path="/jobs/ingest", status=400, reply=reply)
    recording = recorded(check())

    (answer,) = [each for each in recording["answers"] if "/jobs/ingest" in each["request"]]
    said = answer["reply"][0]["message"]
    assert said.startswith("duplicate value found: External_Id__c duplicates value text-")
    assert "on record with id: 00Q5g00000R" in said
    known = [lead[name] for name in ("External_Id__c", "Email")]
    found = [each for each in (*known, "123456", "people.example", "127.0.0.1") if each.lower() in said.lower()]
    assert found == []


HOSTILE: list[dict[str, Any]] = [
    {"LastName": "\u0130brahim", "Email": "o'brien@acme.example", "External_Id__c": "\u0130brahim"},
    {"LastName": "Kasse", "Email": "j\u00f6rg@m\u00fcnchen.example", "External_Id__c": "Kasse & S\u00f6hne"},
    {"LastName": "Lead", "Email": "c&d+e@b.example", "External_Id__c": "+49 171 5551234"},
    {"LastName": "a", "Email": "q@b.example", "External_Id__c": "a"},
    {"LastName": "Url", "Email": "u@b.example", "External_Id__c": "https://h.example/?token=AB12CD"},
]


def test_hostile_values_are_taken_out_of_messages_however_they_are_written(
    check: Check, emulator: EmulatorServer
) -> None:
    """In upper case, in URLs, with letters that have no mirror image in the other case; a word of a value's stays."""
    emulator.reset()
    emulator.seed_leads([{"Company": "X", **lead} for lead in HOSTILE])
    message = (
        "a lead: \u0130BRAHIM \u0130brahim, KASSE & S\u00d6HNE, Ka\u017f\u017fe & s\u00f6hne; "
        "o'brien@acme.example, o'neil@acme.example; c&d+e@b.example; "
        "/query?q=Email+IN+('c%26d%2Be%40b.example','j%C3%B6rg%40m%C3%BCnchen.example','x%40y.example')"
        "&k=%27Kasse+%26+S%C3%B6hne%27&l=Kasse%20%26%20S%C3%B6hne&m='o'brien%40acme.example'; +49 171 5551234; https://h.example/?token=AB12CD"
    )
    reply = [{"errorCode": "UNKNOWN_EXCEPTION", "message": message}]
    emulator.add_fault("status", path="/jobs/ingest", status=400, reply=reply)
    recording = recorded(check())
    (answer,) = [each for each in recording["answers"] if "/jobs/ingest" in each["request"]]
    said = answer["reply"][0]["message"]

    rest = "brahim kasse ka\u017f\u017fe brien neil c&d c%26d rg%40 x%40y 5551234 ab12cd"
    assert [each for each in rest.split() if each in said.lower()] == []
    assert said.startswith("a lead: text-")


@pytest.mark.parametrize("key", [771, 12345678901, 10**17, 1.5])
def test_a_number_has_one_stand_in_however_it_is_written(check: Check, emulator: EmulatorServer, key: float) -> None:
    """An answer may have it as 1.0E17, and the query that looks it up as an integer."""
    emulator.edit_lead(emulator.leads()[0]["Id"], Number_Key__c=key)
    recording = recorded(check(NAMED))
    text = json.dumps(recording)

    assert re.search(rf"(?<![\d.]){re.escape(str(key))}(?![\d])", text) is None
    assert "1e+17" not in text
    with replaying(answers(recording), whole=True) as stub:
        again = carry_out(Org(client_of(stub.url), NAMED))
    assert {each["name"]: each["seen"] for each in recording["findings"]}["lookup.by_key"] == next(
        each.seen for each in again.findings if each.name == "lookup.by_key"
    )


def test_what_calls_itself_a_table_and_is_none_is_redacted(check: Check, emulator: EmulatorServer) -> None:
    """Its first line, too."""
    body = "<p>z.quillfeather1@ostrich.example at https://h.example 00D5g00000AbCdE!AQ0.x</p>"
    emulator.add_fault("status", path="/jobs/ingest", status=400, reply=body, headers={"Content-Type": "text/csv"})
    text = json.dumps(recorded(check()))

    assert [each for each in ("quillfeather", "h.example", "AQ0.x") if each in text] == []


def test_a_file_is_private_whole_and_replaced(check: Check, tmp_path: Path) -> None:
    """One that was there is gone, with its rights; nothing is left beside it."""
    path = tmp_path / "answers.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, recorded(check()))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_text())) == {"origin", "findings", "answers"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """And no draft."""
    path = tmp_path / "answers.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_private(path, {"origin": object()})

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


IDS = st.from_regex(r"00Q[a-zA-Z0-9]{12}", fullmatch=True)


@given(st.lists(IDS, min_size=2, max_size=9, unique=True))
def test_ids_stay_apart_and_stay_the_same(ids: list[str]) -> None:
    """Long or short, each real id has one made-up id of the same object, and no two have the same."""
    from airflow_provider_sfleads.salesforce.ids import checksum, to_18

    redactor = Redactor([])
    made = [redactor.ids(f"<{each}>") for each in ids]

    assert len(set(made)) == len(ids)
    assert not set(made) & {f"<{each}>" for each in ids}
    assert [redactor.ids(each + checksum(each)) for each in ids] == [to_18(each[1:-1]) for each in made]
    assert all(each.startswith("<00Q") for each in made)


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_a_value_that_was_seen_is_in_no_request_and_no_message(value: str, rest: str) -> None:
    """Whatever it holds; quotes and backslashes too."""
    from airflow_provider_sfleads.salesforce.soql import quote

    redactor = Redactor([])
    redactor.seen("LastName", value)
    made = str(redactor.value("LastName", value))
    query = redactor.soql(f"LastName IN ({quote(value)},{quote(rest)})")

    assert made in query
    assert redactor.value("Company", value) == made
    if made != value and len(value.strip()) > 12 and value.isalpha():
        assert value not in redactor.message(f"no such thing as {value}!")
