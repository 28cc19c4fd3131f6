"""What a failure of the wire means, said without the URL (which may hold keys)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from requests import exceptions as wrong

Kind = Literal["dns", "dns_unknown", "tls", "proxy", "refused", "timeout", "dropped"]
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no answer.

    :param sent: whether Salesforce may have received it.
    :param reason: fit for messages and logs.
    """

    kind: Kind
    sent: bool
    reason: str


def explain(error: wrong.RequestException, *, sent: bool) -> Failure:
    """Tell apart by the chain of causes, whose texts are not repeated: requests puts the whole URL into them."""
    chain = tuple(_causes(error))
    sent = sent and not isinstance(error, wrong.ConnectTimeout)
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            unknown = cause.errno in _UNKNOWN_NAME
            return Failure(
                "dns_unknown" if unknown else "dns",
                sent,
                "the host name is unknown" if unknown else "the name server does not answer",
            )
    certificate = next((cause for cause in chain if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return Failure("tls", sent, f"its certificate is not trusted ({certificate.verify_message})")
    if isinstance(error, wrong.ProxyError):
        return Failure("proxy", sent, "the proxy refuses or does not answer")
    if isinstance(error, wrong.SSLError) or any(isinstance(cause, ssl.SSLError) for cause in chain):
        return Failure("tls", sent, "the TLS connection failed")
    if isinstance(error, wrong.Timeout) or any(isinstance(cause, TimeoutError) for cause in chain):
        return Failure("timeout", sent, "no answer in time")
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return Failure("refused", sent, "the connection was refused")
    return Failure("dropped", sent, "the connection was lost" if sent else "no connection could be made")


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
