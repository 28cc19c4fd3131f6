# ruff: noqa: TID253 - a test is no Dag file
"""Connections that sign their token requests."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
import pytest
from airflow.providers.common.compat.sdk import redact
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.jwt_bearer import audience_of
from tests.salesforce.stub import Say, refused
from tests.signing_keys import PASSWORD, certificate, key, material, pem, public

if TYPE_CHECKING:
    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
    from tests.hooks.conftest import MakeHook
    from tests.salesforce.stub import Stub

USER = "leads.integration@example.invalid"
ELLIPTIC = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def bearer(make_hook: MakeHook, *, host: str | None = None, **extra: Any) -> SalesforceLeadsHook:
    """A hook of a connection that signs, without a secret."""
    given = {"auth": "jwt_bearer", "private_key": pem(), "username": USER, **extra}
    return make_hook(password=None, extra=given, **({"host": host} if host else {}))


def problems(hook: SalesforceLeadsHook) -> str:
    """What is wrong with its connection; the Test button says the same, and nobody says a line of a key."""
    with pytest.raises(ConnectionFieldError) as caught:
        hook.limits()
    works, said = hook.test_connection()
    assert not works
    assert said == str(caught.value)
    assert not [line for line in material(pem(), certificate()) if line in said]
    assert PASSWORD not in said
    return said


def assertion_of(form: bytes) -> str:
    """The assertion of a token request, which holds nothing else."""
    fields = parse_qs(form.decode())
    assert fields.pop("grant_type") == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    ((assertion,),) = fields.values()
    return assertion


def test_the_token_request_is_an_assertion_and_no_secret(stub: Stub, make_hook: MakeHook) -> None:
    """It names app, user and audience, and is good for three minutes."""
    hook = bearer(make_hook)
    hook.limits()
    (form,) = stub.token_forms
    options: Any = {"require": ["exp"]}
    claims = jwt.decode(
        assertion_of(form), public(), algorithms=["RS256"], audience="https://login.salesforce.com", options=options
    )
    assert (claims["iss"], claims["sub"]) == ("the-consumer-key", USER)
    assert set(claims) == {"iss", "sub", "aud", "exp"}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"private_key": None}, "private_key is empty"),
        ({"private_key": "  "}, "private_key is empty"),
        ({"private_key": "MIIEvQIBADANBg"}, "private_key is no private key in PEM"),
        ({"private_key": ["x"]}, "private_key is no private key in PEM"),
        ({"private_key": certificate()}, "a certificate, which belongs into the app"),
        ({"private_key": pem(password=PASSWORD)}, "private_key is encrypted; enter its password"),
        ({"private_key": pem(password=PASSWORD), "private_key_password": "wrong"}, "does not open private_key. If"),
        ({"private_key": ELLIPTIC.decode()}, "no RSA key"),
        ({"private_key": pem(bits=1024)}, "1024 bits"),
        ({"private_key": pem().replace("\n", "\nAAAA", 1)}, "damaged"),
        ({"username": None}, "username is empty"),
        ({"username": "0055g00000FgHiJAAV"}, "form of an e-mail address"),
        ({"audience": "https://evil.example"}, "audience must be https://login.salesforce.com"),
        ({"audience": "http://127.0.0.1:8990"}, "audience must be"),
        ({"audience": "http://acme.my.salesforce.com"}, "audience must be"),
        ({"audience": 5}, "audience must be"),
    ],
    ids=map(str, range(16)),
)
def test_what_is_wrong_is_said(make_hook: MakeHook, extra: dict[str, Any], words: str) -> None:
    """With the field's name, and what to enter."""
    assert words in problems(bearer(make_hook, **extra))


def test_all_that_is_wrong_is_said_at_once(make_hook: MakeHook) -> None:
    """Also beside what is wrong with other fields; the secret is not missed."""
    hook = bearer(
        make_hook, host="acme.lightning.force.com", private_key="x", username="x", audience="x", timeout="long"
    )
    said = problems(hook)
    words = ["acme.my.salesforce.com", "private_key", "username", "audience", "timeout"]
    assert [word for word in words if word not in said] == []
    assert "secret" not in said


def test_a_key_alone_does_not_choose_the_flow(make_hook: MakeHook) -> None:
    """Whoever forgot to choose it is told how."""
    with pytest.raises(ConnectionFieldError, match="or set auth to jwt_bearer"):
        make_hook(password="", extra={"private_key": pem(), "username": USER}).limits()


@pytest.mark.parametrize(
    ("password", "shape"),
    [(None, "file"), (None, "one line"), (PASSWORD, "file"), (PASSWORD, "one line")],
)
def test_an_encrypted_key_opens_once(stub: Stub, make_hook: MakeHook, password: str | None, shape: str) -> None:
    """With its password; one that is not needed does no harm."""
    text = pem(password=password) if shape == "file" else pem(password=password).replace("\n", "")
    hook = bearer(make_hook, private_key=text, private_key_password=PASSWORD)
    hook.limits()
    assert jwt.decode(assertion_of(stub.token_forms[0]), public(), ["RS256"], audience="https://login.salesforce.com")
    found = hook.client.settings.bearer
    assert found is not None
    assert found.key.private_numbers() == key().private_numbers()


@pytest.mark.parametrize(
    ("host", "audience"),
    [
        ("acme.my.salesforce.com", "https://login.salesforce.com"),
        ("acme-dev-ed.develop.my.salesforce.com", "https://login.salesforce.com"),
        ("acme.trailblaze.my.salesforce.com", "https://login.salesforce.com"),
        ("acme--uat.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ("acme--uat.my.salesforce.com", "https://test.salesforce.com"),
        ("acme-dream-123.scratch.my.salesforce.com", "https://test.salesforce.com"),
        ("acme-dev-ed.scratch.my-salesforce.com", "https://test.salesforce.com"),
        ("sandbox.my.salesforce.com", "https://login.salesforce.com"),
        ("acme.my.salesforce.mil", "https://acme.my.salesforce.mil"),
        ("acme.my.sfcrmproducts.cn", "https://acme.my.sfcrmproducts.cn"),
        ("acme--uat.sandbox.my.salesforce.mil", "https://acme--uat.sandbox.my.salesforce.mil"),
        ("acme--uat.sandbox.my.sfcrmproducts.cn", "https://acme--uat.sandbox.my.sfcrmproducts.cn"),
        ("http://127.0.0.1:8990", "https://login.salesforce.com"),
    ],
)
def test_the_audience_fits_the_host(host: str, audience: str) -> None:
    """Sandboxes and scratch orgs have one of their own; other clouds know neither."""
    assert audience_of(parse_host(host)) == audience


@pytest.mark.parametrize(
    ("given", "audience"),
    [
        ("https://test.salesforce.com", "https://test.salesforce.com"),
        (" https://Login.Salesforce.com/ ", "https://login.salesforce.com"),
        ("test.salesforce.com", "https://test.salesforce.com"),
        ("https://login.salesforce.mil", "https://login.salesforce.mil"),
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        (None, "https://login.salesforce.com"),
        ("", "https://login.salesforce.com"),
    ],
)
def test_an_audience_that_is_entered_counts(make_hook: MakeHook, given: str | None, audience: str) -> None:
    """In any spelling."""
    found = bearer(make_hook, audience=given).client.settings.bearer
    assert found is not None
    assert found.audience == audience


@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("join", ["\n", " ", "", "\\n"])
def test_no_line_of_the_key_and_no_assertion_passes_the_masker(
    stub: Stub, make_hook: MakeHook, join: str, password: str | None
) -> None:
    """Whole, line by line, and on one line; nor does the password, nor what is signed."""
    text = pem(password=password).replace("\n", join)
    hook = bearer(make_hook, private_key=text, private_key_password=password)
    hook.limits()
    said = [text, pem(password=password), f"'{text}'", json.dumps({"key": pem(password=password)})]
    said += [f"at {line}!" for line in pem(password=password).splitlines()]
    said += [f"password {password}" if password else "", assertion_of(stub.token_forms[0])]
    shown = redact("\n".join(said))
    assert not [line for line in material(pem(password=password)) if line in str(shown)]
    assert PASSWORD not in str(shown)
    assert assertion_of(stub.token_forms[0]) not in str(shown)


def test_neither_settings_nor_hook_show_the_key(make_hook: MakeHook) -> None:
    """Their repr could stand in any traceback."""
    hook = bearer(make_hook)
    text = repr(hook.client.settings) + repr(vars(hook)) + repr(vars(hook.client))
    assert USER not in text
    assert not [line for line in material(pem()) if line in text]


def test_airflow_hides_what_is_saved() -> None:
    """By the names of the fields."""
    saved = {"private_key": "a-key", "private_key_password": "a-password", "username": "a-name"}
    assert redact(saved) == {"private_key": "***", "private_key_password": "***", "username": "a-name"}


def oauth(error: str, description: str) -> Say:
    """Return a token error."""
    return Say(400, {"error": error, "error_description": description})


DESCRIBE = Say(body={"name": "Lead", "createable": True, "updateable": True, "fields": []})
FINDINGS: list[tuple[Say | None, Say, str]] = [
    (Say(404, b"<html>"), Say(), "no Salesforce token endpoint"),
    (oauth("invalid_client_id", "client identifier invalid"), Say(), "Enter the consumer key"),
    (oauth("invalid_grant", "invalid assertion"), Say(), "upload the certificate"),
    (oauth("invalid_client", "invalid client credentials"), Say(), "upload the certificate"),
    (oauth("invalid_grant", "audience is invalid"), Say(), "addressed to https://login.salesforce.com: set audience"),
    (oauth("invalid_grant", "Audience validation failed"), Say(), "set audience to https://test.salesforce.com"),
    (oauth("invalid_grant", "user hasn't approved this consumer"), Say(), "Check username"),
    (oauth("invalid_app_access", "user is not admin approved to access this app"), Say(), "Pre-authorise that user"),
    (oauth("invalid_grant", "expired authorization code"), Say(), "set the clock by NTP"),
    (oauth("unsupported_grant_type", "grant type not supported"), Say(), "Enable JWT Bearer Flow"),
    (oauth("invalid_grant", "no valid scopes defined"), Say(), "scopes"),
    (oauth("inactive_user", "user is inactive"), Say(), "unfreeze"),
    (None, refused("API_DISABLED_FOR_ORG", "not enabled", 403), "API Enabled"),
    (None, refused("NOT_FOUND", "The requested resource does not exist", 404), "cannot see the Lead object"),
]


@pytest.mark.parametrize(("token", "call", "words"), FINDINGS)
def test_the_test_button_tells_the_causes_apart(
    stub: Stub, make_hook: MakeHook, token: Say | None, call: Say, words: str
) -> None:
    """Each with the advice that fits this flow: nobody is sent to look for a consumer secret."""
    stub.token_script = None if token is None else lambda _got: token
    stub.script = lambda _got: call
    works, said = bearer(make_hook).test_connection()
    assert not works
    assert words in said
    assert "secret" not in said
    assert USER not in said
    assert len(stub.token_forms) == 1


def test_the_test_button_is_content(stub: Stub, make_hook: MakeHook) -> None:
    """As with the other flow."""
    stub.script = lambda _got: DESCRIBE
    works, said = bearer(make_hook).test_connection()
    assert works, said


def test_the_key_is_nowhere_in_the_request(stub: Stub, make_hook: MakeHook) -> None:
    """Neither as it is nor in Base64."""
    bearer(make_hook).limits()
    sent = b"".join(stub.token_forms) + b"".join(got.body for got in stub.requests)
    body = "".join(sorted(material(pem()), key=pem().index))
    assert base64.b64encode(base64.b64decode(body)).decode()[:64].encode() not in sent
