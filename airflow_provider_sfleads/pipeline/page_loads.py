"""Send staged rows by pages of sObject Collections: look up, send and settle, some pages at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.lookup import Memory, Reading
from airflow_provider_sfleads.pipeline.lookup_decide import Decisions, decide
from airflow_provider_sfleads.pipeline.lookup_index import bools
from airflow_provider_sfleads.pipeline.lookup_sources import read_by_calls
from airflow_provider_sfleads.pipeline.page import Page, PageDelivery
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.ports import Earlier
from airflow_provider_sfleads.pipeline.settled_rows import chosen, record_settled
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces
from airflow_provider_sfleads.pipeline.staged_rows import Sending
from airflow_provider_sfleads.salesforce.query_job import Stopped

# Rows that are looked up together: with sObject Collections one call reads so many leads.
_WINDOW = 2_000


@dataclass(slots=True, kw_only=True)
class PageLoads:
    """Sends staged rows by pages; after :meth:`carry_out`, the fields say what is left for others.

    :param plan: what the operator asks for.
    :param reading: what a look-up reads with.
    :param memory: Lead ids seen.
    :param in_flight: takes pages, and records what becomes of them.
    :param earlier: what earlier tries did, where that matters.
    :param apart: of each piece, by name, the places of the rows that have to be looked at one by one.
    """

    plan: CreatePlan | StagePlan
    pieces: Pieces
    reading: Reading
    memory: Memory
    in_flight: PagesInFlight
    earlier: Earlier | None
    apart: dict[str, list[int]] = field(default_factory=dict)
    _waiting: dict[int, list[pa.RecordBatch]] = field(default_factory=dict)

    def carry_out(self, pieces: Sequence[Piece]) -> None:
        """Bring the rows of pieces to an outcome, but for those that :attr:`apart` and ``in_flight`` name.

        :raises DisownedError: where another process has the task.
        """
        with self.in_flight:
            for piece in pieces:
                self._take(piece)
            self._submit(self.delivery.terms.server_now(), all_of_them=True)
            self.in_flight.collect_all()

    @property
    def delivery(self) -> PageDelivery:
        """Brings a page to Salesforce."""
        return self.in_flight.delivery

    def _take(self, piece: Piece) -> None:
        """Look the rows of a piece up, and let pages leave as they fill."""
        apart = self.apart.setdefault(piece.name, [])
        start = 0
        with self.pieces.reading(piece) as batches:
            for window in _groups(batches, _WINDOW):
                rows, places = list[pa.RecordBatch](), list[Positions]()
                for batch in window:
                    is_open = self._is_open(batch, start, apart)
                    rows.append(chosen(batch, is_open))
                    places.append(start + np.flatnonzero(is_open))
                    start += batch.num_rows
                if any(batch.num_rows for batch in rows):
                    self._look_up(rows, np.concatenate(places), apart)

    def _is_open(self, batch: pa.RecordBatch, start: int, apart: list[int]) -> npt.NDArray[np.bool_]:
        """Return which rows are simply to be sent; of the others some are settled, and some may be there already."""
        is_open = ~bools(batch.column("apart"))
        apart.extend((start + np.flatnonzero(~is_open)).tolist())
        if self.earlier is not None:
            for position, key in enumerate(batch.column("key").to_pylist()):
                if is_open[position] and self.earlier.settled(key):
                    is_open[position] = False
                elif is_open[position] and (self.earlier.unknown(key) or self.earlier.created(key)) is not None:
                    is_open[position] = False
                    apart.append(start + position)
        return is_open

    def _look_up(self, rows: Sequence[pa.RecordBatch], places: Positions, apart: list[int]) -> None:
        # Before they are read: what changes from then on may be missing.
        looked_up = self.delivery.terms.server_now()
        decisions = self._decisions(rows) if self.delivery.stop_reason is None else None
        # A signal that strikes while outcomes are taken down would leave them half done.
        if decisions is None:
            uninterrupted(partial(self._leave, rows, self.delivery.stop_reason or Reason.STOPPED))
        else:
            uninterrupted(partial(self._sort_out, rows, decisions, places, apart))
            self._submit(looked_up, all_of_them=self.plan.fresh)

    def _decisions(self, rows: Sequence[pa.RecordBatch]) -> Decisions | None:
        try:
            return decide(self.plan, lambda: iter(rows), self.reading, self.memory, read=read_by_calls)
        except Stopped:
            return None
        except SalesforceLeadsError as error:
            self.delivery.halt(error)
            return None

    def _leave(self, rows: Sequence[pa.RecordBatch], reason: Reason) -> None:
        for batch in rows:
            self.in_flight.sink.add(self.delivery.terms.left(batch, reason))
            self.in_flight.left += batch.num_rows

    def _sort_out(
        self, rows: Sequence[pa.RecordBatch], decisions: Decisions, places: Positions, apart: list[int]
    ) -> None:
        """Record what the look-up has settled, and put the other rows on pages."""
        start = 0
        for batch in rows:
            found = record_settled(self.in_flight.sink, self.delivery.terms, batch, decisions, start)
            apart.extend(places[start : start + batch.num_rows][found.undecided].tolist())
            for number, placed in found.ways.items():
                self._waiting.setdefault(number, []).append(placed)
            start += batch.num_rows

    def _submit(self, looked_up: datetime, *, all_of_them: bool) -> None:
        """Let full pages leave, or all of them.

        :param looked_up: when the last of their leads were looked up.
        """
        size = self.delivery.terms.batch_size
        for number, (kind, expected) in enumerate(self.plan.ways):
            way = Sending(kind=kind, expected=expected)
            for batches in _groups(self._waiting.pop(number, []), size):
                if all_of_them or sum(batch.num_rows for batch in batches) == size:
                    self.in_flight.send(Page(batches, way, looked_up))
                else:
                    self._waiting[number] = batches


def _groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[list[pa.RecordBatch]]:
    """Cut batches into groups of so many rows each; the last may have fewer."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, size - rows)
            group.append(piece)
            start, rows = start + piece.num_rows, rows + piece.num_rows
            if rows == size:
                yield group
                group, rows = [], 0
    if group:
        yield group
