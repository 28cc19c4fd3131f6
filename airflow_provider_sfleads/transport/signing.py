"""The private key of a connection, and what is signed with it.

The libraries are loaded by connections that sign, and by no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.pem import ENCRYPT_ANEW, Pem
from airflow_provider_sfleads.exceptions import ConnectionFieldError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_EXPIRY = 24  # characters in which the claims of an assertion end, and the expiry stands
_LEAST_BITS = 2048  # Salesforce takes no certificate of fewer


def read_key(pem: Pem, password: str | None) -> RSAPrivateKey:
    """Read a private key; to decrypt one may take some tenths of a second, as it is meant to.

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
            f"private_key_password does not open private_key. If it is the right one, {ENCRYPT_ANEW}."
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


def sign(claims: Mapping[str, str | int], key: RSAPrivateKey) -> str:
    """Return a JWT with these claims, signed by RS256; takes a few milliseconds."""
    import jwt

    return jwt.encode(dict(claims), key, algorithm="RS256")


def lasting_part(assertion: str) -> str:
    """Return what all assertions of a connection begin with: all claims but the expiry, which comes last.

    To hide it hides each of them. Whole they would not do: the masker of a triggerer never forgets, and looks for, and
    compiles anew, all that it ever learned.
    """
    signed, _, _ = assertion.rpartition(".")
    return signed[:-_EXPIRY]
