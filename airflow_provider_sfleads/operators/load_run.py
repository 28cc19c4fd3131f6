"""Bring every row of an export to an outcome: read, decide, stage, look up, send, settle."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Action, Reason, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import (
    DisownedError,
    ExportError,
    ParameterError,
    RecordsLostError,
    SalesforceLeadsError,
)
from airflow_provider_sfleads.operators.load_context import MOST_BY_PAGES, LoadContext, LoadOutcome, PendingJobs, Plan
from airflow_provider_sfleads.operators.permissions import hides_rule
from airflow_provider_sfleads.operators.prefilter import prefilter_for, recall
from airflow_provider_sfleads.pipeline.plan import Candidate, Seen
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.claims import LeadClaims
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import COLUMNS
from airflow_provider_sfleads.results.parts import STAGED
from airflow_provider_sfleads.results.recorded import tally_of
from airflow_provider_sfleads.results.writer import Recorder

if TYPE_CHECKING:
    from airflow_provider_sfleads.exports.record_batches import ChunkStream
    from airflow_provider_sfleads.pipeline.job_run import BulkRun
    from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
    from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces, Role

log = logging.getLogger(__name__)

# With a triggerer at hand the worker still waits for short jobs itself: to be deferred costs some ten seconds.
_PATIENCE = 10.0
# Rows of jobs that tell nothing any more, up to which they are looked for one by one: by name, among all namesakes.
_MOST_ASKED = 20_000
_NO_HEADER = "duplicates='allow' takes a header that Bulk API 2.0 does not have"


def carry_out(load: LoadContext) -> LoadOutcome | PendingJobs:
    """Bring every row to an outcome, or come back with the jobs that have to be over first.

    The export is read to its end and staged before the first row is sent. A later try goes on with what is staged;
    where the export was not read to its end, nothing was sent, and it is read anew.

    :raises ParameterError: ``api="bulk"`` together with ``duplicates="allow"``.
    """
    settings = load.settings
    if settings.allow_duplicates and settings.api == "bulk":
        raise ParameterError(f"api='bulk' cannot be: {_NO_HEADER}. Take api='auto' or 'collections'.")
    # Where records are lost, what is staged is no account of what is to do until the export was read anew.
    is_staged = load.folder.is_staged and (load.execution.asks_from is None or load.execution.read is not None)
    with ExitStack() as source:
        stream = None if is_staged else source.enter_context(settings.export.open())
        return _carried_out(load, stream, source)


def _carried_out(load: LoadContext, stream: ChunkStream | None, source: ExitStack) -> LoadOutcome | PendingJobs:
    """Carry the load out.

    :param stream: the export; ``None`` where an earlier try has staged it.
    :param source: closes it.
    """
    with ExitStack() as closing:
        run = _LoadRun(load, closing, stream)
        try:
            if stream is not None and not run.stage(stream):
                return run.end(is_read=False)
            # A warehouse does not keep a session open for as long as rows are sent.
            source.close()
            load.begin_sending()
            waiting = run.send()
            if waiting is not None:
                return waiting
            run.send_pages()
        except DisownedError:
            raise
        except BaseException:
            try:
                uninterrupted(run.break_off)
            except BaseException as another:  # noqa: BLE001 - the error that ended the run goes on
                log.warning("While the try was broken off: %s: %s", type(another).__name__, another)
            raise
        return run.end()


def _columns(load: LoadContext, stream: ChunkStream | None) -> tuple[str, ...]:
    """Return the export's columns; of one that was read in an earlier try, as that wrote them down."""
    if stream is not None:
        return stream.columns
    with load.folder.staged().open(COLUMNS) as file:
        return tuple(json.load(file))


def _choice(load: LoadContext, plan: Plan, rows: int) -> tuple[str, str]:
    """Return the API that carries the rows, and why.

    :param rows: how many are staged.
    """
    settings = load.settings
    if settings.api != "auto":
        return settings.api, f"api='{settings.api}' asks for it"
    if rows <= MOST_BY_PAGES:
        return "collections", f"auto: {rows:,} rows to send, and up to {MOST_BY_PAGES:,} go through sObject Collections"
    no_jobs = _rules_jobs_out(load, plan, makes_jobs=True)
    if no_jobs is None:
        return "bulk", f"auto: {rows:,} rows to send, more than {MOST_BY_PAGES:,}"
    return "collections", f"auto: {rows:,} rows to send, and {no_jobs}"


def _rules_jobs_out(load: LoadContext, plan: Plan, *, makes_jobs: bool) -> str | None:
    """Return why no job is made; ``None`` where nothing is said against it.

    What is mended after a job has failed may be the Dag, and permissions come and go between two tries.

    :param makes_jobs: whether there is anything to make one of: only then the rule is asked for.
    """
    settings = load.settings
    if settings.api == "collections":
        return "api='collections' asks for it by now"
    if settings.allow_duplicates:
        return _NO_HEADER
    if load.execution.asks_from and not plan.repeatable:
        return "each lead is looked for before it is sent, since what earlier tries sent is not recorded any more"
    if makes_jobs and settings.api == "auto" and hides_rule(load):
        return (
            "bulk would have to name the active assignment rule (assignment_rule='default'), but the Run-As user may "
            "not read AssignmentRule, for which it needs View Setup and Configuration"
        )
    return None


def _stage_anew(load: LoadContext, columns: Sequence[str]) -> None:
    """Make the staging folder ready for the rows of an export with such columns."""
    staging = load.folder.staged()
    staging.remove_all()
    load.folder.staging()
    with staging.complete(COLUMNS) as draft:
        draft.write_text(json.dumps(columns), encoding="utf-8")


@contextmanager
def _earlier(load: LoadContext, plan: Plan, *, is_begun: bool) -> Iterator[EarlierRows | None]:
    """Yield what was done before, where that matters: for a retry, and for leads that a re-run could create again.

    :param is_begun: whether this try has recorded rows, too.
    """
    is_resumed = is_begun or load.resumed or any(Announcements(load.folder, plan.compare).rows())
    if plan.repeatable and not is_resumed and load.execution.asks_from is None:
        yield None
        return
    with load.earlier(plan) as rows:
        if is_resumed:
            tally = Tally()
            rows.resume(load.folder, tally, within_try=is_begun)
            log.info("Try %d goes on: %d rows are settled already.", load.execution.tries, tally.read)
        if not plan.repeatable:
            rows.remember(load.folder.others())
        yield rows


def _ending(load: LoadContext, plan: Plan) -> Callable[[type[BaseException] | None, object, object], None]:
    """Return what ends a try whose rows are recorded: an exit, to be pushed on a stack."""

    def end(error: type[BaseException] | None, *_: object) -> None:
        is_told = error is None and load.tally is not None and not load.tally.actions[Action.NOT_SENT]
        if is_told and not load.resumed:
            # The usual end: what became of every row is known, and need not be read back.
            Announcements(load.folder, plan.compare).forget()
        else:
            _conclude(load, plan)
        LeadClaims(load.folder).forget()

    return end


def _conclude(load: LoadContext, plan: Plan) -> None:
    """Keep announced what nobody knows of, now that all rows are recorded."""
    if not any(Announcements(load.folder, plan.compare).rows()):
        # Jobs announce nothing: where there were no pages, not one of a million outcomes need be looked at.
        return
    with EarlierRows(load.folder.staging(), plan.compare, repeatable=plan.repeatable) as rows:
        gone = rows.conclude(load.folder)
    if gone and not plan.repeatable:
        log.warning(
            "%d rows that an earlier try sent without an answer are not in the export any more, so nobody asks what "
            "became of them.",
            gone,
        )


class _LoadRun:
    """One try of a load."""

    def __init__(self, load: LoadContext, closing: ExitStack, stream: ChunkStream | None) -> None:
        from airflow_provider_sfleads.operators.run_parts import run_terms_of
        from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
        from airflow_provider_sfleads.pipeline.staged_pieces import Pieces

        self.load = load
        self.closing = closing
        self.columns = _columns(load, stream)
        self.pieces: Pieces = Pieces(load.folder.staged())
        self.plan: Plan = load.plan(self.columns)
        self.terms = run_terms_of(load)
        if load.settings.api == "bulk" and load.execution.asks_from and not self.plan.repeatable:
            raise RecordsLostError(
                "What earlier tries of this task sent is not recorded any more, so bulk could create leads twice. "
                "Take api='collections', which looks for each lead before it is sent."
            )
        self.is_taken_up = staged = stream is None
        if not staged:
            load.drop_jobs()
            # The parts of a try that did not get to the end of the export are written anew.
            load.execution = replace(load.execution, asked=load.settings.asked, read=None, first_part=0, next_part=0)
        load.begin()
        if not staged:
            _stage_anew(load, self.columns)
        self.memory: KeyMemory = closing.enter_context(KeyMemory(load.folder.staging()))
        if staged:
            # Rows that an earlier try has staged, and sent perhaps, are remembered at the end, too.
            recall(load, self.plan)
        if staged:
            # Before the writer drops the rows that are not sent: they tell which announced ones surely are not.
            _conclude(load, self.plan)
        self.closing.push(_ending(load, self.plan))
        self.writing = ExitStack()
        closing.push(self.writing)
        writer = self.writing.enter_context(load.folder.writer(columns=self.columns, resume=staged))
        self.sink = Recorder(writer, salt=load.folder.dag_id, noted=load.note_parts)
        self.read = 0
        self.error: ExportError | None = None
        self.halted: SalesforceLeadsError | None = None
        self.run: BulkRun | None = None
        self.known_from: datetime | None = None

    def stage(self, stream: ChunkStream) -> bool:
        """Read the export and stage what is to be sent; whether it was read to its end."""
        from airflow_provider_sfleads.pipeline.intake import ColumnIntake
        from airflow_provider_sfleads.pipeline.load_steps import looks_up
        from airflow_provider_sfleads.pipeline.staged_pieces import Role
        from airflow_provider_sfleads.pipeline.staging import Staging

        load = self.load
        staging = Staging(
            intake=ColumnIntake(self.plan.recipe, self.plan, self.memory, self.columns),
            pieces=self.pieces,
            sink=self.sink,
            prefilter=prefilter_for(load, self.plan, self.closing),
            looks_up=looks_up(self.plan) or load.settings.dry_run,
            fresh=self.plan.fresh,
            terms=self.terms,
        )
        complete = staging.take_all(stream.chunks)
        self.error, self.read = staging.error, staging.read
        if not complete:
            self.pieces.publish()
            self.leave(*Role)
            self.sink.flush()
            for piece in self.pieces.all():
                self.pieces.remove(piece)
            return False
        api, reason = _choice(load, self.plan, staging.rows)
        log.info("%s: %s.", "Bulk API 2.0" if api == "bulk" else "sObject Collections", reason)
        load.choose(api, reason)
        if load.confirmed is not None:
            load.confirmed.keep(load.folder.staged())
        with self.sink.marked(STAGED):
            self.pieces.publish(dict.fromkeys(Role, Role.PAGES) if api == "collections" else {})
        load.keep(read=staging.read)
        return True

    def send(self) -> PendingJobs | None:
        """Look up, send and settle; the jobs that have to be over before this can go on."""
        from airflow_provider_sfleads.operators.run_parts import bulk_run

        self.run = bulk_run(self.load, self.plan, self.pieces, self.sink, self.memory)
        by_pages = self._turns_to_pages() if self.is_taken_up else None
        self.run.makes_jobs = by_pages is None
        patience = _PATIENCE if self.load.settings.deferrable else None
        job_ids = self.run.carry_on(patience)
        self.halted = self.run.halted
        if by_pages is not None and not job_ids:
            self._leave_to_pages(by_pages, self.run.uncarried())
        return PendingJobs(job_ids=job_ids, elapsed=self.run.elapsed, queued=self.run.queued) if job_ids else None

    def _turns_to_pages(self) -> str | None:
        """Return why what an earlier try has staged for jobs goes page by page now, as far as no job carries it."""
        from airflow_provider_sfleads.pipeline.staged_pieces import Role

        carried = self.load.execution.jobs
        staged = [piece for piece in self.pieces.all() if piece.role in (Role.PART, Role.LOAD)]
        makes_jobs = any(piece.role is Role.PART or piece.slot.label not in carried for piece in staged)
        return _rules_jobs_out(self.load, self.plan, makes_jobs=makes_jobs) if staged else None

    def _leave_to_pages(self, reason: str, pieces: Sequence[Piece]) -> None:
        from airflow_provider_sfleads.pipeline.staged_pieces import Role

        for piece in pieces:
            self.pieces.pass_on(piece, Role.PAGES)
        if pieces:
            log.info("What no job carries goes through sObject Collections: %s.", reason)
            first = self.load.execution
            self.load.choose(first.api or "bulk", f"{first.api_reason}; what was left later went by pages: {reason}")

    def send_pages(self, *, breaks_off: bool = False) -> None:
        """Send by pages what no job carries: all rows, or those that Bulk cannot take, or that are not worth a job.

        :param breaks_off: send nothing, and record of each row that is not settled that it was not sent.
        """
        from airflow_provider_sfleads.operators.run_parts import page_loads, row_run
        from airflow_provider_sfleads.pipeline.staged_pieces import APART, Role

        self._announce_unknown()
        load, pieces = self.load, self.pieces.all(Role.PAGES)
        if pieces:
            with ExitStack() as closing:
                plan = load.plan(self.columns)
                earlier = closing.enter_context(_earlier(load, plan, is_begun=breaks_off))
                pages = page_loads(load, plan, self.pieces, self.sink, self.memory, earlier)
                pages.delivery.halted = self.halted
                # Whose lead is whose of rows in doubt, and so which address is new, only a look at each tells.
                one_by_one = plan.recipe.by_email and earlier is not None
                if one_by_one:
                    pieces = sorted(pieces, key=lambda piece: piece.slot.kind < APART)
                if not breaks_off and not one_by_one:
                    pages.carry_out([piece for piece in pieces if not self._is_placed(piece)])
                run = row_run(load, pages, self._seen_in(pieces))
                run.execute(self._rows_apart(pieces, pages.apart))
                self.halted = pages.delivery.halted
                self.known_from = load.own_time(run.doubts.known_from)
            # Their files go only when their outcomes are safe.
            self.sink.writer.flush()
            if not breaks_off and not pages.in_flight.left:
                for piece in pieces:
                    self.pieces.remove(piece)
        self.leave(Role.PART, Role.LOAD, Role.UNKNOWN)

    def _is_placed(self, piece: Piece) -> bool:
        """Return whether rows of a piece were looked up, or sent, before: they are looked at one by one."""
        from airflow_provider_sfleads.pipeline.staged_pieces import APART

        if piece.slot.round or piece.slot.kind >= APART:
            return True
        with self.pieces.reading(piece) as batches:
            return any("salesforce_id" in batch.schema.names for batch in islice(batches, 1))

    def _announce_unknown(self) -> None:
        """Ask, row by row, for the rows of jobs that tell nothing any more."""
        from airflow_provider_sfleads.pipeline.staged_pieces import Role

        pieces = self.pieces.all(Role.UNKNOWN)
        if sum(piece.rows for piece in pieces) > _MOST_ASKED:
            return
        # Which user's job it was is not recorded.
        doubt = UnansweredSend(since=self.load.began, last=self.load.server_now())
        announcements = Announcements(self.load.folder, self.plan.compare)
        for piece in pieces:
            with self.pieces.reading(piece) as batches:
                for batch in batches:
                    announcements.announce(((key, "") for key in batch.column("key").to_pylist()), doubt)
            self.pieces.pass_on(piece, Role.PAGES)

    def _seen_in(self, pieces: Sequence[Piece]) -> Seen:
        """Return what was there before: a lead that a look-up found for one of these rows is not there twice."""
        own: set[str] = set()
        for piece in pieces:
            with self.pieces.reading(piece) as batches:
                for batch in batches:
                    if "salesforce_id" in batch.schema.names:
                        # An id that the export gives is there before any look-up.
                        found = batch.column("salesforce_id").filter(batch.column("lead_id").is_null())
                        own.update(found.drop_null().to_pylist())

        def seen(value: str, space: str) -> bool:
            return self.memory.add(value, f"pages {space}" if value in own else space)

        return seen

    def _rows_apart(self, pieces: Sequence[Piece], apart: Mapping[str, Sequence[int]]) -> Iterator[Candidate]:
        """Yield the rows to look at one by one.

        :param apart: of pieces whose other rows are settled, by name, the places of those that are not.
        """
        from airflow_provider_sfleads.pipeline.staged_rows import at_places, candidates

        for piece in pieces:
            # What became of rows that a job carried before, the job may not have told.
            doubt = self.load.doubt() if piece.is_doubtful else None
            places = apart.get(piece.name)
            if places is not None and not places:
                continue
            with self.pieces.reading(piece) as batches:
                for batch in batches if places is None else at_places(batches, places):
                    yield from (row.doubted(doubt) for row in candidates(batch, self.load.lead))

    def leave(self, *roles: Role) -> None:
        """Account for what is staged and not settled."""
        for piece in (piece for role in roles for piece in self.pieces.all(role)):
            reason = self.run.reason_left(piece) if self.run else Reason.STOPPED
            with self.pieces.reading(piece) as batches:
                for batch in batches:
                    self.sink.add(self.terms.left(batch, reason))

    def break_off(self) -> None:
        """Abort the jobs and account for what is staged where something else than an outcome ends the try."""
        self.load.settings.stop.set()
        if self.run is not None:
            with suppress(Exception):
                self.run.abort_running()
        with suppress(Exception):
            self._undo_step()
            if self.run is not None:
                try:
                    self.run.break_off()
                except Exception:
                    log.exception("While the jobs of the run were settled:")
                    self._undo_step()
            # Of the rows that go by pages this try, or an earlier one, may have settled some.
            self.send_pages(breaks_off=True)
        with suppress(Exception):
            self.writing.close()
        with suppress(Exception):
            self.load.tally = tally_of(self.load.folder)

    def _undo_step(self) -> None:
        """Keep what is recorded; the step that was broken off is undone, so that no row lies in two pieces."""
        self.sink.writer.flush()
        if STAGED in self.sink.marks():
            self.pieces.drop_drafts()
            self.pieces.tidy(self.sink.marks())
        else:
            self.pieces.publish()

    def end(self, *, is_read: bool = True) -> LoadOutcome:
        """Complete the results, and count them."""
        self.writing.close()
        self.load.tally = tally_of(self.load.folder)
        # A try that was killed before it could note how many there are leaves only the results to go by.
        staged = self.load.tally.read if self.load.execution.read is None else self.load.execution.read
        return LoadOutcome(
            tally=self.load.tally,
            read=staged if is_read else self.read,
            is_read=is_read,
            halted=self.halted,
            export_error=self.error,
            known_from=self.known_from,
        )
