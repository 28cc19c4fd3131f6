"""What needs no look at Salesforce, or must not simply be sent: from what earlier runs of the task left behind."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Known, Reason
from airflow_provider_sfleads.operators.change_detection import remembered_for
from airflow_provider_sfleads.operators.load_context import LoadContext, Plan
from airflow_provider_sfleads.results.earlier import EarlierRows

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_sfleads.pipeline.staging import Prefilter, Prefiltered


def screen_for(load: LoadContext, plan: Plan, closing: ExitStack) -> Prefilter | None:
    """Return what finds such rows among staged ones; ``None`` where there can be none.

    :param closing: closes what the screen reads from.
    """
    remembered = remembered_for(load, plan)
    earlier: EarlierRows | None = None
    others = [] if plan.repeatable or load.settings.dry_run else list(load.folder.others())
    if others:
        earlier = closing.enter_context(EarlierRows(load.folder.staging(), plan.compare))
        earlier.remember(others)
    if remembered is None and earlier is None:
        return None

    def screen(batch: pa.RecordBatch) -> Prefiltered:
        from airflow_provider_sfleads.pipeline.staging import Prefiltered

        left = remembered.known_of(batch) if remembered else {}
        return Prefiltered(left=left) if earlier is None else _with_earlier(plan, batch, left, earlier)

    return screen


def _with_earlier(plan: Plan, batch: pa.RecordBatch, left: dict[int, Known], earlier: EarlierRows) -> Prefiltered:
    """What earlier executions created, or may have, on top."""
    from airflow_provider_sfleads.pipeline.staging import Prefiltered

    in_doubt: list[int] = []
    for place, key in enumerate(batch.column("key").to_pylist()):
        if place in left:
            continue
        lead_id = earlier.created(key)
        if lead_id is not None and plan.mode == "update":
            # It is written to, as any lead that is there.
            in_doubt.append(place)
        elif lead_id is not None:
            left[place] = Known(reason=Reason.ALREADY_EXISTS, lead_id=lead_id)
        elif earlier.unknown(key) is not None:
            in_doubt.append(place)
    return Prefiltered(left=left, in_doubt=in_doubt)
