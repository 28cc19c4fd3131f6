"""Find staged rows that need no look at Salesforce, or must not simply be sent, by what earlier runs left behind.

That is what they confirmed (``changed_only``, newer intervals), and which leads earlier executions of the task made, or
may have made: a task that is cleared creates none of them a second time.
"""
# ruff: noqa: TID253 - loaded by running tasks only

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.operators.load_context import LoadContext, Plan
from airflow_provider_sfleads.pipeline.column_equality import fingerprints, key_form
from airflow_provider_sfleads.pipeline.digests import digests
from airflow_provider_sfleads.pipeline.staging import Prefilter, Prefiltered
from airflow_provider_sfleads.results.confirmed_values import ConfirmedValues, KeyDigests
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.memory import confirmed_in_results, confirmed_in_table
from airflow_provider_sfleads.salesforce.describe import FieldInfo


@dataclass(frozen=True, slots=True)
class ChangeDetection:
    """Finds rows that are left alone without a call.

    :param values: the memory.
    :param fields: Lead fields that a row may write, in a fixed order.
    :param heading: what the values of all rows stand for: what one way of writing confirmed says nothing of another.
    """

    values: ConfirmedValues
    fields: tuple[FieldInfo, ...]
    heading: str

    def prefilter(self, batch: pa.RecordBatch) -> Prefiltered:
        """Return which staged rows are left alone."""
        return self.values.find(batch.column("key"), fingerprints(batch, self.heading, self.fields))


def remembered_for(load: LoadContext, plan: Plan) -> ChangeDetection | None:
    """Return the memory of a load; ``None`` where nothing asks for one.

    ``changed_only`` does, for values. So does a plan that could undo what a newer run wrote, where there is a table
    that tells.
    """
    settings = load.settings
    # Of a plan that undoes nothing, each row is held against Salesforce: what a newer run did is no reason.
    end = load.interval.end if load.interval and plan.may_undo else None
    guards = end is not None and settings.write_back is not None
    if not (settings.changed_only or guards):
        return None
    memory = load.until_the_end.enter_context(_memory(load, plan, is_whole=True))
    values = settings.changed_only and not settings.full_refresh and not load.execution.refresh
    if settings.write_back is None:
        memory.load(confirmed_in_results(load.folder, values=values, interval_end=end))
    else:
        memory.load(confirmed_in_table(settings.write_back, plan.operation, values=values, interval_end=end))
    if settings.changed_only:
        load.confirmed = memory
    return ChangeDetection(memory, plan.recipe.fields, _heading(load, plan))


def _heading(load: LoadContext, plan: Plan) -> str:
    """Return where the values are, how they are written, and by what their leads are found."""
    external = plan.recipe.external.name if plan.recipe.external else None
    by_email = "match_email" if plan.recipe.by_email else None
    client, fields = load.settings.hook.client, [info.name for info in plan.recipe.fields]
    return json.dumps([client.org_id or client.base_url, plan.mode, external, by_email, *fields])


def recall(load: LoadContext, plan: Plan) -> None:
    """Take over what an earlier try noted of the rows that it staged."""
    if load.settings.changed_only:
        load.confirmed = load.until_the_end.enter_context(_memory(load, plan, is_whole=False))
        load.confirmed.recall(load.folder.staged())


def key_digests(plan: Plan) -> KeyDigests:
    """Return what digests keys, in the form in which the plan compares them."""
    return lambda keys: digests(key_form(plan.recipe.external, keys))


def _memory(load: LoadContext, plan: Plan, *, is_whole: bool) -> ConfirmedValues:
    return ConfirmedValues(load.folder.staging(), key_digests(plan), is_whole=is_whole)


def prefilter_for(load: LoadContext, plan: Plan, closing: ExitStack) -> Prefilter | None:
    """Return what finds such rows among staged ones; ``None`` where there can be none.

    :param closing: closes what it reads from.
    """
    remembered = remembered_for(load, plan)
    earlier: EarlierRows | None = None
    others = [] if plan.repeatable or load.settings.dry_run else list(load.folder.others())
    if others:
        earlier = closing.enter_context(EarlierRows(load.folder.staging(), plan.compare))
        earlier.remember(others)
    if remembered is None and earlier is None:
        return None

    def prefilter(batch: pa.RecordBatch) -> Prefiltered:
        known = remembered.prefilter(batch) if remembered else _NOTHING
        return known if earlier is None else _with_earlier(plan, batch, known, earlier)

    return prefilter


_NOTHING = Prefiltered(
    places=np.zeros(0, np.int64), reasons=pa.array([], pa.string()), lead_ids=pa.array([], pa.string())
)


def _with_earlier(plan: Plan, batch: pa.RecordBatch, known: Prefiltered, earlier: EarlierRows) -> Prefiltered:
    """Return what earlier executions created, or may have, on top."""
    created: dict[int, str] = {}
    in_doubt: list[int] = []
    left = set(known.places.tolist())
    for place, key in enumerate(batch.column("key").to_pylist()):
        if place in left:
            continue
        lead_id = earlier.created(key)
        if lead_id is not None and plan.mode == "update":
            # It is written to, as any lead that is there.
            in_doubt.append(place)
        elif lead_id is not None:
            created[place] = lead_id
        elif earlier.unknown(key) is not None:
            in_doubt.append(place)
    return replace(
        known,
        places=np.append(known.places, np.array(list(created), np.int64)),
        reasons=pa.concat_arrays([known.reasons, pa.repeat(str(Reason.ALREADY_EXISTS), len(created))]),
        lead_ids=pa.concat_arrays([known.lead_ids, pa.array(created.values(), pa.string())]),
        in_doubt=in_doubt,
    )
