"""Pages of records, for use of the hook by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

from airflow_provider_sfleads.core.replies import RecordResult, call_name, refusal, results_of
from airflow_provider_sfleads.core.wire import Call, Reply, Send
from airflow_provider_sfleads.exceptions import (
    OutcomeUnknownError,
    ParameterError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)

Record = Mapping[str, object]
MAX_RECORDS = 200
MAX_IDS = 2_000
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
Item = TypeVar("Item")


def pages(items: Iterable[Item], size: int, *, limit: int) -> Iterator[list[Item]]:
    """Cut ``items`` into pages of ``size``."""
    if not 1 <= size <= limit:
        raise ParameterError(f"batch_size must be from 1 to {limit}, not {size}.")
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


def headers(assignment_rule: str | None, duplicates: Literal["reject", "allow"]) -> dict[str, str]:
    """Return the headers that say which side effects of a write are wanted.

    Without the first, Salesforce runs the active assignment rule, on updates as well.
    """
    rule = {"default": "TRUE", None: "FALSE"}.get(assignment_rule, assignment_rule or "FALSE")
    found = {"Sforce-Auto-Assign": rule}
    if duplicates == "allow":
        found["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
    elif duplicates != "reject":
        raise ParameterError(f'duplicates must be "reject" or "allow", not {duplicates!r}.')
    return found


def write(
    send: Send, make: Callable[[list[Record]], Call], records: Iterable[Record], size: int, *, conn_id: str
) -> list[RecordResult]:
    """Send records page by page, one result per record in order.

    Where a page fails as a whole, the error carries the results of the pages before it in its attribute ``results``.
    """
    results: list[RecordResult] = []
    for page in pages(records, size, limit=MAX_RECORDS):
        call = make(page)
        try:
            results += results_of(expect(call, send(call), conn_id=conn_id), len(page))
        except SalesforceLeadsError as error:
            _keep(error, results)
            raise
    return results


def _keep(error: SalesforceLeadsError, results: Sequence[RecordResult]) -> None:
    error.__dict__["results"] = tuple(results)
    last = len(results)
    state = "what became of the page after them is not known" if isinstance(error, OutcomeUnknownError) else "no more"
    error.add_note(f"{last} records were sent before and have their results in this error's .results; {state}.")


def expect(call: Call, reply: Reply, *, conn_id: str) -> Reply:
    """Return a 2xx reply.

    :raises RequestRefusedError: for any other.
    """
    if reply.status >= 300:  # noqa: PLR2004
        raise refusal(call, reply, conn_id=conn_id)
    return reply


def typed(sobject: str, records: list[Record]) -> list[dict[str, object]]:
    """Return records as collections take them."""
    return [{"attributes": {"type": sobject}, **record} for record in records]


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


def bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without Salesforce's ``attributes``."""
    return {field: value for field, value in record.items() if field != "attributes"}


def name(text: str) -> str:
    """Return an API name, refusing what is none and would change the path."""
    if not _NAME.fullmatch(text):
        raise ParameterError(f"{text!r} is not an API name of Salesforce, such as Lead or External_Id__c.")
    return text
