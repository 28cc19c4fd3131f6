"""What a broken or hostile server can put into a reply that is JSON all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import (
    ObjectAccessError,
    OutcomeUnknownError,
    ServiceUnavailableError,
    WrongHostError,
)
from airflow_provider_sfleads.salesforce import ingest_jobs as bulk
from airflow_provider_sfleads.salesforce.collections import save_results_of
from airflow_provider_sfleads.salesforce.describe import CONTACT, parse_describe
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.oauth import grant_of
from airflow_provider_sfleads.salesforce.oauth import refusal as token_refusal
from airflow_provider_sfleads.salesforce.paging import Trail, checked, query_pages
from airflow_provider_sfleads.salesforce.replies import errors_in, plain_text, refusal, shown
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.wire import Call, Reply, parse_limit_info, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAD = "00Q5g00000AbCdEEAV"
JOB = "7505g00000XyZaBAAV"
SETTINGS = Settings(host=parse_host("acme.my.salesforce.com"), consumer_key="k", conn_id="sf")
NEXT = "/services/data/v60.0/query/01g5g00000AbCdEEAV-2000"
ODD_IDS: list[Any] = [None, 5, "", "750", "../../etc/passwd", "750' OR 'a'='a", f"{JOB}\n", "7" * 10_000, ["750"], LEAD]


def pages(*bodies: dict[str, Any], most: int | None = None) -> list[Any]:
    """Read a query whose pages come in this order, and the last one for ever."""
    asked: Iterator[dict[str, Any]] = iter(bodies)
    last: dict[str, Any] = bodies[-1]

    def send(_call: Call) -> Reply:
        return Reply(status=200, body=next(asked, last))

    found = query_pages(send, "SELECT Id FROM Lead", resource="query", conn_id="sf", most=most)
    return [record for page in found for record in page]


def page(following: object = NEXT, **more: Any) -> dict[str, Any]:
    """A page that is not the last."""
    return {"done": False, "records": [{"Id": LEAD}], "nextRecordsUrl": following, **more}


@pytest.mark.parametrize(
    ("last", "how"),
    [
        (page(), "there before"),
        (page(records=[]), "nothing on it"),
        (page("https://evil.example/services/data/v60.0/query/01g-1"), "next page"),
        (page("//evil.example/services/data/v60.0/query/01g-1"), "another place"),
        (page("/services/data/v60.0/sobjects/Lead/00Q"), "another place"),
        (page("/services/data/v60.0/query/../../../oauth2/revoke"), "another place"),
        (page("/services/data/v60.0/query/" + "a" * 5000), "next page"),
        (page(["x"]), "next page"),
        (page(records=[1]), "something else than records"),
        (page(records={"a": 1}), "something else than records"),
        (page(totalSize=0), "more records"),
    ],
)
def test_pages_of_a_query_have_an_end(last: dict[str, Any], how: str) -> None:
    """A page that leads nowhere, in a circle or away ends in an error that says so; it may pass."""
    with pytest.raises(ServiceUnavailableError, match=how):
        pages(last)


def test_pages_for_ever_end_where_no_answer_can_be_so_long() -> None:
    """Each page is another one, with records on it."""
    bodies = [page(f"/services/data/v60.0/query/01g-{n}") for n in range(50)]
    with pytest.raises(ServiceUnavailableError, match="more records"):
        pages(*bodies, most=40)


def test_pages_of_salesforce_are_read_to_their_end() -> None:
    """A short page is not the end."""
    bodies = [page(totalSize=3), page("/services/data/v60.0/queryAll/0r8xx-4000"), {"done": True, "records": [{}]}]
    assert len(pages(*bodies)) == 3


@pytest.mark.parametrize("place", ["a b", "a\n", "", "x" * 1001, None, 5])
def test_a_locator_that_is_none_is_not_followed(place: object) -> None:
    """It would go into an address."""
    with pytest.raises(ServiceUnavailableError, match="cannot be one"):
        Trail("GET jobs", "sf").follow(place, 1)


@pytest.mark.parametrize("job_id", ODD_IDS)
def test_a_jobs_id_is_one(job_id: object) -> None:
    """It goes into paths, file names, links and the journal."""
    call = bulk.get_job(JOB)
    with pytest.raises(ServiceUnavailableError, match="no job"):
        bulk.job_of(call, Reply(status=200, body={"id": job_id, "state": "Open"}), conn_id="sf")


@pytest.mark.parametrize("rule_id", ODD_IDS)
def test_a_rules_id_is_one(rule_id: object) -> None:
    """It goes into each job."""
    body = {"records": [{"Id": rule_id}]}
    with pytest.raises(ServiceUnavailableError, match="rule"):
        bulk.active_rule_of(bulk.active_rule_call(), Reply(status=200, body=body), conn_id="sf")


def test_a_jobs_numbers_and_words_are_bounded() -> None:
    """A counter of a thousand digits is no counter; words go into one line of a log."""
    body = {
        "id": JOB,
        "state": "Failed",
        "numberRecordsProcessed": 10**1000,
        "numberRecordsFailed": -1,
        "createdDate": "2026-11-24T00:00:00",
        "errorMessage": "a\nb\x1b[31m" + "c" * 10_000,
    }
    job = bulk.job_of(bulk.get_job(JOB), Reply(status=200, body=body), conn_id="sf")
    assert (job.processed, job.failed, job.created_at) == (0, 0, None)
    assert job.error_message is not None
    assert job.error_message.isprintable()
    assert len(job.error_message) < 600


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Id": JOB, "Stage": "MQL"},
        {"Id": LEAD},
        {"Id": LEAD, "Stage": {"a": 1}},
        {"Id": LEAD, "Stage": [1]},
        {"Id": LEAD, "Stage": 10**1000},
        {"Id": LEAD, "Stage": None, "CreatedDate": "yesterday"},
        {"Id": LEAD, "Stage": None, "CreatedDate": "2026-11-24T00:00:00"},
    ],
)
def test_a_record_is_what_was_asked_for(record: dict[str, Any]) -> None:
    """A lead without an id, a field or a plain value settles nothing; the error repeats no value."""
    fields = ("Stage", "CreatedDate") if "CreatedDate" in record else ("Stage",)
    with pytest.raises(ServiceUnavailableError, match="a Lead whose") as caught:
        checked([record], fields, sobject="Lead", conn_id="sf")
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"success": "true", "id": LEAD},
        {"success": None},
        {"success": True},
        {"success": True, "id": "../x"},
        {"success": True, "id": "0015g00000AbCdEEAV"},
        {"success": True, "id": 5},
        [],
        None,
    ],
)
def test_a_result_that_says_nothing_is_an_unknown_outcome(result: object) -> None:
    """The record may have been written: neither created nor rejected is true."""
    with pytest.raises(OutcomeUnknownError):
        save_results_of(Reply(status=200, body=[{"success": False, "errors": []}, result]), 2)


def described(**field: Any) -> dict[str, Any]:
    """A describe with one field of this form."""
    return {"name": "Lead", "fields": [{"name": "LastName", "type": "string", **field}]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Lead"},
        {"name": "Lead", "fields": None},
        {"name": "Lead", "fields": [None]},
        {"name": "Lead", "fields": [{}]},
        {"name": None, "fields": []},
        described(name="Id FROM User --"),
        described(name="../x"),
        described(type=5),
        described(length="80"),
        described(length=-1),
        described(scale=10**50),
        described(picklistValues=5),
        described(picklistValues=[{"label": "x"}]),
        described(picklistValues=[{"value": None}]),
    ],
    ids=str,
)
def test_a_describe_that_is_none_is_an_error_of_ours(body: dict[str, Any]) -> None:
    """Names of fields go into queries and paths."""
    with pytest.raises(ServiceUnavailableError, match="describes an object in a form that is none"):
        parse_describe(body)


@pytest.mark.parametrize(
    "token",
    ["", " ", " x", "a\r\nX-Evil: 1", "a" * 8193, "\ud800", 5, ["x"], None, True],
)
def test_a_token_that_is_none_is_not_sent(token: object) -> None:
    """It would go into a header."""
    with pytest.raises(WrongHostError, match="with no token"):
        grant_of({"access_token": token}, SETTINGS)


@pytest.mark.parametrize(
    "instance",
    [
        "https://evil.example",
        "https://acme.my.salesforce.com.evil.example",
        "https://acme.my.salesforce.com@evil.example",
        "https://a\n.my.salesforce.com",
        "https://" + "a" * 5000 + ".my.salesforce.com",
        5,
        ["x"],
        {"a": 1},
    ],
)
def test_a_token_is_sent_nowhere_else(instance: object) -> None:
    """An address that is no text, too long, or another's is no org's."""
    with pytest.raises(WrongHostError, match="instance_url"):
        grant_of({"access_token": "t", "instance_url": instance}, SETTINGS)


@pytest.mark.parametrize("identity", [5, ["/id/x/y"], "/id/00D/005", "/id/00D5g00000AbCdEEAV/005'; DROP", "x" * 10_000])
def test_who_a_token_is_of_is_an_id_or_not_known(identity: object) -> None:
    """A user's id goes into queries."""
    grant = grant_of({"access_token": "t", "id": identity}, SETTINGS)
    assert (grant.user_id, grant.org_id) == (None, None)


def test_the_token_endpoints_words_are_repeated_only_where_they_are_plain() -> None:
    """A log is no place for escapes and novels."""
    for error in ("a\nb", "x" * 1000, "\x1b[31m"):
        said = str(token_refusal(400, {"error": error}, SETTINGS))
        assert error not in said
        assert said.isprintable()


def test_codes_and_fields_of_errors_are_names() -> None:
    """What is none is left out, and messages are cut before they go anywhere."""
    items = [{"errorCode": "API_ERROR", "message": "m\n" * 50_000, "fields": ["Email", "a\nb", 5, "x" * 500]}]
    (error,) = errors_in(items)
    assert (error.fields, len(error.message)) == (("Email",), 10_000)
    assert plain_text((error,)).isprintable()
    assert len(plain_text((error,))) < 600
    assert errors_in([{"errorCode": "X\nY" * 1000, "message": "m"}])[0].code == ""
    assert shown("a\x00b") == "a b"


@pytest.mark.parametrize("header", ["api-usage=" + "9" * 5000 + "/1", "api-usage=1/" + "9" * 5000, "api-usage=٣/٤"])
def test_a_limit_of_a_thousand_digits_is_none(header: str) -> None:
    """No number of Salesforce is so long."""
    assert parse_limit_info(header) is None


@pytest.mark.parametrize("header", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_years(header: str) -> None:
    """A day is the most that a server can ask for."""
    assert parse_retry_after(header, now=0.0) == 86_400.0


@pytest.mark.parametrize("code", ["INVALID_TYPE", "INVALID_FIELD"])
def test_a_hidden_object_and_a_hidden_field_are_told(code: str) -> None:
    """Field-level security hides Contact's Email as a profile hides Contact."""
    reply = Reply(status=400, body=[{"errorCode": code, "message": "No such column 'Email' on entity 'Contact'"}])
    with pytest.raises(ObjectAccessError, match=r"match_email=True reads Contact.*Read on Contact.*Email"):
        CONTACT.check(reply, conn_id="sf")
    CONTACT.check(Reply(status=500, body=[{"errorCode": "UNKNOWN_EXCEPTION"}]), conn_id="sf")


def test_a_refusal_is_printable() -> None:
    """Whatever the server says."""
    body = [{"errorCode": "API_ERROR", "message": "\x1b]0;x\x07"}]
    assert str(refusal(bulk.get_job(JOB), Reply(status=400, body=body), conn_id="sf")).isprintable()
