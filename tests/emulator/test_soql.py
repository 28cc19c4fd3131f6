# ruff: noqa: S608 - SOQL, not SQL

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from tests.emulator.client import Api, lead

if TYPE_CHECKING:
    from collections.abc import Iterator

LEADS = [
    lead(LastName="Ada", External_Id__c="L-1", Lead_Score__c=10, Qualified_On__c="2026-01-01", Is_Trial__c=True),
    lead(LastName="bob", External_Id__c="L-2", Lead_Score__c=20, Lead_Stage__c="MQL"),
    lead(LastName="Cy", External_Id__c="L-3", Lead_Score__c=30, Lead_Stage__c="mql", Email="cy@example.com"),
    lead(LastName="D_%'\\x", Company="Zed", Score_Date__c="2026-11-24T00:10:00Z"),
]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """An emulator that is only read."""
    with EmulatorServer(EmulatorSettings()) as server:
        server.seed_leads(LEADS)
        deleted = server.seed_leads([lead(LastName="Gone", External_Id__c="L-9")])
        server.delete_lead(deleted[0])
        yield Api(server).login()


def names(api: Api, where: str) -> str:
    """The first letters of the leads that a condition finds."""
    rows = api.query(f"SELECT LastName FROM Lead WHERE {where} ORDER BY LastName")
    return "".join(row["LastName"][0] for row in rows)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("LastName = 'ADA'", "A"),
        ("lastname != 'ada'", "bCD"),
        ("External_Id__c IN ('l-1','L-3','L-9')", "AC"),
        ("External_Id__c NOT IN ('L-1')", "bCD"),
        ("External_Id__c = null", "D"),
        ("External_Id__c != null", "AbC"),
        ("External_Id__c IN ('L-1', null)", "AD"),
        ("Lead_Stage__c = 'MQL'", "bC"),
        ("NOT Lead_Stage__c = 'MQL'", "AD"),
        ("NOT (Lead_Stage__c = 'MQL' AND Lead_Score__c > 20)", "AbD"),
        ("Lead_Stage__c != 'MQL'", "AD"),
        ("Lead_Score__c > 10", "bC"),
        ("Lead_Score__c >= 10 AND Lead_Score__c < 30.0", "Ab"),
        ("Lead_Score__c <= 1e1 OR LastName LIKE 'd%'", "AD"),
        ("(LastName = 'Ada' OR LastName = 'Cy') AND Lead_Score__c <> 10", "C"),
        ("Is_Trial__c = TRUE", "A"),
        ("Is_Trial__c = false", "bCD"),
        ("Qualified_On__c < 2026-02-01", "A"),
        ("Score_Date__c = 2026-11-24T01:10:00+01:00", "D"),
        ("CreatedDate > 2020-01-01T00:00:00Z", "AbCD"),
        ("Email = 'CY@example.com'", "C"),
        ("LastName LIKE '%B%'", "b"),
        ("LastName LIKE 'D\\_\\%%'", "D"),
        ("LastName LIKE '_y'", "C"),
        ("LastName LIKE 'D%\\\\%'", "D"),
        ("LastName = 'D_%\\'\\\\x'", "D"),
        ("LastName > 'b' AND LastName < 'd'", "bC"),
    ],
)
def test_what_a_condition_finds(api: Api, where: str, found: str) -> None:
    """Without letter case, and with null as SOQL sees it: what is not known to hold does not hold."""
    assert names(api, where) == found


def test_ids_may_have_15_or_18_characters(api: Api) -> None:
    """18 come back."""
    first, *_ = api.query("SELECT Id FROM Lead ORDER BY CreatedDate, Id LIMIT 1")

    assert api.query(f"SELECT Id FROM Lead WHERE Id = '{first['Id'][:15]}'") == [first]
    assert api.query(f"SELECT id FROM lead WHERE id IN ('{first['Id']}')") == [first]


def test_order_limit_and_offset(api: Api) -> None:
    """Nulls come first unless told otherwise."""
    last = api.query("SELECT LastName FROM Lead ORDER BY Lead_Score__c DESC NULLS LAST LIMIT 2 OFFSET 1")
    assert [row["LastName"] for row in last] == ["bob", "Ada"]
    first = api.query("SELECT LastName FROM Lead ORDER BY Lead_Score__c LIMIT 2")
    assert [row["LastName"][0] for row in first] == ["D", "A"]


def test_a_record_has_its_type_its_url_and_the_fields_in_canonical_letter_case(api: Api) -> None:
    """In the order in which they were asked for."""
    reply = api.get("/query", q="select EMAIL, id from Lead where External_Id__c = 'L-3'").json()
    (record,) = reply["records"]

    assert (reply["totalSize"], reply["done"]) == (1, True)
    assert list(record) == ["attributes", "Email", "Id"]
    assert record["attributes"] == {"type": "Lead", "url": f"/services/data/v60.0/sobjects/Lead/{record['Id']}"}


def test_count_counts(api: Api) -> None:
    """The count is in totalSize; there are no records."""
    assert api.get("/query", q="SELECT COUNT() FROM Lead").json() == {"totalSize": 4, "done": True, "records": []}


def test_query_all_sees_the_recycle_bin(api: Api) -> None:
    """By key too, although the key is free again."""
    found = api.get("/queryAll", q="SELECT LastName, IsDeleted FROM Lead WHERE External_Id__c = 'L-9'").json()

    assert [(r["LastName"], r["IsDeleted"]) for r in found["records"]] == [("Gone", True)]


@pytest.mark.parametrize(
    ("soql", "error"),
    [
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY"),
        ("SELECT Id, Id FROM Lead", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'a' OR LastName = 'b' AND City = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'it's'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'a\\'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'a\\_b'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'a\\q'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE LastName = 'a\nb'", "MALFORMED_QUERY"),
        (f"SELECT Id FROM Lead WHERE LastName = '{'x' * 4001}'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE External_Id__c IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead LIMIT 'x'", "MALFORMED_QUERY"),
        ('SELECT Id FROM Lead WHERE LastName = "a"', "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead; DROP TABLE Lead", "MALFORMED_QUERY"),
        ("SELECT Foo__c FROM Lead", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Foo__c = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Lead ORDER BY Foo__c", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Lead_Score__c = '1'", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE LastName = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Is_Trial__c = 'true'", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Lead_Score__c LIKE '1%'", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE"),
        ("SELECT Id FROM Lead WHERE Id = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Lead WHERE " + "NOT " * 200 + "Id = null", "QUERY_TOO_COMPLICATED"),
        ("SELECT Id FROM Lead LIMIT 1 OFFSET " + "9" * 30, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Id FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_a_bad_query_is_refused(api: Api, soql: str, error: str) -> None:
    """With HTTP 400 and a code that says why."""
    reply = api.get("/query", q=soql)

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, error)


def test_other_objects_are_there(api: Api) -> None:
    """Users, queues, the organisation."""
    assert len(api.query("SELECT Id, Name FROM User WHERE IsActive = true")) == 2
    assert api.query("SELECT Name FROM Group WHERE Type = 'Queue' LIMIT 1") == [{"Name": "Inbound Leads"}]
    assert api.query("SELECT IsSandbox FROM Organization") == [{"IsSandbox": True}]
    assert api.query("SELECT Id FROM Contact") == []


ESCAPES = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("\\'\"\n\r\t\b\f%_ \u2028\u0085;()"), st.characters(exclude_categories=["Cs", "Cc"])
    ),
    min_size=1,
    max_size=60,
).filter(lambda text: text.strip(" ") == text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=TEXTS)
def test_any_text_can_be_asked_for(api: Api, text: str) -> None:
    """Escaped as Salesforce wants it, a value finds the lead that holds it and comes back unchanged."""
    (outcome,) = api.create(lead(Company=text))
    literal = "".join(ESCAPES.get(char, char) for char in text)

    rows = api.query(f"SELECT Company FROM Lead WHERE Company = '{literal}' AND Id = '{outcome['id']}'")
    api.call("DELETE", f"/sobjects/Lead/{outcome['id']}")
    assert rows == [{"Company": text}]


def test_results_come_in_pages(emulator: EmulatorServer) -> None:
    """2,000 a page, or what the client asks for from 200 up; the last page has no next."""
    emulator.seed_leads([lead(External_Id__c=f"L-{number}") for number in range(4100)])
    client = Api(emulator).login()
    page = client.get("/query", q="SELECT Id FROM Lead").json()
    sizes, ids = [len(page["records"])], [r["Id"] for r in page["records"]]
    while "nextRecordsUrl" in page:
        assert not page["done"]
        assert page["nextRecordsUrl"].startswith("/services/data/v60.0/query/01g")
        page = client.session.get(emulator.url + page["nextRecordsUrl"], timeout=10).json()
        sizes.append(len(page["records"]))
        ids += [r["Id"] for r in page["records"]]

    assert (sizes, page["done"], page["totalSize"]) == ([2000, 2000, 100], True, 4100)
    assert len(set(ids)) == 4100

    headers = {"Sforce-Query-Options": "batchSize=5"}
    small = client.call("GET", "/query", params={"q": "SELECT Id FROM Lead"}, headers=headers).json()
    assert len(small["records"]) == 200


def test_an_unknown_locator_is_refused(api: Api) -> None:
    """INVALID_QUERY_LOCATOR."""
    reply = api.get("/query/01g5g00000zzzzzAAA-2000")

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


@pytest.mark.parametrize(
    ("rest", "error", "said"),
    [
        ("WHERE LastName = 'a' AND Description LIKE 'x%'", "INVALID_FIELD", "can not be filtered in a query call"),
        ("WHERE description = null", "INVALID_FIELD", "field 'Description' can not be filtered in a query call"),
        ("WHERE Address = 'x'", "INVALID_FIELD", "Address fields can only be filtered using Distance expressions"),
        ("ORDER BY Description", "MALFORMED_QUERY", "field 'Description' can not be sorted in a query call"),
        ("ORDER BY Interests__c", "MALFORMED_QUERY", "field 'Interests__c' can not be sorted in a query call"),
    ],
)
def test_what_describe_calls_not_filterable_is_not(api: Api, rest: str, error: str, said: str) -> None:
    """Long text areas and compound addresses can be selected, and neither filtered nor sorted by."""
    reply = api.get("/query", q=f"SELECT Id, Description, Address FROM Lead {rest}")
    (refused,) = reply.json()

    assert (reply.status_code, refused["errorCode"]) == (400, error)
    assert refused["message"].startswith("\nERROR at Row:1:Column:")
    assert said in refused["message"]
    assert api.query("SELECT Id, Description, Address FROM Lead")
