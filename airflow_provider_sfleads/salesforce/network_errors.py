"""Tell why a request got no response, without its URL (which may hold keys)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from typing import Literal

from requests import exceptions as wrong

from airflow_provider_sfleads.salesforce.body import Damaged, TooLarge

Kind = Literal["dns", "dns_unknown", "tls", "proxy", "refused", "timeout", "dropped", "broken", "too_large"]
Kinds = tuple[tuple[Kind, tuple[type[BaseException], ...], str], ...]
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
# http.client's errors that say that the connection was lost, and nothing of what came.
_CUT = (ConnectionError, IncompleteRead)
#: Of requests, and of urllib3 below it. The proxy first: a name that is not found on the way to it is its own, and not
#: Salesforce's.
REQUESTS: Kinds = (
    ("proxy", (wrong.ProxyError,), "the proxy refuses or does not answer"),
    ("dns", (socket.gaierror,), "the name server does not answer"),
    ("tls", (ssl.SSLCertVerificationError,), "its certificate is not trusted"),
    ("tls", (wrong.SSLError, ssl.SSLError), "the TLS connection failed"),
    ("timeout", (wrong.Timeout, TimeoutError), "no answer in time"),
    ("refused", (ConnectionRefusedError,), "the connection was refused"),
)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request that got no response.

    :param sent: whether Salesforce may have received it.
    :param reason: fit for messages and logs.
    """

    kind: Kind
    sent: bool
    reason: str


def explain(error: BaseException, kinds: Kinds, *, sent: bool) -> NoResponse:
    """Tell apart by the chain of causes, whose texts are not repeated: requests puts the whole URL into them.

    :param kinds: by the types of a cause; the first that is in the chain tells.
    :param sent: whether Salesforce may have received the request.
    """
    if isinstance(error, (TooLarge, Damaged)):
        return NoResponse("too_large" if isinstance(error, TooLarge) else "broken", sent=True, reason=str(error))
    chain = (error, *_causes(error))
    for kind, types, reason in kinds:
        cause = next((cause for cause in chain if isinstance(cause, types)), None)
        if kind == "dns" and isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN_NAME:
            return NoResponse("dns_unknown", sent, "the host name is unknown")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NoResponse("tls", sent, f"its certificate is not trusted ({cause.verify_message})")
        if cause is not None:
            return NoResponse(kind, sent, reason)
    if any(isinstance(cause, HTTPException) and not isinstance(cause, _CUT) for cause in chain):
        return NoResponse("broken", sent, "its answer is no HTTP, or its header is too large")
    return NoResponse("dropped", sent, "the connection was lost" if sent else "no connection could be made")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    open_ends: list[object] = [error]
    while open_ends:
        cause = open_ends.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        open_ends += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
