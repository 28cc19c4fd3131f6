"""Ask Salesforce which leads exist and how they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS, retrieve_call
from airflow_provider_sfleads.salesforce.describe import CONTACT, FieldInfo, SObjectInfo, contacts_call
from airflow_provider_sfleads.salesforce.ids import full_id
from airflow_provider_sfleads.salesforce.paging import MOST_FOUND, checked, cut, expect, objects, query_pages, sequence
from airflow_provider_sfleads.salesforce.soql import in_queries
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send

# What is to be known of a lead before anything is done to it; the contact is only told.
STATUS_FIELDS = ("Id", "IsConverted", "ConvertedContactId")

T = TypeVar("T")
LeadRecord = Mapping[str, Any]
Gather = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Runs functions, possibly side by side, and returns their results in order."""

Batches = Callable[[], Iterator[pa.RecordBatch]]
"""Begins anew with the staged rows of a part."""
Leads = Generator[pa.RecordBatch, None, None]
"""Leads as Salesforce has them: a column of strings for each field read, null where there is nothing.

Who breaks off closes it: a query job is deleted then.
"""
Mask = npt.NDArray[np.bool_]


def one_by_one(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Return the plain :data:`Gather`."""
    return [function() for function in functions]


def side_by_side(pool: Executor) -> Gather:
    """Return the :data:`Gather` of who has threads."""

    def gather(functions: Sequence[Callable[[], Any]]) -> list[Any]:
        return [future.result() for future in [pool.submit(function) for function in functions]]

    return gather


def check_contacts(send: Send, *, conn_id: str) -> None:
    """Make sure that contacts can be looked up by e-mail.

    :raises ObjectAccessError: where the Run-As user may not read them, or their Email.
    """
    call = contacts_call()
    reply = send(call)
    CONTACT.check(reply, conn_id=conn_id)
    expect(call, reply, conn_id=conn_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadLookup:
    """Reads leads, many to a request; fields that the Run-As user may not see are left out.

    :param send: the transport.
    :param conn_id: the connection that errors name.
    :param lead: the org's Lead.
    :param gather: runs several requests; side by side where the caller has threads.
    """

    send: Send
    conn_id: str
    lead: SObjectInfo
    gather: Gather = one_by_one

    def by_id(self, ids: Iterable[str], fields: Sequence[str]) -> dict[str, LeadRecord]:
        """Leads by 18-character id; those missing or deleted are not among them."""
        seen = self.lead.visible(fields)
        pages = [lambda page=page: self._retrieve(page, seen) for page in cut(ids, MAX_RETRIEVE_IDS)]
        records = (record for page in self.gather(pages) for record in page)
        return {full_id(record["Id"]): record for record in records}

    def deleted(self, ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that are in the recycle bin."""
        queries = in_queries(select=("Id", "IsDeleted"), sobject="Lead", field="Id", values=tuple(ids))
        records = self._all([soql for soql, _ in queries], ("IsDeleted",), resource="queryAll")
        return frozenset(full_id(record["Id"]) for record in records if record["IsDeleted"])

    def by_field(
        self,
        info: FieldInfo,
        values: Sequence[str],
        fields: Sequence[str],
        *,
        sobject: str = "Lead",
        where: str = "",
        deleted: bool = False,
    ) -> dict[str, list[LeadRecord]]:
        """Return records by the comparable form of a field's value; several where the field is not unique.

        :param where: further condition, in SOQL.
        :param deleted: also those in the recycle bin.
        """
        seen = self.lead.visible(fields) if sobject == "Lead" else fields
        select = tuple(dict.fromkeys(("Id", info.name, *seen)))
        if info.type in NUMBERS:
            queries = [soql for soql, _ in in_queries(select, sobject, info.name, map(Decimal, values), where=where)]
        else:
            queries = [soql for soql, _ in in_queries(select, sobject, info.name, values, where=where)]
        compare = compared_by(info)
        found: defaultdict[str, list[LeadRecord]] = defaultdict(list)
        for record in self._all(queries, select, sobject=sobject, resource="queryAll" if deleted else "query"):
            found[compare(key_text(record[info.name]))].append(record)
        return dict(found)

    def ids_where(self, condition: str, *, most: int) -> list[str] | None:
        """Return ids of the leads that fulfil a condition in SOQL; ``None`` where they are more than ``most``."""
        soql = f"SELECT Id FROM Lead WHERE {condition} LIMIT {most + 1}"  # noqa: S608 - of ours
        found = [full_id(record["Id"]) for record in self._query(soql, (), "Lead", "query")]
        return found if len(found) <= most else None

    def _all(
        self, queries: Sequence[str], fields: Sequence[str], *, sobject: str = "Lead", resource: str = "query"
    ) -> list[LeadRecord]:
        pages = [lambda soql=soql: self._query(soql, fields, sobject, resource) for soql in queries]
        return [record for records in self.gather(pages) for record in records]

    def _query(self, soql: str, fields: Sequence[str], sobject: str, resource: str) -> list[LeadRecord]:
        pages = query_pages(self.send, soql, resource=resource, conn_id=self.conn_id, most=MOST_FOUND)
        records = (record for page in pages for record in page)
        return checked(records, fields, sobject=sobject, conn_id=self.conn_id)

    def _retrieve(self, ids: Sequence[str], fields: Sequence[str]) -> list[LeadRecord]:
        call = retrieve_call(ids, fields)
        records = sequence(call, self.send(call), conn_id=self.conn_id, count=len(ids))
        there = objects([record for record in records if record is not None], call, conn_id=self.conn_id)
        return checked(there, fields, sobject="Lead", conn_id=self.conn_id)


class Memory(Protocol):
    """Remembers values, each in its space; see :class:`pipeline.key_memory.KeyMemory`."""

    def add(self, key: str, space: str = "key", /) -> bool:
        """Return whether the value is new in its space."""

    def add_many(self, keys: pa.Array, space: str = "key", /) -> Mask:
        """Return which of the values are new; the first of equal ones is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a look-up reads with.

    :param send: the transport; called from several threads.
    :param download: the transport for results that go into a file.
    :param conn_id: the connection that errors name.
    :param concurrency: calls in flight.
    :param directory: an existing local folder for what is downloaded; it is left as it was.
    :param pause: waits so many seconds, or shorter where the run is to end.
    :param stopped: whether the run is to end.
    """

    send: Send
    download: Callable[[Call, Path], Reply]
    conn_id: str
    concurrency: int
    directory: Path
    pause: Callable[[float], None]
    stopped: Callable[[], bool]
