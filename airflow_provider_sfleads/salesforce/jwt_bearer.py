"""Read what the JWT bearer flow takes of a connection: a private key in PEM, and an audience.

https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import Host, parse_host

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PRODUCTION, SANDBOX = "https://login.salesforce.com", "https://test.salesforce.com"
_LOGIN = re.compile(r"https://(?:login|test)\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)")
# A sandbox is "mydomain--box", whatever follows; a name without one has no two hyphens in a row.
_COPIES = re.compile(r"--|\.(?:sandbox|scratch)\.my[.-]salesforce\.")
_COMMERCIAL = (".my.salesforce.com", ".my-salesforce.com")

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
# Of the traditional form (RFC 1421). Where line breaks are lost, only its length tells the vector from what follows.
_HEADER = re.compile(
    r"\s*Proc-Type:\s*4,\s*ENCRYPTED\s*DEK-Info:\s*(AES-(?:128|192|256)-CBC,[0-9A-F]{32}|DES-EDE3-CBC,[0-9A-F]{16})"
)
_OTHERS = {
    "CERTIFICATE": "a certificate, which belongs into the app",
    "CERTIFICATE REQUEST": "a certificate request",
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "a public key",
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_WIDTH = 64
_LEAST_BITS = 2048  # Salesforce takes no certificate of fewer
_SHORTEST = 8  # characters of a line that is worth hiding: shorter ones stand in logs by chance
_ENCRYPT_ANEW = (
    "its cipher is not known here; encrypt the key anew, by openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW"
)
_ENTER = "Enter the whole text of the key file, from -----BEGIN to the -----END line"


def audience_of(host: Host) -> str:
    """Return what assertions for an org are addressed to, unless the connection says it.

    Government and China clouds have login hosts of their own, so their orgs are addressed by My Domain.
    """
    if not (host.loopback or host.name.endswith(_COMMERCIAL)):
        return host.url
    return SANDBOX if _COPIES.search(host.name) else PRODUCTION


def parse_audience(value: object) -> str:
    """Read an audience: a login host of Salesforce, or a My Domain URL.

    :raises ConnectionFieldError: where it is none.
    """
    text = value.strip().rstrip("/").lower() if isinstance(value, str) else ""
    text = text if "://" in text else f"https://{text}"
    if _LOGIN.fullmatch(text):
        return text
    try:
        host = parse_host(text)
    except ConnectionFieldError:
        host = None
    if host is None or host.loopback:
        raise ConnectionFieldError(
            f"audience must be {PRODUCTION}, {SANDBOX} (sandboxes and scratch orgs), or the org's My Domain URL; empty "
            "takes the one that fits the host."
        )
    return host.url


@dataclass(frozen=True, slots=True)
class Pem:
    """A private key in PEM.

    :param text: with a line break after each line.
    :param encrypted: whether it takes a password to read it.
    :param pieces: each line of the key itself, as it was given and as it is here, and all of them together.
    """

    text: str = field(repr=False)
    encrypted: bool
    pieces: tuple[str, ...] = field(repr=False)


def parse_pem(given: object) -> Pem:
    r"""Read a private key, whatever became of its line breaks: kept, ``\n``, blanks, or nothing at all.

    Forms drop line breaks out of a field that hides what is entered, environment variables often hold blanks or
    ``\n``. Certificates beside the key are passed over.

    :raises ConnectionFieldError: where there is not exactly one private key; never repeating what was given.
    """
    text = given.replace("\\r", "").replace("\\n", "\n").strip() if isinstance(given, str) else ""
    blocks = [(found[1], found[2]) for found in _BLOCK.finditer(text)]
    keys = [(label, inside) for label, inside in blocks if label.endswith("PRIVATE KEY")]
    if len(keys) != 1:
        raise ConnectionFieldError(_not_one_key(text, [label for label, _ in blocks], len(keys)))
    ((label, inside),) = keys
    if label == "OPENSSH PRIVATE KEY":
        raise ConnectionFieldError("private_key is in OpenSSH's own form; convert it by ssh-keygen -p -m PEM -f FILE.")
    header = _HEADER.match(inside)
    if header is None and "Proc-Type:" in inside:
        raise ConnectionFieldError(f"private_key cannot be read: {_ENCRYPT_ANEW}.")
    chunks = (inside[header.end() :] if header else inside).split()
    body = "".join(chunks)
    if not _BASE64.fullmatch(body) or len(body) % 4:
        raise ConnectionFieldError(
            f"private_key is damaged: what stands between its first and last line is no PEM. {_ENTER}."
        )
    lines = textwrap.wrap(body, _WIDTH)
    head = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {header[1]}\n\n" if header else ""
    whole = f"-----BEGIN {label}-----\n{head}" + "\n".join(lines) + f"\n-----END {label}-----\n"
    raw = given if isinstance(given, str) else ""
    pieces = {raw, raw.strip(), whole, whole.strip(), body, *lines, *chunks}
    return Pem(
        text=whole,
        encrypted=header is not None or label == "ENCRYPTED PRIVATE KEY",
        # The longest first: where one holds another, whoever hides them in turn hides all of it.
        pieces=tuple(sorted((piece for piece in pieces if len(piece) >= _SHORTEST), key=len, reverse=True)),
    )


def _not_one_key(text: str, labels: list[str], keys: int) -> str:
    if keys:
        return "private_key holds several private keys; enter the one that belongs to the app's certificate."
    if labels:
        return (
            f"private_key holds no private key but {_OTHERS.get(labels[0], 'something else')}. Enter the private key "
            "that belongs to the app's certificate."
        )
    if text and not text.strip("*"):
        return "private_key is asterisks, which Airflow shows in place of what is saved; enter the key again."
    if "-----BEGIN" in text:
        return f"private_key is incomplete: its last line is missing. {_ENTER}."
    return f"private_key is no private key in PEM. {_ENTER}."


def read_private_key(pem: Pem, password: str | None) -> RSAPrivateKey:
    """Read a private key; to decrypt one may take some tenths of a second, as it is meant to.

    What reads it is loaded by connections that sign, and by no others.

    :param password: of an encrypted key; any other is read without.
    :raises ConnectionFieldError: where it cannot be read, or cannot sign for Salesforce.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if pem.encrypted and not password:
        raise ConnectionFieldError("private_key is encrypted; enter its password as private_key_password.")
    try:
        key = load_pem_private_key(pem.text.encode(), (password or "").encode() if pem.encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Their texts and causes are OpenSSL's, and no help.
        raise ConnectionFieldError(
            f"private_key_password does not open private_key. If it is the right one, {_ENCRYPT_ANEW}."
            if pem.encrypted
            else "private_key is damaged, or of a kind that cannot be read; enter the whole text of the key file."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise ConnectionFieldError(
            "private_key is no RSA key; Salesforce takes RS256, so make an RSA key of 2,048 bits."
        )
    if key.key_size < _LEAST_BITS:
        raise ConnectionFieldError(
            f"private_key has {key.key_size} bits; Salesforce takes RSA keys from {_LEAST_BITS:,} bits."
        )
    return key
