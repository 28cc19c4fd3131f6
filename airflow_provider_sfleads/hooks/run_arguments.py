"""Turn the arguments of ``HttpHook.run`` into a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.salesforce.wire import Call, Method

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def read_options(given: Mapping[str, object] | None) -> tuple[bool, float | None]:
    """Return ``check_response`` and ``timeout``; other ``extra_options`` are refused, for the session is shared."""
    rest = dict(given or {})
    check, timeout = rest.pop("check_response", True), rest.pop("timeout", None)
    refuse_options(extra_options=rest)
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
        raise ParameterError("extra_options' timeout must be a number of seconds above 0.")
    return bool(check), timeout


def refuse_options(**given: Mapping[str, object] | None) -> None:
    """Refuse what would change the shared session."""
    for name, value in given.items():
        if value:
            raise ParameterError(
                f"{name} {sorted(map(str, value))} cannot be given: the session is shared. "
                "Set proxies and verify in the connection's extra, and give headers to the single request."
            )


def call_of(
    method: str,
    endpoint: str | None,
    *,
    data: Mapping[str, object] | str | bytes | None = None,
    headers: Mapping[str, object] | None = None,
    **request: object,
) -> Call:
    """Return the call that ``HttpHook.run`` would make of these arguments."""
    json, params = request.pop("json", None), request.pop("params", None)
    if request:
        raise ParameterError(f"{sorted(request)} cannot be given; only json and params can.")
    if "://" in (endpoint or "").partition("?")[0]:
        raise ParameterError("endpoint must be a path below the connection's host.")
    reading = method.upper() in _READING
    extra = {str(name): str(value) for name, value in (headers or {}).items()}
    body: object = json
    if reading and isinstance(data, Mapping):
        params = data
    elif isinstance(data, Mapping):
        body = urlencode(data, doseq=True).encode()
        extra.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif data is not None:
        body = data
    if params is not None and not isinstance(params, Mapping):
        raise ParameterError("params must be a dict.")
    return Call(
        method=cast("Method", method.upper()),
        path="/" + (endpoint or "").lstrip("/"),
        params={str(name): str(value) for name, value in params.items()} if params else None,
        body=body,
        headers=extra,
        repeatable=reading,
        write=not reading,
    )
