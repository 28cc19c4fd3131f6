"""The look-up of a plan that goes row by row: where leads are found by e-mail, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, side_by_side
from airflow_provider_sfleads.pipeline.lookup_decisions import APART, OUTCOME, SETTLED, TAIL, Decisions
from airflow_provider_sfleads.pipeline.lookup_index import bools
from airflow_provider_sfleads.pipeline.lookup_reading import Batches, Memory, Reading, Stopped
from airflow_provider_sfleads.pipeline.plan import Deferred, Item, Settled
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_items import Sending, candidates
from airflow_provider_sfleads.salesforce.describe import SObjectInfo


def decide_by_row(
    plan: CreatePlan | StagePlan, batches: Batches, reading: Reading, memory: Memory, ways: tuple[Sending, ...]
) -> Decisions:
    """Decide by ``plan.look_up`` itself; what it puts off goes to the tail, which comes after all that is sent."""
    places = {way.kind: place for place, way in enumerate(ways)}
    lead = SObjectInfo(name="Lead", fields={info.name.lower(): info for info in plan.recipe.fields})
    classes: list[int] = []
    found: list[pa.RecordBatch] = []
    apart: dict[int, Settled] = {}
    with ThreadPoolExecutor(reading.concurrency, thread_name_prefix="salesforce") as pool:
        lookup = LeadLookup(send=reading.send, conn_id=reading.conn_id, lead=plan.rules.lead, gather=side_by_side(pool))
        for group in _groups(batches, plan.group_size):
            if reading.stopped():
                raise Stopped
            tail = bools(group.column("tail"))
            asked = candidates(group.filter(pa.array(~tail)), lead)
            answers = iter(list(plan.look_up(asked, lookup, memory.add)))
            lines: list[Item | Settled | Deferred | None] = [None if left else next(answers) for left in tail]
            for line in lines:
                known = _class_of(line, places)
                if known == APART and isinstance(line, Settled):
                    apart[len(classes)] = line
                classes.append(known)
            found.append(_columns(lines))
    return Decisions(ways=ways, classes=np.array(classes, dtype=np.int8), found=_joined(found), apart=apart)


def _groups(batches: Batches, size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches():
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _class_of(line: Item | Settled | Deferred | None, places: dict[Any, int]) -> int:
    if isinstance(line, Item):
        return places[line.kind]
    if isinstance(line, Settled):
        return SETTLED if line.outcome.error_code is None else APART
    return TAIL


def _columns(lines: Sequence[Item | Settled | Deferred | None]) -> pa.RecordBatch:
    known = [line.outcome if isinstance(line, Settled) else line for line in lines]
    columns = [pa.array([_word(getattr(each, name, None)) for each in known], pa.string()) for name in OUTCOME.names]
    return pa.RecordBatch.from_arrays(columns, schema=OUTCOME)


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches, OUTCOME).combine_chunks()
    return pa.RecordBatch.from_arrays(
        [
            pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
            for column in table.columns
        ],
        schema=OUTCOME,
    )
