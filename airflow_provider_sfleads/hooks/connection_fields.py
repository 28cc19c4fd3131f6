"""Read an Airflow connection, and check it field by field."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from airflow_provider_sfleads.core.text import number_of
from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import Host, parse_host
from airflow_provider_sfleads.salesforce.jwt_bearer import audience_of, parse_audience, parse_pem, read_private_key
from airflow_provider_sfleads.salesforce.settings import (
    DEFAULT_API_VERSION,
    DEFAULT_MAX_API_USAGE,
    DEFAULT_TIMEOUT,
    JwtBearer,
    Settings,
    normalise_version,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CONN_TYPE = "salesforce_leads"
_LONGEST_TIMEOUT = 600.0  # Salesforce itself ends a call after ten minutes
_ALL = 100
# Between 1 and this a number without a sign is a slip: a share is not that large, nor a ceiling that low.
_LEAST_BARE = 2
_PATH = re.compile(r"[/\\.]")
# What requests looks up: any other key would be passed over, and the request go out without the proxy.
_PROXIED = re.compile(r"(?:https?|all)(?:://\S+)?")
_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_BLANK = re.compile(r"\s")
# Salesforce's usernames have the form of an e-mail address.
_USERNAME = re.compile(r"[^@\s]+@[^@\s]+")
_FLOWS = ("client_credentials", "jwt_bearer")
_OTHER_FLOWS = frozenset(
    {"password", "username_password", "refresh_token", "authorization_code", "saml_bearer", "token_exchange", "device"}
)
Value = TypeVar("Value")
Fallback = TypeVar("Fallback")


class _Problems(list[str]):
    """A sentence for each thing that is wrong."""

    def read(self, reader: Callable[[], Value], fallback: Fallback) -> Value | Fallback:
        """Return what ``reader`` reads, or the fallback where it raises."""
        try:
            return reader()
        except ConnectionFieldError as problem:
            self.append(str(problem))
            return fallback


def read_settings(connection: Connection, conn_id: str | None = None) -> Settings:
    """Read a connection; extras that are null are unset, and unknown ones are left alone.

    :param conn_id: by which the connection was asked for, where it bears another.
    :raises ConnectionFieldError: naming all that is wrong at once.
    """
    problems = _Problems()
    read = problems.read
    extra: Mapping[str, object] = read(lambda: _extra(connection.extra), {})
    host = read(lambda: parse_host(connection.host, connection.schema, connection.port), Host("", "", loopback=False))
    key, secret = (connection.login or "").strip(), (connection.password or "").strip()
    flow = read(lambda: _flow(_first(extra, "auth", default=_FLOWS[0])), _FLOWS[0])
    if not key:
        problems.append("Consumer key (Login) is empty; enter the consumer key of the External Client App.")
    if not secret and flow == _FLOWS[0]:
        problems.append(
            "Consumer secret (Password) is empty; enter the consumer secret of the External Client App, or set auth to "
            "jwt_bearer, which takes a private key instead."
        )
    version = read(lambda: normalise_version(_first(extra, "api_version", default=DEFAULT_API_VERSION)), "")
    timeout = read(lambda: _timeout(extra), DEFAULT_TIMEOUT)
    share = read(lambda: _share(extra), DEFAULT_MAX_API_USAGE)
    proxies = read(lambda: _proxies(_first(extra, "proxies", "proxy")), None)
    bearer = _bearer(extra, host if host.name else None, problems) if flow == "jwt_bearer" else None
    verify = read(lambda: _verify(_first(extra, "verify", "verify_ssl", default=True)), fallback=True)
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise ConnectionFieldError(f"Connection {connection.conn_id!r} cannot be used:{lines}")
    return Settings(
        host=host,
        consumer_key=key,
        consumer_secret=secret,
        bearer=bearer,
        api_version=version,
        timeout=timeout,
        max_api_usage=share,
        proxies=proxies,
        verify=verify,
        conn_id=conn_id or connection.conn_id,
    )


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """Return what no log may show: the consumer secret, the private key and its password, the passwords of proxies."""
    passwords = (urlsplit(url).password for url in (settings.proxies or {}).values())
    bearer = settings.bearer.secrets if settings.bearer else ()
    return (settings.consumer_secret, *bearer, *(password for password in passwords if password))


def no_connection(conn_id: str) -> ConnectionFieldError:
    """Return the error for a connection that Airflow does not know."""
    return ConnectionFieldError(f"There is no Airflow connection {conn_id!r}; make one of type {CONN_TYPE}.")


def _extra(text: str | None) -> Mapping[str, object]:
    if not text or not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConnectionFieldError("Extra is not a JSON object.")
    return {name: value for name, value in found.items() if value is not None and str(value).strip() != ""}


def _first(extra: Mapping[str, object], *names: str, default: object = None) -> object:
    return next((extra[name] for name in names if name in extra), default)


def _timeout(extra: Mapping[str, object]) -> float:
    number = number_of(_first(extra, "timeout", default=DEFAULT_TIMEOUT))
    if number is None or not 0 < number <= _LONGEST_TIMEOUT:
        raise ConnectionFieldError(f"timeout must be a number of seconds above 0 and up to {_LONGEST_TIMEOUT:g}.")
    return float(number)


def _share(extra: Mapping[str, object]) -> float:
    """Read a share of one, or a percentage: with its sign, or above 1, where it cannot be a share."""
    text = str(_first(extra, "max_api_usage", default=DEFAULT_MAX_API_USAGE)).strip()
    is_percent = text.endswith("%")
    number = number_of(text.removesuffix("%"))
    if number is None or not 0 <= number <= _ALL or (not is_percent and 1 < number < _LEAST_BARE):
        raise ConnectionFieldError(
            "max_api_usage (API usage ceiling) must be a percentage from 0% to 100%, such as 90%, or the same as a "
            "share from 0 to 1, such as 0.9."
        )
    return float(number / _ALL if is_percent or number > 1 else number)


def _flow(value: object) -> str:
    flow = value.strip() if isinstance(value, str) else ""
    if flow not in _FLOWS:
        # Anything else is not repeated: it may be a password.
        named = f" There is no flow {flow!r} here." if flow in _OTHER_FLOWS else ""
        raise ConnectionFieldError(f"auth must be {' or '.join(_FLOWS)}.{named}")
    return flow


def _proxies(value: object) -> dict[str, str] | None:
    if isinstance(value, str):
        text = value.strip()
        try:
            value = json.loads(text) if text.startswith("{") else {"http": text, "https": text}
        except ValueError:
            value = 0
    if value is None:
        return None
    urls = {scheme: _with_scheme(url) for scheme, url in value.items()} if isinstance(value, dict) else None
    if urls is None or not all(_is_proxy(scheme, url) for scheme, url in urls.items()):
        raise ConnectionFieldError(
            'proxies must be an object of URLs by scheme (http, https or all), such as {"https": "http://proxy:3128"}.'
        )
    return urls or None


def _with_scheme(url: object) -> str:
    """Return a proxy's URL; ``proxy:3128`` is one without its scheme, and a mere word, such as ``false``, is none."""
    text = url if isinstance(url, str) else ""
    return f"http://{text}" if ":" in text and "://" not in text else text


def _is_proxy(scheme: str, url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return bool(has_place and _PROXIED.fullmatch(scheme)) and parts.scheme in _PROXY_SCHEMES and not _BLANK.search(url)


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    word = value.strip() if isinstance(value, str) else ""
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if not _PATH.search(word):
        # "no" would be looked for as a file, long after the form was closed.
        raise ConnectionFieldError("verify must be true, false, or the path of a CA bundle.")
    try:
        is_folder = Path(word).is_dir()
        ssl.create_default_context(cafile=None if is_folder else word, capath=word if is_folder else None)
    except (OSError, ValueError):
        raise ConnectionFieldError(
            f"verify must be true, false, or the path of a CA bundle; {word} is none that can be read on this machine."
        ) from None
    return word


def _bearer(extra: Mapping[str, object], host: Host | None, problems: _Problems) -> JwtBearer | None:
    """Read what the JWT bearer flow takes; ``None`` where something is wrong.

    :param extra: those extras that are set.
    :param host: the connection's, where that is one.
    """
    key = problems.read(lambda: _private_key(extra), None)
    username = problems.read(lambda: _username(extra.get("username")), None)
    given = extra.get("audience")
    usual = audience_of(host) if host else None
    audience = usual if given is None else problems.read(lambda: parse_audience(given), None)
    if key is None or username is None or audience is None:
        return None
    return JwtBearer(key=key[0], username=username, audience=audience, secrets=key[1])


def _private_key(extra: Mapping[str, object]) -> tuple[RSAPrivateKey, tuple[str, ...]]:
    given, password = extra.get("private_key"), extra.get("private_key_password")
    if given is None:
        raise ConnectionFieldError(
            "private_key is empty; enter the private key, in PEM, that belongs to the app's certificate."
        )
    pem = parse_pem(given)
    text = None if password is None else str(password)
    return read_private_key(pem, text), (*pem.pieces, *([text] if text else []))


def _username(value: object) -> str:
    if value is None:
        raise ConnectionFieldError("username is empty; enter the username of the Run-As user.")
    text = value.strip() if isinstance(value, str) else ""
    if not _USERNAME.fullmatch(text):
        raise ConnectionFieldError("username is none: Salesforce's have the form of an e-mail address.")
    return text
