"""Creating leads: what exists, what was created by whom, what is updated."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, BadRow, Row
from airflow_provider_sfleads.core.same import made_of
from airflow_provider_sfleads.exceptions import MappingError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import NOW, Org, lead_id
from tests.pipeline.runs import EarlierTry, carry_out, create, create_plan, describe, new_row

UPDATE = {"existing": "update"}
WITH_EMAIL = FieldMap(columns={"name": "LastName", "firm": "Company", "mail": "Email"})
EMAIL = {"columns": ("id", "name", "firm", "mail"), "field_map": WITH_EMAIL}
MATCH = EMAIL | {"match_email": True}


def test_new_leads() -> None:
    """Leads that are new are created, with their key, in one request and no other."""
    org = Org()
    done = create(org, [new_row(" L-1 "), new_row(2.0, "Poe")])
    assert done.counts == {"read": 2, "created": 2}
    assert [(lead["External_Id__c"], lead["LastName"]) for lead in org.live()] == [("L-1", "Ray"), ("2", "Poe")]
    assert {outcome.salesforce_id for outcome in done.outcomes} == {lead["Id"] for lead in org.live()}
    assert len(org.calls) == 1
    assert org.calls[0].headers["Sforce-Auto-Assign"] == "TRUE"
    first = done.by_key()["L-1"]
    assert (first.api, first.batch, first.lead_url) == ("collections", "1", f"https://acme/{first.salesforce_id}")


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 2_001])
def test_the_last_record_arrives(count: int) -> None:
    """No record is lost at the edge of a page, and no page is wasted."""
    org = Org()
    done = create(org, (new_row(number) for number in range(count)), concurrency=4)
    assert done.counts == ({"read": count, "created": count} if count else {})
    assert len(org.leads) == count
    assert len(org.calls) == -(-count // 200)


@pytest.mark.parametrize("wording", ["plain", "local", "bare", "unknown"])
def test_what_exists_is_skipped(wording: str) -> None:
    """A lead that exists stays as it is and is named, whatever the error's words."""
    org = Org(wording=wording)
    there = org.add(External_Id__c="l-1", LastName="Old", Company="Old")
    done = create(org, [new_row("L-1"), new_row("L-2")])
    assert done.counts == {"read": 2, "unchanged": 1, "created": 1}
    outcome = done.by_key()["L-1"]
    assert (outcome.action, outcome.reason, outcome.salesforce_id) == ("unchanged", "already_exists", there)
    assert org.leads[there]["LastName"] == "Old"
    assert org.count("reads") == (1 if wording in ("bare", "unknown") else 0)


def test_another_unique_field() -> None:
    """A duplicate on another unique field is a reject of the row, and no sign that the lead exists."""
    org = Org()
    org.add(External_Id__c="other", Badge__c="7", LastName="Old", Company="Old")
    field_map = FieldMap(columns={"name": "LastName", "firm": "Company", "badge": "Badge__c"})
    asked = {"columns": ("id", "name", "firm", "badge"), "field_map": field_map}
    done = create(org, [new_row("L-1", badge="7")], plan=asked)
    (outcome,) = done.outcomes
    assert (outcome.action, outcome.error_code) == ("rejected", "DUPLICATE_VALUE")
    assert outcome.salesforce_id is None
    assert done.rejects == [new_row("L-1", badge="7")]


def test_another_unique_field_of_a_lead_that_exists() -> None:
    """Where the lead exists by its key, it exists, whichever unique field complains first."""
    org = Org()
    there = org.add(External_Id__c="L-1", Badge__c="7", LastName="Old", Company="Old")
    org.leads[there] = {"Badge__c": "7", **org.leads[there]}
    field_map = FieldMap(columns={"name": "LastName", "firm": "Company", "badge": "Badge__c"})
    asked = {"columns": ("id", "name", "firm", "badge"), "field_map": field_map}
    (outcome,) = create(org, [new_row("L-1", badge="7")], plan=asked).outcomes
    assert (outcome.reason, outcome.salesforce_id) == ("already_exists", there)


def test_a_duplicate_rule_meets_the_lead_itself() -> None:
    """A duplicate rule that fires on the very lead does not make a reject of it; on another lead it does."""
    org = Org(duplicate_rule=True)
    there = org.add(External_Id__c="L-1", Email="a@b.co", LastName="Old", Company="Old")
    rows = [new_row("L-1", mail="a@b.co"), new_row("L-2", mail="a@b.co"), new_row("L-3", mail="c@d.co")]
    done = create(org, rows, plan=EMAIL)
    by_key = done.by_key()
    assert (by_key["L-1"].reason, by_key["L-1"].salesforce_id) == ("already_exists", there)
    assert by_key["L-2"].error_code == "DUPLICATES_DETECTED"
    assert by_key["L-3"].action is Action.CREATED


@pytest.mark.parametrize("wording", ["plain", "local", "bare", "unknown"])
@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_a_lost_answer(fault: str, wording: str) -> None:
    """A page whose answer is lost is sent again; what the first sending created counts as created."""
    org = Org(faults={1: fault}, wording=wording)
    there = org.add(External_Id__c="L-0", LastName="Old", Company="Old")
    done = create(org, [new_row("L-0"), new_row("L-1"), new_row("L-2")])
    assert done.counts == {"read": 3, "created": 2, "unchanged": 1}
    assert done.by_key()["L-0"].salesforce_id == there
    assert len(org.leads) == 3


def test_a_lost_answer_without_key() -> None:
    """Without an external ID a page whose answer is lost is never sent again, and said to be unknown."""
    org = Org(faults={1: "drop_after"})
    done = create(org, [new_row(n) for n in range(4)], plan={"external_id_field": None}, batch_size=2, concurrency=1)
    assert done.counts == {"read": 4, "created": 2, "not_sent": 2}
    assert {outcome.reason for outcome in done.outcomes if outcome.action is Action.NOT_SENT} == {"outcome_unknown"}
    again = create(
        org, [new_row(n) for n in range(4)], plan={"external_id_field": None}, earlier=EarlierTry(done.outcomes)
    )
    assert again.counts == {"read": 4, "created": 2, "not_sent": 2}
    assert len(org.leads) == 4


BADGED = {
    "columns": ("id", "name", "firm", "badge"),
    "field_map": FieldMap(columns={"name": "LastName", "firm": "Company", "badge": "Badge__c"}),
}


class Raced(Org):
    """An org in which another writer makes a lead while the first upsert is carried out, too late to be found."""

    def send(self, call: Call) -> Reply:
        """Answer as the transport would."""
        if call.write and not self.live():
            self.add(External_Id__c="L-1", LastName="Old", Company="Old", Badge__c="B-1")
            self.missed["L-1"] = 1
        return super().send(call)


@pytest.mark.parametrize("wording", ["plain", "local", "bare", "unknown"])
@pytest.mark.parametrize("unique", [True, False])
def test_a_lost_race_becomes_an_update_by_id(wording: str, *, unique: bool) -> None:
    """Not assigned again, without the key that the lead has, and in as many requests as it takes."""
    org = Raced(wording=wording)
    lead = describe(External_Id__c={"unique": unique})
    rows = [new_row("L-1", badge="B-1"), new_row("L-2", badge="B-2")]
    done = create(org, rows, plan=UPDATE | BADGED | {"lead": lead})
    assert done.counts == {"read": 2, "updated": 1, "created": 1}
    (there,) = org.by_key("L-1")
    assert (there["LastName"], done.by_key()["L-1"].salesforce_id) == ("Ray", there["Id"])
    first, second = (call for call in org.calls if call.write)
    assert (first.path, first.headers["Sforce-Auto-Assign"]) == ("composite/sobjects/Lead/External_Id__c", "TRUE")
    assert (second.path, second.headers["Sforce-Auto-Assign"]) == ("composite/sobjects", "FALSE")
    assert isinstance(second.body, dict)
    (sent,) = second.body["records"]
    assert sent == {
        "attributes": {"type": "Lead"},
        "id": there["Id"],
        "LastName": "Ray",
        "Company": "Acme",
        "Badge__c": "B-1",
    }
    assert org.count("reads") == 2


@pytest.mark.parametrize(("wording", "reads"), [("plain", 1), ("local", 1), ("bare", 1), ("unknown", 2)])
def test_an_update_that_another_unique_field_refuses(wording: str, reads: int) -> None:
    """It is a reject; where the words do not say which field it is, the lead is updated without its key to find out."""
    org = Org(wording=wording)
    there = org.add(External_Id__c="L-1", LastName="Old", Company="Old")
    org.add(External_Id__c="other", Badge__c="7", LastName="Old", Company="Old")
    done = create(org, [new_row("L-1", badge="7")], plan=UPDATE | BADGED)
    (outcome,) = done.outcomes
    assert (outcome.action, outcome.error_code) == ("rejected", "DUPLICATE_VALUE")
    assert outcome.salesforce_id == there
    assert (org.count("reads"), org.count("writes")) == (reads, reads)


@pytest.mark.parametrize("wording", ["plain", "local", "bare", "unknown"])
def test_a_key_that_looks_like_a_lead_s_id(wording: str) -> None:
    """Salesforce's words about it are not taken for the lead that holds it."""
    org = Org(wording=wording)
    key = lead_id(9)
    there = org.add(External_Id__c=key, LastName="Old", Company="Old")
    done = create(org, [new_row(key), new_row("L-2")])
    assert (done.by_key()[key].reason, done.by_key()[key].salesforce_id) == ("already_exists", there)


def test_converted_before() -> None:
    """A lead that was converted is left alone, with its contact, where it was looked up."""
    org = Org()
    there = org.add(External_Id__c="L-1", IsConverted=True, ConvertedContactId="003A", LastName="x", Company="x")
    (outcome,) = create(org, [new_row("L-1")], plan=UPDATE).outcomes
    assert (outcome.reason, outcome.salesforce_id, outcome.contact_id) == ("converted", there, "003A")
    assert org.count("writes") == 0


def test_existing_leads_are_updated() -> None:
    """With existing="update" a lead with other values is updated and not assigned again, one with the same is not."""
    org = Org()
    old = org.add(External_Id__c="l-1", LastName="Old", Company="Acme", Email="kept@b.co")
    org.add(External_Id__c="L-2", LastName="Ray", Company="Acme")
    done = create(org, [new_row("L-1"), new_row("L-2"), new_row("L-3")], plan=UPDATE)
    assert done.counts == {"read": 3, "updated": 1, "unchanged": 1, "created": 1}
    assert done.by_key()["L-2"].reason == "same_values"
    assert org.leads[old]["LastName"] == "Ray"
    assert org.leads[old]["Email"] == "kept@b.co"
    headers = {
        record["External_Id__c"]: call.headers["Sforce-Auto-Assign"]
        for call in org.calls
        if call.write and isinstance(call.body, dict)
        for record in call.body["records"]
    }
    assert headers == {"L-1": "FALSE", "L-3": "TRUE"}
    again = create(org, [new_row("L-1"), new_row("L-2"), new_row("L-3")], plan=UPDATE)
    assert again.counts == {"read": 3, "unchanged": 3}


def test_required_fields_are_asked_of_new_leads_only() -> None:
    """With existing="update" a row may lack what its lead has; one without a lead may not, and costs no write."""
    org = Org()
    org.add(External_Id__c="L-1", LastName="Old", Company="Acme")
    done = create(org, [new_row("L-1", None, "New"), new_row("L-2", None)], plan=UPDATE)
    by_key = done.by_key()
    assert by_key["L-1"].action is Action.UPDATED
    assert (by_key["L-2"].error_code, by_key["L-2"].error_fields) == ("REQUIRED_FIELD_MISSING", ("LastName",))
    assert by_key["L-2"].api is None


def test_an_external_id_that_is_not_unique() -> None:
    """A key that finds several leads is a reject that names them."""
    org = Org()
    ids = [org.add(External_Id__c="L-1", LastName="x", Company="x") for _ in range(2)]
    loose = describe(External_Id__c={"unique": False})
    (outcome,) = create(org, [new_row("L-1")], plan=UPDATE | {"lead": loose}).outcomes
    assert outcome.error_code == "DUPLICATE_EXTERNAL_ID"
    assert all(each in (outcome.error_message or "") for each in ids)
    with pytest.raises(MappingError, match="not unique"):
        create_plan(lead=loose)


def test_numbers_as_keys() -> None:
    """A number field as key goes out as a number, and is found however the number is written."""
    org = Org()
    org.add(Number_Id__c=Decimal(7), LastName="Old", Company="Acme")
    rows = [new_row("7.0"), new_row(8.0), new_row(Decimal("9.00")), new_row("x"), new_row("1e19")]
    done = create(org, rows, plan=UPDATE | {"external_id_field": "Number_Id__c"})
    assert done.counts == {"read": 5, "updated": 1, "created": 2, "rejected": 2}
    assert sorted(lead["Number_Id__c"] for lead in org.live()) == [7, 8, 9]


def test_keys_that_differ_in_letter_case() -> None:
    """Letter case tells keys apart only where describe says so."""
    rows = [new_row("a"), new_row("A")]
    assert create(Org(), rows).counts == {"read": 2, "created": 1, "duplicate_keys": 1}
    strict = describe(External_Id__c={"caseSensitive": True})
    org = Org(case_sensitive=True)
    assert create(org, rows, plan={"lead": strict}).counts == {"read": 2, "created": 2}
    assert create(org, rows, plan={"lead": strict}).counts == {"read": 2, "unchanged": 2}


def test_the_order_of_decisions() -> None:
    """An empty key comes before a duplicate key, and that before bad values: the first row of a key is taken."""
    bad = new_row("L-1", "x" * 81)
    broken = BadRow(values=new_row("L-1"), code="MALFORMED_ROW", message="line 3")
    rows: list[Row | BadRow] = [new_row(" "), new_row(None), bad, new_row(" l-1"), broken]
    done = create(Org(), rows)
    assert [(outcome.key, outcome.action, outcome.error_code) for outcome in done.outcomes] == [
        ("", "rejected", "MISSING_ARGUMENT"),
        ("", "rejected", "MISSING_ARGUMENT"),
        ("L-1", "rejected", "STRING_TOO_LONG"),
        ("l-1", "duplicate_key", None),
        ("L-1", "rejected", "MALFORMED_ROW"),
    ]
    assert len(done.rejects) == 4


def test_a_key_that_does_not_fit_its_field() -> None:
    """A key longer than its field is refused, never cut."""
    field_map = FieldMap(columns={"name": "LastName", "firm": "Company"}, truncate=True)
    (outcome,) = create(Org(), [new_row("x" * 37)], plan={"field_map": field_map}).outcomes
    assert (outcome.error_code, outcome.error_fields) == ("STRING_TOO_LONG", ("External_Id__c",))


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_dry_run_writes_nothing(existing: str) -> None:
    """A dry run looks up what exists, says what would be, and sends no change."""
    org = Org()
    org.add(External_Id__c="L-1", LastName="Old", Company="Acme")
    done = create(org, [new_row("L-1"), new_row("L-2")], plan={"existing": existing, "dry_run": True})
    known = "unchanged" if existing == "skip" else "would_update"
    assert done.counts == {"read": 2, known: 1, "would_create": 1}
    assert org.count("writes") == 0


def test_the_same_email_counts_as_existing() -> None:
    """With match_email a lead or a contact with the same address counts as existing."""
    org = Org()
    there = org.add(Email="A@b.co", LastName="x", Company="x")
    contact = "0035g00000AbCdEAAV"
    org.contacts[contact] = {"Id": contact, "Email": "c@d.co"}
    rows = [new_row("L-1", mail="a@B.co"), new_row("L-2", mail="c@d.co"), new_row("L-3", mail=None)]
    done = create(org, rows, plan=MATCH)
    by_key = done.by_key()
    assert done.counts == {"read": 3, "unchanged": 2, "created": 1}
    assert by_key["L-1"].salesforce_id == there
    assert by_key["L-2"].contact_id == contact
    assert by_key["L-3"].action is Action.CREATED


def test_the_same_email_is_updated() -> None:
    """With existing="update" the one open lead with the address is updated and gets the key; several are a reject."""
    org = Org()
    there = org.add(Email="a@b.co", LastName="x", Company="x")
    for _ in range(2):
        org.add(Email="twice@b.co", LastName="x", Company="x")
    rows = [new_row("L-1", mail="a@b.co"), new_row("L-2", mail="twice@b.co")]
    done = create(org, rows, plan=MATCH | UPDATE)
    by_key = done.by_key()
    assert (by_key["L-1"].action, by_key["L-1"].salesforce_id) == ("updated", there)
    assert (org.leads[there]["External_Id__c"], org.leads[there]["LastName"]) == ("L-1", "Ray")
    assert by_key["L-2"].error_code == "DUPLICATES_DETECTED"
    again = create(org, rows, plan=MATCH | UPDATE)
    assert again.counts == {"read": 2, "unchanged": 1, "rejected": 1}


def test_the_email_of_a_converted_lead() -> None:
    """A converted lead with the address counts as existing and is not written to."""
    org = Org()
    org.add(Email="a@b.co", IsConverted=True, LastName="x", Company="x")
    done = create(org, [new_row("L-1", mail="a@b.co")], plan=MATCH | UPDATE)
    assert done.counts == {"read": 1, "unchanged": 1}
    assert org.count("writes") == 0


def test_rejects_spare_their_neighbours() -> None:
    """One bad row in each page, of every kind, costs no other row."""
    rows = [new_row(n, firm="poison" if n % 10 == 3 else "Acme") for n in range(40)]
    org = Org()
    done = create(org, rows, batch_size=10)
    assert done.counts == {"read": 40, "created": 36, "rejected": 4}
    assert {row["id"] for row in done.rejects} == {3, 13, 23, 33}


def test_a_mapping_that_fits_nothing_lists_it_all() -> None:
    """Key field, mapping, e-mail column and columns: one error has all their problems, and nothing is sent."""
    with pytest.raises(MappingError) as caught:
        create_plan(
            columns=("name",),
            external_id_field="Badge__c",
            field_map=FieldMap(columns={"name": "Nope__c"}),
            match_email=True,
        )
    text = "\n".join(caught.value.problems)
    for words in ("Badge__c: it is not an external ID", "Nope__c", "LastName", "Company", "match_email", "'id' (key)"):
        assert words in text


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_one_number_in_two_spellings_is_one_key(existing: str) -> None:
    """7 and 007 are one key for a number field: the second is a duplicate, and the first is not lost."""
    org = Org()
    asked = {"existing": existing, "external_id_field": "Number_Id__c"}
    done = create(org, [new_row("7"), new_row("007")], plan=asked)
    assert done.counts == {"read": 2, "created": 1, "duplicate_keys": 1}


def test_two_rows_for_one_person() -> None:
    """Two rows with one e-mail address update its lead once; the second row is a duplicate."""
    org = Org()
    there = org.add(Email="a@b.co", LastName="x", Company="x")
    rows = [new_row("L-1", mail="a@b.co"), new_row("L-2", mail="a@b.co")]
    done = create(org, rows, plan=MATCH | UPDATE)
    assert done.counts["updated"] == 1
    assert org.leads[there]["LastName"] == "Ray"


def test_a_key_is_not_taken_from_a_lead() -> None:
    """A lead with the same e-mail that has another key already keeps it; a second run changes nothing."""
    org = Org()
    there = org.add(External_Id__c="L-1", Email="a@b.co", LastName="Ray", Company="Acme")
    create(org, [new_row("L-2", mail="a@b.co")], plan=MATCH | UPDATE)
    assert org.leads[there]["External_Id__c"] == "L-1"


def test_a_key_field_that_cannot_be_written() -> None:
    """A read-only external ID (an auto-number, say) is a problem of the mapping, not of every row."""
    with pytest.raises(MappingError, match="read-only"):
        create_plan(lead=describe(External_Id__c={"createable": False, "updateable": False}))


@pytest.mark.parametrize("wording", ["plain", "local", "bare", "unknown"])
@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_lost_answer_of_an_earlier_try(existing: str, wording: str) -> None:
    """What an earlier try's sending of unknown outcome created counts as created, other leads do not."""
    org = Org(faults={1: "lost_after"}, wording=wording)
    there = org.add(External_Id__c="L-0", LastName="Ray", Company="Acme")
    asked = {"existing": existing}
    first = {"existing": existing, "external_id_field": "External_Id__c"}
    plan, seen = create_plan(**first)

    def send(call: Call) -> Reply:
        if org.writes and not call.write:
            raise ServiceUnavailableError("down")
        return org.send(call)

    rows = [new_row("L-0"), new_row("L-1")]
    done = carry_out(plan, seen, send, rows)
    lost = [outcome for outcome in done.outcomes if outcome.action is Action.NOT_SENT]
    assert {outcome.reason for outcome in lost} == {"outcome_unknown"}
    assert org.live()[1]["CreatedDate"] == NOW
    again = create(org, rows, plan=asked, earlier=EarlierTry(done.outcomes))
    assert again.counts == {"read": 2, "created": 1, "unchanged": 1}
    assert {outcome.salesforce_id for outcome in again.outcomes if outcome.reason} <= {there}
    assert len(org.leads) == 2


def test_a_lost_answer_and_a_lock() -> None:
    """A record that its own first sending locks, and has created, counts as created."""
    org = Org(faults={1: "drop_locked"})
    done = create(org, [new_row("L-1"), new_row("L-2")])
    assert done.counts == {"read": 2, "created": 2}


def test_a_key_that_is_not_unique_is_sent_once() -> None:
    """An upsert on a field that is not unique is not repeated while the first may still run: it creates twice."""
    org = Org()
    plan, _ = create_plan(existing="update", lead=describe(External_Id__c={"unique": False}))
    assert not plan.repeatable
    create(org, [new_row("L-1")], plan=UPDATE | {"lead": describe(External_Id__c={"unique": False})})
    assert not any(call.repeatable for call in org.calls if call.write)


def test_the_contact_of_a_converted_lead_found_by_email() -> None:
    """A converted lead found by e-mail leads to its contact, and has the reason of one."""
    org = Org()
    org.add(Email="a@b.co", IsConverted=True, ConvertedContactId="003A", LastName="x", Company="x")
    (outcome,) = create(org, [new_row("L-1", mail="a@b.co")], plan=MATCH).outcomes
    assert outcome.contact_id == "003A"


# Bugs that are reported: each mark goes when its bug does.


def test_a_lead_made_meanwhile_with_other_values_is_updated() -> None:
    """A retry updates a lead that its user made since the start, where it has not the row's values."""
    org = Org()
    org.add(External_Id__c="L-1", LastName="Old", Company="Acme", CreatedDate=NOW)
    create(org, [new_row("L-1")], plan=UPDATE, earlier=EarlierTry([]))
    assert org.live()[0]["LastName"] == "Ray"


LOOSE = UPDATE | {"lead": describe(External_Id__c={"unique": False})}


def test_a_rerun_updates_what_it_created() -> None:
    """With existing="update" and a key that is not unique, a re-run writes the values that have changed."""
    org = Org()
    first = create(org, [new_row("L-1")], plan=LOOSE)
    done = create(org, [new_row("L-1", "Poe")], plan=LOOSE, earlier=EarlierTry([], others=first.outcomes))
    assert done.counts == {"read": 1, "updated": 1}
    assert org.live()[0]["LastName"] == "Poe"


def test_an_unknown_row_that_can_be_found_is_settled() -> None:
    """Where the key finds the lead that an earlier sending made, the row is settled, and not left for ever."""
    org = Org()
    there = org.add(External_Id__c="L-1", LastName="Ray", Company="Acme", CreatedDate=NOW)
    (outcome,) = create(org, [new_row("L-1")], plan=LOOSE, earlier=EarlierTry([], announced=["L-1"])).outcomes
    assert (outcome.action, outcome.salesforce_id) == (Action.CREATED, there)


def test_the_second_row_of_a_person_whose_first_is_refused() -> None:
    """A row does not count as existing for another row that Salesforce refuses."""
    org = Org()
    org.add(External_Id__c="other", Badge__c="7", LastName="Old", Company="Old")
    field_map = FieldMap(columns={"name": "LastName", "firm": "Company", "mail": "Email", "badge": "Badge__c"})
    asked = {"columns": ("id", "name", "firm", "mail", "badge"), "field_map": field_map, "match_email": True}
    done = create(
        org, [new_row("L-1", mail="a@b.co", badge="7"), new_row("L-2", mail="a@b.co", badge=None)], plan=asked
    )
    assert done.by_key()["L-1"].action is Action.REJECTED
    assert done.by_key()["L-2"].reason != "already_exists"


@pytest.mark.parametrize("existing", ["skip", "update"])
@pytest.mark.parametrize(
    ("lead", "more", "is_own"),
    [
        ({}, {}, True),
        ({"CreatedById": "005000000000002AAA"}, {}, False),
        ({"CreatedDate": "2026-11-23T23:58:00.000+0000"}, {}, False),
        ({"CreatedDate": "2026-11-24T00:14:00.000+0000"}, {}, False),
        ({"Company": "Other"}, {}, False),
        ({}, {"announced": []}, False),
        ({}, {"claimed": True}, False),
    ],
    ids=["own", "another user's", "made before", "made after", "other values", "never sent", "another row's"],
)
def test_whose_a_lead_is(existing: str, lead: dict[str, str], more: dict[str, object], *, is_own: bool) -> None:
    """A lead is a row's own by the request that got no answer: its user, its time, its values; and no other row's."""
    org = Org()
    there = org.add(**{"External_Id__c": "L-1", "LastName": "Ray", "Company": "Acme", "CreatedDate": NOW} | lead)
    plan = {"existing": existing, "claim": lambda ids, _since: ids if "claimed" in more else ()}
    earlier = EarlierTry([], announced=["L-1"] if "announced" not in more else [])
    (outcome,) = create(org, [new_row("L-1")], plan=plan, earlier=earlier).outcomes
    assert outcome.salesforce_id == there
    assert (outcome.action is Action.CREATED) == is_own
    if not is_own:
        expected = "already_exists" if existing == "skip" else None if "Company" in lead else "same_values"
        assert outcome.reason == expected
    assert org.live()[0]["Company"] == ("Other" if "Company" in lead and existing == "skip" else "Acme")


def test_a_default_speaks_for_nobody_else() -> None:
    """Salesforce fills in what a new lead is sent without, whoever asked for it."""
    lead = describe()
    sent = {"LastName": "Ray", "Lead_Stage__c": None}
    assert made_of(lead, sent, {"LastName": "Ray", "Lead_Stage__c": "New"})
    assert not made_of(lead, sent, {"LastName": "Poe", "Lead_Stage__c": "New"})


def test_an_upsert_that_was_lost_is_looked_for_before_it_is_sent_again() -> None:
    """What it made is created, not updated; what it did not make is sent once more."""
    for fault, writes in (("lost_after", 1), ("lost_before", 2)):
        org = Org(faults={1: fault})
        done = create(org, [new_row("L-1"), new_row("L-2")], plan=UPDATE)
        assert done.counts == {"read": 2, "created": 2}
        assert org.writes == writes
