"""Record the staged rows that need not be sent: by what a look-up found, or by what a newer run has done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import (
    WOULD,
    Action,
    Reason,
)
from airflow_provider_sfleads.pipeline.lookup_decide import APART, REFUSED, SETTLED, Decisions
from airflow_provider_sfleads.pipeline.ports import ResultsSink, RunTerms
from airflow_provider_sfleads.pipeline.staged_rows import PLACED, with_place

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Rows that a look-up has not settled.

    :param ways: what is to be sent, placed, by the number of the plan's way; of a dry run nothing is.
    :param undecided: which rows only the row code can decide.
    """

    ways: Mapping[int, pa.RecordBatch]
    undecided: Mask


def record_settled(
    sink: ResultsSink, terms: RunTerms, rows: pa.RecordBatch, decisions: Decisions, start: int
) -> Unsettled:
    """Record what a look-up has settled, and in a dry run what it would send.

    :param rows: those that stand from ``start`` on among all that were looked up.
    """
    classes, found = decisions.classes[start : start + rows.num_rows], decisions.columns(start, rows.num_rows)
    _record(sink, terms, rows, found, classes == SETTLED)
    for position in np.flatnonzero(classes == REFUSED):
        refused = decisions.refused[start + int(position)]
        sink.write(terms.stamped(refused.outcome), refused.row)
    ways: dict[int, pa.RecordBatch] = {}
    for number, way in enumerate(decisions.ways):
        which = classes == number
        if terms.dry_run:
            _record(sink, terms, rows, found, which, action=WOULD[way.expected])
        elif which.any():
            known = chosen(found, which)
            ways[number] = with_place(chosen(rows, which), [known.column(name) for name in PLACED])
    return Unsettled(ways, classes == APART)


def _record(
    sink: ResultsSink,
    terms: RunTerms,
    rows: pa.RecordBatch,
    found: pa.RecordBatch,
    which: Mask,
    *,
    action: Action | None = None,
) -> None:
    if not which.any():
        return
    known = chosen(found, which)
    columns = {name: known.column(name) for name in known.schema.names}
    if action is not None:
        columns["action"] = pa.repeat(str(action), known.num_rows)
    sink.add(terms.lines({"key": chosen(rows, which).column("key"), **columns}))


def newer_lines(terms: RunTerms, rows: pa.RecordBatch, ids: Mapping[int, str | None]) -> pa.RecordBatch:
    """Return the lines of rows that a newer run has brought up to date.

    :param ids: ids of their leads, by the rows' positions.
    """
    columns = {
        "key": rows.column("key").take(pa.array(list(ids), pa.int64())),
        "action": pa.repeat(str(Action.UNCHANGED), len(ids)),
        "reason": pa.repeat(str(Reason.NEWER_RUN), len(ids)),
        "salesforce_id": pa.array(ids.values(), pa.string()),
    }
    return terms.lines(columns)


def all_but(count: int, positions: Collection[int]) -> Mask:
    """Return which of so many rows stand elsewhere than at some positions."""
    mask = np.ones(count, dtype=np.bool_)
    mask[np.array(list(positions), dtype=np.int64)] = False
    return mask


def chosen(batch: pa.RecordBatch, which: Mask) -> pa.RecordBatch:
    """Return some rows; without a copy where they are all."""
    if which.all():
        return batch
    return batch.filter(pa.array(which)) if which.any() else batch.slice(0, 0)
