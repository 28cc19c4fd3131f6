"""The emulator held against answers of real orgs, which `tests/samples` keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.client import Api, code, lead
from tests.samples.replay import answers, sample

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.emulator.bulk import Bulk

LEAD_V59 = "describe/lead_describe_v59_cumulusci.json"
# Whether a field is on a page layout is not recorded; these are hidden in a new org until an admin shows them.
SHOWN_BY_AN_ADMIN = {"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"}
# Of the object, the recording leaves out what it says of other objects, and the emulator has no scopes.
NOT_OF_THE_FIELDS = {"fields", "childRelationships", "recordTypeInfos", "supportedScopes", "urls", "actionOverrides"}


def recorded_lead() -> dict[str, Any]:
    """What describe says of Lead in a new scratch org (v59.0)."""
    found: dict[str, Any] = answers(sample(LEAD_V59))[0].reply
    return found


def test_lead_is_described_as_in_a_new_org(api: Api) -> None:
    """Every field, in its order, with every attribute; beside them the fields that admins add, at the end."""
    shown = api.get("/sobjects/Lead/describe").json()["fields"]
    recorded = recorded_lead()["fields"]

    assert shown[: len(recorded)] == recorded
    more = shown[len(recorded) :]
    assert {field["name"] for field in more if not field["custom"]} == SHOWN_BY_AN_ADMIN
    assert all(field.keys() == recorded[0].keys() for field in more)


def test_the_object_is_described_as_in_a_new_org(api: Api) -> None:
    """Its own attributes, and its one record type."""
    shown, recorded = api.get("/sobjects/Lead/describe").json(), recorded_lead()

    assert {name: value for name, value in shown.items() if name not in NOT_OF_THE_FIELDS} == {
        name: value for name, value in recorded.items() if name not in NOT_OF_THE_FIELDS
    }
    assert [kind.keys() for kind in shown["recordTypeInfos"]] == [kind.keys() for kind in recorded["recordTypeInfos"]]


@pytest.mark.parametrize(
    ("written", "stored"), [({"NumberOfEmployees": "10000"}, 10_000), ({"Lead_Score__c": "12.5"}, 12.5)]
)
def test_numbers_are_taken_as_text(api: Api, emulator: EmulatorServer, written: dict[str, str], stored: float) -> None:
    """As recorded (`values/numbers_as_text.json`): in a page and in a single row."""
    assert written == {"Lead_Score__c": "12.5"} or written in sample("values/numbers_as_text.json")["taken"]
    (in_page,) = api.create(lead(**written))
    alone = api.call("POST", "/sobjects/Lead", json={"LastName": "Ray", "Company": "A", **written})

    assert (code(in_page), alone.status_code) == ("ok", 201)
    assert [item[next(iter(written))] for item in emulator.leads()] == [stored, stored]


@pytest.mark.parametrize("text", ["many", "", "1 000", "1,5", "0x10", "NaN", "1_0"])
def test_text_that_is_no_number_is_refused(api: Api, text: str) -> None:
    """The whole page, as any value of the wrong JSON type."""
    reply = api.call("POST", "/composite/sobjects", json={"records": [lead(Lead_Score__c=text)]})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


def test_a_converted_lead_can_be_created_and_not_made(api: Api, emulator: EmulatorServer) -> None:
    """`IsConverted` is createable, not updateable."""
    (made,) = api.create(lead(IsConverted=True))
    assert emulator.lead(made["id"])["IsConverted"]

    (open_lead,) = api.create(lead())
    (refused,) = api.update({"attributes": {"type": "Lead"}, "Id": open_lead["id"], "IsConverted": True})
    assert code(refused) == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_results_of_records_have_the_recorded_form(api: Api, emulator: EmulatorServer) -> None:
    """Refused records leave out `id`; each error has code, message and fields, in the recorded words."""
    recorded = [answer for answer in answers(sample("collections/answers_grouparoo.json")) if answer.status == 200]
    refused = [item for answer in recorded for item in answer.reply if not item["success"]]
    (lead_id,) = emulator.seed_leads([lead(External_Id__c="L-1")])
    emulator.convert_lead(lead_id)

    (good,) = api.create(lead())
    assert good.keys() == recorded[0].reply[0].keys()
    kind = {"attributes": {"type": "Lead"}}
    found = [
        *api.update({**kind, "Id": good["id"], "Email": "badone"}),
        *api.create({**kind, "LastName": None, "Company": "A"}),
        *api.update({**kind, "Id": lead_id, "LastName": "NoEdit"}),
    ]
    by_code = {item["errors"][0]["statusCode"]: item for item in refused}
    for item in found:
        like = by_code[code(item)]
        assert item.keys() == like.keys()
        assert item["errors"][0].keys() == like["errors"][0].keys()
    converted = by_code["CANNOT_UPDATE_CONVERTED_LEAD"]
    assert found[2] == converted
    assert found[1]["errors"][0]["message"] == "Required fields are missing: [LastName]"


def test_a_lead_that_is_not_there_is_told_in_the_recorded_words(api: Api) -> None:
    """HTTP 404 with one error."""
    recorded = next(a for a in answers(sample("collections/answers_grouparoo.json")) if "/Lead/" in a.request)
    reply = api.get("/sobjects/Lead/00Q4S000002sSahUAE")
    assert (reply.status_code, reply.json()) == (recorded.status, recorded.reply)


def test_a_refused_duplicate_has_the_recorded_form(api: Api, emulator: EmulatorServer) -> None:
    """With the key in Salesforce's own spelling, `duplicateResut`."""
    (recorded,) = answers(sample("errors/duplicates_detected.json"))
    emulator.change_settings(duplicate_rule="alert")
    emulator.seed_leads([lead(Email="a@b.example")])
    reply = api.call("POST", "/sobjects/Lead", json={"LastName": "Poe", "Company": "B", "Email": "a@b.example"})

    assert reply.status_code == recorded.status
    assert reply.json()[0].keys() == recorded.reply[0].keys()
    assert reply.json()[0]["duplicateResut"].keys() >= recorded.reply[0]["duplicateResut"].keys()


def test_a_job_is_described_as_recorded(bulk: Bulk) -> None:
    """All that a finished job says, and the types of it."""
    recorded = sample("bulk/job_info.json")["reply"]
    info = bulk.run("LastName,Company\nRay,Acme\n")

    # The quotation leaves out id and operation.
    assert info.keys() == recorded.keys() | {"id", "operation"}
    assert {name: type(info[name]) for name in recorded} == {name: type(value) for name, value in recorded.items()}


def test_result_files_have_the_recorded_headers(bulk: Bulk) -> None:
    """Salesforce's columns in quotes, the others as they were uploaded; without rows an empty line follows."""
    recorded = {item["of"]: item["text"] for item in sample("bulk/result_files.json")["files"]}
    header = '"LASTNAME","company"'
    job = bulk.run(f"{header}\nRay,Acme\n")["id"]

    assert bulk.raw(job, "successfulResults").splitlines()[0] == f'"sf__Id","sf__Created",{header}'
    assert recorded["successfulResults"].startswith('"sf__Id","sf__Created","NAME"')
    bare = bulk.run("LastName,Company\nRay,Acme\n")["id"]
    for kind in ("failedResults", "unprocessedrecords"):
        assert bulk.raw(bare, kind) == recorded[kind].replace("Id,Phone", "LastName,Company")


def test_a_cell_of_the_wrong_type_is_refused_in_the_recorded_words(bulk: Bulk) -> None:
    """With the place of its column, counted from 0."""
    recorded = sample("bulk/row_errors.json")["texts"][1]["text"]
    job = bulk.run("LastName,Company,External_Id__c,Qualified_On__c\nRay,Acme,L-1,2003-04-987654321987654321\n")["id"]

    (row,) = bulk.results(job, "failedResults")
    assert row["sf__Error"] == recorded.replace("CloseDate", "Qualified_On__c")
    assert row["sf__Id"] == ""


def test_a_job_fails_in_the_recorded_words(bulk: Bulk) -> None:
    """Line ends that the job does not have, and a field that nobody knows."""
    lf, crlf, unknown = sample("bulk/job_failures.json")["texts"]

    assert bulk.run("LastName,Company\r\nRay,Acme\r\n")["errorMessage"] == lf
    assert bulk.run("LastName,Company\nRay,Acme\n", lineEnding="CRLF")["errorMessage"] == crlf
    assert bulk.run("LastName,X\nRay,Acme\n")["errorMessage"] == unknown
