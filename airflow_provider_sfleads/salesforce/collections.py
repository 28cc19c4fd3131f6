"""sObject Collections: one request for up to 200 records, and what it says of each.

REST API Developer Guide, "Create / Update / Upsert Records using sObject Collections".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_provider_sfleads.exceptions import ParameterError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.ids import LEAD_PREFIX, to_18
from airflow_provider_sfleads.salesforce.replies import ApiError, results_of
from airflow_provider_sfleads.salesforce.wire import Call, Reply

MAX_RECORDS = 200
MAX_RETRIEVE_IDS = 2000

Operation = Literal["insert", "update", "upsert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKind:
    """What one page of records is sent as; pages of a kind share method, path and headers.

    :param operation: insert, update (by Id) or upsert.
    :param external_id_field: the key of an upsert.
    :param auto_assign: ``TRUE``, ``FALSE`` or an assignment rule's id (header ``Sforce-Auto-Assign``).
    :param allow_duplicates: whether alert-type duplicate rules are overridden.
    :param repeatable: whether sending the page twice is harmless.
    :param once: whether leads must be looked at before a page is sent again, whatever kept it from going through.
    :param sobject: what the records are.
    """

    operation: Operation
    external_id_field: str | None = None
    auto_assign: str = "FALSE"
    allow_duplicates: bool = False
    repeatable: bool = True
    once: bool = False
    sobject: str = "Lead"

    def call(self, records: Sequence[Mapping[str, object]]) -> Call:
        """Return the request that sends these records."""
        path = "composite/sobjects"
        if self.operation == "upsert":
            path += f"/{self.sobject}/{self.external_id_field}"
        lines = [{"attributes": {"type": self.sobject}, **record} for record in records]
        return Call(
            method="POST" if self.operation == "insert" else "PATCH",
            path=path,
            body={"allOrNone": False, "records": lines},
            headers=effect_headers(self.auto_assign, allow_duplicates=self.allow_duplicates),
            repeatable=self.repeatable,
            write=True,
            once=self.once,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveResult:
    """What Salesforce says of one record.

    :param id: the lead's id, where it was written.
    :param created: whether an upsert created it; ``None`` where the reply does not say.
    :param error: why it was not written; ``None`` where it was.
    """

    id: str | None = None
    created: bool | None = None
    error: ApiError | None = None

    @property
    def meaning(self) -> Meaning | None:
        """What the error means for the row; ``None`` where the record was written.

        Of ``DUPLICATE_VALUE`` only a look at the leads tells: an upsert meets it, too, where somebody else created the
        lead between the upsert's look and its write.
        """
        return None if self.error is None else self.error.entry.row

    @property
    def is_open(self) -> bool:
        """Whether the record was not written, and may go through another time as it is."""
        meaning = self.meaning
        return meaning is not None and meaning.is_open


def nothing_written(error: ApiError, *, conn_id: str) -> ServiceUnavailableError:
    """Make the error of a run for which no record goes through at the moment, whichever comes next.

    :param error: of a record, which ends the run or is left to the next try.
    """
    what = "stores no more records" if error.entry.row is Meaning.ENDS_RUN else "writes no records at the moment"
    said = f"Salesforce {what} (connection {conn_id!r}, {error.code}). {error.entry.advice}"
    return ServiceUnavailableError(said.rstrip())


def save_results_of(reply: Reply, count: int) -> list[SaveResult]:
    """Return the verdicts of a 2xx reply, by position.

    :raises OutcomeUnknownError: where it does not speak of every record.
    """
    return [
        SaveResult(id=result.id, created=result.created, error=None if result.success else result.errors[0])
        for result in results_of(reply, count, prefix=LEAD_PREFIX)
    ]


def auto_assign(value: object) -> str:
    """Return the ``Sforce-Auto-Assign`` header for an ``assignment_rule``.

    :raises ParameterError: for anything but ``"default"``, ``None`` and an assignment rule's id.
    """
    if value is None or value == "None":
        return "FALSE"
    if value == "default":
        return "TRUE"
    rule = to_18(value) if isinstance(value, str) else None
    if rule is None or not rule.startswith("01Q"):
        raise ParameterError(f"assignment_rule={value!r}: it takes 'default', None, or the id of a rule (01Q...)")
    return rule


def effect_headers(auto_assign: str, *, allow_duplicates: bool) -> dict[str, str]:
    """Return the headers that say which side effects of a write are wanted.

    Without the first, Salesforce runs the active assignment rule, on updates as well.

    :param auto_assign: ``TRUE``, ``FALSE`` or an assignment rule's id.
    :param allow_duplicates: whether alert-type duplicate rules are overridden.
    """
    headers = {"Sforce-Auto-Assign": auto_assign}
    if allow_duplicates:
        headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
    return headers


def retrieve_call(ids: Sequence[str], fields: Sequence[str], sobject: str = "Lead") -> Call:
    """Read up to 2,000 records by id in one request; one that is missing or deleted comes as ``null``."""
    return Call(method="POST", path=f"composite/sobjects/{sobject}", body={"ids": list(ids), "fields": list(fields)})


def delete_call(ids: Sequence[str]) -> Call:
    """Delete up to 200 leads; they go into the recycle bin.

    Twice does no harm. It is no write that ``max_api_usage`` may keep from going out: it tidies up.
    """
    return Call(method="DELETE", path="composite/sobjects", params={"ids": ",".join(ids), "allOrNone": "false"})
