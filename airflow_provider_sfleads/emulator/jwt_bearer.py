"""The JWT bearer flow: what an assertion has to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from airflow_provider_sfleads.emulator.settings import EmulatorSettings

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST = 300  # seconds from now until an assertion expires
_INVALID = ("invalid_grant", "invalid assertion")


def check_certificates(texts: Iterable[str]) -> None:
    """Refuse what is no certificate, such as the private key, without repeating it."""
    for number, pem in enumerate(texts, 1):
        try:
            _public_key(pem)
        except ValueError:
            message = (
                f"JWT bearer: certificate {number} is none. It takes the PEM text of a certificate with an RSA key, "
                "such as airflow.crt, or of its public key; not the private key"
            )
            raise ValueError(message) from None


def refusal(assertion: str, settings: EmulatorSettings, *, now: float) -> tuple[str, str] | None:
    """Return why no token is given: `error` and `error_description`.

    Stricter than Salesforce, which grants some minutes to a clock that is slow, and takes assertions that are good
    for much longer: a client that relies on that had better be refused here.
    """
    claims = _unverified(assertion)
    if claims is None:
        return _INVALID
    expires = _seconds(claims.get("exp", 0))
    is_time = expires is not None and expires <= now + _LONGEST
    checks = (
        (claims.get("iss") == settings.client_id, ("invalid_client_id", "client identifier invalid")),
        (any(_is_signed(assertion, certificate) for certificate in settings.jwt_certificates), _INVALID),
        (claims.get("aud") in settings.jwt_audiences, ("invalid_grant", "audience is invalid")),
        (is_time, _INVALID),
        (expires is not None and expires > now, ("invalid_grant", "expired authorization code")),
        (claims.get("sub") == settings.jwt_username, ("invalid_grant", "user hasn't approved this consumer")),
        (settings.jwt_approved, ("invalid_app_access", "user is not admin approved to access this app")),
    )
    return next((reason for passed, reason in checks if not passed), None)


def _seconds(expiry: object) -> int | None:
    """Return a point in time; as text, too, since that is how simple-salesforce sends it."""
    if isinstance(expiry, str) and re.fullmatch(r"[0-9]{1,18}", expiry):
        return int(expiry)
    return expiry if isinstance(expiry, int) else None


def _unverified(assertion: str) -> dict[str, Any] | None:
    import jwt

    try:
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    return claims


def _is_signed(assertion: str, certificate: str) -> bool:
    import jwt

    # Only the signature: the claims are held against the emulator's own clock and settings.
    options: Any = {"verify_exp": False, "verify_aud": False}
    try:
        jwt.decode(assertion, _public_key(certificate), algorithms=["RS256"], options=options)
    except jwt.InvalidTokenError:
        return False
    return True


def _public_key(pem: str) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    text = pem.encode()
    key = load_pem_x509_certificate(text).public_key() if "CERTIFICATE" in pem else load_pem_public_key(text)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("no RSA key")  # noqa: TRY004 - of a text
    return key
