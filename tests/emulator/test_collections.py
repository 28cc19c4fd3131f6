from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.client import Api, Record, code, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

UPSERT = "/composite/sobjects/Lead/External_Id__c"


def test_results_come_in_the_order_of_the_request(api: Api, emulator: EmulatorServer) -> None:
    """Each with its own outcome, all under HTTP 200."""
    outcomes = api.create(
        lead(External_Id__c="L-1"), lead(Email="nope"), lead(External_Id__c="L-2"), {"attributes": {"type": "Lead"}}
    )

    assert [code(outcome) for outcome in outcomes] == ["ok", "INVALID_EMAIL_ADDRESS", "ok", "REQUIRED_FIELD_MISSING"]
    assert outcomes[1] == {
        "success": False,
        "errors": [
            {
                "statusCode": "INVALID_EMAIL_ADDRESS",
                "message": "Email: invalid email address: nope",
                "fields": ["Email"],
            }
        ],
    }
    assert [item["External_Id__c"] for item in emulator.leads()] == ["L-1", "L-2"]
    assert [item["Id"] for item in emulator.leads()] == [outcomes[0]["id"], outcomes[2]["id"]]


@pytest.mark.parametrize(("method", "path"), [("POST", "/composite/sobjects"), ("PATCH", UPSERT)])
def test_more_than_200_records_are_refused_whole(api: Api, emulator: EmulatorServer, method: str, path: str) -> None:
    """200 go, 201 do not."""
    records = [lead(External_Id__c=f"L-{number}") for number in range(201)]
    over = api.call(method, path, json={"records": records})

    assert over.status_code == 400
    assert over.json() == [
        {
            "message": "record limit reached. cannot submit more than 200 records into this call",
            "errorCode": "EXCEEDED_ID_LIMIT",
        }
    ]
    assert emulator.leads() == []
    assert api.call(method, path, json={"records": records[:200]}).status_code == 200
    assert len(emulator.leads()) == 200


def test_all_or_none_rolls_the_innocent_back(api: Api, emulator: EmulatorServer) -> None:
    """Innocent rows may still show an id, with success false."""
    good, bad = api.create(lead(), lead(Email="nope"), all_or_none=True)

    assert code(good) == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert good["id"]
    assert not good["success"]
    assert code(bad) == "INVALID_EMAIL_ADDRESS"
    assert emulator.leads() == []


def test_an_upsert_matches_without_letter_case_unless_the_field_minds_it(api: Api) -> None:
    """External_Id__c does not mind, Case_Key__c does."""
    (first,) = api.upsert("External_Id__c", lead(External_Id__c="L-1"))
    (second,) = api.upsert("External_Id__c", lead(External_Id__c="l-1"))
    assert (first["created"], second["created"], first["id"]) == (True, False, second["id"])

    (third,) = api.upsert("Case_Key__c", lead(Case_Key__c="K"))
    (fourth,) = api.upsert("Case_Key__c", lead(Case_Key__c="k"))
    assert (third["created"], fourth["created"]) == (True, True)


def test_a_number_can_be_a_key(api: Api) -> None:
    """7 and 7.0 are one number, in the body and in the URL."""
    (first,) = api.upsert("Number_Key__c", lead(Number_Key__c=7))
    (second,) = api.upsert("Number_Key__c", lead(Number_Key__c=7.0))

    assert (first["created"], second["created"]) == (True, False)
    assert api.get("/sobjects/Lead/Number_Key__c/7").json()["Id"] == first["id"]
    assert api.query("SELECT Id FROM Lead WHERE Number_Key__c = 7") == [{"Id": first["id"]}]


def test_the_same_key_twice_fails_every_row_that_has_it(api: Api, emulator: EmulatorServer) -> None:
    """Not only the second; other rows are not touched."""
    outcomes = api.upsert(
        "External_Id__c", lead(External_Id__c="L-1"), lead(External_Id__c="L-2"), lead(External_Id__c="l-1")
    )

    assert [code(outcome) for outcome in outcomes] == ["DUPLICATE_VALUE", "ok", "DUPLICATE_VALUE"]
    assert outcomes[0]["errors"][0]["message"] == "Duplicate external id specified: L-1"
    assert [item["External_Id__c"] for item in emulator.leads()] == ["L-2"]


def test_a_key_of_several_leads_fails_its_row(api: Api, emulator: EmulatorServer) -> None:
    """DUPLICATE_EXTERNAL_ID, with the ids in the text."""
    ids = emulator.seed_leads([lead(Legacy_Id__c="x"), lead(Legacy_Id__c="x")])
    (outcome,) = api.upsert("Legacy_Id__c", lead(Legacy_Id__c="x"))

    assert code(outcome) == "DUPLICATE_EXTERNAL_ID"
    assert f"[{', '.join(ids)}]" in outcome["errors"][0]["message"]


def test_rows_without_their_key_or_with_an_id_are_refused(api: Api, emulator: EmulatorServer) -> None:
    """MISSING_ARGUMENT and INVALID_FIELD, one row each."""
    (lead_id,) = emulator.seed_leads([lead()])
    outcomes = api.upsert("External_Id__c", lead(), lead(External_Id__c="  "), lead(External_Id__c="L-1", Id=lead_id))

    assert [code(outcome) for outcome in outcomes] == ["MISSING_ARGUMENT", "MISSING_ARGUMENT", "INVALID_FIELD"]


def test_a_bad_key_field_is_refused_whole(api: Api) -> None:
    """It must be an external id, or an idLookup field."""
    reply = api.call("PATCH", "/composite/sobjects/Lead/City", json={"records": [lead(City="Rome")]})

    assert reply.status_code == 400
    (outcome,) = api.upsert("Email", lead(Email="a@example.com"))
    assert outcome["created"]


def test_updates_name_leads_by_15_or_18_characters(api: Api, emulator: EmulatorServer) -> None:
    """18 are given back; what is no id, unknown, deleted, converted or twice is told apart."""
    ids = emulator.seed_leads([lead(LastName=f"N{number}") for number in range(5)])
    emulator.delete_lead(ids[1])
    emulator.convert_lead(ids[2])
    changes: list[Record] = [
        {"Id": ids[0][:15]},
        {"Id": ids[1]},
        {"Id": ids[2]},
        {"Id": "00Q5g00000zzzzzEAA"},
        {"Id": "nonsense"},
        {"Id": "0035g0000000001AAA"},
        {},
        {"Id": ids[3]},
        {"id": ids[3][:15]},
    ]
    outcomes = api.update(*({"attributes": {"type": "Lead"}, "FirstName": "Ada", **change} for change in changes))

    assert [code(outcome) for outcome in outcomes] == [
        "ok",
        "ENTITY_IS_DELETED",
        "CANNOT_UPDATE_CONVERTED_LEAD",
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
        "MALFORMED_ID",
        "MISSING_ARGUMENT",
        "DUPLICATE_VALUE",
        "DUPLICATE_VALUE",
    ]
    assert outcomes[0]["id"] == ids[0]
    assert "created" not in outcomes[0]


def test_an_upsert_onto_a_converted_lead_fails_and_onto_a_deleted_one_creates(
    api: Api, emulator: EmulatorServer
) -> None:
    """A lead in the recycle bin no longer holds its key."""
    ids = emulator.seed_leads([lead(External_Id__c="L-1"), lead(External_Id__c="L-2")])
    emulator.convert_lead(ids[0])
    emulator.delete_lead(ids[1])
    converted, deleted = api.upsert("External_Id__c", lead(External_Id__c="L-1"), lead(External_Id__c="L-2"))

    assert code(converted) == "CANNOT_UPDATE_CONVERTED_LEAD"
    assert deleted["created"]
    assert deleted["id"] != ids[1]


def test_an_insert_of_a_taken_unique_key_names_its_holder(api: Api, emulator: EmulatorServer) -> None:
    """With empty `fields`, unless a switch fills them; its text may be translated."""
    (holder,) = emulator.seed_leads([lead(External_Id__c="L-1")])
    (outcome,) = api.create(lead(External_Id__c="l-1"))
    assert outcome["errors"] == [
        {
            "statusCode": "DUPLICATE_VALUE",
            "message": f"duplicate value found: External_Id__c duplicates value on record with id: {holder}",
            "fields": [],
        }
    ]

    emulator.change_settings(duplicate_value_fields=True, language="de")
    (outcome,) = api.create(lead(External_Id__c="l-1"))
    assert outcome["errors"][0]["fields"] == ["External_Id__c"]
    assert outcome["errors"][0]["message"].startswith("doppelter Wert")
    assert holder in outcome["errors"][0]["message"]


@pytest.mark.parametrize(
    ("language", "words"), [("en", "duplicate value found: <unknown>"), ("de", "doppelter Wert gefunden: <unknown>")]
)
def test_a_taken_key_may_be_said_without_field_and_record(
    api: Api, emulator: EmulatorServer, language: str, words: str
) -> None:
    """As users see it who may not see the record; in collections and for single records."""
    emulator.seed_leads([lead(External_Id__c="L-1")])
    emulator.change_settings(duplicate_value_wording="unknown", language=language)
    (outcome,) = api.create(lead(External_Id__c="l-1"))
    single = api.call("POST", "/sobjects/Lead", json={"LastName": "R", "Company": "A", "External_Id__c": "L-1"}).json()
    for error in (outcome["errors"][0], single[0]):
        assert error["message"].startswith(words)
        assert error["message"].endswith(": <unknown>")
        assert error["fields"] == []


def test_a_key_that_stands_twice_is_said_in_the_org_s_language(api: Api, emulator: EmulatorServer) -> None:
    """Where it is in an upsert."""
    emulator.change_settings(language="de")
    first, second = api.upsert("External_Id__c", lead(External_Id__c="L-1"), lead(External_Id__c="l-1"))
    assert (code(first), code(second)) == ("DUPLICATE_VALUE", "DUPLICATE_VALUE")
    assert first["errors"][0]["message"] == "Externe ID doppelt angegeben: L-1"


def test_within_one_create_the_first_of_two_equal_keys_wins(api: Api) -> None:
    """The second names the first as the holder."""
    first, second = api.create(lead(External_Id__c="L-1"), lead(External_Id__c="L-1"))

    assert first["success"]
    assert first["id"] in second["errors"][0]["message"]


def test_an_update_may_not_take_a_unique_key(api: Api, emulator: EmulatorServer) -> None:
    """But may write its own again, and take one that was given up."""
    ids = emulator.seed_leads([lead(External_Id__c="L-1"), lead(External_Id__c="L-2")])
    kind = {"attributes": {"type": "Lead"}}
    taken, own = api.update(
        {**kind, "Id": ids[0], "External_Id__c": "L-2"}, {**kind, "Id": ids[1], "External_Id__c": "l-2"}
    )
    assert (code(taken), code(own)) == ("DUPLICATE_VALUE", "ok")

    emulator.edit_lead(ids[1], External_Id__c=None)
    (free,) = api.update({**kind, "Id": ids[0], "External_Id__c": "L-2"})
    assert code(free) == "ok"


@pytest.mark.parametrize(
    ("bad", "error", "row_error"),
    [
        ({"Foo__c": 1}, "INVALID_FIELD", "INVALID_FIELD"),
        ({"Is_Trial__c": "true"}, "JSON_PARSER_ERROR", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ({"Lead_Score__c": "one"}, "JSON_PARSER_ERROR", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ({"Qualified_On__c": "24.11.2026"}, "JSON_PARSER_ERROR", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ({"LastName": 5}, "JSON_PARSER_ERROR", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ],
)
def test_a_structural_error_costs_the_page_or_the_row(
    api: Api, emulator: EmulatorServer, bad: Record, error: str, row_error: str
) -> None:
    """The facts are disputed, so it is a switch."""
    records = [lead(), lead(**bad)]
    whole = api.call("POST", "/composite/sobjects", json={"records": records})
    assert (whole.status_code, whole.json()[0]["errorCode"]) == (400, error)
    assert emulator.leads() == []

    emulator.change_settings(structural_errors="row")
    assert [code(outcome) for outcome in api.create(*records)] == ["ok", row_error]


def test_failed_rows_may_carry_null_ids(api: Api, emulator: EmulatorServer) -> None:
    """Clients must bear both."""
    emulator.change_settings(failed_row_ids="null")
    (outcome,) = api.upsert("External_Id__c", {"attributes": {"type": "Lead"}, "External_Id__c": "L-1"})

    assert (outcome["id"], outcome["created"], outcome["success"]) == (None, None, False)


def test_types_may_mix_in_up_to_ten_chunks(api: Api) -> None:
    """Eleven are refused; a record of a type that is not served fails alone."""
    contact: Record = {"attributes": {"type": "Contact"}, "LastName": "Ray"}
    assert [code(o) for o in api.create(lead(), contact, lead())] == ["ok", "INVALID_TYPE", "ok"]

    mixed = [lead() if number % 2 else contact for number in range(11)]
    assert api.call("POST", "/composite/sobjects", json={"records": mixed}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [[], {}, {"records": []}, {"records": [1]}, {"records": [{"LastName": "Ray"}]}, {"records": [], "allOrNone": "no"}],
)
def test_a_malformed_page_is_refused(api: Api, body: object) -> None:
    """With a list of errors, as everywhere in the REST API."""
    reply = api.call("POST", "/composite/sobjects", json=body)

    assert reply.status_code == 400
    assert reply.json()[0]["errorCode"]


def test_leads_are_read_by_ids(api: Api, emulator: EmulatorServer) -> None:
    """In order, with null for what is missing, deleted or no id, by GET or by POST."""
    ids = emulator.seed_leads([lead(LastName=name) for name in ("A", "B", "C")])
    emulator.delete_lead(ids[1])
    wanted = [ids[2][:15], ids[1], "00Q5g00000zzzzzEAA", "nonsense", ids[0], ids[2]]
    got = api.get("/composite/sobjects/Lead", ids=",".join(wanted), fields="Id,LastName").json()
    posted = api.call("POST", "/composite/sobjects/Lead", json={"ids": wanted, "fields": ["Id", "LastName"]}).json()

    assert got == posted
    assert [item and item["LastName"] for item in got] == ["C", None, None, None, "A", "C"]
    assert got[0]["Id"] == ids[2]


def test_2000_leads_are_read_by_one_post(api: Api, emulator: EmulatorServer) -> None:
    """2,001 are too many."""
    ids = emulator.seed_leads([lead() for _ in range(2001)])
    body = {"ids": ids[:2000], "fields": ["Id"]}
    assert len(api.call("POST", "/composite/sobjects/Lead", json=body).json()) == 2000

    over = api.call("POST", "/composite/sobjects/Lead", json={**body, "ids": ids})
    assert over.json()[0]["errorCode"] == "EXCEEDED_ID_LIMIT"


def test_leads_are_deleted_by_ids(api: Api, emulator: EmulatorServer) -> None:
    """Each with its own outcome."""
    ids = emulator.seed_leads([lead(), lead()])
    outcomes = api.call("DELETE", "/composite/sobjects", params={"ids": f"{ids[0]},nonsense"}).json()

    assert [code(outcome) for outcome in outcomes] == ["ok", "MALFORMED_ID"]
    assert [item["Id"] for item in emulator.leads()] == [ids[1]]
