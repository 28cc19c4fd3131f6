"""A request to Salesforce and its answer, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

_REDIRECT = 300

FieldValue = str | bool | int | Decimal | None
"""A value of a record's field, as it goes out."""
Record = Mapping[str, FieldValue]
"""The values of a record, by the fields' API names."""
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


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
