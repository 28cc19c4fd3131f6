"""Replies that come in pages, and what is asked for in pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.salesforce.ids import is_id
from airflow_provider_sfleads.salesforce.replies import call_name, refusal
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send

#: Records that one query of a look-up may find: all of them are held.
MOST_FOUND = 250_000
# Where the next page of a query is (REST API Developer Guide, "Query"), below the same host.
_NEXT = re.compile(r"/services/data/v\d{2,3}\.0/query(?:all)?/[\w-]{1,200}", re.ASCII | re.IGNORECASE)
_LOCATOR = re.compile(r"[\w.~=+/-]{1,1000}", re.ASCII)
# No number of Salesforce has so many digits.
_MOST_DIGITS = 10**40

Item = TypeVar("Item")


def cut(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut ``items`` into pages of ``size``."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


class Trail:
    """Follows a list from page to page, to its end: one that leads in a circle, or on and on past nothing, has none.

    :param what: names the list in errors.
    """

    def __init__(self, what: str, conn_id: str) -> None:
        self._what = f"{what} (connection {conn_id!r})"
        self._passed: set[str] = set()

    def follow(self, place: object, found: int) -> str:
        """Return what asks for the next page.

        :param place: as Salesforce names it.
        :param found: how many items the page before had.
        :raises ServiceUnavailableError: where it cannot be the next page of this list.
        """
        if not isinstance(place, str) or not _LOCATOR.fullmatch(place):
            raise self.broken("names a next page that cannot be one")
        if place in self._passed:
            raise self.broken("names a page as the next one that was there before")
        if not found:
            raise self.broken("goes on after a page with nothing on it")
        self._passed.add(place)
        return place

    def broken(self, how: str) -> ServiceUnavailableError:
        """Return the error for a list that is none."""
        return ServiceUnavailableError(
            f"Salesforce's answer to {self._what} {how}, so it would have no end. Try again later; if it comes back, "
            "check what stands between this machine and Salesforce."
        )


def query_pages(
    send: Send, soql: str, *, resource: str, conn_id: str, most: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of a query page by page, asking for one when the one before is used up.

    A short page is not the end (REST API Developer Guide, "Query").

    :param resource: ``query``, or ``queryAll`` where the recycle bin counts.
    :param most: records that it may find.
    :raises ServiceUnavailableError: where a page is none, or they have no end.
    """
    call = Call(method="GET", path=resource, params={"q": soql})
    trail = Trail(call_name(call), conn_id)
    count = 0
    while True:
        page = mapping(call, send(call), conn_id=conn_id)
        records = objects(page.get("records") or [], call, conn_id=conn_id)
        count += len(records)
        if count > _most(page.get("totalSize"), most):
            raise trail.broken("has more records than there can be")
        yield records
        following = page.get("nextRecordsUrl")
        if page.get("done") is True or not following:
            return
        path = trail.follow(following, len(records))
        if not _NEXT.fullmatch(path):
            raise trail.broken("leads to another place than the next page of a query")
        call = Call(method="GET", path=path)


def _most(total: object, most: int | None) -> float:
    told = total if isinstance(total, int) else float("inf")
    return told if most is None else min(told, most)


def expect(call: Call, reply: Reply, *, conn_id: str) -> Reply:
    """Return a 2xx reply.

    :raises RequestRefusedError: for any other.
    """
    if not reply.taken:
        raise refusal(call, reply, conn_id=conn_id)
    return reply


def mapping(call: Call, reply: Reply, *, conn_id: str) -> dict[str, Any]:
    """Return the JSON object of a 2xx reply."""
    body = expect(call, reply, conn_id=conn_id).body
    if not isinstance(body, dict):
        raise odd_answer(call, "no object", conn_id=conn_id)
    return body


def sequence(call: Call, reply: Reply, *, conn_id: str, count: int | None = None) -> list[Any]:
    """Return the JSON array of a 2xx reply, of ``count`` items where that is known."""
    body = expect(call, reply, conn_id=conn_id).body
    if not isinstance(body, list) or count not in (None, len(body)):
        raise odd_answer(call, f"no array of {count or 'any'} items", conn_id=conn_id)
    return body


def objects(items: object, call: Call, *, conn_id: str) -> list[dict[str, Any]]:
    """Return items that have to be a list of JSON objects.

    :raises ServiceUnavailableError: where they are something else.
    """
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise odd_answer(call, "something else than records", conn_id=conn_id)
    return items


def odd_answer(call: Call, what: str, *, conn_id: str) -> ServiceUnavailableError:
    """Make the error for a 2xx reply that is none of Salesforce's."""
    return ServiceUnavailableError(f"Salesforce answered {call_name(call)} (connection {conn_id!r}) with {what}.")


def checked(
    records: Iterable[Mapping[str, Any]], fields: Sequence[str], *, sobject: str, conn_id: str
) -> list[Mapping[str, Any]]:
    """Return records that have the id of such a record and a plain value for each field that was asked for.

    :raises ServiceUnavailableError: for the first that has not; it repeats no value.
    """
    found = list(records)
    for record in found:
        if not is_id(record.get("Id"), sobject):
            raise _no_record(sobject, "Id", conn_id)
        for name in fields:
            if name not in record or not _is_plain(name, record[name]):
                raise _no_record(sobject, name, conn_id)
    return found


def _no_record(sobject: str, name: str, conn_id: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"Salesforce (connection {conn_id!r}) answered a look-up with a {sobject} whose {name} is missing, or cannot "
        "be one. Try again later; if it comes back, check what stands between this machine and Salesforce."
    )


def _is_plain(name: str, value: object) -> bool:
    if name == "CreatedDate":
        return moment_of(value) is not None
    if isinstance(value, int):
        return -_MOST_DIGITS < value < _MOST_DIGITS
    return value is None or isinstance(value, str | float)


def moment_of(value: object) -> datetime | None:
    """Read a moment as Salesforce writes it, with its zone; ``None`` for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
