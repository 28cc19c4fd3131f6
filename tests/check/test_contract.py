from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.check import access, lookups
from airflow_provider_sfleads.check.command import Contract, carry_out
from airflow_provider_sfleads.check.probe import Assumption, CheckOptions, Org, State
from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.check.conftest import ALL, broken, client_of, people, untried

if TYPE_CHECKING:
    from tests.check.conftest import Check

ROOT = Path(__file__).parents[2]
NAMES = {each.name for module in (access, lookups) for each in vars(module).values() if isinstance(each, Assumption)}


def seen(contract: Contract, name: str) -> str:
    """What was seen of one assumption, and what to do."""
    (finding,) = [each for each in contract.findings if each.name == name]
    return f"{finding.seen} / {finding.remedy}"


def test_the_emulator_as_shipped_holds_in_every_line(check: Check) -> None:
    """Each assumption has exactly one line, and all of them were tried."""
    contract = check()

    assert broken(contract) == untried(contract) == set()
    assert sorted(each.name for each in contract.findings) == sorted(NAMES)
    assert "by client credentials" in seen(contract, "token")
    assert "5 leads on 3 pages" in seen(contract, "query_job.pages")
    assert "5 leads of 5" in seen(contract, "lookup.by_key")
    assert seen(contract, "contact.read").startswith("taken")


def test_nothing_is_written(check: Check, emulator: EmulatorServer) -> None:
    """But for a query job, which is gone at the end; the requests tell, and so do the leads."""
    before = emulator.leads(include_deleted=True), emulator.history()
    contract = check()

    assert (emulator.leads(include_deleted=True), emulator.history()) == before
    assert emulator.jobs() == []
    reading = {("POST", "/composite/sobjects/{sobject}"), ("POST", "/jobs/query"), ("DELETE", "/jobs/query/{id}")}
    other = {(each["method"], each["route"].partition("{version}")[2]) for each in emulator.requests()}
    assert {each for each in other if each[0] != "GET"} == reading | {("POST", "")}
    assert [e["route"] for e in emulator.requests() if e["method"] == "POST"].count("/services/oauth2/token") == 1
    assert not [exchange for exchange in contract.org.exchanges if exchange.call.write]
    assert f"It cost {emulator.stats()['api_used']} of the org's API calls" not in contract.closing[1]
    # The identity URL is no call of the API, but the client counts it.
    assert f"It cost {emulator.stats()['api_used'] + 1} of the org's API calls" in contract.closing[1]


def test_no_query_goes_through_all_leads(check: Check) -> None:
    """In an org with ten million leads only what names an indexed field is answered in time."""
    contract = check()
    queries = [q for each in contract.org.exchanges if (q := (each.call.params or {}).get("q")) and "FROM Lead" in q]

    assert len(queries) > 6
    indexed = re.compile(r"\b(?:Id|External_Id__c|Email) IN |CreatedDate >= |ORDER BY CreatedDate DESC LIMIT 5$")
    assert [query for query in queries if not indexed.search(query)] == []


def test_an_address_that_many_share_costs_no_more(check: Check, emulator: EmulatorServer) -> None:
    """Placeholders for addresses are common, and leads and contacts that have one are not read."""
    cost = check().org.client.api_calls
    shared = "none@nowhere.example"
    emulator.reset()
    emulator.seed_leads([{**each, "Email": shared, "External_Id__c": f"S-{n}"} for n, each in enumerate(people(30))])
    emulator.seed_contacts([{"LastName": f"Bird {n}", "Email": shared} for n in range(30)])
    emulator.change_settings(query_page_size=5)
    contract = check()

    assert broken(contract) == set()
    assert contract.org.client.api_calls == cost


def test_an_org_that_encrypts_names_holds(check: Check, emulator: EmulatorServer) -> None:
    """What no query finds by is not asked for; where that is every text, the line says so."""
    names = ("LastName", "Company", "FirstName", "City", "PostalCode")
    emulator.change_settings(extra_fields=[_field(name, encrypted=True) for name in names[:1]])
    assert (broken(check()), untried(check())) == (set(), set())
    emulator.change_settings(extra_fields=[_field(name, encrypted=True) for name in names])
    contract = check()
    assert (broken(contract), untried(contract)) == (set(), {"lookup.quoting"})


def test_a_lead_that_is_deleted_meanwhile_is_no_fault(check: Check, emulator: EmulatorServer) -> None:
    """The newest leads are those that are merged and deleted most often."""
    gone: list[str] = []

    class Deleting(Org):
        def send(self, call: Call) -> Reply:
            reply = super().send(call)
            if "ORDER BY CreatedDate" in str(call.params):
                newest = reply.body["records"][0]["Id"] if isinstance(reply.body, dict) else ""
                emulator.delete_lead(newest)
                gone.append(newest)
            return reply

    check()
    with closing(client_of(emulator.url)) as client:
        contract = carry_out(Deleting(client, ALL))
    assert len(gone) == 1
    assert broken(contract) == set()


TEMPORARY: dict[str, dict[str, Any]] = {
    "maintenance": {"effect": "html_503"},
    "no connection": {"effect": "drop_before"},
    "timeout": {"effect": "status", "status": 400, "reply": [{"errorCode": "QUERY_TIMEOUT", "message": "too long"}]},
}


@pytest.mark.parametrize("fault", TEMPORARY.values(), ids=list(TEMPORARY))
def test_a_passing_fault_is_not_put_down_to_a_permission(
    check: Check, emulator: EmulatorServer, fault: dict[str, Any]
) -> None:
    """Whoever is told to run the check again gives no rights away."""
    emulator.add_fault(path="AssignmentRule", **fault)
    contract = check()

    assert broken(contract) == {"assignment_rule.read"}
    assert "/ Run the check again later." in seen(contract, "assignment_rule.read")


def test_a_token_that_is_refused_later_is_not_put_down_to_a_permission(check: Check, emulator: EmulatorServer) -> None:
    """What was seen says what to do."""
    reply = [{"errorCode": "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "message": "Your password has expired."}]
    emulator.add_fault("status", path="/describe", status=401, reply=reply)
    assert "under seen" in seen(check(), "lead.read")


def test_what_an_org_requires_besides_is_named(check: Check, emulator: EmulatorServer) -> None:
    """The mapping has to have it."""
    emulator.change_settings(extra_fields=[_field("Region__c", nillable=False)])
    assert "also requires Region__c" in seen(check(), "lead.required_fields")


def test_an_empty_org_holds_as_far_as_it_can_be_seen(emulator: EmulatorServer, check: Check) -> None:
    """What takes leads says that there are none."""
    emulator.reset()
    contract = check()

    assert broken(contract) == set()
    assert untried(contract) == {"query_job.pages"}
    assert "no lead" in seen(contract, "lookup.query")
    assert "Have 3 leads" in seen(contract, "query_job.pages")


def test_what_is_not_used_is_not_tried(check: Check) -> None:
    """And the table says what to give to have it tried."""
    contract = check(CheckOptions())

    assert broken(contract) == set()
    wanted = {"lead.external_id", "lead.stage_field", "lead.email", "lead.fields"}
    assert untried(contract) == wanted | {"lookup.by_key", "lookup.by_email", "contact.read"}
    assert "--external-id" in seen(contract, "lookup.by_key")
    assert "--match-email" in seen(contract, "contact.read")


DENIED = {
    "ApiEnabled": "api",
    "ViewSetup": "assignment_rule.read",
    "Lead.Read": "lead.read",
    "Lead.Create": "lead.create",
    "Lead.Edit": "lead.edit",
    "Contact.Read": "contact.read",
    "Contact.Email.Read": "contact.read",
    "Lead.External_Id__c.Read": "lead.external_id",
    "Lead.External_Id__c.Edit": "lead.external_id",
    "Lead.Lead_Stage__c.Read": "lead.stage_field",
    "Lead.Lead_Stage__c.Edit": "lead.stage_field",
    "Lead.Email.Read": "lead.email",
    "Lead.Phone.Read": "lead.fields",
    "Lead.LeadSource.Edit": "lead.fields",
}


@pytest.mark.parametrize(("permission", "line"), DENIED.items(), ids=DENIED)
def test_a_permission_that_is_missing_is_one_red_line(
    check: Check, emulator: EmulatorServer, permission: str, line: str
) -> None:
    """It says what to give; what cannot be tried without it points there."""
    emulator.change_settings(denied=[permission])
    contract = check()

    assert broken(contract) == {line}
    assert "ive the Run-As user" in seen(contract, line)
    assert all("See " in seen(contract, name) for name in untried(contract))


def test_without_contacts_a_sync_that_does_not_look_for_them_lacks_contact_ids(
    check: Check, emulator: EmulatorServer
) -> None:
    """The field that leads to a contact is invisible together with contacts."""
    emulator.change_settings(denied=["Contact.Read"])
    contract = check(CheckOptions(external_id_field="External_Id__c"))

    assert broken(contract) == {"lead.converted_contact"}
    assert "no contact_id" in seen(contract, "lead.converted_contact")


def test_deleting_leads_takes_no_permission_that_reading_needs(check: Check, emulator: EmulatorServer) -> None:
    """No sync deletes leads."""
    emulator.change_settings(denied=["Lead.Delete"])

    assert broken(check()) == set()


@pytest.mark.parametrize("wording", ["named", "unknown"])
def test_another_language_is_one_red_line_where_leads_are_written_too(
    check: Check, emulator: EmulatorServer, wording: str
) -> None:
    """The words of a duplicate are told; what they hang on is red."""
    emulator.change_settings(language="de", duplicate_value_wording=wording)
    contract = check(write=True)

    assert broken(contract) == {"user.language"}
    assert "through a job: does not, in de" in seen(contract, "duplicates.wording")


def _field(name: str, **more: Any) -> FieldSpec:
    return FieldSpec(name=name, label=name, length=64, **more)


KEY: dict[str, Any] = {"external_id": True, "unique": True}
CONNECTION = {"consumer_secret": "wrong"}
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "language": ({"language": "de"}, "user.language"),
    "clock behind": ({"clock_offset": 600}, "clock.offset"),
    "clock ahead": ({"clock_offset": -600}, "clock.offset"),
    "no date": ({"withheld_headers": ["Date"]}, "clock.header"),
    "no usage": ({"withheld_headers": ["Sforce-Limit-Info"]}, "usage.header"),
    "no locator": ({"withheld_headers": ["Sforce-Locator"]}, "query_job.pages"),
    "version gone": ({"versions": ["61.0", "62.0"]}, "versions.offered"),
    "version to come": ({"versions": ["58.0", "59.0"]}, "versions.offered"),
    "version oldest": ({"versions": ["60.0", "61.0"]}, "versions.age"),
    "flow off": ({"flow_enabled": False}, "token"),
    "no Run-As user": ({"run_as_user": False}, "token"),
    "token of one call": ({"token_calls": 1}, "token.reused"),
    "API off": ({"api_enabled": False}, "api"),
    "system field hidden": ({"hidden_fields": ["CreatedById"]}, "lead.system_fields"),
    "contact id hidden": ({"hidden_fields": ["ConvertedContactId"]}, "lead.converted_contact"),
    "key not unique": ({"extra_fields": [_field("External_Id__c", external_id=True)]}, "lead.external_id"),
    "key no external ID": ({"extra_fields": [_field("External_Id__c", unique=True)]}, "lead.external_id"),
    "key encrypted": ({"extra_fields": [_field("External_Id__c", **KEY, encrypted=True)]}, "lead.external_id"),
    "stage is a date": ({"extra_fields": [_field("Lead_Stage__c", type="date")]}, "lead.stage_field"),
    "company hidden": ({"hidden_fields": ["Company"]}, "lead.required_fields"),
    "rules hidden": ({"hidden_objects": ["AssignmentRule"]}, "assignment_rule.read"),
    "org hidden": ({"hidden_objects": ["Organization"]}, "org"),
}


@pytest.mark.parametrize(("changes", "line"), SETTINGS.values(), ids=SETTINGS)
def test_an_org_that_is_set_up_otherwise_is_one_red_line(
    check: Check, emulator: EmulatorServer, changes: dict[str, Any], line: str
) -> None:
    """And nothing else is."""
    emulator.change_settings(**changes)
    contract = check()

    assert broken(contract) == {line}
    (finding,) = [each for each in contract.findings if each.name == line]
    assert finding.remedy


ONE_ID = [{"attributes": {"type": "Lead"}, "Id": "00Q5g00000AbCdEEAV", "IsConverted": False}]
NOTHING = {"done": True, "totalSize": 0, "records": []}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "versions": ({"path": "/services/data/$", "reply": {"no": "list"}, "status": 200}, "versions.offered"),
    "organization": ({"path": "FROM.Organization"}, "org"),
    "another org": (
        {
            "path": "FROM.Organization",
            "status": 200,
            "reply": NOTHING,
            "headers": {"Sforce-Limit-Info": "api-usage=1/2"},
        },
        "org",
    ),
    "describe": ({"path": "/describe"}, "lead.read"),
    "query": ({"path": "ORDER.BY.CreatedDate"}, "lookup.query"),
    "by id": ({"method": "POST", "path": "/composite/sobjects/Lead$"}, "lookup.by_id"),
    "by id, without null": (
        {"method": "POST", "path": "/composite/sobjects/Lead$", "status": 200, "reply": ONE_ID},
        "lookup.by_id",
    ),
    "by key": ({"path": "WHERE.External_Id__c.IN"}, "lookup.by_key"),
    "by key, nothing found": (
        {"path": "WHERE.External_Id__c.IN", "status": 200, "reply": NOTHING},
        "lookup.by_key",
    ),
    "quoting": ({"path": r"/query\?.*WHERE.LastName.IN"}, "lookup.quoting"),
    "queryAll": ({"path": "SELECT.Id,.IsDeleted"}, "lookup.deleted"),
    "dates": ({"path": "WHERE.CreatedDate"}, "lookup.made"),
    "dates and names": ({"path": r"/queryAll\?.*CreatedDate"}, "lookup.made"),
    "by email": ({"path": "FROM.Lead.WHERE.Email.IN"}, "lookup.by_email"),
    "contacts": ({"path": "FROM.Contact.WHERE.Email.IN"}, "contact.read"),
    "rules": ({"path": "FROM.AssignmentRule"}, "assignment_rule.read"),
    "query job": ({"method": "POST", "path": "/jobs/query"}, "query_job.runs"),
    "query results": ({"method": "GET", "path": "/results"}, "query_job.runs"),
    "query job stays": ({"method": "DELETE", "path": "/jobs/query"}, "query_job.runs"),
    "list of jobs": ({"path": "/jobs/ingest"}, "ingest_jobs.list"),
}


@pytest.mark.parametrize(("fault", "line"), FAULTS.values(), ids=FAULTS)
def test_a_request_that_is_answered_otherwise_is_one_red_line(
    check: Check, emulator: EmulatorServer, fault: dict[str, Any], line: str
) -> None:
    """The others are asked all the same."""
    reply = [{"errorCode": "FUNCTIONALITY_NOT_ENABLED", "message": "Not here"}]
    emulator.add_fault("status", **{"status": 400, "reply": reply, **fault})

    assert broken(check()) == {line}


def test_a_wrong_secret_is_the_token_s_line_alone(check: Check) -> None:
    """All else is not tried, for there is no token."""
    contract = check(**CONNECTION)

    assert broken(contract) == {"token"}
    assert "consumer secret" in seen(contract, "token")
    assert len(untried(contract)) == len(contract.findings) - 1
    assert {each.seen for each in contract.findings if each.name != "token"} == {"no token"}
    assert contract.heading.startswith("Connection salesforce_leads_default: http://127.0.0.1")


def test_a_host_that_nobody_answers_at_is_the_token_s_line_alone() -> None:
    """The port was somebody's a moment ago."""
    from airflow_provider_sfleads.check.command import carry_out
    from airflow_provider_sfleads.check.probe import Org

    with EmulatorServer(EmulatorSettings()) as gone:
        client = client_of(gone.url)
    assert broken(carry_out(Org(client, ALL))) == {"token"}


def test_a_query_job_that_waits_in_the_queue_is_no_failure(check: Check, emulator: EmulatorServer) -> None:
    """It is aborted, and the table says that it was not tried."""
    emulator.change_settings(bulk_delay=3600)
    contract = check(job_timeout=0.0)

    assert broken(contract) == set()
    assert untried(contract) == {"query_job.runs", "query_job.pages"}
    assert [job["state"] for job in emulator.jobs()] in ([], ["Aborted"])


def test_every_line_is_explained() -> None:
    """By its name, on the page of the documentation."""
    page = (ROOT / "docs/contract-check.md").read_text(encoding="utf-8")

    assert [name for name in NAMES if f"`{name}`" not in page] == []


def test_a_finding_is_plain_text_and_plain_json(check: Check) -> None:
    """What a task returns goes into an XCom."""
    found = check().as_json()

    assert found["holds"] is True
    assert {each["state"] for each in found["findings"]} == {State.HOLDS}
    assert all(type(each["state"]) is str for each in found["findings"])
