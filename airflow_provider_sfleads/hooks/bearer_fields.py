"""The fields of a connection that signs its token requests, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_sfleads.core.host import Host
from airflow_provider_sfleads.core.jwt_bearer import audience_of, parse_audience
from airflow_provider_sfleads.core.pem import parse_pem
from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.transport.settings import JwtBearer, read_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# Salesforce's usernames have the form of an e-mail address.
_USERNAME = re.compile(r"[^@\s]+@[^@\s]+")
Value = TypeVar("Value")


def read_bearer(extra: Mapping[str, object], host: Host | None, problems: list[str]) -> JwtBearer | None:
    """Read what the JWT bearer flow takes; ``None`` where something is wrong.

    :param extra: those extras that are set.
    :param host: the connection's, where that is one.
    :param problems: takes a sentence for each thing that is wrong.
    """

    def read(reader: Callable[[], Value]) -> Value | None:
        try:
            return reader()
        except ConnectionFieldError as problem:
            problems.append(str(problem))
            return None

    found = read(lambda: _key(extra))
    username = read(lambda: _username(extra.get("username")))
    given = extra.get("audience")
    audience = read(lambda: parse_audience(given)) if given is not None else audience_of(host) if host else None
    if found is None or username is None or audience is None:
        return None
    key, secrets = found
    return JwtBearer(key=key, username=username, audience=audience, secrets=secrets)


def _key(extra: Mapping[str, object]) -> tuple[RSAPrivateKey, tuple[str, ...]]:
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
