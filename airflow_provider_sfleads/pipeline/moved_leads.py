"""Rows that Salesforce refuses since their leads have changed after the look-up: such leads are left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.outcomes import Result, Unsent, not_sent
from airflow_provider_sfleads.pipeline.plan import Item, Settled, unchanged
from airflow_provider_sfleads.salesforce.collections import SaveResult
from airflow_provider_sfleads.salesforce.error_codes import Meaning

Standing = Callable[[Item, LeadRecord], Settled | None]
"""Why a lead is left alone as it stands now, if it is."""


def converted(item: Item, lead: LeadRecord) -> Settled | None:
    """Leave a converted lead alone."""
    if not lead.get("IsConverted"):
        return None
    contact_id = lead.get("ConvertedContactId")
    return unchanged(item.candidate, Reason.CONVERTED, salesforce_id=item.salesforce_id, contact_id=contact_id)


def left_alone(
    items: Sequence[Item],
    results: Sequence[Result],
    lookup: LeadLookup | None,
    *,
    meanings: Sequence[Meaning] = (Meaning.LEAD_CONVERTED,),
    fields: Sequence[str] = STATUS_FIELDS,
    standing: Standing = converted,
) -> dict[int, Settled]:
    """Return the outcomes of refused records whose leads are to be left alone, by their places.

    :param lookup: reads the leads once more; where it cannot be asked now, another try tells.
    :param meanings: of errors that records may be refused with for that.
    :param fields: Lead fields to read.
    :raises SalesforceLeadsError: where Salesforce cannot be asked.
    """
    pairs = zip(items, results, strict=True)
    refused = {
        n: item for n, (item, result) in enumerate(pairs) if item.salesforce_id and meaning_of(result) in meanings
    }
    if lookup is None:
        return {place: not_sent(item, Unsent(reason=Reason.TRY_AGAIN)) for place, item in refused.items()}
    leads = lookup.by_id([str(item.salesforce_id) for item in refused.values()], tuple(fields)) if refused else {}
    found = {place: standing(item, leads.get(item.salesforce_id or "", {})) for place, item in refused.items()}
    return {place: settled for place, settled in found.items() if settled is not None}


def meaning_of(result: Result) -> Meaning | None:
    """What Salesforce's error means for a record that it refused."""
    return result.meaning if isinstance(result, SaveResult) else None
