"""Answers of real orgs, which `tests/samples` keeps, read by the core."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sfleads.core.mapping import BoundMapping, FieldMap, Purpose, bind
from airflow_provider_sfleads.salesforce.describe import SObjectInfo, parse_describe
from airflow_provider_sfleads.salesforce.ingest_jobs import JobState, get_job, job_of, row_error
from airflow_provider_sfleads.salesforce.replies import (
    ApiError,
    RecordResult,
    duplicate_fields,
    duplicate_id,
    errors_in,
    errors_of,
    results_of,
)
from airflow_provider_sfleads.salesforce.wire import Reply
from tests.pipeline.runs import create_plan, stage_plan
from tests.samples.replay import SAMPLES, Answer, answers, sample

DESCRIBES = ("describe/lead_describe_v42_grouparoo.json", "describe/lead_describe_v59_cumulusci.json")
PAGES = [
    answer
    for answer in answers(sample("collections/answers_grouparoo.json"))
    if "/composite/sobjects" in answer.request and answer.status == 200
]
COLUMNS = {
    "first": "FirstName", "last": "lastname", "firm": "Company", "mail": "Email", "street": "Street",
    "geo": "Latitude", "staff": "NumberOfEmployees", "revenue": "AnnualRevenue", "source": "LeadSource",
    "trade": "Industry", "note": "Description", "owner": "OwnerId",
}  # fmt: skip
KEY = {
    "name": "External_Id__c", "type": "string", "length": 64, "nillable": True, "createable": True, "updateable": True,
    "externalId": True, "unique": True,
}  # fmt: skip
STAGE = {
    "name": "Lead_Stage__c", "type": "picklist", "length": 255, "nillable": True, "createable": True,
    "updateable": True,
}  # fmt: skip
BOTH = Purpose(creates=True, updates=True)


def lead_of(name: str, *more: dict[str, Any]) -> SObjectInfo:
    """A recorded Lead, with the fields that an admin has added for the sync."""
    body: dict[str, Any] = answers(sample(name))[0].reply
    return parse_describe({**body, "fields": [*body["fields"], *more]})


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*/*.json")), ids=lambda path: path.name)
def test_each_sample_says_its_origin(path: Path) -> None:
    """Itself, or in the README beside it; and none holds a token."""
    text = path.read_text(encoding="utf-8")
    assert path.parent.name == "token" or json.loads(text)["origin"]
    assert not re.search(r"00D\w{12}!|access_token|client_secret|Bearer |PRIVATE KEY", text)


@pytest.mark.parametrize("name", DESCRIBES)
def test_a_realistic_mapping_fits_a_recorded_lead(name: str) -> None:
    """Names in any letter case become the org's own; what a create needs is known."""
    lead = lead_of(name)
    bound = bind(FieldMap(columns=COLUMNS, constants={"Status": "working - contacted"}), lead, BOTH)

    assert isinstance(bound, BoundMapping)
    assert bound.columns[1][1].name == "LastName"
    assert bound.required == ("LastName", "Company")
    assert bound.constants == {"Status": "Working - Contacted"}
    assert [info.name for info in lead.required_on_create] == ["LastName", "Company"]


@pytest.mark.parametrize("name", DESCRIBES)
def test_what_a_recorded_lead_does_not_take_is_told(name: str) -> None:
    """Read-only fields, fields that can only be created, and those that no page layout shows."""
    columns = {"a": "Name", "b": "IsConverted", "c": "HasOptedOutOfEmail", "d": "EmailBouncedReason"}
    problems = bind(FieldMap(columns=columns, constants={"CleanStatus": "Lost"}), lead_of(name), BOTH)

    assert not isinstance(problems, BoundMapping)
    said = "\n".join(problems)
    assert "'a' -> Name: the field is read-only on create and update" in said
    assert "'b' -> IsConverted: the field is read-only on update" in said
    assert "'c' -> HasOptedOutOfEmail: Lead has no such field" in said
    assert "'d' -> EmailBouncedReason: the field is read-only on create" in said
    assert "CleanStatus: INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST" in said


@pytest.mark.parametrize("name", DESCRIBES)
def test_both_operators_plan_on_a_recorded_lead(name: str) -> None:
    """With the external ID and the stage that an admin has added."""
    lead = lead_of(name, KEY, STAGE)
    field_map = FieldMap(columns=COLUMNS)
    for existing in ("skip", "update"):
        asked = {"field_map": field_map, "auto_assign": "FALSE", "existing": existing, "match_email": True}
        create_plan(("id", *COLUMNS), lead=lead, **asked)
    stage_plan(lead=lead)


@pytest.mark.parametrize("name", DESCRIBES)
def test_what_leads_are_found_by_can_be_filtered(name: str) -> None:
    """The fields in the conditions of the provider's queries, beside the external ID; a long text cannot."""
    lead = lead_of(name, KEY)
    found_by = ("Id", "Email", "LastName", "CreatedDate", "CreatedById", "External_Id__c")

    assert all(info.filterable for info in map(lead.find, found_by) if info is not None)
    assert [info.name for info in lead.fields.values() if not info.filterable] == ["Description"]


@pytest.mark.parametrize("page", PAGES, ids=[f"{n}-{page.request.split()[0]}" for n, page in enumerate(PAGES)])
def test_recorded_pages_of_results_are_read(page: Answer) -> None:
    """Each record has its id, or its error with code, message and fields."""
    found = results_of(Reply(status=page.status, body=page.reply), len(page.reply))

    for result, said in zip(found, page.reply, strict=True):
        if said["success"]:
            assert result == RecordResult(said["id"], success=True, created=None)
        else:
            (error,) = said["errors"]
            told = ApiError(error["statusCode"], error["message"], tuple(error["fields"]))
            assert result == RecordResult(None, success=False, created=None, errors=(told,))


def test_recorded_refusals_are_read() -> None:
    """An error without fields, one with a duplicate's details, and one about the password."""
    missing = next(a for a in answers(sample("collections/answers_grouparoo.json")) if a.status == 404)
    (duplicate,) = answers(sample("errors/duplicates_detected.json"))
    (expired,) = answers(sample("errors/password_expired.json"))

    assert errors_of(Reply(status=404, body=missing.reply)) == (
        ApiError("NOT_FOUND", "The requested resource does not exist"),
    )
    assert [error.code for error in errors_in(duplicate.reply)] == ["DUPLICATES_DETECTED"]
    assert [error.code for error in errors_in(expired.reply)] == ["INVALID_OPERATION_WITH_EXPIRED_PASSWORD"]


def test_a_recorded_duplicate_value_names_its_record_or_none() -> None:
    """Some are told without field and record; then neither is made up."""
    nobody, other = (
        ApiError("DUPLICATE_VALUE", item["text"], tuple(item["fields"]))
        for item in sample("errors/duplicate_value.json")["texts"]
    )

    unique = ("ID_from_HPC__c", "External_Id__c")
    assert (duplicate_id(nobody), duplicate_fields(nobody, unique)) == (None, frozenset())
    assert duplicate_id(other, "006") == "006Ov000004iYzqIAE"
    assert duplicate_fields(other, unique) == {"ID_from_HPC__c"}
    assert duplicate_id(other) is None


def test_a_recorded_job_is_read() -> None:
    """The quotation leaves out id and operation, which every job has."""
    body = {"id": "7508d00000XyZaBAAV", "operation": "insert", **sample("bulk/job_info.json")["reply"]}
    job = job_of(get_job(body["id"]), Reply(status=200, body=body), conn_id="sf")

    assert (job.state, job.processed, job.failed) == (JobState.JOB_COMPLETE, 1, 0)
    assert (job.sobject, job.created_by_id) == ("Account", "0058d000006mtd1AAA")
    assert job.created_at is not None
    assert job.created_at.isoformat() == "2023-03-16T06:43:09+00:00"


@pytest.mark.parametrize("text", sample("bulk/job_failures.json")["texts"])
def test_what_a_recorded_job_failed_of_is_kept(text: str) -> None:
    """In Salesforce's words, which hold no value."""
    body = {**sample("bulk/job_info.json")["reply"], "id": "7508d00000XyZaBAAV", "state": "Failed"}
    job = job_of(get_job(body["id"]), Reply(status=200, body=body | {"errorMessage": text}), conn_id="sf")
    assert (job.state, job.error_message) == (JobState.FAILED, text)


def test_recorded_errors_of_rows_are_read() -> None:
    """Code, message and field; a message may hold colons, quotes and commas."""
    duplicate, wrong_type = (row_error(item["text"]) for item in sample("bulk/row_errors.json")["texts"])

    assert (duplicate.code, duplicate_id(duplicate, "006")) == ("DUPLICATE_VALUE", "006Ov000004iYzqIAE")
    assert duplicate.fields == ()
    assert wrong_type == ApiError(
        "INVALID_FIELD",
        "Failed to deserialize field at col 3. Due to, '2003-04-987654321987654321' is not a valid value for the type "
        "xsd:date",
        ("CloseDate",),
    )
