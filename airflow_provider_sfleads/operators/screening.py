"""What needs no look at Salesforce, or must not be sent: from what earlier runs of the task left behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.operators.under_way import Plan, UnderWay
from airflow_provider_sfleads.results.confirmed import ConfirmedValues
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.sync.plan import Candidate, Settled, unchanged

if TYPE_CHECKING:
    import pyarrow as pa

Screen = Callable[["pa.RecordBatch"], list[tuple[int, Settled]]]


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

    def screen(batch: pa.RecordBatch) -> list[tuple[int, Settled]]:
        from airflow_provider_sfleads.columnar.rebuild import candidates

        found = enumerate(_known(candidate, confirmed, earlier) for candidate in candidates(batch, load.lead))
        return [(position, settled) for position, settled in found if settled is not None]

    return screen


def _known(candidate: Candidate, confirmed: ConfirmedValues | None, earlier: EarlierRows | None) -> Settled | None:
    if confirmed is not None:
        lead_id = confirmed.same(candidate.key, candidate.lead_id, candidate.record)
        if lead_id is not None:
            return unchanged(candidate, Reason.SAME_VALUES, salesforce_id=lead_id or None)
    if earlier is None:
        return None
    lead_id = earlier.created(candidate.key)
    if lead_id is not None:
        return unchanged(candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
    if earlier.unknown(candidate.key):
        outcome = Outcome(key=candidate.key, action=Action.NOT_SENT, reason=Reason.OUTCOME_UNKNOWN)
        return Settled(outcome=outcome, row=candidate.row)
    return None
