from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.check.probe import CheckOptions, Org, State, Timeouts, findings_of
from airflow_provider_sfleads.check.trial import MOST_LEADS
from airflow_provider_sfleads.check.writing import write_probes
from airflow_provider_sfleads.emulator.deviations import DEVIATIONS
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.ids import RUN_AS_USER_ID
from airflow_provider_sfleads.exceptions import LeadsLeftError, TrialRefusedError
from tests.check.conftest import client_of, people
from tests.check.writing import BY_KEY, SHORT, UNTRIED, made, named, seen, written

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

LINES = {
    "allow_save": "duplicates.allow_save",
    "auto_assign": "collections.auto_assign_false",
    "rule_in_job": "jobs.no_rule",
    "upsert_created": "collections.upsert_created",
    "job_created": "jobs.upsert_created",
    "key_twice": "collections.same_key_twice",
    "key_twice_in_job": "jobs.same_key_twice",
    "existing_key": "collections.existing_key",
    "existing_key_in_job": "jobs.existing_key",
    "key": "collections.insert",
    "update": "collections.update",
    "update_in_job": "jobs.update",
    "unknown_field": "collections.unknown_field",
    "all_or_none": "refusals.alone",
    "long_text": "refusals.long_text",
    "bad_email": "refusals.bad_email",
    "deleted_update": "deleted.update",
    "deleted_retrieve": "deleted.retrieve",
    "deleted_query": "deleted.query_all",
    "undeletable": "trial_leads.deleted",
    "job_echo": "jobs.echo",
    "abort": "jobs.abort",
    "job_delete": "jobs.delete",
    **{
        name: f"values.{name}"
        for name in (
            "line_breaks", "blanks", "tabs_and_nbsp", "not_available", "quotes", "emoji", "decimals", "picklist_case",
        )
    },
}  # fmt: skip


def test_the_emulator_as_shipped_is_green_and_as_empty_as_before(emulator: EmulatorServer) -> None:
    """Every assumption holds but for two that nothing tries, and leads of others are left alone."""
    others = emulator.seed_leads(people(3))
    before = emulator.leads()

    findings = written(emulator)

    assert not named(findings, State.BROKEN)
    assert named(findings, State.NOT_TRIED) == UNTRIED
    assert emulator.leads() == before
    assert emulator.jobs() == []
    page = (Path(__file__).parents[2] / "docs/contract-check.md").read_text(encoding="utf-8")
    assert [finding.name for finding in findings if page.count(f"`{finding.name}`") != 1] == []
    assert {step["lead_id"] for step in emulator.history() if step["request"]}.isdisjoint(others)


def test_trial_leads_are_few_made_up_and_under_one_prefix(emulator: EmulatorServer) -> None:
    """No more than twenty in all requests, of nobody, owned by the Run-As user; findings name none of them."""
    sent: list[str] = []
    emulator.watch(lambda sight: sent.append(bytes(sight.body[:]).decode()) if sight.phase == "arrived" else None)
    findings = written(emulator)
    leads = made(emulator)

    (prefix,) = {str(lead["External_Id__c"])[:-2] for lead in leads}
    assert prefix.startswith("sfleads-check-")
    numbers = {text[place : place + 2] for text in sent for place in _after(text, prefix)}
    assert len(leads) <= max(map(int, numbers)) <= MOST_LEADS
    assert all(str(lead["Email"]).endswith("@example.invalid") for lead in leads)
    assert {lead["OwnerId"] for lead in leads} == {RUN_AS_USER_ID}
    told = json.dumps([(finding.seen, finding.remedy) for finding in findings])
    assert not any(str(lead[name]) in told for lead in leads for name in ("LastName", "Company", "Email"))


def _after(text: str, prefix: str) -> list[int]:
    parts = text.split(prefix)
    return [sum(map(len, parts[:n])) + n * len(prefix) for n in range(1, len(parts))]


def test_every_deviation_is_tried() -> None:
    """The emulator has no other way to be odd."""
    assert LINES.keys() == DEVIATIONS.keys()


@pytest.mark.parametrize(("deviation", "line"), LINES.items(), ids=list(LINES))
def test_an_assumption_that_does_not_hold_is_red_alone(emulator: EmulatorServer, deviation: str, line: str) -> None:
    """Exactly its line, with something to do about it."""
    emulator.change_settings(broken=[deviation], duplicate_rule="alert" if deviation == "allow_save" else "off")
    findings = written(emulator)

    assert named(findings, State.BROKEN) == {line}
    assert all(finding.remedy for finding in findings if finding.state is State.BROKEN)
    assert deviation in ("undeletable", "key") or named(findings, State.NOT_TRIED) <= UNTRIED
    assert deviation == "undeletable" or emulator.leads() == []


def test_a_key_that_is_encrypted_is_refused_before_anything_is_made(emulator: EmulatorServer) -> None:
    """By such a key no leads are found by its beginning, so they could not be deleted."""
    reply = [{"errorCode": "INVALID_FIELD", "message": "field External_Id__c can not be filtered in a query call"}]
    emulator.add_fault("status", path="/queryAll", status=400, reply=reply)
    with pytest.raises(TrialRefusedError, match="cannot be found by the beginning of External_Id__c"):
        written(emulator)
    assert made(emulator) == []


def test_leads_whose_keys_a_flow_changes_are_deleted(emulator: EmulatorServer) -> None:
    """Those of jobs, too: their results name them."""
    with closing(client_of(emulator.url)) as client:
        org = Org(client, BY_KEY, SHORT)
        with write_probes(org) as probes:
            for finding in findings_of(probes, org):
                if finding.name == "jobs.upsert_created":
                    for number, lead in enumerate(emulator.leads()):
                        emulator.edit_lead(lead["Id"], External_Id__c=f"renamed by a flow {number}")
    assert len(made(emulator)) > 6
    assert emulator.leads() == []


def test_leads_of_a_job_that_nobody_read_are_deleted_whatever_their_keys(emulator: EmulatorServer) -> None:
    """Who stops the check while a job runs has them deleted."""
    calls: list[str] = []

    def stop(elapsed: float) -> float:
        calls.append("poll")
        for number, lead in enumerate(emulator.leads()):
            emulator.edit_lead(lead["Id"], External_Id__c=f"renamed by a flow {len(calls)}-{number}")
        if elapsed > 0 and len(calls) > 1:
            raise KeyboardInterrupt
        return 0.3

    emulator.change_settings(bulk_delay=0.1)
    with pytest.raises(KeyboardInterrupt):
        written(emulator, timeouts=replace(SHORT, poll=stop))
    assert len(made(emulator)) > 4
    assert emulator.leads() == []


def test_only_what_was_written_is_deleted_by_its_id(emulator: EmulatorServer) -> None:
    """A result of a record that failed can name a lead of somebody else."""
    (theirs,) = emulator.seed_leads(people(1))
    result = {"id": theirs, "success": False, "errors": [{"statusCode": "UNKNOWN_EXCEPTION", "message": ""}]}
    with closing(client_of(emulator.url)) as client:
        org = Org(client, BY_KEY, SHORT)
        with write_probes(org) as probes:
            emulator.add_fault("status", path="/composite/sobjects", method="POST", status=200, reply=[result], times=1)
            list(findings_of(probes, org))
    assert [lead["Id"] for lead in emulator.leads()] == [theirs]


@pytest.mark.parametrize(
    "settings",
    [{"language": "de"}, {"duplicate_value_wording": "unknown"}, {"language": "de", "duplicate_value_fields": True}],
    ids=["German", "unknown", "German with fields"],
)
def test_a_wording_that_names_nothing_in_english_is_red_alone(
    emulator: EmulatorServer, settings: dict[str, Any]
) -> None:
    """The remedy is the Run-As user's language."""
    emulator.change_settings(**settings)
    findings = written(emulator)

    assert named(findings, State.BROKEN) == {"duplicates.wording"}
    assert "language" in next(finding.remedy for finding in findings if finding.state is State.BROKEN)


@pytest.mark.parametrize(
    ("settings", "untried"),
    [
        ({"structural_errors": "row"}, UNTRIED),
        ({"failed_row_ids": "null"}, UNTRIED),
        ({"duplicate_rule": "alert"}, {"converted.update"}),
        ({"duplicate_rule": "block"}, UNTRIED),
        ({"assignment_rule_active": False}, {*UNTRIED, "collections.auto_assign_false", "jobs.no_rule"}),
        ({"denied": ["ViewSetup"]}, {*UNTRIED, "collections.auto_assign_false", "jobs.no_rule"}),
        ({"denied": ["Lead.Email.Edit"]}, {*UNTRIED, "refusals.bad_email"}),
        ({"denied": ["Lead.Description.Read", "Lead.Street.Read"]}, UNTRIED | {"values.line_breaks"}),
        ({"organization_type": "Developer Edition", "is_sandbox": False}, UNTRIED),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_the_provider_handles_either_way_is_green(
    emulator: EmulatorServer, settings: dict[str, Any], untried: set[str]
) -> None:
    """Disputed facts hold both ways; what there is no occasion for is not tried."""
    emulator.change_settings(**settings)
    findings = written(emulator)

    assert not named(findings, State.BROKEN)
    assert named(findings, State.NOT_TRIED) == untried
    assert emulator.leads() == []


def test_required_fields_of_the_org_are_filled(emulator: EmulatorServer) -> None:
    """By their types, and unique ones each with a value of its own."""
    kinds: dict[str, dict[str, Any]] = {
        "string": {"length": 12, "unique": True},
        "textarea": {"length": 255},
        "email": {"length": 80},
        "phone": {"length": 40},
        "url": {"length": 255},
        "picklist": {"length": 255, "picklist": ("One", "Two"), "restricted": True},
        "multipicklist": {"length": 255, "picklist": ("One", "Two"), "restricted": True},
        "int": {"digits": 8},
        "double": {"precision": 18, "scale": 2, "unique": True},
        "currency": {"precision": 18, "scale": 2},
        "percent": {"precision": 5, "scale": 2},
        "date": {},
        "datetime": {},
    }
    fields = [
        FieldSpec(name=f"Need_{kind}__c", label=kind, type=kind, nillable=False, **more) for kind, more in kinds.items()
    ]
    emulator.change_settings(extra_fields=fields)

    assert not named(written(emulator), State.BROKEN)
    assert emulator.leads() == []


def _field(name: str, **more: Any) -> FieldSpec:
    return FieldSpec(name=name, label=name, length=more.pop("length", 64), **more)


REQUIRED = FieldSpec(name="Owner__c", label="o", type="reference", length=18, nillable=False, reference_to=("User",))


@pytest.mark.parametrize(
    ("settings", "field", "word"),
    [
        ({"is_sandbox": False}, "External_Id__c", "neither a sandbox nor a Developer Edition"),
        ({"hidden_objects": ["Organization"]}, "External_Id__c", "cannot be told"),
        ({"denied": ["Lead.Delete"]}, "External_Id__c", "has no Delete on Lead"),
        ({"denied": ["Lead.Create"]}, "External_Id__c", "has no Create on Lead"),
        ({}, None, "name one that is text and unique"),
        ({}, "No_Such__c", "has no such field"),
        ({}, "Legacy_Id__c", "not unique"),
        ({}, "Number_Key__c", "needs? one that is text|need one that is text"),
        (
            {"extra_fields": [_field("Short__c", length=10, external_id=True, unique=True)]},
            "Short__c",
            "shorter than 25 characters",
        ),
        ({"extra_fields": [REQUIRED]}, "External_Id__c", r"Owner__c \(reference\)"),
    ],
    ids=["production", "unknown", "delete", "create", "none", "absent", "twice", "number", "short", "required"],
)
def test_nothing_is_written_where_that_may_not_or_cannot_be(
    emulator: EmulatorServer, settings: dict[str, Any], field: str | None, word: str
) -> None:
    """The message says why."""
    emulator.change_settings(**settings)

    with pytest.raises(TrialRefusedError, match=word):
        written(emulator, CheckOptions(external_id_field=field))
    assert made(emulator) == []
    assert {request["method"] for request in emulator.requests() if "/data/" in request["route"]} == {"GET"}


def test_a_job_that_waits_too_long_is_not_tried_and_deleted(emulator: EmulatorServer) -> None:
    """The time limit is told; nothing of the job comes afterwards."""
    emulator.change_settings(bulk_delay=3600.0)
    findings = written(emulator, timeouts=Timeouts(jobs=0.1, late=0.0, poll=lambda _elapsed: 0.02))

    assert not named(findings, State.BROKEN)
    assert {"jobs.insert", "jobs.echo", "jobs.update", "jobs.upsert_created"} <= named(findings, State.NOT_TRIED)
    assert "after 0.1 seconds" in seen(findings, "jobs.insert")
    assert emulator.leads() == emulator.jobs() == []


def test_leads_are_deleted_above_max_api_usage(emulator: EmulatorServer) -> None:
    """It stops the writing, and not the tidying up."""
    emulator.change_settings(api_limit=1000)
    client = client_of(emulator.url)
    org = Org(client, BY_KEY, SHORT)
    with write_probes(org) as probes:
        for number, probe in enumerate(probes):
            if number == 4:
                emulator.set_api_usage(950)
            if number < 6:
                list(findings_of([probe], org))

    assert made(emulator)
    assert emulator.leads() == []


def test_an_error_in_between_leaves_no_lead(emulator: EmulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is, it comes out as it was."""
    org = Org(client_of(emulator.url), BY_KEY, SHORT)

    def ask_and_fail() -> None:
        with write_probes(org) as probes:
            list(probes[0].ask(org))
            assert len(emulator.leads()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()

    assert emulator.leads() == []
    assert "1 trial leads are deleted" in caplog.text


def test_whoever_leaves_early_has_the_leads_deleted(emulator: EmulatorServer) -> None:
    """Without the last probe, too."""
    org = Org(client_of(emulator.url), BY_KEY, SHORT)
    with write_probes(org) as probes:
        list(probes[0].ask(org))

    assert made(emulator)
    assert emulator.leads() == []


def test_leads_that_cannot_be_deleted_are_named(emulator: EmulatorServer) -> None:
    """With the query that finds them."""
    emulator.change_settings(broken=["undeletable"])
    org = Org(client_of(emulator.url), BY_KEY, SHORT)
    with pytest.raises(LeadsLeftError) as left, write_probes(org) as probes:
        list(probes[0].ask(org))

    (lead,) = emulator.leads()
    assert str(lead["Id"]) in str(left.value)
    assert f"LIKE '{str(lead['External_Id__c'])[:-2]}%'" in str(left.value)


def test_a_converted_trial_lead_is_deleted_or_named(emulator: EmulatorServer) -> None:
    """Somebody in Sales may be quick."""
    org = Org(client_of(emulator.url), BY_KEY, SHORT)
    with write_probes(org) as probes:
        list(probes[0].ask(org))
        emulator.convert_lead(str(emulator.leads()[0]["Id"]))

    assert emulator.leads() == []


@pytest.mark.parametrize("effect", ["drop_after", "drop_then_commit"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_lost_answer_leaves_no_lead(emulator: EmulatorServer, effect: str, nth: int) -> None:
    """What it made is found by its key, also where it is made only after the check looked."""
    emulator.add_fault(effect, path="/composite/sobjects(/Lead/External_Id__c)?$", nth=nth, seconds=1.0)
    findings = written(emulator)

    assert named(findings, State.BROKEN)
    assert seen(findings, "trial_leads.deleted").endswith("in the recycle bin for 15 days.")
    assert emulator.leads() == []


def test_a_request_of_which_nothing_is_ever_seen_is_told(emulator: EmulatorServer) -> None:
    """It may still make a lead, and how to find that is said."""
    emulator.add_fault("drop_before", path="/composite/sobjects$", nth=1)
    findings = written(emulator, timeouts=Timeouts(late=0.0, poll=lambda _elapsed: 0.02))

    assert "trial_leads.deleted" in named(findings, State.BROKEN)
    assert "may still make leads for 10 minutes" in seen(findings, "trial_leads.deleted")
