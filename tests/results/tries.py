"""A task that is tried, killed, tried again and cleared: as the load does it, with the real records of its tries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Any

from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Row, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.pipeline.lead_search import LeadSearch
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.page import PageDelivery
from airflow_provider_sfleads.pipeline.page_sender import PageSender
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.plan import Candidate, Plan, Settled
from airflow_provider_sfleads.pipeline.ports import RunTerms
from airflow_provider_sfleads.pipeline.reconcile import Reconciliation
from airflow_provider_sfleads.pipeline.row_run import RowRun
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import created_ids, recorded_outcomes
from airflow_provider_sfleads.results.writer import ResultsWriter
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import NOW as CREATED
from tests.pipeline.org import USER, Org
from tests.pipeline.runs import LATE, STARTED, RowBook, Seen, describe, taken_in

NOW = datetime.fromisoformat(CREATED)


class Killed(BaseException):
    """The worker is gone."""


@dataclass(slots=True)
class Life:
    """How long a worker lives: after so many events it is dead, and nothing that it does has an effect any more.

    :param left: events until it dies; ``None`` for one that lives on.
    """

    left: int | None = None
    _lock: Any = field(default_factory=Lock)

    def tick(self) -> None:
        """Let an event pass."""
        with self._lock:
            if self.left is None:
                return
            if self.left == 0:
                raise Killed
            self.left -= 1

    @property
    def over(self) -> bool:
        """Whether the worker is dead."""
        return self.left == 0


@dataclass(slots=True, kw_only=True)
class Task:
    """One task instance and all that outlives its workers.

    :param base: where results go.
    :param org: the org.
    :param rows: the export.
    :param make: the plan and its memory; takes whether the try goes on with an earlier one.
    :param batch_size: records to a request.
    :param part_rows: rows to a part of the results.
    :param now: Salesforce's clock; its leads are created at ``org.NOW``.
    """

    base: Path
    org: Org
    rows: Sequence[Row | BadRow]
    make: Callable[[bool], tuple[Plan, Seen]]
    batch_size: int = 2
    part_rows: int = 3
    concurrency: int = 1
    executions: int = 1
    now: datetime = NOW
    tries: int = 0
    staged: list[Candidate] | None = None
    doubtful: set[str] = field(default_factory=set)

    @property
    def folder(self) -> ResultsFolder:
        """The folder of the execution at hand."""
        return ResultsFolder(self.base, "dag", "run", "task", -1, f"{self.executions:03}")

    def recorded(self) -> list[Outcome]:
        """What the execution at hand has recorded."""
        return list(recorded_outcomes(self.folder))

    def clear(self) -> None:
        """Begin a new execution."""
        self.executions += 1
        self.tries = 0
        self.staged = None

    def attempt(self, life: Life | None = None, *, rows: Sequence[Row | BadRow] | None = None) -> Tally | None:
        """Try the task; the account, or ``None`` where the worker was killed."""
        life = life or Life()
        self.tries += 1
        plan, seen = self.make(self.tries > 1)
        tally, folder = Tally(), self.folder
        staging = folder.staging()
        with ExitStack() as closing:
            earlier = closing.enter_context(EarlierRows(staging, plan.compare, repeatable=plan.repeatable))
            if self.staged is not None:
                earlier.resume(folder, tally)
            if not plan.repeatable:
                earlier.remember(folder.others())
            writer = folder.writer(columns=("id",), resume=self.staged is not None, part_rows=self.part_rows)
            writer.__enter__()
            run = self._run(plan, seen, writer, tally, life)
            run.earlier = earlier
            try:
                if self.staged is None:
                    self.staged = self._stage(run, self.rows if rows is None else rows)
                run.execute(iter(self.staged))
            except Killed:
                _bury(writer)
                return None
            writer.__exit__(None, None, None)
        with EarlierRows(staging, plan.compare, repeatable=plan.repeatable) as ended:
            ended.conclude(folder)
        return tally

    def _stage(self, run: RowRun, rows: Iterable[Row | BadRow]) -> list[Candidate]:
        """Take the export in, and keep what is to be sent for later tries."""

        def settle(settled: Settled) -> None:
            run.in_flight.sink.write(
                settled.outcome, settled.row if settled.outcome.action is Action.REJECTED else None
            )

        staged = list(taken_in(run.delivery.plan, Seen(), rows, settle))
        run.in_flight.sink.flush()
        return staged

    def _run(self, plan: Plan, seen: Seen, writer: ResultsWriter, tally: Tally, life: Life) -> RowRun:
        announcements = Announcements(self.folder, plan.compare)

        def send(call: Call) -> Reply:
            if call.announce is not None:
                call.announce()
            life.tick()
            reply = self.org.send(call)
            life.tick()
            return reply

        def announce(rows: Sequence[tuple[str, str]]) -> None:
            life.tick()
            announcements.announce(rows, UnansweredSend.at(self.now, USER))
            self.doubtful.update(key for key, _ in rows)
            life.tick()

        numbers, stop = count(1), Event()
        delivery = PageDelivery(
            plan=plan,
            lead=describe(),
            lookup=LeadLookup(send=send, conn_id="sf", lead=describe()),
            terms=RunTerms(
                batch_size=self.batch_size,
                concurrency=self.concurrency,
                dry_run=False,
                attempt=self.tries,
                now=lambda: STARTED,
                server_now=lambda: self.now,
                began=self.now,
                user_ids=frozenset({USER}),
                lead_url=lambda lead: f"https://acme/{lead}",
                stop=stop,
                doubt=lambda: UnansweredSend.at(self.now, USER),
            ),
            sender=PageSender(
                send=send,
                pause=lambda _rounds, _asked: None,
                stopped=stop.is_set,
                number=lambda: str(next(numbers)),
                conn_id="sf",
            ),
            announce=announce,
        )
        return RowRun(
            in_flight=PagesInFlight(delivery=delivery, sink=_MortalSink(writer, life, tally)),
            seen=seen,
            doubts=Reconciliation(
                LeadSearch(
                    lead=describe(),
                    fields=plan.recipe.fields,
                    late=LATE,
                    claimed=partial(created_ids, self.folder.of_dag),
                    now=lambda: self.now,
                )
            ),
        )


@dataclass(slots=True)
class _MortalSink(RowBook):
    writer: ResultsWriter
    life: Life
    tally: Tally

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Record, if there is still somebody who could."""
        self.life.tick()
        self.writer.write(outcome, values)
        self.tally.add(outcome)

    def flush(self) -> None:
        """Make it durable, likewise."""
        self.life.tick()
        self.writer.flush()


def _bury(writer: ResultsWriter) -> None:
    """Close what the system closes when a process is gone, lest Python warns of it later."""
    piece = writer._rejects._piece
    if piece is not None:
        piece.close()


def states(outcomes: Iterable[Outcome], action: Action) -> set[str]:
    """The keys in a state."""
    return {outcome.key for outcome in outcomes if outcome.action is action}
