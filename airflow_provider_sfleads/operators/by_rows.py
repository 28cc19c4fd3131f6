"""The course of a load through sObject Collections: row by row, page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.rows import RowStream
from airflow_provider_sfleads.operators.recorder import Recorder
from airflow_provider_sfleads.operators.remembered import remembered_for
from airflow_provider_sfleads.operators.under_way import Course, Plan, UnderWay
from airflow_provider_sfleads.results import KeyIndex
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.lead_claims import LeadClaims
from airflow_provider_sfleads.sync.before import Before

log = logging.getLogger(__name__)


def carry_out(load: UnderWay, opened: Callable[[], AbstractContextManager[RowStream]]) -> Course:
    """Bring every row of the export to an outcome; the export is closed afterwards.

    :param opened: opens the export.
    """
    with ExitStack() as closing:
        stream = closing.enter_context(opened())
        index = closing.enter_context(KeyIndex(load.folder.staging()))
        plan = load.plan(stream.columns, index.add)
        load.begin()
        load.begin_sending()
        closing.push(ending(load, plan))
        earlier = closing.enter_context(_earlier(load, plan))
        writer = closing.enter_context(load.folder.writer(columns=stream.columns, resume=load.resumed))
        before = Before(earlier=earlier, confirmed=remembered_for(load, plan, reads_all=not load.resumed))
        run = load.run(plan, index.add, Recorder(writer, salt=load.folder.dag_id, noted=load.note_parts), before)
        if load.tally is not None:
            run.tally = load.tally
        load.tally = run.tally
        run.execute(stream.rows)
        known_from = load.own_time(run.doubts.known_from)
    return Course(
        tally=run.tally,
        read=run.tally.read + run.unaccounted,
        halted=run.halted,
        export_error=run.export_error,
        known_from=known_from,
    )


@contextmanager
def _earlier(load: UnderWay, plan: Plan) -> Iterator[EarlierRows | None]:
    """What was done before, where that matters: for a retry, and for leads that a re-run could create again."""
    if plan.repeatable and not load.resumed:
        yield None
        return
    with load.earlier(plan) as rows:
        if load.resumed:
            load.tally = Tally()
            rows.resume(load.folder, load.tally)
            if not plan.repeatable or any(Announcements(load.folder, plan.compare).rows()):
                # Before the writer drops the rows that are not sent: they tell which announced ones surely are not.
                rows.conclude(load.folder)
            log.info("Try %d goes on: %d rows are settled already.", load.execution.tries, load.tally.read)
        if not plan.repeatable:
            rows.remember(load.folder.others())
        yield rows


def ending(load: UnderWay, plan: Plan) -> Callable[[type[BaseException] | None, object, object], None]:
    """Return what ends a try whose rows are recorded: an exit, to be pushed on a stack."""

    def end(error: type[BaseException] | None, *_: object) -> None:
        is_told = error is None and load.tally is not None and not load.tally.actions[Action.NOT_SENT]
        if is_told and not load.resumed:
            # The usual end: what became of every row is known, and need not be read back.
            Announcements(load.folder, plan.compare).forget()
        else:
            conclude(load, plan)
        LeadClaims(load.folder).forget()

    return end


def conclude(load: UnderWay, plan: Plan) -> None:
    """All rows are recorded: what stays announced is what nobody knows of."""
    if not any(Announcements(load.folder, plan.compare).rows()):
        # Bulk announces only its tail: where there was none, not one of a million outcomes need be looked at.
        return
    with EarlierRows(load.folder.staging(), plan.compare, repeatable=plan.repeatable) as rows:
        gone = rows.conclude(load.folder)
    if gone and not plan.repeatable:
        log.warning(
            "%d rows that an earlier try sent without an answer are not in the export any more, so nobody asks what "
            "became of them.",
            gone,
        )
