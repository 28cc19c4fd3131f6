# ruff: noqa: TID253 - a test is no Dag file
"""Pages of staged rows: which leave when, and what becomes of their rows whatever goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.exceptions import ApiLimitError, DisownedError
from airflow_provider_sfleads.pipeline.page_loads import PageLoads
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send
from tests.pipeline.org import calls_of
from tests.pipeline.paging import NOW, EventfulOrg, Ledger, Memory, Plan, Try
from tests.pipeline.runs import EarlierTry, create_request, ground, new_row, scored, stage_request, taken_in

INSERT = "composite/sobjects"


def taken(plan: Plan, rows: Sequence[dict[str, Any]]) -> tuple[list[Candidate], Memory]:
    """The rows that are to be sent, and what the intake has seen."""
    memory = Memory()
    return list(taken_in(plan, memory, rows, lambda _settled: None)), memory


def creating(folder: Path, send: Send, count: int, **how: Any) -> Try:
    """A try that creates so many leads; ``plan`` holds changes of the request."""
    request = create_request(**how.pop("plan", {}))
    plan = prepare(request, ground(("id", "name", "firm", "mail")))
    rows, memory = taken(plan, [new_row(f"k{n}", f"Ray {n}") for n in range(count)])
    return Try(plan=plan, rows=rows, memory=memory, send=send, folder=folder, dry_run=request.dry_run, **how)


def moving(folder: Path, org: EventfulOrg, count: int, send: Send | None = None, **how: Any) -> Try:
    """A try that moves so many leads, which it puts into the org, from stage New."""
    ids = [org.add(LastName=f"Ray {n}", Company="Acme", Lead_Stage__c="New") for n in range(count)]
    plan = prepare(stage_request(field_map=FieldMap()), ground(("id", "lead", "score")))
    rows, memory = taken(plan, [scored(f"k{n}", lead) for n, lead in enumerate(ids)])
    return Try(plan=plan, rows=rows, memory=memory, send=send or org.send, folder=folder, **how)


def sizes(org: EventfulOrg) -> list[int]:
    """How many records each request that writes carried."""
    return [len(call.body["records"]) for call in org.calls if call.write and isinstance(call.body, dict)]


class Clock:
    """Salesforce's clock, which tests move on."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def on(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Interrupted(BaseException):
    """Comes from outside, as Airflow's time-out does."""


def test_pages_are_full_across_windows(tmp_path: Path) -> None:
    """4,400 new leads are 22 requests, however the rows lie in the file."""
    org = EventfulOrg()
    creates = creating(tmp_path, org.send, 4_400, size=777)
    creates.by_page()
    assert sizes(org) == [200] * 22
    assert creates.counts() == {"created": 4_400}
    assert calls_of(org.calls, "query") == 0


def test_pages_are_full_where_only_some_rows_are_sent(tmp_path: Path) -> None:
    """What the look-ups leave of several windows goes together; each window is read in one call."""
    org = EventfulOrg()
    for number in range(0, 5_000, 2):
        org.add(External_Id__c=f"k{number}", LastName=f"Ray {number}", Company="Acme")
    updates = creating(tmp_path, org.send, 5_000, plan={"existing": "update"}, size=1_024)
    updates.by_page()
    assert sorted(sizes(org), reverse=True) == [200] * 12 + [100]
    assert updates.counts() == {"created": 2_500, "unchanged same_values": 2_500}


def retyped(batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
    """Every second batch with other types of its original columns, as JSON Lines and CSV may yield them."""
    if number % 2:
        return batch
    place = batch.schema.get_field_index("o:firm")
    return batch.set_column(place, "o:firm", pa.array([b"Acme"] * batch.num_rows, pa.binary()))


def test_pages_are_full_across_batches_of_several_schemas(tmp_path: Path) -> None:
    """The types of the export's columns, which may differ from batch to batch, cut no page."""
    org = EventfulOrg(events={"Ray 7": ["makes"], "Ray 55": ["makes"]}, wording="unknown")
    creates = creating(tmp_path, org.send, 1_000, size=50)
    creates.by_page([retyped(batch, number) for number, batch in enumerate(creates.batches())])
    assert sizes(org) == [200] * 5
    assert creates.counts() == {"created": 998, "unchanged already_exists": 2}
    creates.audit()


def test_a_fresh_plan_sends_each_window_at_once(tmp_path: Path) -> None:
    """Moves do not wait for rows that are not looked up yet."""
    org = EventfulOrg()
    moves = moving(tmp_path, org, 2_050, size=500)
    moves.by_page()
    assert sorted(sizes(org)) == [50] + [200] * 10
    assert moves.counts() == {"updated": 2_050}


def waiting_in_turn(org: EventfulOrg, clock: Clock, seconds: float) -> Send:
    """An org whose every write takes so many seconds."""

    def send(call: Call) -> Reply:
        reply = org.send(call)
        if call.write:
            clock.on(seconds)
        return reply

    return send


@pytest.mark.parametrize(("seconds", "stale"), [(0.9, 0), (4, 7)])
def test_pages_that_waited_for_long_are_looked_up_again(tmp_path: Path, seconds: float, stale: int) -> None:
    """A page counts as waiting from its look-up on, also while there is no room among the pages under way."""
    org, clock = EventfulOrg(), Clock()
    moves = moving(tmp_path, org, 10, waiting_in_turn(org, clock, seconds), batch_size=1, concurrency=1, now=clock)
    moves.by_page()
    assert moves.counts() == {"updated": 10}
    # One look-up for all, and one more for each page that is sent more than ten seconds after it.
    assert calls_of(org.calls, "composite/sobjects/Lead") == 1 + stale


def test_a_lead_that_moved_while_its_page_waited_is_left_alone(tmp_path: Path) -> None:
    """It is never moved back."""
    org, clock = EventfulOrg(), Clock()

    def send(call: Call) -> Reply:
        reply = org.send(call)
        if call.write:
            clock.on(11)
            list(org.leads.values())[8]["Lead_Stage__c"] = "Won"
        return reply

    moves = moving(tmp_path, org, 9, send, batch_size=1, concurrency=1, now=clock)
    moves.by_page()
    assert moves.counts() == {"updated": 8, "unchanged beyond_stage": 1}
    assert moves.by_key()["k8"].old_stage == "Won"


def test_what_a_slow_lost_request_made_is_its_own(tmp_path: Path) -> None:
    """The time in which a lead may have been made begins when its row is sent, not when its answer is given up."""
    org, clock = EventfulOrg(events={"Ray 1": ["drop_after"]}), Clock()
    clock.on(-300)
    org_sends = org.send

    def send(call: Call) -> Reply:
        if call.write:
            clock.on(300)
        reply = org_sends(call)
        if call.write:
            clock.on(300)
        return reply

    creates = creating(tmp_path, send, 3, now=clock, concurrency=1)
    creates.by_page()
    assert creates.counts() == {"created": 3}


def test_a_limit_in_the_middle(tmp_path: Path) -> None:
    """What was written counts, the rest waits with the reason, and with what is known of its leads."""
    org = EventfulOrg()
    moves = moving(tmp_path, org, 50, batch_size=10, concurrency=1)
    org.faults = {3: "limit"}
    moves.by_page()
    moves.audit()
    assert moves.counts() == {"updated": 20, "not_sent api_usage_limit": 30}
    assert moves.pages is not None
    assert moves.pages.in_flight.left == 30
    assert isinstance(moves.pages.delivery.halted, ApiLimitError)
    assert {(o.salesforce_id is None, o.old_stage) for o in moves.ledger.outcomes} == {(False, "New")}


def test_a_limit_while_leads_are_looked_up(tmp_path: Path) -> None:
    """Neither that window nor any later one is sent, and what waits for a full page stays, too."""
    org = EventfulOrg()
    reads = iter(range(99))

    def send(call: Call) -> Reply:
        if not call.write and next(reads) == 1:
            raise ApiLimitError("used up")
        return org.send(call)

    updates = creating(tmp_path, send, 4_100, plan={"existing": "update"}, batch_size=150, size=900)
    updates.by_page()
    updates.audit()
    counts = updates.counts()
    assert updates.pages is not None
    assert counts["not_sent api_usage_limit"] == updates.pages.in_flight.left >= 2_150
    assert counts["created"] == len(org.leads) <= 1_950


def test_a_stop_in_the_middle(tmp_path: Path) -> None:
    """After a stop nothing is sent any more, nor looked up."""
    org, stop = EventfulOrg(), Event()

    def send(call: Call) -> Reply:
        reply = org.send(call)
        if call.write:
            stop.set()
        return reply

    creates = creating(tmp_path, send, 1_000, batch_size=10, concurrency=1, stop=stop, size=100)
    creates.by_page()
    creates.audit()
    assert creates.counts() == {"created": 10, "not_sent stopped": 990}
    assert creates.pages is not None
    assert creates.pages.in_flight.left == 990


def test_a_stop_before_the_first_row(tmp_path: Path) -> None:
    """Nothing is asked of Salesforce."""
    org, stop = EventfulOrg(), Event()
    stop.set()
    moves = moving(tmp_path, org, 5, stop=stop)
    moves.by_page()
    moves.audit()
    assert (moves.counts(), org.calls) == ({"not_sent stopped": 5}, [])
    assert {outcome.salesforce_id for outcome in moves.ledger.outcomes} == set(org.leads)


@pytest.mark.parametrize("in_page", [True, False])
def test_a_process_that_is_disowned_says_no_more(tmp_path: Path, *, in_page: bool) -> None:
    """Neither does it send, nor record what is the newer one's to find out about."""
    org = EventfulOrg()

    def send(call: Call) -> Reply:
        if call.write == in_page and len(org.calls) >= 1:
            raise DisownedError("another process has it")
        return org.send(call)

    updates = creating(tmp_path, send, 40, plan={"existing": "update"}, batch_size=10, concurrency=1)
    if not in_page:
        org.calls.append(Call(method="GET", path="limits"))
    with pytest.raises(DisownedError):
        updates.by_page()
    assert updates.stop.is_set()
    assert (len(org.leads), updates.ledger.outcomes) == (0, [])


def newer_than(keys: Sequence[str], *, ask: Callable[[], object] = lambda: None) -> Any:  # noqa: ANN401 - a port
    """A check by which a newer run has brought these rows up to date."""

    def newer(asked: Sequence[str]) -> Mapping[int, str | None]:
        ask()
        return {place: f"00Q-{key}" if key != "k3" else None for place, key in enumerate(asked) if key in keys}

    return newer


def test_rows_of_a_newer_run_are_left_alone(tmp_path: Path) -> None:
    """Of a page some, of another all: that one is not sent."""
    org = EventfulOrg()
    keys = ["k0", "k3", "k10", *(f"k{n}" for n in range(20, 30))]
    creates = creating(tmp_path, org.send, 40, batch_size=10, concurrency=1, newer=newer_than(keys))
    creates.by_page()
    creates.audit()
    assert creates.counts() == {"created": 27, "unchanged newer_run": 13}
    assert sizes(org) == [8, 9, 10]
    found = creates.by_key()
    assert [found[key].salesforce_id for key in ("k0", "k3", "k20")] == ["00Q-k0", None, "00Q-k20"]
    assert {found[key].lead_url for key in ("k0", "k3")} == {"https://acme/00Q-k0/view", None}


def test_where_newer_runs_cannot_be_asked_for_nothing_is_sent(tmp_path: Path) -> None:
    """Whoever cannot tell stops."""
    org = EventfulOrg()

    def ask() -> None:
        raise ApiLimitError("no answer")

    creates = creating(tmp_path, org.send, 4, newer=newer_than([], ask=ask))
    creates.by_page()
    creates.audit()
    assert (creates.counts(), org.calls) == ({"not_sent api_usage_limit": 4}, [])


def lines(*keys: str, action: Action, reason: str | None = None) -> list[Outcome]:
    """Lines that an earlier try, or execution, has recorded."""
    return [Outcome(key=key, action=action, reason=reason, salesforce_id=f"00Q-{key}") for key in keys]


def test_rows_that_an_earlier_try_settled_are_skipped(tmp_path: Path) -> None:
    """Those whose outcome is unknown are put apart, and looked for before they are sent."""
    org = EventfulOrg()
    recorded = [
        *lines("k1", "k4", action=Action.CREATED),
        *lines("k2", action=Action.NOT_SENT, reason="stopped"),
        *lines("k3", action=Action.NOT_SENT, reason="outcome_unknown"),
    ]
    creates = creating(tmp_path, org.send, 6, plan={"external_id_field": None}, earlier=EarlierTry(recorded))
    pieces = creates.stage()
    creates.pages = creates.page_loads()
    creates.pages.carry_out(pieces)
    assert creates.pages.apart == {pieces[0].name: [3]}
    assert sorted(creates.by_key()) == ["k0", "k2", "k5"]
    creates.send_rest(pieces)
    creates.audit(["k0", "k2", "k3", "k5"])
    assert creates.counts() == {"created": 4}


@pytest.mark.parametrize("dry_run", [False, True])
def test_leads_that_an_earlier_execution_made_exist(tmp_path: Path, *, dry_run: bool) -> None:
    """Without a key Salesforce would take them once more, and a dry run says what a live one would do."""
    org = EventfulOrg()
    earlier = EarlierTry([], others=lines("k1", action=Action.CREATED))
    asked = {"external_id_field": None, "dry_run": dry_run}
    creates = creating(tmp_path, org.send, 3, plan=asked, earlier=earlier)
    creates.by_page()
    creates.audit()
    word = "would_create" if dry_run else "created"
    assert creates.counts() == {word: 2, "unchanged already_exists": 1}
    assert creates.by_key()["k1"].salesforce_id == "00Q-k1"


def test_rows_marked_for_a_closer_look_are_put_apart(tmp_path: Path) -> None:
    """Their places count through all batches and windows of a piece."""
    org = EventfulOrg()
    creates = creating(tmp_path, org.send, 4_500, size=1_000, apart=[n % 1_500 == 7 for n in range(4_500)])
    pieces = creates.stage()
    creates.pages = creates.page_loads()
    creates.pages.carry_out(pieces)
    assert creates.pages.apart == {pieces[0].name: [7, 1_507, 3_007]}
    creates.send_rest(pieces)
    creates.audit()
    assert creates.counts() == {"created": 4_500}


@pytest.mark.parametrize("at", range(8))
def test_a_book_that_fails_once_loses_no_page(tmp_path: Path, at: int) -> None:
    """What cannot be written down is tried once more before the run ends, and is there once."""
    org = EventfulOrg(events={"Ray 3": ["makes"], "Ray 4": ["makes"]}, wording="unknown")
    creates = creating(tmp_path, org.send, 20, batch_size=5, concurrency=2, sink=Ledger(fails={at}))
    pages = creates.page_loads()
    try:
        pages.carry_out(creates.stage())
    except OSError as error:
        assert str(error) == "no space"  # noqa: PT017 - of more calls than there are none fails
    recorded = Counter(outcome.key for outcome in creates.ledger.outcomes)
    assert set(recorded.values()) <= {1}
    made = {lead["External_Id__c"] for lead in org.live() if lead["LastName"] != "Other"}
    assert {o.key for o in creates.ledger.outcomes if o.action is Action.CREATED} == made


class Clumsy:
    """A plan that breaks while it settles the page with row 0."""

    def __init__(self, plan: Any, error: BaseException) -> None:  # noqa: ANN401 - a plan
        self._plan, self._error = plan, error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the plan
        return getattr(self._plan, name)

    def settle(self, items: Any, results: Any, lookup: Any) -> Any:  # noqa: ANN401 - as the plan
        """Settle, or break."""
        if any(item.candidate.key == "k0" for item in items):
            raise self._error
        return self._plan.settle(items, results, lookup)


def broken(loads: Try, error: BaseException) -> PageLoads:
    """Pages whose first one breaks in its thread, behind its request."""
    pages = loads.page_loads()
    pages.delivery.plan = Clumsy(loads.plan, error)
    with pytest.raises(type(error)):
        pages.carry_out(loads.stage())
    return pages


@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), Interrupted()])
def test_a_bug_in_one_page_loses_no_other(tmp_path: Path, error: BaseException) -> None:
    """Pages that were written are recorded, and of the page that broke nobody knows what became of it."""
    org, gate = EventfulOrg(), Event()

    def send(call: Call) -> Reply:
        reply = org.send(call)
        if call.write and "k39" in str(call.body):
            gate.set()
        elif call.write:
            gate.wait(60)
        return reply

    creates = creating(tmp_path, send, 40, batch_size=10, concurrency=4)
    org.locked["Ray 0"] = 99
    broken(creates, error)
    recorded = creates.by_key()
    assert len(recorded) == len(creates.ledger.outcomes) == 40
    first = {recorded[f"k{n}"].reason for n in range(10)}
    assert first == {"outcome_unknown"}
    assert {recorded[f"k{n}"].action for n in range(10, 40)} == {Action.CREATED}


def test_a_page_that_is_disowned_goes_before_a_bug(tmp_path: Path) -> None:
    """Whoever is disowned says no more, whatever else went wrong at the same time."""
    org, both = EventfulOrg(), Barrier(2, timeout=60)

    def send(call: Call) -> Reply:
        both.wait()
        raise DisownedError("another") if "k1" in str(call.body) else RuntimeError("a bug")

    creates = creating(tmp_path, send, 2, batch_size=1, concurrency=2)
    with pytest.raises(DisownedError):
        creates.page_loads().carry_out(creates.stage())
    assert (org.calls, creates.stop.is_set()) == ([], True)
