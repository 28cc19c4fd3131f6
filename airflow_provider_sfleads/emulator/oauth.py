"""The token endpoint and its neighbours: client credentials, JWT bearer, introspect, revoke, userinfo."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from airflow_provider_sfleads.emulator import jwt_bearer
from airflow_provider_sfleads.emulator.ids import ORG_ID, RUN_AS_USER_ID
from airflow_provider_sfleads.emulator.settings import EmulatorSettings
from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply

CLIENT_CREDENTIALS = "client_credentials"


@dataclass(slots=True)
class _Token:
    text: str
    used_at: float
    calls: int = 0


class Tokens:
    """The tokens that live; a token dies unused, by its count of calls, or when told to.

    `issued` are all that there ever were.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[str, _Token] = {}
        self.issued: list[str] = []
        self.minted = 0
        self.requests = 0

    def mint(self, settings: EmulatorSettings) -> str:
        """Return the live token of the app, or a new one where there is none."""
        with self._lock:
            self.requests += 1
            for token in self._live.values():
                if self._fresh(token, settings):
                    token.used_at = self._clock()
                    return token.text
            self._live.clear()
            text = f"{ORG_ID[:15]}!AQ0AQ{secrets.token_urlsafe(48).replace('-', '.')}"
            self._live[text] = _Token(text, self._clock())
            self.issued.append(text)
            self.minted += 1
            return text

    def _fresh(self, token: _Token, settings: EmulatorSettings) -> bool:
        if settings.token_calls is not None and token.calls >= settings.token_calls:
            return False
        return self._clock() - token.used_at < settings.token_lifetime

    def accept(self, text: str, settings: EmulatorSettings) -> bool:
        """Return whether a call may go on with this token; counts the call and prolongs the token."""
        with self._lock:
            token = self._live.get(text)
            if token is None or not self._fresh(token, settings):
                return False
            token.calls += 1
            token.used_at = self._clock()
            return True

    def expiry(self, text: str, settings: EmulatorSettings) -> float | None:
        """Return when a live token will die of disuse."""
        with self._lock:
            token = self._live.get(text)
            if token is None or not self._fresh(token, settings):
                return None
            return token.used_at + settings.token_lifetime

    def expire(self, text: str | None = None) -> None:
        """Kill one token, or all."""
        with self._lock:
            if text is None:
                self._live.clear()
            else:
                self._live.pop(text, None)

    def reset(self) -> None:
        """Kill all, and count anew."""
        with self._lock:
            self._live.clear()
            self.minted = self.requests = 0


def _refused(error: str, description: str) -> Reply:
    return Reply(status=400, body={"error": error, "error_description": description})


def _form(call: Call) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(call.body.decode(), keep_blank_values=True).items()}
    except ValueError:
        return {}


def _client(call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        return unquote(key), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _check_client(call: Call, form: Mapping[str, str]) -> Reply | None:
    settings = call.emulator.settings
    key, secret = _client(call, form)
    if key != settings.client_id:
        return _refused("invalid_client_id", "client identifier invalid")
    if not hmac.compare_digest(secret.encode(), settings.client_secret.encode()):
        return _refused("invalid_client", "invalid client credentials")
    return None


def _identity(call: Call) -> str:
    return f"{call.base_url}/id/{ORG_ID}/{RUN_AS_USER_ID}"


def _check_grant(call: Call, form: Mapping[str, str]) -> Reply | None:
    settings = call.emulator.settings
    grant_type = form.get("grant_type")
    if grant_type == jwt_bearer.GRANT_TYPE and settings.flow_enabled:
        reason = jwt_bearer.refusal(form.get("assertion", ""), settings, now=call.emulator.clock())
        return None if reason is None else _refused(*reason)
    if grant_type != CLIENT_CREDENTIALS:
        return _refused("unsupported_grant_type", "grant type not supported")
    refused = _check_client(call, form)
    if refused is not None:
        return refused
    if not settings.flow_enabled:
        return _refused("unsupported_grant_type", "grant type not supported")
    return None if settings.run_as_user else _refused("invalid_grant", "no client credentials user enabled")


def token(call: Call) -> Reply:
    """`POST /services/oauth2/token`."""
    settings = call.emulator.settings
    form = _form(call)
    refused = _check_grant(call, form)
    if refused is not None:
        return refused
    identity = _identity(call)
    issued_at = str(int(call.emulator.clock() * 1000))
    digest = hmac.new(settings.client_secret.encode(), (identity + issued_at).encode(), hashlib.sha256).digest()
    body = {
        "access_token": call.emulator.tokens.mint(settings),
        "signature": base64.b64encode(digest).decode(),
        "scope": "api",
        "instance_url": settings.instance_url or call.base_url,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued_at,
    }
    return Reply(body=body, headers={"Cache-Control": "no-cache, no-store"})


def introspect(call: Call) -> Reply:
    """`POST /services/oauth2/introspect`: the only place that says when a token dies."""
    form = _form(call)
    refused = _check_client(call, form)
    if refused is not None:
        return refused
    settings = call.emulator.settings
    expiry = call.emulator.tokens.expiry(form.get("token", ""), settings)
    if expiry is None:
        return Reply(body={"active": False})
    issued = int(expiry - settings.token_lifetime)
    return Reply(
        body={
            "active": True,
            "scope": "api",
            "client_id": settings.client_id,
            "username": RUN_AS_USERNAME,
            "sub": _identity(call),
            "token_type": "access_token",
            "exp": int(expiry),
            "iat": issued,
            "nbf": issued,
        }
    )


def revoke(call: Call) -> Reply:
    """`POST /services/oauth2/revoke`: logs out everybody who shares the token."""
    text = _form(call).get("token") or call.query.get("token", "")
    if call.emulator.tokens.expiry(text, call.emulator.settings) is None:
        return _refused("unsupported_token_type", "this token type is not supported")
    call.emulator.tokens.expire(text)
    return Reply()


def bearer(call: Call) -> str:
    """Return the token of a call's Authorization header, whether or not it lives."""
    scheme, _, text = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "oauth"} or not text.strip():
        raise ApiError("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", status=401)
    return text.strip()


def session_expired() -> ApiError:
    """Return what a call with a dead token is told."""
    return ApiError("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def check_session(call: Call) -> None:
    """Refuse a call whose token does not live."""
    if not call.emulator.tokens.accept(bearer(call), call.emulator.settings):
        raise session_expired()


def userinfo(call: Call) -> Reply:
    """`GET /services/oauth2/userinfo`."""
    if call.emulator.tokens.expiry(bearer(call), call.emulator.settings) is None:
        return Reply(status=403, body="Bad_OAuth_Token")
    return Reply(
        body={
            "sub": _identity(call),
            "user_id": RUN_AS_USER_ID,
            "organization_id": ORG_ID,
            "preferred_username": RUN_AS_USERNAME,
            "name": "Leads Integration",
            "email": RUN_AS_USERNAME,
            "active": True,
        }
    )
