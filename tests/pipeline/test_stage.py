"""Moving leads to a stage: who is moved, who is left alone, what it costs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.exceptions import MappingError
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import Org, calls_of, lead_id
from tests.pipeline.runs import LADDER, STARTED, EarlierTry, carry_out, describe, move, prepared, scored, stage_plan

BY_KEY = {"columns": ("id", "score"), "external_id_field": "External_Id__c", "lead_id": None}
BOTH = {"external_id_field": "External_Id__c"}
STAGES = {"New": None, None: None, "MQL": "already_at_stage", "SQL": "beyond_stage", "Won": "beyond_stage"}


def person(org: Org, stage: str | None = "New", **more: object) -> str:
    """Put a lead there."""
    return org.add(LastName="Ray", Company="Acme", Lead_Stage__c=stage, **more)


@pytest.mark.parametrize(("stage", "reason"), [*STAGES.items(), ("Nurture", "stage_not_on_ladder")])
def test_where_a_lead_stands(stage: str | None, reason: str | None) -> None:
    """Salesforce's own stage decides, not the export's."""
    org = Org()
    there = person(org, stage)
    (outcome,) = move(org, [scored("L-1", there)]).outcomes
    assert (outcome.reason, outcome.old_stage, outcome.salesforce_id) == (reason, stage, there)
    assert outcome.action is (Action.UNCHANGED if reason else Action.UPDATED)
    assert outcome.new_stage == (None if reason else "MQL")
    assert org.leads[there]["Lead_Stage__c"] == (stage if reason else "MQL")
    assert org.count("writes") == (0 if reason else 1)


def test_without_a_ladder() -> None:
    """Without a ladder only leads at the stage are left alone."""
    org = Org()
    ids = [person(org, stage) for stage in ("Won", "MQL", "Nurture")]
    rule = StageRule(stage="MQL")
    done = move(org, [scored(n, each) for n, each in enumerate(ids)], plan={"rule": rule})
    assert done.counts == {"read": 3, "updated": 2, "unchanged": 1}


def test_further_fields() -> None:
    """Further fields go along with the stage; a lead that is left alone gets none of them."""
    org = Org()
    low, high = person(org), person(org, "SQL")
    field_map = FieldMap(columns={"score": "Score__c"}, constants={"FirstName": "Max"})
    move(org, [scored(1, low, 91), scored(2, high, 92)], plan={"field_map": field_map})
    assert (org.leads[low]["Score__c"], org.leads[low]["FirstName"]) == (91, "Max")
    assert "Score__c" not in org.leads[high]
    (call,) = [call for call in org.calls if call.write]
    assert call.headers["Sforce-Auto-Assign"] == "TRUE"


@pytest.mark.parametrize("form", [lambda x: x, lambda x: x[:15], lambda x: f" {x}\n", str.lower], ids=list("abcd"))
def test_ids_of_every_form(form: object) -> None:
    """Ids of 15 and of 18 characters, with blanks or lost letter case, find the lead."""
    org = Org()
    there = person(org)
    assert callable(form)
    assert move(org, [scored(1, form(there))]).counts == {"read": 1, "updated": 1}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("nonsense", "MALFORMED_ID"),
        ("0035g00000AbCdE", "MALFORMED_ID"),
        (12, "MALFORMED_ID"),
        (None, "MISSING_ARGUMENT"),
        (" ", "MISSING_ARGUMENT"),
        (lead_id(99), "INVALID_CROSS_REFERENCE_KEY"),
    ],
)
def test_ids_that_find_nothing(value: object, code: str) -> None:
    """A malformed, an empty and an unknown id are rejects, and nothing is written or created."""
    org = Org()
    person(org)
    (outcome,) = move(org, [scored("L-1", value)]).outcomes
    assert (outcome.action, outcome.error_code, outcome.error_fields) == ("rejected", code, ("Id",))
    assert org.count("writes") == 0
    assert len(org.leads) == 1


def test_a_deleted_lead() -> None:
    """A lead in the recycle bin is a reject that says so."""
    org = Org()
    there = person(org)
    org.leads[there]["IsDeleted"] = True
    (outcome,) = move(org, [scored("L-1", there)]).outcomes
    assert (outcome.error_code, outcome.salesforce_id) == ("ENTITY_IS_DELETED", there)


def test_a_key_that_finds_nothing() -> None:
    """A row whose key no lead has is a reject; an update never creates."""
    org = Org()
    (outcome,) = move(org, [scored("L-1")], plan=BY_KEY).outcomes
    assert (outcome.action, outcome.error_code) == ("rejected", "NOT_FOUND")
    assert org.leads == {}


def test_keys_find_leads() -> None:
    """The key finds its lead in any letter case; the write goes by the id that was read."""
    org = Org()
    there = person(org, External_Id__c="l-'1\\")
    done = move(org, [scored(" L-'1\\ ")], plan=BY_KEY)
    assert done.counts == {"read": 1, "updated": 1}
    assert org.moves == [(there, "New", "MQL")]


def test_a_key_that_finds_several() -> None:
    """A key that several leads have is a reject that names them."""
    org = Org()
    ids = [person(org, External_Id__c="L-1") for _ in range(2)]
    (outcome,) = move(org, [scored("L-1")], plan=BY_KEY).outcomes
    assert outcome.error_code == "DUPLICATE_EXTERNAL_ID"
    assert all(each in (outcome.error_message or "") for each in ids)


def test_the_id_goes_first() -> None:
    """Where both are given the id finds the lead, and the key where the id is empty; a bad id is a reject."""
    org = Org()
    by_id, by_key = person(org), person(org, External_Id__c="L-2")
    rows = [scored("L-1", by_id), scored("L-2", None), scored("L-3", "bad")]
    done = move(org, rows, plan=BOTH)
    assert {key: outcome.salesforce_id for key, outcome in done.by_key().items()} == {
        "L-1": by_id, "L-2": by_key, "L-3": None,
    }  # fmt: skip
    assert done.by_key()["L-3"].error_code == "MALFORMED_ID"


def test_numbers_as_keys() -> None:
    """A number field finds leads however the key is written."""
    org = Org()
    person(org, Number_Id__c=Decimal(7))
    done = move(org, [scored("7.0")], plan=BY_KEY | {"external_id_field": "Number_Id__c"})
    assert done.counts == {"read": 1, "updated": 1}


def test_one_lead_in_several_rows() -> None:
    """The first row of a lead is taken, whether the rows meet in their key, in their id or in the lead found."""
    org = Org()
    one = person(org, External_Id__c="L-1")
    two = person(org, External_Id__c="L-4")
    rows = [scored("L-1", None), scored("L-2", one[:15]), scored("l-1"), scored("L-3", two), scored("L-4", None)]
    done = move(org, rows, plan=BOTH)
    assert done.counts == {"read": 5, "updated": 2, "duplicate_keys": 3}
    assert len(org.moves) == 2


def test_two_rows_with_one_id() -> None:
    """The same id with 15 and with 18 characters is one lead."""
    org = Org()
    there = person(org)
    done = move(org, [scored("L-1", there), scored("L-2", there[:15])])
    assert [outcome.action for outcome in done.outcomes] == ["duplicate_key", "updated"]


def test_converted_before() -> None:
    """A lead that was converted is left alone, with its contact."""
    org = Org()
    there = person(org, IsConverted=True, ConvertedContactId="003A")
    (outcome,) = move(org, [scored("L-1", there)]).outcomes
    assert (outcome.reason, outcome.contact_id, outcome.old_stage) == ("converted", "003A", "New")
    assert org.count("writes") == 0


class Meanwhile:
    """An org in which something happens between the last read and a write."""

    def __init__(self, org: Org, change: dict[str, object], lead: str) -> None:
        self.org = org
        self.change = change
        self.lead = lead

    def send(self, call: Call) -> Reply:
        """Change the lead, then answer."""
        if call.write:
            self.org.leads[self.lead].update(self.change)
        return self.org.send(call)


@pytest.mark.parametrize(
    ("change", "action", "what"),
    [
        ({"IsConverted": True, "ConvertedContactId": "003A"}, "unchanged", "converted"),
        ({"IsDeleted": True}, "rejected", "ENTITY_IS_DELETED"),
    ],
)
def test_what_happens_in_between(change: dict[str, object], action: str, what: str) -> None:
    """A lead that is converted or deleted after it was read is neither lost nor moved."""
    org = Org()
    there, other = person(org), person(org)
    plan, seen = stage_plan()
    between = Meanwhile(org, change, there)
    done = carry_out(plan, seen, between.send, [scored("L-1", there), scored("L-2", other)])
    outcome = done.by_key()["L-1"]
    assert (outcome.action, outcome.reason or outcome.error_code) == (action, what)
    assert done.by_key()["L-2"].action is Action.UPDATED
    if what == "converted":
        assert outcome.contact_id == "003A"


def test_filters_cost_nothing() -> None:
    """Rows that the export rules out are counted with their reason and cost no call."""
    org = Org()
    rule = StageRule(
        stage="MQL", score="score", threshold=Decimal(80), current_stage="at", from_stages=frozenset({None, "New"})
    )
    rows = [
        scored(1, "x", 80, at="New"),
        scored(2, "x", None, at="New"),
        scored(3, "x", 81, at="SQL"),
        scored(4, "x", "high", at="New"),
    ]
    done = move(org, rows, plan={"rule": rule, "columns": ("id", "lead", "score", "at")})
    assert [outcome.reason or outcome.error_code for outcome in done.outcomes] == [
        "below_threshold", "no_score", "stage_not_eligible", "INVALID_TYPE_ON_FIELD_IN_RECORD",
    ]  # fmt: skip
    assert org.calls == []


def test_a_dry_run_reads_only() -> None:
    """A dry run says who would be moved."""
    org = Org()
    there = person(org)
    done = move(org, [scored(1, there)], plan={"dry_run": True})
    (outcome,) = done.outcomes
    assert (outcome.action, outcome.old_stage, outcome.new_stage) == ("would_update", "New", "MQL")
    assert org.count("writes") == 0


def test_two_windows_by_id() -> None:
    """4,000 leads by id take 2 reads and 20 writes."""
    org = Org()
    ids = [person(org) for _ in range(4_000)]
    done = move(org, (scored(n, each) for n, each in enumerate(ids)), concurrency=4)
    assert done.counts == {"read": 4_000, "updated": 4_000}
    assert (org.count("reads"), org.count("writes")) == (2, 20)


def test_two_windows_by_key() -> None:
    """4,000 leads by keys of 36 characters take at most 12 reads and 20 writes."""
    org = Org()
    keys = [f"{n:036d}" for n in range(4_000)]
    for key in keys:
        person(org, External_Id__c=key)
    done = move(org, (scored(key) for key in keys), plan=BY_KEY, concurrency=4)
    assert done.counts == {"read": 4_000, "updated": 4_000}
    assert org.count("reads") <= 12
    assert calls_of(org.calls, "composite/sobjects") == 20


def test_a_second_run_changes_nothing() -> None:
    """The same export again finds every lead where it belongs."""
    org = Org()
    ids = [person(org) for _ in range(3)]
    rows = [scored(n, each) for n, each in enumerate(ids)]
    move(org, rows)
    assert move(org, rows).counts == {"read": 3, "unchanged": 3}
    assert org.count("writes") == 1


def test_by_email() -> None:
    """With match_email a row without id and key finds its lead by the one address."""
    org = Org()
    there = person(org, Email="a@b.co")
    for _ in range(2):
        person(org, Email="twice@b.co")
    field_map = FieldMap(columns={"mail": "Email"})
    asked = {"columns": ("id", "lead", "score", "mail"), "field_map": field_map, "match_email": True}
    rows = [scored(1, None, mail="A@b.co"), scored(2, None, mail="twice@b.co"), scored(3, None, mail="no@b.co")]
    by_key = move(org, rows, plan=asked).by_key()
    assert (by_key["1"].action, by_key["1"].salesforce_id) == ("updated", there)
    assert by_key["2"].error_code == "DUPLICATE_EXTERNAL_ID"
    assert by_key["3"].error_code == "NOT_FOUND"


def test_a_mapping_that_fits_nothing_lists_it_all() -> None:
    """Stage field, ladder, mapping, key field and columns: one error has all their problems."""
    picklist = {"restrictedPicklist": True, "picklistValues": [{"value": "New"}, {"value": "MQL"}]}
    with pytest.raises(MappingError) as caught:
        stage_plan(
            columns=("id",),
            lead=describe(Lead_Stage__c=picklist),
            external_id_field="Company",
            field_map=FieldMap(constants={"lead_stage__c": "x", "Nope__c": 1}),
            rule=StageRule(stage="MQL", score="score", threshold=Decimal(1), ladder=LADDER),
        )
    text = "\n".join(caught.value.problems)
    for words in (
        "Company: it is not an external ID",
        "ladder 'SQL' -> Lead_Stage__c",
        "ladder 'Won' -> Lead_Stage__c",
        "Lead_Stage__c: the sync itself writes it",
        "Nope__c",
        "'lead' (lead_id)",
        "'score' (score)",
    ):
        assert words in text, words


@pytest.mark.parametrize("name", ["Nope__c", "IsConverted"])
def test_a_stage_field_that_cannot_be_written(name: str) -> None:
    """The stage field exists and may be written."""
    with pytest.raises(MappingError, match=name):
        stage_plan(stage_field=name)


def test_a_read_does_not_grow_old() -> None:
    """A lead is written before the next group is read: the look at its stage was the last thing before."""
    org = Org()
    first = person(org)
    rest = [person(org, "MQL") for _ in range(1999)]
    later = [person(org, "MQL") for _ in range(2000)]
    plan, seen = stage_plan()
    order: list[bool] = []

    def send(call: Call) -> Reply:
        order.append(call.write)
        return org.send(call)

    carry_out(plan, seen, send, [scored(n, each) for n, each in enumerate([first, *rest, *later])], concurrency=1)
    assert order == [False, True, False]


def test_a_duplicate_found_late_and_a_second_try() -> None:
    """A row that an earlier try found to be another row's lead is not counted again."""
    org = Org(faults={2: "limit"})
    one = person(org, External_Id__c="L-1")
    other = person(org, External_Id__c="L-9")
    rows = [scored("L-1", one), scored("L-2", None), scored("L-9", other)]
    org.leads[one]["External_Id__c"] = "L-2"
    done = move(org, rows, plan=BOTH, batch_size=1, concurrency=1)
    assert done.counts == {"read": 3, "updated": 1, "duplicate_keys": 1, "not_sent": 1}
    again = move(org, rows, plan=BOTH, earlier=EarlierTry(done.outcomes))
    assert again.counts["read"] == 3


def test_a_key_is_not_judged_where_the_id_is_used() -> None:
    """A key that would not fit the key field does not reject a row that has its lead's id."""
    org = Org()
    there = person(org)
    assert move(org, [scored("x" * 37, there)], plan=BOTH).counts == {"read": 1, "updated": 1}


def test_a_stage_field_of_another_type() -> None:
    """A stage that is a number is compared like the ladder's rungs, or refused before anything is sent."""
    org = Org()
    there = org.add(LastName="Ray", Company="Acme", Score__c=Decimal(1))
    rule = StageRule(stage="2", ladder=("1", "2", "3"))
    try:
        move(org, [scored(1, there)], plan={"stage_field": "Score__c", "rule": rule})
    except MappingError:
        return
    assert org.leads[there]["Score__c"] == 2


def test_an_ambiguous_email_is_named() -> None:
    """Where an e-mail address finds several leads, the reject names Email."""
    org = Org()
    for _ in range(2):
        person(org, Email="twice@b.co")
    asked = BY_KEY | {"columns": ("id", "score", "mail"), "field_map": FieldMap(columns={"mail": "Email"})}
    (outcome,) = move(org, [scored(2, mail="twice@b.co")], plan=asked | {"match_email": True}).outcomes
    assert outcome.error_fields == ("Email",)


# Bugs that are reported: each mark goes when its bug does.


def test_a_page_that_waited_is_looked_up_again_before_it_goes() -> None:
    """2,000 leads are read together; where their pages then wait for long, the stage is read once more."""
    org = Org()
    ids = [person(org) for _ in range(6)]
    ticks = count()
    plan, seen = stage_plan()
    slow = prepared(
        plan, seen, org.send, batch_size=1, concurrency=1, now=lambda: STARTED + timedelta(seconds=6 * next(ticks))
    )
    slow.execute([scored(n, each) for n, each in enumerate(ids)])
    assert "".join("w" if call.write else "r" for call in org.calls).count("rw") > 1
    assert {lead["Lead_Stage__c"] for lead in org.leads.values()} == {"MQL"}


def test_a_page_without_room_waits_from_its_look_up_on() -> None:
    """Its leads may have moved on while those before it were sent."""
    org, passed = Org(), [0]
    rows = [scored(number, org.add(LastName="Ray", Company="Acme", Lead_Stage__c="New")) for number in range(9)]

    def send(call: Call) -> Reply:
        passed[0] += 4 if call.write else 0
        return org.send(call)

    plan, seen = stage_plan()
    done = prepared(
        plan, seen, send, batch_size=1, concurrency=1, now=lambda: STARTED + timedelta(seconds=passed[0])
    )  # fmt: skip
    done.execute(rows)
    assert done.counts == {"read": 9, "updated": 9}
    # All are read once, and each that is sent more than ten seconds later once more.
    assert calls_of(org.calls, "composite/sobjects/Lead") == 1 + 6
