from __future__ import annotations

import pytest

from airflow_provider_sfleads.core.host import parse_host
from airflow_provider_sfleads.core.token import is_transient, read_grant, refusal
from airflow_provider_sfleads.exceptions import WrongHostError, WrongKeyOrSecretError

ACME = parse_host("acme.my.salesforce.com")


def test_a_grant_knows_who_and_where() -> None:
    """Host, org and user come out of the reply, the token not into its repr."""
    body = {
        "access_token": "00D!secret",
        "instance_url": "https://acme.my.salesforce.com",
        "api_instance_url": "https://api.salesforce.com",
        "id": "https://login.salesforce.com/id/00D5g00000AbCdEEAV/0055g00000FgHiJAAV",
    }
    grant = read_grant(body, configured=ACME, conn_id="sf")
    assert (grant.host, grant.org_id, grant.user_id) == (ACME, "00D5g00000AbCdEEAV", "0055g00000FgHiJAAV")
    assert "secret" not in repr(grant)


def test_a_grant_without_the_rest_is_enough() -> None:
    """Only the token is needed; it may be a long JWT."""
    grant = read_grant({"access_token": "e" * 5000}, configured=ACME, conn_id="sf")
    assert (grant.host, grant.user_id) == (ACME, None)


@pytest.mark.parametrize("token", [None, "", " ", 5, "a\r\nX-Evil: 1", "tök"])
def test_what_is_no_token_is_refused(token: object) -> None:
    """A value that could not stand in a header is no token."""
    with pytest.raises(WrongHostError):
        read_grant({"access_token": token}, configured=ACME, conn_id="sf")


def test_odd_descriptions_are_not_repeated() -> None:
    """What a stranger's server says is shown only where it is a plain short sentence."""
    error = refusal(400, {"error": "invalid_client", "error_description": "<b>\n" * 99}, host=ACME, conn_id="sf")
    assert isinstance(error, WrongKeyOrSecretError)
    assert "<b>" not in str(error)


@pytest.mark.parametrize("body", [None, [], {"error": "invalid_grant"}, "x"])
def test_other_bodies_are_not_transient(body: object) -> None:
    """Only three named errors pass by themselves."""
    assert not is_transient(body)
