"""A request to Salesforce and its answer as values, and what headers of an answer say of limits and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote_plus

Answer = TypeVar("Answer")

_REDIRECT = 300

FieldValue = str | bool | int | Decimal | None
"""A value of a record's field, as it goes out."""
Record = Mapping[str, FieldValue]
"""The values of a record, by the fields' API names."""
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

Kind = Literal["dns", "dns_unknown", "tls", "proxy", "refused", "timeout", "dropped", "broken", "too_large"]
# The anchor keeps "api-usage" from matching inside "per-app-api-usage"; the order of segments is not fixed.
_USAGE = re.compile(r"(?:^|[;,])\s*api-usage\s*=\s*(\d{1,15})\s*/\s*(\d{1,15})(?!\d)", re.IGNORECASE | re.ASCII)
# Seconds: an hour is the most that makes sense, and what is more than a day is no word of Salesforce's.
_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that lies on disk: it goes out in pieces, with its length told, and anew for every attempt.

    :param path: a local file, which must not change while it is sent.
    :param content_type: what it holds.
    """

    path: Path
    content_type: str = "text/csv; charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One REST request, less host, version and token.

    :param method: HTTP method.
    :param path: below ``/services/data/vXX.X/``; a path that starts with ``/`` is host-relative (as
        ``nextRecordsUrl`` is).
    :param params: query parameters, unencoded.
    :param body: what goes out as JSON (a :class:`~decimal.Decimal` as the exact number), or a :class:`FileBody`.
    :param headers: further headers.
    :param repeatable: whether sending it twice leaves Salesforce as sending it once does. What is not is
        never sent again once it may have been received.
    :param write: whether it changes records; such calls stop at ``max_api_usage``.
    :param once: leave it to the caller to try again, who has to look at something first.
    :param most: bytes that its answer may have where that goes to a file; ``None`` for as many as one that is held.
    :param announce: called right before each sending, to make durable that it may have been sent.
    """

    method: Method
    path: str
    params: Mapping[str, str] | None = None
    body: object | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    write: bool = False
    once: bool = False
    most: int | None = None
    announce: Callable[[], None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a :class:`Call` that Salesforce took as a request: 2xx, 3xx or 4xx.

    :param status: HTTP status.
    :param body: parsed JSON; ``None`` for an empty body.
    :param headers: reply headers, names in lower case.
    :param repeated: whether an earlier sending of the same call may have been carried out already.
    """

    status: int
    body: object | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeated: bool = False

    @property
    def taken(self) -> bool:
        """Whether Salesforce took the request; of what it asks for, the body may still refuse parts."""
        return self.status < _REDIRECT


Send = Callable[[Call], Reply]


def in_url(text: str) -> str:
    """Return ``text`` as the value of a query parameter.

    Quotes, parentheses and commas stay as they are (RFC 3986, 3.4): look-ups hold little else beside their keys.
    """
    return quote_plus(text, safe="!*'(),")


def query_of(params: Mapping[str, str] | None) -> str:
    """Return query parameters as they go out, behind a question mark; nothing where there are none."""
    pairs = [f"{in_url(name)}={in_url(value)}" for name, value in (params or {}).items()]
    return f"?{'&'.join(pairs)}" if pairs else ""


def answered(send: Send, calls: Generator[Call, Reply, Answer]) -> Answer:
    """Send calls one after the other, each made of the reply to the one before, and return what comes of them."""
    try:
        call = next(calls)
        while True:
            call = calls.send(send(call))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An HTTP response as it came.

    :param headers: names in lower case.
    :param content: the body; ``None`` where it went into a file.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request that got no response.

    :param sent: whether Salesforce may have received it.
    :param reason: fit for messages and logs.
    """

    kind: Kind
    sent: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ApiUsage:
    """The org's REST requests in the last 24 hours, of all its users and apps.

    :param used: requests counted so far; paid orgs can stand above ``max``.
    :param max: requests allowed.
    """

    used: int
    max: int

    @property
    def share(self) -> float:
        """``used`` as a share of ``max``; 1.0 where the org is allowed none."""
        return self.used / self.max if self.max > 0 else 1.0


def parse_limit_info(header: str | None) -> ApiUsage | None:
    """Read ``Sforce-Limit-Info``; ``None`` where it is absent or says nothing of the org's requests.

    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm
    """
    found = _USAGE.search(header or "")
    return ApiUsage(int(found[1]), int(found[2])) if found else None


def parse_http_date(header: str | None) -> float | None:
    """Read an HTTP date as seconds since the epoch; ``None`` where it is none."""
    try:
        return parsedate_to_datetime(header or "").timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def parse_retry_after(header: str | None, *, now: float) -> float | None:
    """Read ``Retry-After``, seconds or an HTTP date, as seconds from ``now``; never negative, nor more than a day.

    :param now: seconds since the epoch, by the server's clock where that is known.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _A_DAY)
    moment = parse_http_date(text)
    return None if moment is None else min(max(0.0, moment - now), _A_DAY)
