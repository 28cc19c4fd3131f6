# ruff: noqa: TID253 - a test is no Dag file
"""Private keys, and the certificates of apps in Salesforce that go with them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PASSWORD = "open-sesame-of-a-key"


def key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The private key of that name; made once, for it takes a moment."""
    return _made(name, bits)


@cache
def _made(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def pem(
    name: str = "first", *, bits: int = 2048, password: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8
) -> str:
    """Its text, as a key file holds it."""
    secret = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key(name, bits).private_bytes(Encoding.PEM, form, secret).decode()


@cache
def certificate(name: str = "first") -> str:
    """A certificate of its own for it, as the app has it."""
    whose = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key(name).public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key(name), hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def public(name: str = "first") -> str:
    """Its public key alone."""
    return key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def material(*texts: str) -> set[str]:
    """What of keys must stand nowhere: each line of the keys themselves."""
    return {
        line for text in texts for line in text.splitlines() if len(line) >= 8 and line[0] != "-" and ":" not in line
    }
