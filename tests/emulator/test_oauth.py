from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.emulator.client import Api

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


def test_a_token_reply_has_salesforces_fields_and_a_signature_that_fits(emulator: EmulatorServer) -> None:
    """All values are strings, nothing says when the token expires, and the signature can be recomputed."""
    reply = Api(emulator).token().json()
    signed = hmac.new(b"emulator-secret", (reply["id"] + reply["issued_at"]).encode(), hashlib.sha256).digest()

    assert set(reply) == {"access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at"}
    assert all(isinstance(value, str) for value in reply.values())
    assert reply["signature"] == base64.b64encode(signed).decode()
    assert reply["instance_url"] == emulator.url
    assert reply["id"].rsplit("/", 2)[1].startswith("00D")


def test_instance_url_is_the_host_as_the_client_reached_it(emulator: EmulatorServer) -> None:
    """The Host header decides, as localhost and 127.0.0.1 are two names of the same port."""
    port = emulator.url.rsplit(":", 1)[1]
    form = {"grant_type": "client_credentials", "client_id": "emulator-key", "client_secret": "emulator-secret"}
    reply = requests.post(
        f"{emulator.url}/services/oauth2/token", data=form, headers={"Host": f"localhost:{port}"}, timeout=10
    )

    assert reply.json()["instance_url"] == f"http://localhost:{port}"


def test_key_and_secret_may_come_by_http_basic(emulator: EmulatorServer) -> None:
    """The body is then reduced to the grant type."""
    url = f"{emulator.url}/services/oauth2/token"
    form = {"grant_type": "client_credentials"}

    assert requests.post(url, data=form, auth=("emulator-key", "emulator-secret"), timeout=10).status_code == 200
    wrong = requests.post(url, data=form, auth=("emulator-key", "nope"), timeout=10)
    assert wrong.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("form", "settings", "error", "description"),
    [
        ({"client_id": "nobody"}, {}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": "nope"}, {}, "invalid_client", "invalid client credentials"),
        ({"grant_type": "password"}, {}, "unsupported_grant_type", "grant type not supported"),
        ({}, {"flow_enabled": False}, "unsupported_grant_type", "grant type not supported"),
        ({}, {"run_as_user": False}, "invalid_grant", "no client credentials user enabled"),
    ],
)
def test_a_refused_token_is_http_400_with_an_object(
    emulator: EmulatorServer, form: dict[str, str], settings: dict[str, Any], error: str, description: str
) -> None:
    """The token endpoint answers an object, where the REST API answers a list."""
    emulator.change_settings(**settings)
    reply = Api(emulator).token(**form)

    assert reply.status_code == 400
    assert reply.json() == {"error": error, "error_description": description}


def test_minting_again_gives_the_same_token_until_it_expires(api: Api, emulator: EmulatorServer) -> None:
    """Several clients share one session; a dead one is answered with 401 and replaced on demand."""
    first = api.token().json()["access_token"]
    assert api.token().json()["access_token"] == first
    assert emulator.stats()["tokens_minted"] == 1

    emulator.expire_tokens()
    dead = api.get("/limits")
    assert dead.status_code == 401
    assert dead.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert "Sforce-Limit-Info" not in dead.headers

    assert api.token().json()["access_token"] != first
    assert emulator.stats()["tokens_minted"] == 2


def test_a_token_can_be_made_to_last_a_count_of_calls(api: Api, emulator: EmulatorServer) -> None:
    """`token_calls` puts the 401 into the middle of a run."""
    emulator.change_settings(token_calls=2)

    assert [api.get("/limits").status_code for _ in range(3)] == [200, 200, 401]
    assert api.login().get("/limits").status_code == 200


def test_a_token_that_is_not_used_dies(api: Api, emulator: EmulatorServer) -> None:
    """Its lifetime counts from its last use."""
    emulator.change_settings(token_lifetime=0.0)

    assert api.get("/limits").status_code == 401


def test_a_missing_or_odd_authorization_is_told_apart_from_a_dead_token(emulator: EmulatorServer) -> None:
    """INVALID_AUTH_HEADER is a bug of the client, not an expired session."""
    reply = Api(emulator).get("/limits")

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (401, "INVALID_AUTH_HEADER")


def test_introspect_tells_the_expiry_and_revoke_ends_it(api: Api, emulator: EmulatorServer) -> None:
    """Introspection is the only authority on `exp`; revoking logs everybody out."""
    token = api.token().json()["access_token"]
    form = {"client_id": "emulator-key", "client_secret": "emulator-secret", "token": token}
    url = f"{emulator.url}/services/oauth2"

    alive = requests.post(f"{url}/introspect", data=form, timeout=10).json()
    assert alive["active"]
    assert alive["exp"] > alive["iat"]
    assert api.session.get(f"{url}/userinfo", timeout=10).json()["user_id"].startswith("005")

    assert requests.post(f"{url}/revoke", data={"token": token}, timeout=10).status_code == 200
    assert requests.post(f"{url}/introspect", data=form, timeout=10).json() == {"active": False}
    assert api.get("/limits").status_code == 401


def test_the_identity_url_says_who_the_user_is(api: Api, emulator: EmulatorServer) -> None:
    """By the URL that the token reply names; the language follows the setting, and no API call is counted."""
    url = api.token().json()["id"]
    english = api.session.get(url, timeout=10).json()
    emulator.change_settings(language="de")
    german = api.session.get(url, timeout=10).json()

    org_id, user_id = url.rsplit("/", 2)[1:]
    assert (english["id"], english["organization_id"], english["user_id"]) == (url, org_id, user_id)
    assert (english["username"], english["active"], english["user_type"]) == (
        "leads.integration@example.invalid", True, "STANDARD",
    )  # fmt: skip
    assert (english["language"], english["locale"], english["utcOffset"]) == ("en_US", "en_US", 0)
    assert (german["language"], german["locale"]) == ("de", "de_DE")
    assert english["urls"]["query"] == f"{emulator.url}/services/data/v{{version}}/query/"
    assert english["urls"]["custom_domain"] == emulator.url
    assert emulator.stats()["api_used"] == 0


def test_the_identity_url_is_refused_in_a_word(api: Api) -> None:
    """Without a token, with a dead one, for another org, for a user that is none."""
    url = api.token().json()["id"]
    base, org_id, user_id = url.rsplit("/", 2)
    asked = [
        (url, {"Authorization": ""}),
        (url, {"Authorization": "Bearer dead"}),
        (f"{base}/00D5g00000ZZZZZ/{user_id}", {}),
        (f"{base}/{org_id}/0055g00000ZZZZZ", {}),
    ]
    replies = [api.session.get(where, headers=headers, timeout=10) for where, headers in asked]

    assert [(reply.status_code, reply.text) for reply in replies] == [
        (403, "Missing_OAuth_Token"), (403, "Bad_OAuth_Token"), (403, "Wrong_Org"), (404, "Bad_Id"),
    ]  # fmt: skip
