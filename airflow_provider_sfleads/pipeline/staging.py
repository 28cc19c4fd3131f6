"""Read the whole export, and stage what is to be sent of it; nothing is sent yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.lookup_index import bools
from airflow_provider_sfleads.pipeline.ports import ResultsSink, RunTerms
from airflow_provider_sfleads.pipeline.staged_pieces import APART, Pieces, Role, Slot
from airflow_provider_sfleads.pipeline.staged_rows import csv_bytes

if TYPE_CHECKING:
    from airflow_provider_sfleads.pipeline.intake import Taken

log = logging.getLogger(__name__)

# Salesforce takes 100 MB; the room left is for what an estimate of every cell cannot foresee.
MAX_BYTES = 90_000_000
# What a load holds in memory while its results are matched goes with its rows.
MAX_ROWS = 1_000_000
# Of rows whose leads must be looked up right before: the sooner a job is through, the less happens meanwhile. Not
# smaller, since the ids of all jobs are kept in Airflow's task state store.
MAX_FRESH_ROWS = 25_000
_SAY_EVERY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefiltered:
    """Rows of a batch of which something is known before anybody asks Salesforce.

    :param places: positions of those that need not be sent.
    :param reasons: why, one each: ``same_values``, ``newer_run`` or ``already_exists``.
    :param lead_ids: ids of their leads, one each; null where not known.
    :param in_doubt: positions of those that may be there already, which have to be asked for one by one.
    """

    places: Positions
    reasons: pa.Array
    lead_ids: pa.Array
    in_doubt: Sequence[int] = ()


Prefilter = Callable[[pa.RecordBatch], Prefiltered]
"""Finds such rows."""


class Intake(Protocol):
    """Decides what the export alone can decide."""

    def take(self, chunk: pa.RecordBatch | list[object]) -> Taken:
        """Decide about the rows of a chunk."""


@dataclass(slots=True, kw_only=True)
class Staging:
    """Reads an export to its end.

    :param intake: decides what the export alone can decide.
    :param pieces: takes what is to be sent.
    :param sink: takes the outcomes of what is not.
    :param prefilter: finds what need not be sent, or must not simply be.
    :param looks_up: whether parts are looked up before they are sent.
    :param fresh: whether they have to be looked up right before.
    :param terms: how the run is carried out.
    :param read: rows read.
    :param rows: rows staged.
    :param error: why reading stopped early.
    """

    intake: Intake
    pieces: Pieces
    sink: ResultsSink
    prefilter: Prefilter | None
    looks_up: bool
    fresh: bool
    terms: RunTerms
    read: int = 0
    rows: int = 0
    error: ExportError | None = None
    _part: int = 0
    _bytes: int = 0
    _in_part: int = 0
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def take_all(self, chunks: Iterable[object]) -> bool:
        """Read the export; whether it was read to its end."""
        source, is_stopped = iter(chunks), False
        while True:
            try:
                chunk = next(source, None)
            except ExportError as error:
                self.error = error
                return False
            if chunk is None:
                self._say("The export is read")
                return True
            if is_stopped:
                return False
            self._take(chunk)
            # Whether that was the end of it, only the next question tells.
            is_stopped = self.terms.stop.is_set()

    def _take(self, chunk: object) -> None:
        taken = self.intake.take(chunk)
        self.read += taken.read
        if taken.plain.num_rows:
            self.sink.add(self.terms.lines({name: taken.plain.column(name) for name in taken.plain.schema.names}))
        for settled in taken.settled:
            self.sink.write(self.terms.stamped(settled.outcome), settled.row)
        self._stage(self._prefiltered(taken.candidates))
        if time.monotonic() - self._said > _SAY_EVERY:
            self._said = time.monotonic()
            self._say("Reading")

    def _prefiltered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.prefilter is None or not batch.num_rows:
            return batch
        filtered = self.prefilter(batch)
        places = filtered.places
        if len(places):
            columns = {
                "key": batch.column("key").take(pa.array(places)),
                "action": pa.repeat(str(Action.UNCHANGED), len(places)),
                "reason": filtered.reasons,
                "salesforce_id": filtered.lead_ids,
            }
            self.sink.add(self.terms.lines(columns))
        apart = bools(batch.column("apart"))
        apart[list(filtered.in_doubt)] = True
        kept = np.ones(batch.num_rows, dtype=np.bool_)
        kept[places] = False
        place = batch.schema.get_field_index("apart")
        return batch.set_column(place, batch.schema.field(place), pa.array(apart)).filter(pa.array(kept))

    def _stage(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        apart = batch.column("apart")
        if apart.true_count:
            self.pieces.add(Role.PAGES, Slot(part=self._part, kind=APART), batch.filter(apart))
            batch = batch.filter(pa.compute.invert(apart))
        size, most = csv_bytes(batch), MAX_FRESH_ROWS if self.fresh else MAX_ROWS
        if self._in_part and (self._bytes + size > MAX_BYTES or self._in_part + batch.num_rows > most):
            self._part += 1
            self._bytes = self._in_part = 0
        self._bytes += size
        self._in_part += batch.num_rows
        self.pieces.add(Role.PART if self.looks_up else Role.LOAD, Slot(part=self._part), batch)

    def _say(self, what: str) -> None:
        rate = self.read / max(time.monotonic() - self._began, 1e-9)
        log.info("%s: %s", what, f"{self.read:,} rows, {self.rows:,} of them to be sent ({rate:,.0f} rows/s).")
