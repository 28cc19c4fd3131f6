"""Read and write records page by page, for use of the hook by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlencode

from airflow_provider_sfleads.exceptions import ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.hooks.connection_check import no_lead_access
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.collections import (
    MAX_RECORDS,
    MAX_RETRIEVE_IDS,
    Operation,
    PageKind,
    auto_assign,
    retrieve_call,
)
from airflow_provider_sfleads.salesforce.describe import versions_call
from airflow_provider_sfleads.salesforce.paging import cut, expect, mapping, objects, query_pages, sequence
from airflow_provider_sfleads.salesforce.replies import RecordResult, results_of
from airflow_provider_sfleads.salesforce.wire import Call, Method

Record = Mapping[str, object]
Effects = tuple[str | None, Literal["reject", "allow"]]
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
Item = TypeVar("Item")


def pages(items: Iterable[Item], size: int, *, limit: int) -> Iterator[list[Item]]:
    """Cut ``items`` into pages of ``size``."""
    if not 1 <= size <= limit:
        raise ParameterError(f"batch_size must be from 1 to {limit}, not {size}.")
    yield from cut(items, size)


class Records:
    """Records of one org, page by page."""

    def __init__(self, client: Client) -> None:
        self._send = client.send
        self._conn_id = client.settings.conn_id

    def describe(self, sobject: str) -> dict[str, Any]:
        """Describe an object; Lead that cannot be seen has its own error."""
        call = Call(method="GET", path=f"sobjects/{name(sobject)}/describe")
        reply = self._send(call)
        if sobject == "Lead" and reply.status in (403, 404):
            raise no_lead_access(reply, conn_id=self._conn_id)
        return mapping(call, reply, conn_id=self._conn_id)

    def limits(self) -> dict[str, Any]:
        """Read the org's limits."""
        call = Call(method="GET", path="limits")
        return mapping(call, self._send(call), conn_id=self._conn_id)

    def versions(self) -> list[dict[str, Any]]:
        """Read the API versions that the org offers."""
        call = versions_call()
        return sequence(call, self._send(call), conn_id=self._conn_id)

    def query(self, soql: str, *, include_deleted: bool) -> Iterator[dict[str, Any]]:
        """Yield records, asking for a page when the one before is used up."""
        resource = "queryAll" if include_deleted else "query"
        for records in query_pages(self._send, soql, resource=resource, conn_id=self._conn_id):
            yield from map(bare, records)

    def get(self, ids: Iterable[str], fields: Sequence[str], *, sobject: str, size: int) -> list[dict[str, Any] | None]:
        """Read records by id."""
        found: list[dict[str, Any] | None] = []
        name(sobject)
        for page in pages(ids, size, limit=MAX_RETRIEVE_IDS):
            call = retrieve_call(page, fields, sobject)
            rows = sequence(call, self._send(call), conn_id=self._conn_id, count=len(page))
            objects([row for row in rows if row is not None], call, conn_id=self._conn_id)
            found += [None if row is None else bare(row) for row in rows]
        return found

    def write(
        self,
        operation: Operation,
        records: Iterable[Record],
        *,
        sobject: str,
        size: int,
        effects: Effects,
        key: str | None = None,
    ) -> list[RecordResult]:
        """Create or update records page by page, and return one result per record in order.

        A request of unknown outcome is repeated unless it creates. Where a page fails as a whole, the error's attribute
        ``results`` has the results of the pages before it.

        :param effects: assignment rule, and what becomes of duplicates.
        :param key: external ID to upsert by.
        """
        assignment_rule, duplicates = effects
        name(sobject)
        if key is not None:
            name(key)
        if duplicates not in ("reject", "allow"):
            raise ParameterError(f'duplicates must be "reject" or "allow", not {duplicates!r}.')
        kind = PageKind(
            operation=operation,
            external_id_field=key,
            auto_assign=auto_assign(assignment_rule),
            allow_duplicates=duplicates == "allow",
            repeatable=operation != "insert",
            sobject=sobject,
        )
        results: list[RecordResult] = []
        for page in pages(records, size, limit=MAX_RECORDS):
            call = kind.call(page)
            try:
                results += results_of(expect(call, self._send(call), conn_id=self._conn_id), len(page))
            except SalesforceLeadsError as error:
                error.__dict__["results"] = tuple(results)
                if results:
                    error.add_note(
                        f"{len(results)} records were sent before; their results are in this error's .results."
                    )
                raise
        return results


def bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without Salesforce's ``attributes``."""
    return {field: value for field, value in record.items() if field != "attributes"}


def name(text: str) -> str:
    """Return an API name, refusing what is none and would change the path."""
    if not _NAME.fullmatch(text):
        raise ParameterError(f"{text!r} is not an API name of Salesforce, such as Lead or External_Id__c.")
    return text


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
