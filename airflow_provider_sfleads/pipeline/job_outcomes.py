"""From what a job said of the rows of a load to their outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import (
    Action,
    Reason,
    UnansweredSend,
    written_as,
)
from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.column_text import Ids, strings
from airflow_provider_sfleads.pipeline.job_results import Created, JobResults, Said, State
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Item, Plan, Settled
from airflow_provider_sfleads.pipeline.ports import RunTerms
from airflow_provider_sfleads.pipeline.staged_rows import Sending, rebuild
from airflow_provider_sfleads.salesforce.collections import SaveResult, nothing_written
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.ingest_jobs import row_error

_Mask = npt.NDArray[np.bool_]

# Rows that the row code settles together: their leads may have to be looked at, so many to a request.
_GROUP = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of some rows of a load.

    :param lines: the outcomes that lie in columns.
    :param settled: those that the row code found: rejects above all.
    :param again: rows that were not written, or may be written twice, and are sent again as they are.
    :param is_silent: whether the job says nothing of some of these.
    :param met: rows that were not written, since a lead was there that the look-up had not found: it is updated.
    :param unknown: rows of which the job says nothing, and that must not be sent again.
    """

    lines: pa.RecordBatch
    settled: list[Settled]
    again: pa.RecordBatch
    is_silent: bool
    met: pa.RecordBatch
    unknown: pa.RecordBatch


@dataclass(slots=True, kw_only=True)
class Collector:
    """Settles the rows of a load whose job is over.

    :param plan: what the operator asks for.
    :param sending: how the rows were sent.
    :param job_id: the job, for the results.
    :param doubt: when, and as whom, an earlier job may have written the rows, if one may.
    :param stop: why no further row can be sent, by what rows were told.
    """

    plan: Plan
    sending: Sending
    lead: SObjectInfo
    lookup: LeadLookup
    conn_id: str
    job_id: str
    terms: RunTerms
    doubt: UnansweredSend | None
    stop: SalesforceLeadsError | None = None

    def collect(self, batches: Iterator[pa.RecordBatch], results: JobResults) -> Iterator[Collected]:
        """Yield what became of the rows, batch by batch."""
        start = 0
        for batch in batches:
            yield self._of(batch, results.said(start, batch.num_rows), results)
            start += batch.num_rows

    def _of(self, batch: pa.RecordBatch, said: Said, results: JobResults) -> Collected:
        written = said.states == State.SUCCEEDED
        failed = said.states == State.FAILED
        exists = failed & (said.ids != b"")
        again = said.states == State.UNPROCESSED
        unknown = said.states == State.SILENT
        is_silent = bool(unknown.any()) and self.sending.kind.repeatable
        if self.sending.kind.repeatable:
            again, unknown = again | unknown, np.zeros_like(unknown)
        met = np.zeros_like(again)
        settled: list[Settled] = []
        closer = np.flatnonzero(failed & ~exists)
        for first in range(0, len(closer), _GROUP):
            some = closer[first : first + _GROUP]
            errors = [row_error(text) for text in results.error_texts(said.texts[some])]
            refusals = [SaveResult(error=error) for error in errors]
            passing = np.array([self._is_passing(result) for result in refusals], dtype=np.bool_)
            again[some[passing]] = True
            permanent = [result for result, passes in zip(refusals, passing, strict=True) if not passes]
            places = some[~passing]
            items = [item.doubted(self.doubt) for item in rebuild(batch, places, self.lead, self.sending)]
            lines = self.plan.settle(items, permanent, self.lookup)
            met[places[[isinstance(line, Item) for line in lines]]] = True
            settled += [self._stamped(line) for line in lines if isinstance(line, Settled)]
        return Collected(
            lines=self._lines(batch, said, written, exists),
            settled=settled,
            again=batch.filter(pa.array(again)),
            is_silent=is_silent,
            met=batch.filter(pa.array(met)),
            unknown=batch.filter(pa.array(unknown)),
        )

    def _is_passing(self, result: SaveResult) -> bool:
        if result.error is not None and result.meaning in (Meaning.ENDS_RUN, Meaning.LATER):
            self.stop = nothing_written(result.error, conn_id=self.conn_id)
        return result.is_open

    def _lines(self, batch: pa.RecordBatch, said: Said, written: _Mask, exists: _Mask) -> pa.RecordBatch:
        both = written | exists
        rows = batch if both.all() else batch.filter(pa.array(both))
        there, ids = exists[both], said.ids[both]
        known = rows.column("salesforce_id")
        found = pa.compute.coalesce(_texts(ids), known)
        stay = pa.array(there)
        columns: Mapping[str, pa.Array] = {
            "key": rows.column("key"),
            "action": self._actions(said.created[both], there),
            "reason": pa.compute.if_else(stay, str(Reason.ALREADY_EXISTS), pa.scalar(None, pa.string())),
            "salesforce_id": found,
            "api": pa.repeat("bulk", rows.num_rows),
            "batch": pa.repeat(self.job_id, rows.num_rows),
            "old_stage": rows.column("old_stage"),
            "new_stage": rows.column("new_stage"),
        }
        return self.terms.lines(columns)

    def _actions(self, created: npt.NDArray[np.uint8], there: _Mask) -> pa.Array:
        """Return what was done."""
        said = {Created.UNSAID: None, Created.NO: False, Created.YES: True}
        words = [str(written_as(self.sending.expected, said[code])) for code in Created] + [str(Action.UNCHANGED)]
        told = Created.UNSAID if self.sending.kind.operation == "update" else created
        codes = np.where(there, len(Created), told).astype(np.int8)
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(words)).cast(pa.string())

    def _stamped(self, settled: Settled) -> Settled:
        outcome = replace(settled.outcome, api="bulk", batch=self.job_id)
        return replace(settled, outcome=self.terms.stamped(outcome))


def _texts(ids: Ids) -> pa.Array:
    return strings(ids) if len(ids) else pa.array([], pa.string())
