"""Make the token requests of both OAuth flows, client credentials and JWT bearer, and read their responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ConnectionFailedError, WrongHostError
from airflow_provider_sfleads.salesforce import jwt_bearer, oauth
from airflow_provider_sfleads.salesforce.backoff import TryAgain
from airflow_provider_sfleads.salesforce.body import decode
from airflow_provider_sfleads.salesforce.limits import parse_http_date, parse_retry_after
from airflow_provider_sfleads.salesforce.network_errors import NoResponse
from airflow_provider_sfleads.salesforce.oauth import TOKEN_PATH, Grant
from airflow_provider_sfleads.salesforce.request import RawResponse
from airflow_provider_sfleads.salesforce.response_policy import Again
from airflow_provider_sfleads.salesforce.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# Bytes of a web page that are looked at for what it says.
_LONGEST_LOOKED_AT = 50_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OK = 200
# Characters in which the claims of an assertion end, and its expiry stands.
_EXPIRY = 24


def token_url(settings: Settings) -> str:
    """Return where a token is asked for, by POST."""
    return settings.host.url + TOKEN_PATH


def token_form(settings: Settings, *, now: float) -> dict[str, str]:
    """Return what is posted there, for one attempt: an assertion is made anew for each.

    :param now: seconds since the epoch.
    """
    if settings.bearer is not None:
        claims = jwt_bearer.claims(
            consumer_key=settings.consumer_key,
            username=settings.bearer.username,
            audience=settings.bearer.audience,
            now=now,
        )
        return jwt_bearer.token_form(_signed(claims, settings.bearer.key))
    return oauth.token_form(settings.consumer_key, settings.consumer_secret)


def secrets_in(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return what no log may show of a form, beyond what is secret in the connection itself; the same for each form.

    Of an assertion it is what all those of a connection begin with: all claims but the expiry, which comes last. To
    hide it hides each of them. Whole they would not do: the masker of a triggerer never forgets, and looks for, and
    compiles anew, all that it ever learned.
    """
    if "assertion" not in fields:
        return ()
    signed, _, _ = fields["assertion"].rpartition(".")
    return (signed[:-_EXPIRY],)


def _signed(claims: Mapping[str, str | int], key: RSAPrivateKey) -> str:
    """Return a JWT with these claims, signed by RS256; takes a few milliseconds."""
    import jwt  # by connections that sign, and by no others

    return jwt.encode(dict(claims), key, algorithm="RS256")


def read_grant(answer: RawResponse | NoResponse, settings: Settings, *, now: float) -> Grant:
    """Read the response to a token request.

    :param now: seconds since the epoch.
    :raises TryAgain: where asking again may help; a token request changes nothing, so it can always be repeated.
    :raises SalesforceLeadsError: where it does not help.
    """
    if isinstance(answer, NoResponse):
        raise _unreachable(answer, settings)
    body, is_readable = decode(answer.content or b"", answer.headers.get("content-type", ""))
    if answer.status == _OK and is_readable and not (isinstance(body, dict) and "error" in body):
        return oauth.read_grant(body, configured=settings.host, conn_id=settings.conn_id)
    raise _refused(answer, body, settings, now=now)


def _page(answer: RawResponse, body: object) -> str | None:
    """The beginning of an answer that is a web page, or that was to be a token and cannot be read; ``None`` for others.

    What it is shows in its first character: proxies send pages under any type.
    """
    content = (answer.content or b"")[:_LONGEST_LOOKED_AT].removeprefix(_BYTE_ORDER_MARK).lstrip()
    is_garbled = answer.status == _OK and body is None
    return content.decode(errors="replace") if content.startswith(b"<") or is_garbled else None


def _unreachable(failure: NoResponse, settings: Settings) -> Exception:
    where = f"{settings.host.name} (connection {settings.conn_id!r})"
    if failure.kind == "dns_unknown":
        return WrongHostError(f"There is no host {where}: {failure.reason}. Enter the org's My Domain host into Host.")
    if failure.kind == "tls":
        return WrongHostError(
            f"{where} cannot be trusted: {failure.reason}. Check Host; behind a proxy that opens TLS, set verify to "
            "its CA file."
        )
    text = (
        f"No token could be fetched from {where}: {failure.reason}. Check the network and proxies from this machine, "
        "then try again."
    )
    return TryAgain(Again(ConnectionFailedError(text), ambiguous=False))


def _assertion(answer: RawResponse, settings: Settings, *, now: float) -> dict[str, object] | None:
    if settings.bearer is None:
        return None
    theirs = parse_http_date(answer.headers.get("date"))
    return jwt_bearer.told_of(settings.bearer.audience, None if theirs is None else theirs - now)


def _refused(answer: RawResponse, body: object, settings: Settings, *, now: float) -> Exception:
    status = answer.status
    where = f"{settings.host.name} (connection {settings.conn_id!r})"
    if 300 <= status < 400:  # noqa: PLR2004
        return WrongHostError(
            f"{where} answered the token request with a redirect (HTTP {status}), which is not followed with a secret. "
            "If the org's My Domain was renamed, enter the new host into Host."
        )
    assertion = _assertion(answer, settings, now=now)
    page, conn_id = _page(answer, body), settings.conn_id
    error = oauth.refusal(status, body, page=page, host=settings.host, conn_id=conn_id, assertion=assertion)
    if not error.transient:
        return error
    asked = parse_retry_after(answer.headers.get("retry-after"), now=now)
    error.retry_after = error.retry_after if asked is None else asked
    return TryAgain(Again(error, ambiguous=False, retry_after=asked))
