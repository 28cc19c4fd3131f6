"""What becomes of rows whose leads were converted after they were looked up: both plans leave such leads alone."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_sfleads.core.collections import Verdict
from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.sync.answers import Result, Unsent
from airflow_provider_sfleads.sync.lookup import STANDING, LeadLookup
from airflow_provider_sfleads.sync.plan import Item, Settled, unchanged
from airflow_provider_sfleads.sync.settling import not_sent


def is_converted(result: Result) -> bool:
    """Whether a record was refused for that."""
    error = result.error if isinstance(result, Verdict) else None
    return error is not None and error.code == "CANNOT_UPDATE_CONVERTED_LEAD"


def left_converted(
    items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup | None, *, stage_field: str | None = None
) -> dict[int, Settled]:
    """Return the outcomes of records that were refused for that, by their places.

    :param lookup: asks for the contacts; where it cannot be asked now, another try tells.
    :param stage_field: Lead field of the stage, where it is told.
    :raises SalesforceLeadsError: where Salesforce cannot be asked.
    """
    pairs = zip(items, results, strict=True)
    refused = {n: item for n, (item, result) in enumerate(pairs) if is_converted(result) and item.salesforce_id}
    if lookup is None:
        return {place: not_sent(item, Unsent(reason=Reason.TRY_AGAIN)) for place, item in refused.items()}
    fields = (*STANDING, stage_field) if stage_field else STANDING
    leads = lookup.by_id([str(item.salesforce_id) for item in refused.values()], fields) if refused else {}
    found: dict[int, Settled] = {}
    for place, item in refused.items():
        lead = leads.get(item.salesforce_id or "", {})
        if lead.get("IsConverted"):
            found[place] = unchanged(
                item.candidate,
                Reason.CONVERTED,
                salesforce_id=item.salesforce_id,
                contact_id=lead.get("ConvertedContactId"),
                old_stage=lead.get(stage_field) if stage_field else None,
            )
    return found
