"""Recorded answers, served over a real socket to the client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_sfleads.exceptions import SalesforceLeadsError, WrongKeyOrSecretError
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.describe import parse_describe
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.paging import mapping
from airflow_provider_sfleads.salesforce.replies import errors_of, results_of
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.wire import ApiUsage, Call
from tests.samples.replay import Answer, answers, replaying, sample

DESCRIBE = Call(method="GET", path="sobjects/Lead/describe")


@contextmanager
def client_of(*recorded: Answer, whole: bool = True) -> Iterator[Client]:
    """A client of an org that answers as recorded."""
    with replaying(recorded, whole=whole) as stub:
        settings = Settings(host=parse_host(stub.url), consumer_key="k", consumer_secret="s3", conn_id="sf")
        client = Client(settings, sleep=lambda _seconds: None)
        try:
            yield client
        finally:
            client.close()


@pytest.mark.parametrize(
    ("name", "fields", "usage"),
    [("v42_grouparoo", 59, ApiUsage(8393, 15000)), ("v59_cumulusci", 54, None)],
)
def test_a_recorded_describe_is_read(name: str, fields: int, usage: ApiUsage | None) -> None:
    """With its headers, as far as they were recorded."""
    with client_of(*answers(sample(f"describe/lead_describe_{name}.json"))) as client:
        reply = client.send(DESCRIBE)
        lead = parse_describe(mapping(DESCRIBE, reply, conn_id="sf"))

        assert (lead.name, len(lead.fields)) == ("Lead", fields)
        assert client.api_usage == usage


def test_recorded_pages_are_answered_in_their_order() -> None:
    """Each method and path has a queue of its own; what was sent is recorded beside it."""
    recorded = answers(sample("collections/answers_grouparoo.json"))
    with client_of(*recorded) as client:
        for answer in recorded:
            method, path = answer.request.split()
            call = Call(method=method, path=path.partition("v42.0/")[2], body=answer.body)  # type: ignore[arg-type]
            reply = client.send(call)
            assert (reply.status, reply.body) == (answer.status, answer.reply)
            if reply.taken:
                sent = answer.body["records"] if answer.body else answer.reply
                assert len(results_of(reply, len(sent))) == len(sent)
            else:
                assert [error.code for error in errors_of(reply)] == ["NOT_FOUND"]


def test_an_expired_password_is_a_matter_for_people() -> None:
    """Whether or not the token is renewed once: it ends with the code that Salesforce gives."""
    (refused,) = answers(sample("errors/password_expired.json"))
    with (
        client_of(refused, refused, whole=False) as client,
        pytest.raises(SalesforceLeadsError, match="INVALID_OPERATION_WITH_EXPIRED_PASSWORD") as caught,
    ):
        client.send(DESCRIBE)
    assert not caught.value.transient


def test_a_recorded_refusal_of_a_token_is_replayed() -> None:
    """A recorded token is not: it would lead to the recorded org."""
    body = sample("token/invalid_client.json")
    refused = Answer(request="POST /services/oauth2/token", status=400, reply=body)
    with client_of(refused) as client, pytest.raises(WrongKeyOrSecretError):
        client.login()

    given = Answer(request="POST /services/oauth2/token", status=200, reply={"access_token": "x", "instance_url": "y"})
    with client_of(given) as client:
        client.login()


def test_a_call_that_was_not_recorded_fails_the_test() -> None:
    """Though the client may take the refusal for an answer."""
    with pytest.raises(AssertionError, match=r"without a recorded answer.*GET /services/data/v\*/limits"):  # noqa: SIM117
        with client_of() as client:
            client.send(Call(method="GET", path="limits"))


def test_an_answer_that_nobody_asks_for_can_fail_the_test() -> None:
    """So that a test tells when the provider no longer asks."""
    (answer,) = answers(sample("describe/lead_describe_v42_grouparoo.json"))
    with pytest.raises(AssertionError, match=r"nobody asked for.*describe"), client_of(answer):
        pass
