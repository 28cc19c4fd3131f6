from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings, FieldSpec
from tests.emulator.client import Api, code, lead

if TYPE_CHECKING:
    from pathlib import Path


def control(emulator: EmulatorServer, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Call the control API; its answer."""
    reply = requests.request(method, f"{emulator.url}/_emulator{path}", json=body, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_everything_can_be_done_over_http(api: Api, emulator: EmulatorServer) -> None:
    """Seed, edit as Sales, convert, delete, look, count, reset."""
    seeded = control(emulator, "POST", "/leads", [{"LastName": f"N{n}", "Company": "Acme"} for n in range(3)])["ids"]
    edited = control(emulator, "PATCH", f"/leads/{seeded[0]}", {"Lead_Stage__c": "SAL"})
    contact = control(emulator, "POST", f"/leads/{seeded[1]}/convert")["contact_id"]
    control(emulator, "DELETE", f"/leads/{seeded[2]}")

    assert edited["Lead_Stage__c"] == "SAL"
    assert control(emulator, "GET", f"/leads/{seeded[1]}")["ConvertedContactId"] == contact
    assert [item["Id"] for item in control(emulator, "GET", "/leads")] == seeded[:2]
    assert len(control(emulator, "GET", "/leads?include_deleted=true")) == 3
    stats = control(emulator, "GET", "/stats")
    assert (stats["leads"], stats["leads_deleted"], stats["leads_converted"]) == (2, 1, 1)
    assert control(emulator, "POST", "/usage", {"used": 7}) == {"used": 7}
    assert api.get("/limits").headers["Sforce-Limit-Info"] == "api-usage=8/115000"
    control(emulator, "POST", "/tokens/expire")
    assert api.get("/limits").status_code == 401

    control(emulator, "POST", "/reset")
    assert control(emulator, "GET", "/leads") == []
    assert control(emulator, "GET", "/stats")["requests"] == 0


def test_the_history_of_each_field_is_kept(api: Api, emulator: EmulatorServer) -> None:
    """Who changed what, from what, and in which request; what stays the same leaves no trace."""
    (outcome,) = api.create(lead(Lead_Stage__c="Lead"), headers={"Sforce-Auto-Assign": "FALSE"})
    lead_id = outcome["id"]
    same = {"attributes": {"type": "Lead"}, "Id": lead_id, "Lead_Stage__c": "Lead"}
    api.update(same, headers={"Sforce-Auto-Assign": "FALSE"})
    api.update({**same, "Lead_Stage__c": "MQL"}, headers={"Sforce-Auto-Assign": "FALSE"})
    emulator.edit_lead(lead_id, Lead_Stage__c="SAL")

    steps = [step for step in emulator.history(lead_id) if step["field"] == "Lead_Stage__c"]
    assert [(s["old"], s["new"], s["request"]) for s in steps] == [
        (None, "Lead", 2),
        ("Lead", "MQL", 4),
        ("MQL", "SAL", 0),
    ]
    assert steps[0]["actor"] != steps[2]["actor"]
    assert control(emulator, "GET", f"/leads/{lead_id}/history") == emulator.history(lead_id)
    assert emulator.history() == emulator.history(lead_id)


def test_the_request_log_and_the_counts(api: Api, emulator: EmulatorServer) -> None:
    """Calls by method and route, records, statuses, times; the control API is not in it."""
    api.create(lead(), lead())
    api.get("/sobjects/Lead/describe")
    control(emulator, "GET", "/stats")

    entries = emulator.requests()
    assert [(e["method"], e["status"], e["records"]) for e in entries] == [
        ("POST", 200, 0),
        ("POST", 200, 2),
        ("GET", 200, 0),
    ]
    stats = emulator.stats()
    assert stats["calls"]["POST /services/data/v{version}/composite/sobjects"] == 1
    assert stats["token_requests"] == stats["tokens_minted"] == 1
    assert stats["first_started"] == entries[0]["started"]
    assert stats["last_ended"] == entries[-1]["ended"]
    assert control(emulator, "GET", "/requests?last=1") == entries[-1:]


def test_settings_are_checked(emulator: EmulatorServer) -> None:
    """An unknown name or a value of the wrong kind changes nothing."""
    changed = control(emulator, "PATCH", "/settings", {"duplicate_rule": "alert", "latency_ms": 1})
    assert (changed["duplicate_rule"], emulator.settings.latency_ms) == ("alert", 1.0)
    assert "client_secret" not in changed

    for bad in ({"nonsense": 1}, {"duplicate_rule": "maybe"}, {"lead_access": "no"}, {"hidden_fields": "X"}):
        reply = requests.patch(f"{emulator.url}/_emulator/settings", json=bad, timeout=10)
        assert reply.status_code == 400
    assert emulator.settings.lead_access


def test_a_seed_that_salesforce_would_refuse_is_refused_whole(emulator: EmulatorServer) -> None:
    """With the position of the culprit."""
    reply = requests.post(f"{emulator.url}/_emulator/leads", json=[lead(), {"LastName": "Ray"}], timeout=10)

    assert reply.status_code == 400
    assert reply.json()[0]["message"] == "record 1: Required fields are missing: [Company]"
    assert emulator.leads() == []


def test_faults_over_http(api: Api, emulator: EmulatorServer) -> None:
    """Add, list, clear."""
    added = control(emulator, "POST", "/faults", {"effect": "html_503", "path": "/limits"})
    assert api.get("/limits").status_code == 503
    assert control(emulator, "GET", "/faults")[0]["hits"] == 1
    assert control(emulator, "DELETE", f"/faults/{added['id']}") == []
    assert api.get("/limits").status_code == 200


def test_a_converted_lead_leads_to_its_contact(api: Api, emulator: EmulatorServer) -> None:
    """Which SOQL finds; contacts may also be seeded."""
    (lead_id,) = emulator.seed_leads([lead(Email="ada@example.com", External_Id__c="L-1")])
    contact_id = emulator.convert_lead(lead_id)
    (other,) = emulator.seed_contacts([{"LastName": "Poe", "Email": "poe@example.com"}])

    assert api.query("SELECT IsConverted, ConvertedContactId FROM Lead") == [
        {"IsConverted": True, "ConvertedContactId": contact_id}
    ]
    assert api.query("SELECT Id, External_Id__c FROM Contact WHERE Email = 'ADA@example.com'") == [
        {"Id": contact_id, "External_Id__c": "L-1"}
    ]
    assert api.query("SELECT Id FROM Contact WHERE Email IN ('poe@example.com')") == [{"Id": other}]


def test_a_file_keeps_leads_over_restarts_and_takes_new_fields(tmp_path: Path) -> None:
    """Ids go on where they stopped; unique keys stay unique."""
    db = tmp_path / "org.db"
    with EmulatorServer(db=db) as server:
        first = server.seed_leads([lead(External_Id__c="L-1")])
    extra = FieldSpec(name="Tier__c", length=10)
    with EmulatorServer(EmulatorSettings(extra_fields=(extra,)), db=db) as server:
        outcomes = Api(server).login().create(lead(External_Id__c="L-1"), lead(Tier__c="A"))
        assert [code(outcome) for outcome in outcomes] == ["DUPLICATE_VALUE", "ok"]
        assert [item["Id"] for item in server.leads()] == [*first, outcomes[1]["id"]]
        assert server.history(first[0])


@pytest.mark.parametrize(
    "path", ["/", "/lightning/o/Lead/list?filterName=__Recent", "/lead/{id}", "/lightning/r/Lead/{id}/view"]
)
def test_pages_show_leads_and_escape_all_they_hold(emulator: EmulatorServer, path: str) -> None:
    """A lead's name is data, whatever it looks like."""
    (lead_id,) = emulator.seed_leads([lead(LastName="<script>x</script>", Company='"><b>', Lead_Stage__c="<i>")])
    reply = requests.get(emulator.url + path.format(id=lead_id), timeout=10)

    assert reply.status_code == 200
    assert "&lt;script&gt;x&lt;/script&gt;" in reply.text
    assert "&quot;&gt;&lt;b&gt;" in reply.text
    for raw in ("<script", '<b>"', '"><b>', "<i>"):
        assert raw not in reply.text.replace("<b>1</b>", "")


def test_the_list_is_searched_filtered_and_paged(emulator: EmulatorServer) -> None:
    """50 leads a page; odd page numbers do no harm."""
    emulator.seed_leads([lead(LastName=f"N{n:03}", Lead_Stage__c="MQL" if n % 2 else None) for n in range(120)])

    def page(query: str) -> str:
        return requests.get(f"{emulator.url}/?{query}", timeout=10).text

    assert "1&ndash;50 of 120" in page("")
    assert "101&ndash;120 of 120" in page("page=3")
    assert "of 60" in page("stage=MQL")
    assert "N007" in page("q=n007")
    assert "N008" not in page("q=n007")
    assert "No lead matches" in page("q=nobody")
    assert "101&ndash;120 of 120" in page("page=99")
    assert page("page=x")
    assert requests.get(f"{emulator.url}/lead/nonsense", timeout=10).status_code == 404


def test_ten_thousand_leads_are_found_by_300_keys_without_a_scan(emulator: EmulatorServer) -> None:
    """The plan of such a query uses the index of keys."""
    from airflow_provider_sfleads.emulator.lead_fields import lead_schema
    from airflow_provider_sfleads.emulator.soql_parser import parse
    from airflow_provider_sfleads.emulator.soql_sql import compile_query

    keys = ",".join(f"'L-{n}'" for n in range(300))
    query = parse(f"SELECT Id FROM Lead WHERE External_Id__c IN ({keys})")  # noqa: S608 - SOQL, not SQL
    compiled = compile_query(query, {"Lead": lead_schema()}, include_deleted=False)
    store = emulator.emulator.store
    with store.transaction():
        plan = [row["detail"] for row in store.read(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.parameters)]

    assert not [step for step in plan if step.startswith("SCAN")], plan
