"""Replies that come in pages, and what is asked for in pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from airflow_provider_sfleads.core.replies import call_name, refusal
from airflow_provider_sfleads.core.wire import Call, Reply, Send
from airflow_provider_sfleads.exceptions import ServiceUnavailableError

Item = TypeVar("Item")


def cut(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut ``items`` into pages of ``size``."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


def query_pages(send: Send, soql: str, *, resource: str, conn_id: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of a query page by page, asking for one when the one before is used up.

    A short page is not the end (REST API Developer Guide, "Query").

    :param resource: ``query``, or ``queryAll`` where the recycle bin counts.
    """
    call = Call(method="GET", path=resource, params={"q": soql})
    while True:
        page = mapping(call, send(call), conn_id=conn_id)
        yield page.get("records") or []
        following = page.get("nextRecordsUrl")
        if page.get("done") is True or not following:
            return
        call = Call(method="GET", path=str(following))


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
        raise ServiceUnavailableError(f"Salesforce answered {call_name(call)} (connection {conn_id!r}) with no object.")
    return body


def sequence(call: Call, reply: Reply, *, conn_id: str, count: int | None = None) -> list[Any]:
    """Return the JSON array of a 2xx reply, of ``count`` items where that is known."""
    body = expect(call, reply, conn_id=conn_id).body
    if not isinstance(body, list) or count not in (None, len(body)):
        raise ServiceUnavailableError(
            f"Salesforce answered {call_name(call)} (connection {conn_id!r}) with no array of {count or 'any'} items."
        )
    return body
