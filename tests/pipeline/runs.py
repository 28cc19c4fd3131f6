"""Run a sync against the org in memory, with the shortest of everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Event
from typing import Any

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Reason, Row, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.text import is_container, is_unicode
from airflow_provider_sfleads.pipeline.lead_search import Claim
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.page import PageDelivery
from airflow_provider_sfleads.pipeline.page_sender import PageSender
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.plan import Candidate, Plan, Settled
from airflow_provider_sfleads.pipeline.plan_settings import CreateLeads, PlanSettings, UpdateStage
from airflow_provider_sfleads.pipeline.ports import Earlier, RunTerms
from airflow_provider_sfleads.pipeline.prepare import PlanInputs, prepare
from airflow_provider_sfleads.pipeline.row_run import RowRun
from airflow_provider_sfleads.salesforce.describe import SObjectInfo, parse_describe
from airflow_provider_sfleads.salesforce.ids import lead_id
from airflow_provider_sfleads.salesforce.wire import Send
from tests.pipeline.org import USER, Org

LADDER = ("New", "MQL", "SQL", "Won")
STARTED = datetime(2026, 11, 24, tzinfo=UTC)
LATE = timedelta(minutes=12)


def field_of(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    """One field of a describe."""
    usual = {"nillable": True, "createable": True, "updateable": True, "length": 255 if kind == "string" else 0}
    return {"name": name, "type": kind} | usual | more


def describe(**changes: dict[str, Any]) -> SObjectInfo:
    """Lead's describe, with some fields' properties changed."""
    key: dict[str, Any] = {"externalId": True, "unique": True}
    number: dict[str, Any] = {"precision": 18, "scale": 0}
    fields = [
        field_of("Id", "id", createable=False, updateable=False, nillable=False, idLookup=True),
        field_of("External_Id__c", length=36, **key),
        field_of("Number_Id__c", "double", **key, **number),
        field_of("Badge__c", length=10, unique=True),
        field_of("LastName", length=80, nillable=False),
        field_of("FirstName", length=40),
        field_of("Company", nillable=False),
        field_of("Email", "email", length=80, idLookup=True),
        field_of("Lead_Stage__c", "picklist", length=255),
        field_of("Score__c", "double", **number),
        field_of("IsConverted", "boolean", createable=False, updateable=False),
        field_of("ConvertedContactId", "reference", createable=False, updateable=False),
        field_of("CreatedDate", "datetime", createable=False, updateable=False),
        field_of("CreatedById", "reference", createable=False, updateable=False),
    ]
    return parse_describe({"name": "Lead", "fields": [one | changes.get(one["name"], {}) for one in fields]})


class Seen:
    """Remembers values, each in its space."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()

    def __call__(self, value: str, space: str) -> bool:
        """Whether the value is new there."""
        new = (space, value) not in self._pairs
        self._pairs.add((space, value))
        return new


class EarlierTry:
    """What was done before: each recorded row of a try answers for one, and nobody knows of what was only announced.

    :param outcomes: what earlier tries of the execution recorded.
    :param announced: keys of rows that were about to be sent.
    :param others: what other executions of the task recorded.
    """

    def __init__(
        self, outcomes: Iterable[Outcome], *, announced: Iterable[str] = (), others: Iterable[Outcome] = ()
    ) -> None:
        recorded = list(outcomes)
        self.outcomes = [outcome for outcome in recorded if outcome.action is not Action.NOT_SENT]
        self._rows = Counter(_row(outcome) for outcome in self.outcomes)
        known = {outcome.key.lower() for outcome in recorded if outcome.reason != Reason.OUTCOME_UNKNOWN}
        unknown = {outcome.key.lower() for outcome in recorded if outcome.reason == Reason.OUTCOME_UNKNOWN}
        self._unknown = unknown | ({key.lower() for key in announced} - known)
        self._created = {
            outcome.key.lower(): outcome.salesforce_id for outcome in others if outcome.action is Action.CREATED
        }

    def settled(self, key: str) -> bool:
        """Whether the row that is sent for a key is recorded."""
        return self.took((key.lower(), "first"))

    def took(self, row: tuple[str, str]) -> bool:
        """Whether such a row is recorded; each recorded row answers for one."""
        there = self._rows[row] > 0
        self._rows[row] -= there
        return there

    def unknown(self, key: str) -> UnansweredSend | None:
        """When such a row was sent and never heard of."""
        return UnansweredSend.at(STARTED, USER) if key.lower() in self._unknown else None

    def created(self, key: str) -> str | None:
        """Id of the lead that another execution made of such a row."""
        return self._created.get(key.lower())


def _row(outcome: Outcome) -> tuple[str, str]:
    """A recorded row, as the export alone shows it."""
    again = outcome.action is Action.DUPLICATE_KEY and outcome.salesforce_id is None
    kind = "unreadable" if outcome.error_code == "MALFORMED_ROW" else "again" if again else "first"
    return outcome.key.lower(), kind


def taken_in(
    plan: Plan,
    seen: Seen,
    rows: Iterable[Row | BadRow],
    settle: Callable[[Settled], object],
    is_known: Callable[[Settled], bool] = lambda _settled: False,
) -> Iterator[Candidate]:
    """Yield the rows that are to be sent; what the export alone decides of the others goes to ``settle``.

    :param is_known: whether an earlier try has recorded such a row.
    """
    for row in rows:
        taken = plan.take(row)
        if not isinstance(row, BadRow):
            taken = repetition(plan, seen, row) or taken
        if isinstance(taken, Candidate):
            yield taken
        elif not is_known(taken):
            settle(taken)


def repetition(plan: Plan, seen: Seen, row: Row) -> Settled | None:
    """The outcome of a row whose key, or Lead id, a row before it has; that a row has no key is told otherwise."""
    key = plan.key_of(row)
    if not key or is_container(row[plan.recipe.key_column]) or not is_unicode(key):
        return None
    column = plan.recipe.lead_id
    own_id = lead_id(key_text(row[column])) if column is not None else None
    if seen(plan.compare(key), "key") and (own_id is None or seen(own_id, "id")):
        return None
    return Settled(outcome=Outcome(key=key, action=Action.DUPLICATE_KEY), row=row)


@dataclass(slots=True)
class Done:
    """A run that ended; ``outcomes`` are those of this try."""

    run: RowRun
    seen: Seen
    outcomes: list[Outcome] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def execute(self, rows: Iterable[Row | BadRow]) -> None:
        """Take rows in, and run the plan over those that are to be sent."""
        earlier = self.run.earlier
        self.run.execute(
            taken_in(
                self.run.delivery.plan,
                self.seen,
                rows,
                self._settle,
                lambda settled: isinstance(earlier, EarlierTry) and earlier.took(_row(settled.outcome)),
            )
        )

    def _settle(self, settled: Settled) -> None:
        self.write(settled.outcome, settled.row if settled.outcome.action is Action.REJECTED else None)

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take an outcome, as a sink does."""
        self.outcomes.append(outcome)
        self.tally.add(outcome)
        if values is not None:
            self.rejects.append(values)

    def flush(self) -> None:
        """Keep it as it is."""

    @property
    def counts(self) -> dict[str, int]:
        """The report's counts, less zeros."""
        return {name: number for name, number in self.tally.counts().items() if number}

    def by_key(self) -> dict[str, Outcome]:
        """The outcomes by key."""
        return {outcome.key: outcome for outcome in self.outcomes}


def carry_out(
    plan: Plan,
    seen: Seen,
    send: Send,
    rows: Iterable[Row | BadRow],
    *,
    batch_size: int = 200,
    concurrency: int = 2,
    earlier: Earlier | None = None,
    stop: Event | None = None,
    pause: Callable[[int, float], None] = lambda _rounds, _asked: None,
    dry_run: bool = False,
) -> Done:
    """Run a plan; where it raises, the exception's note holds nothing: use :func:`prepared` instead."""
    done = prepared(
        plan,
        seen,
        send,
        batch_size=batch_size,
        concurrency=concurrency,
        earlier=earlier,
        stop=stop,
        pause=pause,
        dry_run=dry_run,
    )
    done.execute(rows)
    return done


def prepared(
    plan: Plan,
    seen: Seen,
    send: Send,
    *,
    batch_size: int = 200,
    concurrency: int = 2,
    earlier: Earlier | None = None,
    stop: Event | None = None,
    pause: Callable[[int, float], None] = lambda _rounds, _asked: None,
    dry_run: bool = False,
    now: Callable[[], datetime] = lambda: STARTED,
) -> Done:
    """A run that has not begun."""
    numbers: Iterator[int] = count(1)
    stop = stop or Event()
    holder: list[Done] = []
    delivery = PageDelivery(
        plan=plan,
        lead=describe(),
        lookup=LeadLookup(send=send, conn_id="sf", lead=describe()),
        terms=RunTerms(
            batch_size=batch_size,
            concurrency=concurrency,
            dry_run=dry_run,
            attempt=1,
            now=now,
            server_now=now,
            began=STARTED,
            user_ids=frozenset({USER}),
            lead_url=lambda lead: f"https://acme/{lead}",
            stop=stop,
            doubt=lambda: UnansweredSend.at(STARTED, USER),
        ),
        sender=PageSender(send=send, pause=pause, stopped=stop.is_set, number=lambda: str(next(numbers)), conn_id="sf"),
    )
    sink = _Forward(holder)
    in_flight = PagesInFlight(delivery=delivery, sink=sink)
    holder.append(Done(RowRun(in_flight=in_flight, seen=seen, earlier=earlier), seen))
    if isinstance(earlier, EarlierTry):
        for outcome in earlier.outcomes:
            holder[0].tally.add(outcome)
    return holder[0]


class RowBook:
    """A sink that is given no columns."""

    def add(self, _outcomes: object) -> None:
        """Rows that are looked at one by one are settled one by one."""
        raise AssertionError

    def marked(self, _mark: str) -> nullcontext[None]:
        """Pages need no marks."""
        return nullcontext()

    def marks(self) -> tuple[str, ...]:
        """None."""
        return ()


class _Forward(RowBook):
    def __init__(self, holder: list[Done]) -> None:
        self._holder = holder

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Hand on."""
        self._holder[0].write(outcome, values)

    def flush(self) -> None:
        """Hand on."""
        self._holder[0].flush()


def ground(
    columns: Iterable[str], lead: SObjectInfo | None = None, *, claim: Claim = lambda _ids, _since: ()
) -> PlanInputs:
    """What a plan stands on; the leads that its rows take are nobody else's."""
    return PlanInputs(lead=lead or describe(), columns=tuple(columns), late=LATE, claim=claim)


def create_request(**changes: Any) -> PlanSettings:
    """A create with an external ID and a few fields."""
    usual: dict[str, Any] = {
        "change": CreateLeads(existing=changes.pop("existing", "skip")),
        "key": "id",
        "external_id_field": "External_Id__c",
        "field_map": FieldMap(columns={"name": "LastName", "firm": "Company"}),
        "auto_assign": "TRUE",
        "allow_duplicates": False,
        "match_email": False,
        "dry_run": False,
    }
    return PlanSettings(**(usual | changes))


def create_plan(columns: Iterable[str] = ("id", "name", "firm"), **changes: Any) -> tuple[Plan, Seen]:
    """A create plan and the memory that it uses."""
    seen, lead, claim = Seen(), changes.pop("lead", None), changes.pop("claim", lambda _ids, _since: ())
    return prepare(create_request(**changes), ground(columns, lead, claim=claim)), seen


def create(org: Org, rows: Iterable[Row | BadRow], **how: Any) -> Done:
    """Create leads; ``plan`` holds changes of the request."""
    asked: dict[str, Any] = how.pop("plan", {})
    plan, seen = create_plan(**asked)
    return carry_out(plan, seen, org.send, rows, dry_run=asked.get("dry_run", False), **how)


def stage_request(**changes: Any) -> PlanSettings:
    """A move to MQL by Lead id."""
    rule = StageRule(stage="MQL", score="score", threshold=Decimal(80), ladder=LADDER)
    own = {"rule": rule, "stage_field": "Lead_Stage__c", "lead_id": "lead"}
    usual: dict[str, Any] = {
        "change": UpdateStage(**{name: changes.pop(name, value) for name, value in own.items()}),
        "key": "id",
        "external_id_field": None,
        "field_map": FieldMap(),
        "auto_assign": "TRUE",
        "allow_duplicates": False,
        "match_email": False,
        "dry_run": False,
    }
    return PlanSettings(**(usual | changes))


def stage_plan(columns: Iterable[str] = ("id", "lead", "score"), **changes: Any) -> tuple[Plan, Seen]:
    """A stage plan and the memory that it uses."""
    seen, lead = Seen(), changes.pop("lead", None)
    return prepare(stage_request(**changes), ground(columns, lead)), seen


def move(org: Org, rows: Iterable[Row | BadRow], **how: Any) -> Done:
    """Move leads; ``plan`` holds changes of the request."""
    asked: dict[str, Any] = how.pop("plan", {})
    plan, seen = stage_plan(**asked)
    return carry_out(plan, seen, org.send, rows, dry_run=asked.get("dry_run", False), **how)


def new_row(key: object, name: object = "Ray", firm: object = "Acme", **more: object) -> dict[str, object]:
    """A row of an export of new leads."""
    return {"id": key, "name": name, "firm": firm} | more


def scored(key: object, lead: object = None, score: object = 90, **more: object) -> dict[str, object]:
    """A row of an export of scores."""
    return {"id": key, "lead": lead, "score": score} | more
