# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME
from tests.signing_keys import certificate, key, material, pem, public

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


ELLIPTIC = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def ask(emulator: EmulatorServer, name: str = "first", *, algorithm: str = "RS256", **claims: Any) -> requests.Response:
    """Ask for a token with an assertion of these claims, or of none that are ``None``."""
    usual = {
        "iss": "emulator-key",
        "sub": RUN_AS_USERNAME,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
    }
    said = {claim: value for claim, value in (usual | claims).items() if value is not None}
    return send(emulator, jwt.encode(said, key(name), algorithm=algorithm))


def send(emulator: EmulatorServer, assertion: str) -> requests.Response:
    """Send an assertion."""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return requests.post(f"{emulator.url}/services/oauth2/token", data=form, timeout=10)


@pytest.fixture(autouse=True)
def app(emulator: EmulatorServer) -> None:
    """An app with a certificate."""
    emulator.change_settings(jwt_certificates=[certificate()])


def test_a_signed_assertion_gives_the_token_of_the_app(emulator: EmulatorServer) -> None:
    """It is a token like any other, and takes no secret."""
    reply = ask(emulator)
    assert reply.status_code == 200
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    described = requests.get(f"{emulator.url}/services/data/v60.0/sobjects/Lead/describe", headers=headers, timeout=10)
    assert described.json()["name"] == "Lead"


@pytest.mark.parametrize(
    ("claims", "settings", "error", "description"),
    [
        ({"iss": "nobody"}, {}, "invalid_client_id", "client identifier invalid"),
        ({"name": "second"}, {}, "invalid_grant", "invalid assertion"),
        ({}, {"jwt_certificates": []}, "invalid_grant", "invalid assertion"),
        ({"algorithm": "RS512"}, {}, "invalid_grant", "invalid assertion"),
        ({"aud": "https://test.salesforce.com"}, {}, "invalid_grant", "audience is invalid"),
        ({"aud": None}, {}, "invalid_grant", "audience is invalid"),
        ({"exp": int(time.time()) - 60}, {}, "invalid_grant", "expired authorization code"),
        ({"exp": None}, {}, "invalid_grant", "expired authorization code"),
        ({"exp": int(time.time()) + 3600}, {}, "invalid_grant", "invalid assertion"),
        ({"sub": "somebody@example.invalid"}, {}, "invalid_grant", "user hasn't approved this consumer"),
        ({}, {"jwt_approved": False}, "invalid_app_access", "user is not admin approved to access this app"),
        ({}, {"flow_enabled": False}, "unsupported_grant_type", "grant type not supported"),
    ],
)
def test_what_is_wrong_with_an_assertion_is_said_as_salesforce_does(
    emulator: EmulatorServer, claims: dict[str, Any], settings: dict[str, Any], error: str, description: str
) -> None:
    """Each in its own words."""
    emulator.change_settings(**settings)
    reply = ask(emulator, **claims)
    assert reply.status_code == 400
    assert reply.json() == {"error": error, "error_description": description}


@pytest.mark.parametrize(("seconds", "status"), [(180, 200), (-60, 400), (3600, 400)])
def test_an_expiry_may_be_text(emulator: EmulatorServer, seconds: int, status: int) -> None:
    """As simple-salesforce sends it, and real orgs take it."""
    assert ask(emulator, exp=str(int(time.time()) + seconds)).status_code == status


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJlbXVsYXRvci1rZXkifQ."])
def test_what_is_not_signed_is_no_assertion(emulator: EmulatorServer, assertion: str) -> None:
    """Nor is what says that it needs no signature."""
    assert send(emulator, assertion).json() == {"error": "invalid_grant", "error_description": "invalid assertion"}


def test_a_claim_that_was_changed_afterwards_is_noticed(emulator: EmulatorServer) -> None:
    """The signature is that of another assertion."""
    head, _, signature = _parts(emulator, sub="somebody@example.invalid")
    _, claims, _ = _parts(emulator)
    assert send(emulator, f"{head}.{claims}.{signature}").json()["error_description"] == "invalid assertion"


def _parts(emulator: EmulatorServer, **claims: Any) -> list[str]:
    said = {"iss": emulator.settings.client_id, "sub": RUN_AS_USERNAME, "aud": "https://login.salesforce.com"}
    return jwt.encode({**said, "exp": int(time.time()) + 180, **claims}, key(), algorithm="RS256").split(".")


def test_two_certificates_are_taken_until_the_old_one_goes(emulator: EmulatorServer) -> None:
    """A public key alone is as good as a certificate."""
    emulator.change_settings(jwt_certificates=[certificate(), public("second")])
    assert [ask(emulator, name).status_code for name in ("first", "second")] == [200, 200]
    emulator.change_settings(jwt_certificates=[public("second")])
    assert [ask(emulator, name).status_code for name in ("first", "second")] == [400, 200]


@pytest.mark.parametrize("text", ["garbage", "", pem(), certificate()[:300], ELLIPTIC])
def test_what_is_no_certificate_is_refused_at_once(emulator: EmulatorServer, text: str) -> None:
    """The key instead of its certificate is the likely slip; nothing of it is repeated, and the old one stays."""
    reply = requests.patch(
        f"{emulator.url}/_emulator/settings", json={"jwt_certificates": [certificate(), text]}, timeout=10
    )
    assert reply.status_code == 400
    assert "certificate 2 " in reply.text
    assert not [line for line in material(text) if line in reply.text]
    assert ask(emulator).status_code == 200


def test_time_is_the_emulators_own(emulator: EmulatorServer) -> None:
    """A client whose clock is off is refused, on either side."""
    emulator.emulator.clock = lambda: time.time() + 600
    assert ask(emulator).json()["error_description"] == "expired authorization code"
    emulator.emulator.clock = lambda: time.time() - 600
    assert ask(emulator).json()["error_description"] == "invalid assertion"
