"""What needs no look at Salesforce, or must not simply be sent: from what earlier runs of the task left behind."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.operators.under_way import Plan, UnderWay
from airflow_provider_sfleads.results.confirmed import ConfirmedValues
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.sync.plan import Candidate, Settled, unchanged

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_sfleads.bulk.staging import Screen, Screened


def screen_for(load: UnderWay, plan: Plan, closing: ExitStack) -> Screen | None:
    """Return what finds such rows among staged ones; ``None`` where there can be none.

    :param closing: closes what the screen reads from.
    """
    confirmed = load.confirmed_for(plan)
    earlier: EarlierRows | None = None
    others = [] if plan.repeatable or load.settings.dry_run else list(load.folder.others())
    if others:
        earlier = closing.enter_context(EarlierRows(load.folder.staging(), plan.compare))
        earlier.remember(others)
    if confirmed is None and earlier is None:
        return None

    def screen(batch: pa.RecordBatch) -> Screened:
        from airflow_provider_sfleads.bulk.staging import Screened
        from airflow_provider_sfleads.columnar.rebuild import candidates

        settled, in_doubt = [], []
        for position, candidate in enumerate(candidates(batch, load.lead)):
            known = _known(candidate, confirmed, earlier)
            if known is not None:
                settled.append((position, known))
            elif earlier is not None and earlier.unknown(candidate.key) is not None:
                in_doubt.append(position)
        return Screened(settled=settled, in_doubt=in_doubt)

    return screen


def _known(candidate: Candidate, confirmed: ConfirmedValues | None, earlier: EarlierRows | None) -> Settled | None:
    if confirmed is not None:
        lead_id = confirmed.same(candidate.key, candidate.lead_id, candidate.record)
        if lead_id is not None:
            return unchanged(candidate, Reason.SAME_VALUES, salesforce_id=lead_id or None)
    lead_id = None if earlier is None else earlier.created(candidate.key)
    return None if lead_id is None else unchanged(candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
