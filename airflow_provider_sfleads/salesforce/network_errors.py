"""Tell why a request got no response, without its URL (which may hold keys)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from typing import Literal

from requests import exceptions as wrong
from urllib3.exceptions import HTTPError  # noqa: TC002 - resolvable at run time

Kind = Literal["dns", "dns_unknown", "tls", "proxy", "refused", "timeout", "dropped", "broken", "too_large"]
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request that got no response.

    :param sent: whether Salesforce may have received it.
    :param reason: fit for messages and logs.
    """

    kind: Kind
    sent: bool
    reason: str


DAMAGED = NoResponse("broken", sent=True, reason="its answer is damaged, or packed in a way that was not asked for")


def too_large(most: int) -> NoResponse:
    """Return what is said of a response with more than ``most`` bytes."""
    return NoResponse("too_large", sent=True, reason=f"its answer has more than {most / 1e6:,.0f} MB unpacked")


Kinds = tuple[tuple[Kind, tuple[type[BaseException], ...], str], ...]


def explain_error(error: wrong.RequestException | HTTPError, *, sent: bool) -> NoResponse:
    """Say what an error of requests, or of urllib3 below it, means."""
    return explain_causes(error, _KINDS, sent=sent and not isinstance(error, wrong.ConnectTimeout))


def explain_causes(error: BaseException, kinds: Kinds, *, sent: bool) -> NoResponse:
    """Tell apart by the chain of causes, whose texts are not repeated: requests puts the whole URL into them.

    :param kinds: by the types of a cause; the first that is in the chain tells.
    :param sent: whether Salesforce may have received the request.
    """
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


# http.client's errors that say that the connection was lost, and nothing of what came.
_CUT = (ConnectionError, IncompleteRead)
# The proxy first: a name that is not found on the way to it is its own, and not Salesforce's.
_KINDS: Kinds = (
    ("proxy", (wrong.ProxyError,), "the proxy refuses or does not answer"),
    ("dns", (socket.gaierror,), "the name server does not answer"),
    ("tls", (ssl.SSLCertVerificationError,), "its certificate is not trusted"),
    ("tls", (wrong.SSLError, ssl.SSLError), "the TLS connection failed"),
    ("timeout", (wrong.Timeout, TimeoutError), "no answer in time"),
    ("refused", (ConnectionRefusedError,), "the connection was refused"),
)


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
