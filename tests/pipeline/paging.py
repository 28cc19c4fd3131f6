"""Send staged rows by pages, as the operators do, against the org in memory; and the same rows one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from airflow_provider_sfleads.core.outcome import Action, Outcome, Row, UnansweredSend
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lead_search import LeadSearch
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, Mask, Reading
from airflow_provider_sfleads.pipeline.page import PageDelivery
from airflow_provider_sfleads.pipeline.page_loads import PageLoads
from airflow_provider_sfleads.pipeline.page_sender import PageSender
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.ports import Earlier, Newer, ResultsSink, RunTerms
from airflow_provider_sfleads.pipeline.reconcile import Reconciliation
from airflow_provider_sfleads.pipeline.row_run import RowRun
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces, Role, Slot
from airflow_provider_sfleads.pipeline.staged_rows import at_places, candidates
from airflow_provider_sfleads.results.columns import complete, to_outcome
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send
from tests.pipeline.asking import staged
from tests.pipeline.org import NOW as CREATED
from tests.pipeline.org import USER, Org
from tests.pipeline.runs import LATE, Seen, describe

if TYPE_CHECKING:
    import pyarrow as pa

NOW = datetime.fromisoformat(CREATED)
Plan = CreatePlan | StagePlan


_DEEDS: dict[str, dict[str, Any]] = {
    "converts": {"IsConverted": True, "ConvertedContactId": "003000000000001AAA"},
    "moves": {"Lead_Stage__c": "Won"},
    "deletes": {"IsDeleted": True},
}


class Memory(Seen):
    """Remembers values, as the intake and the look-ups do."""

    def add(self, key: str, space: str = "key", /) -> bool:
        """Whether the value is new."""
        return self(key, space)

    def add_many(self, keys: pa.Array, space: str = "key", /) -> Mask:
        """Which are new."""
        return np.array([self(key, space) for key in keys.to_pylist()], dtype=np.bool_)


@dataclass
class EventfulOrg(Org):
    """An org in which something happens whenever a request carries a certain record.

    :param events: what happens, sending by sending, by the ``LastName`` or the id of a record: a fault of
        :class:`Org`, or what somebody else does meanwhile (``converts``, ``moves``, ``makes``, ``makes_same``,
        ``deletes``, ``locks``).
    :param lacks: a field that the org turns out not to have.
    """

    events: dict[str, list[str]] = field(default_factory=dict)
    lacks: str = ""

    def _sending(self, call: Call, *, repeated: bool) -> Reply | None:
        faults = [fault for record in _records(call) if (fault := self._happens(record))]
        if faults:
            self.faults = {**self.faults, self.writes + 1: faults[0]}
        return Org._sending(self, call, repeated=repeated)

    def _write(self, call: Call, *, repeated: bool) -> Reply:
        if self.lacks and any(self.lacks in record for record in _records(call)):
            message = f"No such column '{self.lacks}' on sobject of type Lead"
            return Reply(status=400, body=[{"errorCode": "INVALID_FIELD", "message": message}])
        return Org._write(self, call, repeated=repeated)

    def _happens(self, record: Mapping[str, Any]) -> str | None:
        """Let the next event of a record happen; a fault of the whole request is returned."""
        left = self.events.get(str(record.get("id") or record.get("LastName")), [])
        event = left.pop(0) if left else None
        own = {name: record[name] for name in ("External_Id__c", "Number_Id__c") if record.get(name) is not None}
        if event in ("makes", "makes_same"):
            if own and not self._present(record):
                other = {"LastName": "Other", "Company": "Other"}
                values = {name: value for name, value in record.items() if name not in ("attributes", "id")}
                self.add(**(values if event == "makes_same" else own | other))
        elif event in _DEEDS:
            for lead in self._present(record):
                lead.update(_DEEDS[event])
        elif event == "locks":
            self.locked[str(record.get("id") or record.get("LastName"))] += 2
        else:
            return event
        return None

    def _present(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "id" in record:
            return [self.leads[record["id"]]]
        names = [name for name in ("External_Id__c", "Number_Id__c") if record.get(name) is not None]
        return [lead for name in names for lead in self._holding(name, record[name])]


def _records(call: Call) -> list[dict[str, Any]]:
    assert isinstance(call.body, dict)
    records: list[dict[str, Any]] = call.body["records"]
    return records


@dataclass(slots=True)
class Ledger:
    """A sink in memory.

    :param fails: which of its calls fail, as a full disk has them fail, counted from 0.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    flushed: int = 0
    fails: set[int] = field(default_factory=set)
    _calls: Iterator[int] = field(default_factory=count)

    def _try(self) -> None:
        if next(self._calls) in self.fails:
            raise OSError("no space")

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes by the column."""
        self._try()
        self.outcomes += [to_outcome(row) for row in complete(outcomes).to_pylist()]

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome."""
        self._try()
        self.outcomes.append(outcome)
        if outcome.action is Action.REJECTED:
            assert values is not None
            self.rejects.append(values)

    def flush(self) -> None:
        """Count what was made durable."""
        self._try()
        self.flushed = len(self.outcomes)

    def marked(self, _mark: str) -> nullcontext[None]:
        """Pages need no marks."""
        return nullcontext()

    def marks(self) -> Sequence[str]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """A folder of pieces."""

    path: Path
    is_local: bool = True

    def names(self) -> list[str]:
        """The complete files."""
        return [file.name for file in self.path.iterdir() if not file.name.startswith(".")]

    def new_draft(self, name: str) -> Path:
        """Where to write one."""
        return self.path / f".{name}"

    def publish(self, draft: Path, name: str) -> None:
        """Complete it."""
        draft.rename(self.path / name)

    def remove(self, name: str) -> None:
        """Remove it."""
        (self.path / name).unlink()

    def rename(self, name: str, new: str) -> None:
        """Call it something else."""
        (self.path / name).rename(self.path / new)

    def open(self, name: str) -> IO[bytes]:
        """Read it."""
        return (self.path / name).open("rb")


@dataclass(kw_only=True)
class Try:
    """One try of a task whose rows are staged.

    :param plan: what is asked for.
    :param rows: the rows to send, as the intake has left them.
    :param memory: what the intake has seen.
    :param apart: which of the rows the column code must not look at.
    :param size: rows to a batch of the staged file.
    :param folder: where they are staged.
    :param now: Salesforce's clock.
    :param asks_at: when it is asked what became of rows without an answer.
    :param announced: keys of rows that were about to be sent.
    :param note: makes these durable.
    """

    plan: Plan
    rows: Sequence[Candidate]
    memory: Memory
    send: Send
    folder: Path
    lead: SObjectInfo = field(default_factory=describe)
    apart: Sequence[bool] = ()
    size: int = 3
    sink: ResultsSink = field(default_factory=Ledger)
    batch_size: int = 200
    concurrency: int = 2
    dry_run: bool = False
    earlier: Earlier | None = None
    newer: Newer | None = None
    stop: Event = field(default_factory=Event)
    now: Callable[[], datetime] = lambda: NOW
    asks_at: datetime = NOW + timedelta(hours=1)
    announced: list[str] = field(default_factory=list)
    note: Callable[[Sequence[tuple[str, str]]], None] = lambda _rows: None
    pages: PageLoads | None = None
    run: RowRun | None = None

    def __post_init__(self) -> None:
        """Nothing is sent yet."""
        self.pieces = Pieces(DiskFolder(self.folder))
        self._numbers = count(1)
        self._sender = PageSender(
            send=self._announcing,
            pause=lambda _rounds, _asked: None,
            stopped=self.stop.is_set,
            number=lambda: str(next(self._numbers)),
            conn_id="sf",
        )

    def _announcing(self, call: Call) -> Reply:
        if call.announce is not None:
            call.announce()
        return self.send(call)

    @property
    def terms(self) -> RunTerms:
        """How rows are sent."""
        return RunTerms(
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            dry_run=self.dry_run,
            attempt=2,
            now=lambda: NOW,
            server_now=self.now,
            began=NOW,
            user_ids=frozenset({USER}),
            lead_url=lambda lead: f"https://acme/{lead}/view",
            stop=self.stop,
            doubt=lambda: UnansweredSend(since=NOW, last=NOW),
        )

    def in_flight(self) -> PagesInFlight:
        """What takes pages."""
        delivery = PageDelivery(
            plan=self.plan,
            lead=self.lead,
            lookup=LeadLookup(send=self.send, conn_id="sf", lead=self.lead),
            terms=self.terms,
            sender=self._sender,
            newer=self.newer,
            announce=self._announce,
        )
        return PagesInFlight(delivery=delivery, sink=self.sink)

    @property
    def ledger(self) -> Ledger:
        """The sink, where it is in memory."""
        assert isinstance(self.sink, Ledger)
        return self.sink

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as they are staged."""
        fields = [info.name for info in self.plan.recipe.fields]
        return staged(self.rows, fields, apart=self.apart, size=self.size)()

    def stage(self, batches: Iterable[pa.RecordBatch] | None = None) -> list[Piece]:
        """Stage the rows."""
        for batch in self.batches() if batches is None else batches:
            self.pieces.add(Role.PAGES, Slot(part=0), batch)
        self.pieces.publish()
        return self.pieces.all()

    def page_loads(self) -> PageLoads:
        """What sends by pages."""
        self.folder.joinpath(".scratch").mkdir(exist_ok=True)
        return PageLoads(
            plan=self.plan,
            pieces=self.pieces,
            reading=Reading(
                send=self.send,
                download=lambda _call, _path: Reply(status=404),
                conn_id="sf",
                concurrency=self.concurrency,
                directory=self.folder / ".scratch",
                pause=lambda _seconds: None,
                stopped=self.stop.is_set,
            ),
            memory=self.memory,
            in_flight=self.in_flight(),
            earlier=self.earlier,
        )

    def row_run(self, in_flight: PagesInFlight) -> RowRun:
        """What sends rows one by one."""
        return RowRun(
            in_flight=in_flight,
            seen=self.memory,
            earlier=self.earlier,
            doubts=Reconciliation(
                LeadSearch(
                    lead=self.lead,
                    fields=self.plan.recipe.fields,
                    late=LATE,
                    claimed=lambda ids, _since: self._created() & set(ids),
                    now=lambda: self.asks_at,
                )
            ),
        )

    def _announce(self, rows: Sequence[tuple[str, str]]) -> None:
        self.announced.extend(key for key, _ in rows)
        self.note(rows)

    def _created(self) -> set[str]:
        if not isinstance(self.sink, Ledger):
            return set()
        return {str(o.salesforce_id) for o in self.sink.outcomes if o.action is Action.CREATED}

    def by_row(self) -> None:
        """Send all rows one by one."""
        self.run = self.row_run(self.in_flight())
        self.run.execute(iter(self.rows))
        self.sink.flush()

    def by_page(self, batches: Iterable[pa.RecordBatch] | None = None) -> None:
        """Send the rows by pages, and what these leave one by one."""
        pieces = self.stage(batches)
        self.pages = self.page_loads()
        self.pages.carry_out(pieces)
        self.send_rest(pieces)

    def send_rest(self, pieces: Sequence[Piece]) -> None:
        """Send one by one what the pages have left."""
        assert self.pages is not None
        self.run = self.row_run(self.pages.in_flight)
        self.run.execute(self.rest(pieces))
        self.sink.flush()

    def rest(self, pieces: Sequence[Piece]) -> Iterator[Candidate]:
        """The rows that the pages have put apart; of pieces that they have not seen, all."""
        assert self.pages is not None
        for piece in pieces:
            places = self.pages.apart.get(piece.name)
            with self.pieces.reading(piece) as batches:
                for batch in batches if places is None else at_places(batches, places):
                    yield from candidates(batch, self.lead)

    def audit(self, keys: Iterable[str] | None = None) -> None:
        """Check that every row was recorded once, and that what is open is known to be."""
        wanted = Counter(candidate.key for candidate in self.rows) if keys is None else Counter(keys)
        assert Counter(outcome.key for outcome in self.ledger.outcomes) == wanted
        assert self.ledger.flushed == len(self.ledger.outcomes)
        rejected = [outcome for outcome in self.ledger.outcomes if outcome.action is Action.REJECTED]
        assert len(self.ledger.rejects) == len(rejected)
        created = [outcome.salesforce_id for outcome in self.ledger.outcomes if outcome.action is Action.CREATED]
        assert len(set(created)) == len(created)
        if self.pages is not None and self.run is not None:
            is_open = any(outcome.action is Action.NOT_SENT for outcome in self.ledger.outcomes)
            assert bool(self.pages.in_flight.left) == is_open

    def by_key(self) -> dict[str, Outcome]:
        """The outcomes."""
        return {outcome.key: outcome for outcome in self.ledger.outcomes}

    def counts(self) -> Counter[str]:
        """How many rows came to which outcome."""
        return Counter(
            f"{outcome.action} {outcome.reason}" if outcome.reason else str(outcome.action)
            for outcome in self.ledger.outcomes
        )


def shown(outcome: Outcome, leads: Mapping[str, Mapping[str, Any]], known: int) -> tuple[object, ...]:
    """An outcome but for what tells one sending from another; a lead that is new goes by its values.

    :param known: how many leads there were before.
    """
    lead = outcome.salesforce_id
    if lead in list(leads)[known:]:
        lead = values_of(leads[lead])
    # Once a column is known to be missing, which threads learn in any order, records with it need not be sent.
    carried = outcome.error_code == "INVALID_FIELD" or (outcome.api, bool(outcome.batch))
    return (
        outcome.action, outcome.reason, lead, outcome.error_code, outcome.error_fields, carried,
        outcome.contact_id, outcome.old_stage, outcome.new_stage, bool(outcome.lead_url), outcome.attempt,
    )  # fmt: skip


def content(org: Org) -> list[str]:
    """The leads of an org, in any order."""
    return sorted(values_of(lead) for lead in org.leads.values())


def values_of(lead: Mapping[str, Any]) -> str:
    """What a lead holds, whatever its id, and however its numbers are spelled."""
    values = {n: format(v, "f") if isinstance(v, Decimal) else str(v) for n, v in lead.items() if n != "Id"}
    return repr(sorted(values.items()))
