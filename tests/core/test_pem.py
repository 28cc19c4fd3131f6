# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.jwt_bearer import parse_pem, read_private_key
from tests.signing_keys import PASSWORD, certificate, key, material, pem, public

FILES = {
    "pkcs8": pem(),
    "pkcs1": pem(form=PrivateFormat.TraditionalOpenSSL),
    "pkcs8 encrypted": pem(password=PASSWORD),
    "pkcs1 encrypted": pem(password=PASSWORD, form=PrivateFormat.TraditionalOpenSSL),
}
SHAPES: dict[str, Callable[[str], str]] = {
    "file": lambda text: text,
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "escaped": lambda text: text.replace("\n", "\\n"),
    "escaped crlf": lambda text: text.replace("\n", "\\r\\n"),
    "blanks": lambda text: text.replace("\n", " "),
    "one line": lambda text: text.replace("\n", ""),
    "indented": lambda text: "\n".join(f"    {line}" for line in text.splitlines()),
    "with its certificate": lambda text: certificate() + text,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FILES)
def test_a_key_is_read_whatever_became_of_its_line_breaks(name: str, shape: str) -> None:
    """Forms drop them, environment variables make blanks or two characters of them."""
    found = parse_pem(SHAPES[shape](FILES[name]))
    assert found.encrypted == ("encrypted" in name)
    assert read_private_key(found, PASSWORD).private_numbers() == key().private_numbers()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FILES)
def test_every_line_of_a_key_is_among_its_pieces(name: str, shape: str) -> None:
    """As it is and as it was given, since a log may show it line by line."""
    given = SHAPES[shape](FILES[name])
    found = parse_pem(given)
    assert material(FILES[name]) <= set(found.pieces)
    assert {given, found.text} <= set(found.pieces)
    assert not [piece for piece in found.pieces if piece in "-----BEGIN RSA PRIVATE KEY-----"]
    assert not [line for line in material(FILES[name]) if line in repr(found)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "no private key in PEM"),
        (5, "no private key in PEM"),
        ("/run/secrets/server.key", "no private key in PEM"),
        ("***", "asterisks"),
        (certificate(), "a certificate, which belongs into the app"),
        (public(), "a public key"),
        (pem() + pem("second"), "several private keys"),
        (pem()[:900], "its last line is missing"),
        (pem().replace("\n", "\n+", 2)[:-40] + "-----END PRIVATE KEY-----", "damaged"),
        (pem().replace("M", "M%", 2), "damaged"),
        (pem(password=PASSWORD, form=PrivateFormat.TraditionalOpenSSL).replace("AES-256-CBC", "ARIA-256-CBC"), "anew"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "ssh-keygen"),
    ],
    ids=lambda value: None if isinstance(value, str) and "-----" in value else repr(value),
)
def test_what_is_no_key_is_said_and_never_shown(given: object, words: str) -> None:
    """The message names what is there instead, and repeats nothing of it."""
    with pytest.raises(ConnectionFieldError, match=words) as caught:
        parse_pem(given)
    assert not [line for line in material(str(given)) if line in str(caught.value)]
