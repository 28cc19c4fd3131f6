from __future__ import annotations

import pytest

from airflow_provider_sfleads.exceptions import (
    AuthenticationError,
    FlowNotEnabledError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    WrongHostError,
    WrongKeyOrSecretError,
)
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.oauth import grant_of, refusal
from airflow_provider_sfleads.salesforce.settings import Settings

ACME = parse_host("acme.my.salesforce.com")
SETTINGS = Settings(host=ACME, consumer_key="k", conn_id="sf")


def test_a_grant_knows_who_and_where() -> None:
    """Host, org and user come out of the reply, the token not into its repr."""
    body = {
        "access_token": "00D!secret",
        "instance_url": "https://acme.my.salesforce.com",
        "api_instance_url": "https://api.salesforce.com",
        "id": "https://login.salesforce.com/id/00D5g00000AbCdEEAV/0055g00000FgHiJAAV",
    }
    grant = grant_of(body, SETTINGS)
    assert (grant.host, grant.org_id, grant.user_id) == (ACME, "00D5g00000AbCdEEAV", "0055g00000FgHiJAAV")
    assert "secret" not in repr(grant)


def test_a_grant_without_the_rest_is_enough() -> None:
    """Only the token is needed; it may be a long JWT."""
    grant = grant_of({"access_token": "e" * 5000}, SETTINGS)
    assert (grant.host, grant.user_id) == (ACME, None)


@pytest.mark.parametrize("token", [None, "", " ", 5, "a\r\nX-Evil: 1", "tök"])
def test_what_is_no_token_is_refused(token: object) -> None:
    """A value that could not stand in a header is no token."""
    with pytest.raises(WrongHostError):
        grant_of({"access_token": token}, SETTINGS)


def test_odd_descriptions_are_not_repeated() -> None:
    """What a stranger's server says is shown only where it is a plain short sentence."""
    error = refusal(400, {"error": "invalid_client", "error_description": "<b>\n" * 99}, SETTINGS)
    assert isinstance(error, WrongKeyOrSecretError)
    assert "<b>" not in str(error)


Answer = tuple[int, object, str | None]
MAINTENANCE = "<html><body><h1>We are down for maintenance.</h1></body></html>"
PASSING: list[Answer] = [
    (400, {"error": "unknown_error", "error_description": "retry your request"}, None),
    (400, {"error": "unknown_error"}, None),
    (200, {"error": "unknown_error", "error_description": "retry your request"}, None),
    (400, {"error": "invalid_grant", "error_description": "token request is already being processed"}, None),
    (400, {"error": "invalid_grant", "error_description": "Login rate exceeded"}, None),
    (400, {"error": "invalid_client", "error_description": "login rate exceeded"}, None),
    (400, {"error": "rate_limit_exceeded"}, None),
    (400, {"error": "server_error"}, None),
    (503, {"error": "temporarily_unavailable"}, None),
    (500, {"error": "unheard_of"}, None),
    (429, {"error": "invalid_grant"}, None),
    *((status, None, None) for status in (408, 420, 429, 500, 502, 503, 504)),
    (500, [{"errorCode": "SERVER_UNAVAILABLE"}], None),
    (503, None, "<html>"),
    *((status, None, MAINTENANCE) for status in (200, 400, 403, 404, 503)),
    (200, None, "<!DOCTYPE html><title>Proxy login</title>"),
    (200, None, "half an ans"),
]
LASTING: list[Answer] = [
    (400, {"error": "invalid_client_id", "error_description": "client identifier invalid"}, None),
    (400, {"error": "invalid_client", "error_description": "invalid client credentials"}, None),
    (500, {"error": "invalid_client", "error_description": "invalid client credentials"}, None),
    (400, {"error": "invalid_client", "error_description": "app must be installed into org"}, None),
    (400, {"error": "invalid_grant", "error_description": "no client credentials user enabled"}, None),
    (400, {"error": "invalid_grant"}, None),
    (400, {"error": "inactive_org"}, None),
    (400, {"error": "unheard_of"}, None),
    (404, None, "<html><h1>Not Found</h1></html>"),
    (400, None, None),
    (400, [], None),
    (404, "x", None),
]


@pytest.mark.parametrize(("status", "body", "page"), PASSING)
def test_what_passes_by_itself_is_worth_another_request(status: int, body: object, page: str | None) -> None:
    """Whatever the status, or whatever the words: the error is no fault of the connection, and names that."""
    error = refusal(status, body, SETTINGS, page=page)
    assert type(error) is ServiceUnavailableError
    assert error.transient
    assert "acme.my.salesforce.com (connection 'sf')" in str(error)
    assert "ry again later" in str(error)


@pytest.mark.parametrize(("status", "body", "page"), LASTING)
def test_what_lasts_is_no_more_than_told(status: int, body: object, page: str | None) -> None:
    """No second request finds it otherwise."""
    error = refusal(status, body, SETTINGS, page=page)
    assert isinstance(error, AuthenticationError)
    assert not error.transient


WORDINGS: list[tuple[str, str, type[SalesforceLeadsError]]] = [
    ("unknown_error", "Retry your request.\n", ServiceUnavailableError),
    ("Unknown_Error", "x", ServiceUnavailableError),
    (" unknown_error ", "x", ServiceUnavailableError),
    ("invalid_grant", "Token request is  already\nbeing processed (try again)", ServiceUnavailableError),
    ("invalid_grant", "Login Rate Exceeded: please wait", ServiceUnavailableError),
    ("invalid_grant", f"login rate exceeded; {'x' * 200}", ServiceUnavailableError),
    ("INVALID_CLIENT", "Invalid Client Credentials", WrongKeyOrSecretError),
    ("invalid_client", "App must be installed into org: 00D5g00000AbCdE", AuthenticationError),
    ("invalid_grant", "no client credentials user enabled (app)", FlowNotEnabledError),
    ("invalid_grant", "user hasn\N{RIGHT SINGLE QUOTATION MARK}t approved this consumer", AuthenticationError),
]


@pytest.mark.parametrize(("error", "said", "kind"), WORDINGS)
def test_words_are_judged_though_they_may_not_be_shown(error: str, said: str, kind: type[SalesforceLeadsError]) -> None:
    """Letter case, line breaks, brackets and length do not make a passing error a lasting one, or a cause another."""
    found = refusal(400, {"error": error, "error_description": said}, SETTINGS)
    assert type(found) is kind
    assert "Login History" not in str(found)
    assert "consumer secret" not in str(found) or kind is WrongKeyOrSecretError


def test_an_app_that_is_not_installed_is_not_a_wrong_secret() -> None:
    """Nobody rotates a secret for it: the app is installed, or the user is let use others."""
    body = {"error": "invalid_client", "error_description": "app must be installed into org"}
    error = refusal(400, body, SETTINGS)
    assert type(error) is AuthenticationError
    for words in ("Connected Apps OAuth Usage", "Approve Uninstalled Connected Apps", "External Client App"):
        assert words in str(error)
    assert "current consumer secret" not in str(error)


def test_a_login_rate_is_given_some_minutes() -> None:
    """A retry of the task within the minute would be one login more."""
    body = {"error": "invalid_grant", "error_description": "login rate exceeded"}
    assert refusal(400, body, SETTINGS).retry_after == 300.0
    assert refusal(400, {"error": "server_error"}, SETTINGS).retry_after is None


def test_a_web_page_is_not_repeated() -> None:
    """What it says is nobody's to show."""
    assert "<h1>" not in str(refusal(200, None, SETTINGS, page=MAINTENANCE))
