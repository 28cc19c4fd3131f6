"""Look a part up, settle a load: what happens to staged rows between two files."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.job_outcomes import Collected, Collector
from airflow_provider_sfleads.pipeline.job_results import JobResults, match_by
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, Reading
from airflow_provider_sfleads.pipeline.lookup_decide import Decisions, decide
from airflow_provider_sfleads.pipeline.ports import Newer, ResultsSink, RunTerms
from airflow_provider_sfleads.pipeline.settled_rows import all_but, chosen, newer_lines, record_settled
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces, Role
from airflow_provider_sfleads.pipeline.staged_rows import PLACED, Sending, field_names
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobState
from airflow_provider_sfleads.salesforce.job_control import Jobs

# Rows that fail for a passing reason go out in jobs so often, and are then worth small pages.
_ROUNDS = 3
_FEW = 2_000
# The slot of rows that no look-up could place, apart from those of the plan's ways.
_UNDECIDED = 9


def looks_up(plan: CreatePlan | StagePlan) -> bool:
    """Return whether rows have to be looked up before they are sent."""
    return isinstance(plan, StagePlan) or plan.asks or plan.rules.people is not None


@dataclass(slots=True, kw_only=True)
class Settling:
    """Brings staged rows from one file into the next, or into the results.

    Each step writes what comes of a piece before it removes the piece, under a mark that tells a later try of a killed
    one whether the step was done.

    :param plan: what the operator asks for.
    :param lead: the org's Lead.
    :param reading: what a look-up reads with.
    :param lookup: reads single leads.
    :param memory: Lead ids seen.
    :param scratch: local folder for result files.
    :param newer: finds rows that a newer run has brought up to date, right before a load is sent.
    """

    plan: CreatePlan | StagePlan
    lead: SObjectInfo
    pieces: Pieces
    sink: ResultsSink
    jobs: Jobs
    reading: Reading
    lookup: LeadLookup
    memory: KeyMemory
    terms: RunTerms
    scratch: Path
    newer: Newer | None = None

    def way(self, piece: Piece) -> Sending:
        """Return how a load's rows are sent."""
        kind, expected = self.plan.ways[piece.slot.kind]
        return Sending(kind=kind, expected=expected)

    def look_up(self, part: Piece) -> None:
        """Look the rows of a part up: what is to be sent becomes loads, the rest is settled."""
        _give_back()
        memory = _Anew(self.memory, part.slot.round) if part.slot.round else self.memory
        decisions = decide(self.plan, lambda: self._batches(part), self.reading, memory)
        if self._is_new(decisions):
            self.pieces.pass_on(part, Role.LOAD)
            return
        # So few that a job is not worth it.
        is_few = int((decisions.classes >= 0).sum()) <= self.terms.least
        with self._step(part.mark):
            start = 0
            for batch in self._batches(part):
                self._place(part, batch, decisions, start, is_few=is_few)
                start += batch.num_rows
            self.pieces.publish()
        self.pieces.remove(part)

    def _is_new(self, decisions: Decisions) -> bool:
        """Return whether nothing was found of any row, and all are sent alike: the part is the load then."""
        if self.terms.dry_run or (decisions.classes != 0).any() or len(decisions.classes) <= self.terms.least:
            return False
        return bool(decisions.found.column("salesforce_id").null_count == len(decisions.classes))

    def settle(self, load: Piece, job: JobInfo) -> SalesforceLeadsError | None:
        """Record what a job that is over did with its rows; what it left out is staged anew.

        :return: why no further row can be sent, by what rows were told.
        """
        kind = self.way(load).kind
        files = self.jobs.fetch(job, self.scratch, rows=load.rows)
        first = next(self._batches(load))
        match = match_by(kind, self.plan.rules.external, field_names(first.schema))
        collector = self._collector(load, job)
        try:
            _give_back()
            # Nothing else holds the digests: of a million rows they take 16 MB.
            with JobResults(
                np.concatenate([match.of_load(batch) for batch in self._batches(load)]),
                match,
                job_id=job.id,
                directory=self.scratch,
                external=self._met_by(load),
            ) as results:
                for add, path in (
                    (results.add_successful, files.successful),
                    (results.add_failed, files.failed),
                    (results.add_unprocessed, files.unprocessed),
                ):
                    if path is not None:
                        add(path)
                with self._step(load.mark):
                    self._record(load, job, collector.collect(self._batches(load), results))
        finally:
            for path in (files.successful, files.failed, files.unprocessed):
                if path is not None:
                    path.unlink(missing_ok=True)
        self.pieces.remove(load)
        return collector.stop

    def leave_newer(self, load: Piece) -> Piece | None:
        """Take out of a load what a newer run has brought up to date meanwhile.

        :return: the load to be sent; what is left of one is a load of its own, ``None`` where nothing is.
        """
        newer = self.newer
        if newer is None or not any(newer(_keys(batch)) for batch in self._batches(load)):
            return load
        slot = load.slot.next
        with self._step(load.mark):
            for batch in self._batches(load):
                ids = newer(_keys(batch))
                self.sink.add(newer_lines(self.terms, batch, ids))
                self.pieces.add(Role.LOAD, slot, chosen(batch, all_but(batch.num_rows, ids)))
            rest = self.pieces.publish()
        self.pieces.remove(load)
        return next(iter(rest), None)

    def put_back(self, load: Piece) -> None:
        """Make a load a part again, to be looked up anew."""
        slot = load.slot.next
        for batch in self._batches(load):
            plain = batch.select([name for name in batch.schema.names if name not in PLACED])
            self.pieces.add(Role.PART, slot, plain)
        self.pieces.publish()
        self.pieces.remove(load)

    @contextmanager
    def _step(self, mark: str) -> Iterator[None]:
        """Record outcomes under a mark; a step that breaks off leaves nothing staged, which the next would complete."""
        with self.sink.marked(mark):
            try:
                yield
            except BaseException:
                self.pieces.drop_drafts()
                raise

    def make_unknown(self, load: Piece) -> None:
        """Keep the rows of a load from ever being sent again."""
        for batch in self._batches(load):
            self.pieces.add(Role.UNKNOWN, load.slot, batch)
        self.pieces.publish()
        self.pieces.remove(load)

    def _batches(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        with self.pieces.reading(piece) as batches:
            yield from batches

    def _place(self, part: Piece, batch: pa.RecordBatch, decisions: Decisions, start: int, *, is_few: bool) -> None:
        found = record_settled(self.sink, self.terms, batch, decisions, start)
        role = Role.PAGES if is_few else Role.LOAD
        for number, rows in found.ways.items():
            self.pieces.add(role, replace(part.slot, kind=number), rows)
        self.pieces.add(Role.PAGES, replace(part.slot, kind=_UNDECIDED), chosen(batch, found.undecided))

    def _record(self, load: Piece, job: JobInfo, found: Iterator[Collected]) -> None:
        slot, is_silent = load.slot.next, False
        for collected in found:
            is_silent = is_silent or collected.is_silent
            self.sink.add(collected.lines)
            for settled in collected.settled:
                self.sink.write(settled.outcome, settled.row)
            self.pieces.add(Role.LOAD, slot, collected.again)
            # Page by page, each right after its look-up: a job would take what is new and what is known alike.
            self.pieces.add(Role.PAGES, load.slot.met, collected.met)
            self.pieces.add(Role.UNKNOWN, load.slot, collected.unknown)
        # What a job did not come to waits for the next try. Locks pass: few rows, or those often locked, go by pages.
        again = self.pieces.size(Role.LOAD, slot)
        by_pages = job.state is JobState.JOB_COMPLETE and (again <= _FEW or slot.round >= _ROUNDS)
        self.pieces.publish({Role.LOAD: Role.PAGES} if by_pages else {}, in_doubt=(slot,) if is_silent else ())

    def _met_by(self, load: Piece) -> str | None:
        """Return the field whose uniqueness tells an insert that the lead exists.

        Of rows sent before, a look has to tell.
        """
        external = self.plan.rules.external
        if external is None or self.way(load).kind.operation != "insert" or self._may_be_sent(load):
            return None
        return external.name

    def _collector(self, load: Piece, job: JobInfo) -> Collector:
        return Collector(
            plan=self.plan,
            sending=self.way(load),
            lead=self.lead,
            lookup=self.lookup,
            conn_id=self.reading.conn_id,
            job_id=job.id,
            terms=self.terms,
            doubt=self.terms.doubt() if self._may_be_sent(load) else None,
        )

    def _may_be_sent(self, load: Piece) -> bool:
        """Return whether rows of a load may have been sent before."""
        return load.slot.in_doubt or self.terms.asks


@dataclass(frozen=True, slots=True)
class _Anew:
    """The memory for a part that is looked up once more: what its own rows have left there is not there before them."""

    memory: KeyMemory
    round: int

    def add(self, key: str, space: str = "key") -> bool:
        """Add a key and say whether it is new in this round."""
        self.memory.add(key, space)
        return self.memory.add(key, f"{space} r{self.round}")

    def add_many(self, keys: pa.Array, space: str = "key") -> npt.NDArray[np.bool_]:
        """Add strings and say of each whether it is new in this round."""
        self.memory.add_many(keys, space)
        return self.memory.add_many(keys, f"{space} r{self.round}")


def _give_back() -> None:
    """Free what Arrow and the C library keep of the step before for more of the same: the next step wants other sizes.

    Of a million rows it is some 70 MB that nobody uses.
    """
    pa.default_memory_pool().release_unused()
    # glibc's own; other C libraries have no such call.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _keys(batch: pa.RecordBatch) -> list[str]:
    keys: list[str] = batch.column("key").to_pylist()
    return keys
