"""Every row read is accounted for exactly once, whatever goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Row
from airflow_provider_sfleads.exceptions import ApiLimitError, OutcomeUnknownError
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import LONG_AGO, Org
from tests.pipeline.runs import (
    LADDER,
    Done,
    EarlierTry,
    carry_out,
    create,
    create_plan,
    move,
    new_row,
    scored,
    stage_plan,
)

BY_KEY = {"external_id_field": "External_Id__c"}
PLAIN = {"external_id_field": None}
FAULTS = ("drop_before", "drop_after", "lost_before", "lost_after", "down", "limit")


def audit(done: Done, keys: Iterable[object]) -> None:
    """Check that every row read has exactly one outcome, and that the counts say so."""
    wanted = Counter(key_text(key) for key in keys)
    assert Counter(outcome.key for outcome in done.outcomes) == wanted
    counts = done.tally.counts()
    assert counts.pop("read") == sum(counts.values()) == wanted.total()
    assert len(done.rejects) == counts["rejected"]


def created_in(org: Org) -> set[str]:
    """Ids of the leads that the sync created."""
    return {lead["Id"] for lead in org.live() if lead["CreatedDate"] != LONG_AGO}


def tell(done: Done, action: Action) -> list[Outcome]:
    """Return the outcomes of that state."""
    return [outcome for outcome in done.outcomes if outcome.action is action]


keys = st.sampled_from(["a", "A", " a ", "b", "B\n", "c", "d", "e", "f", "", None, "x" * 37, 7, 7.0, "7"])
names = st.sampled_from(["Ray", "Ray", "Ray", "Poe", "", None, "x" * 81])
firms = st.sampled_from(["Acme", "Acme", "Acme", "Acme", "poison", None, "x" * 256])
lead_rows = st.lists(st.builds(new_row, keys, names, firms), max_size=30)
batch_sizes = st.sampled_from([1, 2, 3, 7, 199, 200]) | st.integers(1, 200)
fault_plans = st.dictionaries(st.integers(1, 12), st.sampled_from(FAULTS), max_size=4)
lock_plans = st.dictionaries(st.sampled_from(["a", "A", "b", "c", "d", "Poe"]), st.integers(1, 8), max_size=2)


@settings(max_examples=60, deadline=None)
@given(
    rows=lead_rows,
    known=st.sets(st.sampled_from(["a", "b", "c", "q"])),
    batch_size=batch_sizes,
    concurrency=st.integers(1, 4),
    faults=fault_plans,
    locks=lock_plans,
    existing=st.sampled_from(["skip", "update"]),
    wording=st.sampled_from(["plain", "local", "bare"]),
)
def test_creates_add_up(
    *,
    rows: list[dict[str, object]],
    known: set[str],
    batch_size: int,
    concurrency: int,
    faults: dict[int, str],
    locks: dict[str, int],
    existing: str,
    wording: str,
) -> None:
    """With an external ID: one outcome a row, no lead twice, and a second try brings the rest about."""
    org = Org(faults=faults, locked=Counter(locks), wording=wording)
    for key in sorted(known):
        org.add(External_Id__c=key, LastName="Old", Company="Old")
    asked = {"existing": existing}
    done = create(org, rows, plan=asked, batch_size=batch_size, concurrency=concurrency)
    audit(done, (row["id"] for row in rows))
    held = Counter((lead["External_Id__c"] or "").lower() for lead in org.live())
    assert set(held.values()) <= {1}
    created = {outcome.salesforce_id for outcome in tell(done, Action.CREATED)}
    assert created <= created_in(org)
    assert len(created) == len(tell(done, Action.CREATED))

    org.faults, org.limited = {}, False
    org.locked.clear()
    again = create(org, rows, plan=asked, batch_size=batch_size, earlier=EarlierTry(done.outcomes))
    counts = again.tally.counts()
    assert counts["read"] == len(rows)
    assert counts["not_sent"] == 0
    held = Counter((lead["External_Id__c"] or "").lower() for lead in org.live())
    assert set(held.values()) <= {1}
    good = {
        outcome.key.lower()
        for outcome in [*done.outcomes, *again.outcomes]
        if outcome.action in (Action.CREATED, Action.UPDATED, Action.UNCHANGED)
    }
    assert set(held) == good | known


@settings(max_examples=50, deadline=None)
@given(
    rows=lead_rows,
    batch_size=batch_sizes,
    concurrency=st.integers(1, 4),
    faults=fault_plans,
    locks=lock_plans,
)
def test_plain_inserts_add_up(
    rows: list[dict[str, object]],
    batch_size: int,
    concurrency: int,
    faults: dict[int, str],
    locks: dict[str, int],
) -> None:
    """Without one: one outcome a row, no row sent twice, and nothing unknown is sent by the next try either."""
    org = Org(faults=faults, locked=Counter(locks))
    done = create(org, rows, plan=PLAIN, batch_size=batch_size, concurrency=concurrency)
    audit(done, (row["id"] for row in rows))
    unknown = [outcome for outcome in tell(done, Action.NOT_SENT) if outcome.reason == "outcome_unknown"]
    assert len(tell(done, Action.CREATED)) <= len(org.leads) <= len(tell(done, Action.CREATED)) + len(unknown)

    org.faults, org.limited = {}, False
    org.locked.clear()
    again = create(org, rows, plan=PLAIN, batch_size=batch_size, earlier=EarlierTry(done.outcomes))
    assert again.tally.counts()["read"] == len(rows)
    assert Counter(outcome.key for outcome in tell(again, Action.NOT_SENT)) == Counter(each.key for each in unknown)
    assert len(org.leads) <= again.tally.counts()["created"] + len(unknown)


stage_keys = st.sampled_from(["a", "A", "b", "c", "d", "e", "zz", "", None])
score_rows = st.lists(
    st.tuples(stage_keys, st.sampled_from([*range(6), None, "bad", 99]), st.sampled_from([90, 91, 10, None, "many"])),
    max_size=25,
)
stages = st.sampled_from([*LADDER, None, "Nurture"])


@settings(max_examples=60, deadline=None)
@given(
    drawn=score_rows,
    standing=st.lists(stages, min_size=6, max_size=6),
    batch_size=batch_sizes,
    concurrency=st.integers(1, 4),
    faults=fault_plans,
    by_key=st.booleans(),
)
def test_moves_add_up(
    drawn: list[tuple[object, object, object]],
    standing: list[str | None],
    batch_size: int,
    concurrency: int,
    faults: dict[int, str],
    by_key: bool,  # noqa: FBT001
) -> None:
    """One outcome a row, nothing created, nobody moved down, and each lead is written once but for repeats."""
    org = Org(faults=faults)
    ids = [
        org.add(LastName="Ray", Company="Acme", External_Id__c=key, Lead_Stage__c=stage)
        for key, stage in zip("abcdef", standing, strict=True)
    ]
    rows = [
        scored(key, ids[at] if isinstance(at, int) and at < 6 else None if at is None else "bad", score)
        for key, at, score in drawn
    ]
    asked: dict[str, Any] = BY_KEY if by_key else {}
    done = move(org, rows, plan=asked, batch_size=batch_size, concurrency=concurrency)
    audit(done, (row["id"] for row in rows))
    assert len(org.leads) == 6
    for _, before, after in org.moves:
        assert after == "MQL"
        assert before in (None, "New", "MQL")
    moved = {lead for lead, before, _ in org.moves if before != "MQL"}
    assert {outcome.salesforce_id for outcome in tell(done, Action.UPDATED)} <= moved
    for lead, stage in zip(ids, standing, strict=True):
        assert org.leads[lead]["Lead_Stage__c"] in (stage, "MQL")

    org.faults, org.limited = {}, False
    again = move(org, rows, plan=asked, batch_size=batch_size)
    assert again.tally.counts()["not_sent"] == 0
    assert again.tally.counts()["read"] == len(rows)
    third = move(org, rows, plan=asked, batch_size=batch_size)
    assert third.tally.counts()["updated"] == 0


def test_a_stop() -> None:
    """After a stop no further page is sent; what was in flight counts, and the rest is left with the reason."""
    org, stop = Org(), Event()
    plan, seen = create_plan()

    def send(call: Call) -> Reply:
        reply = org.send(call)
        stop.set()
        return reply

    done = carry_out(plan, seen, send, (new_row(n) for n in range(1000)), batch_size=10, concurrency=1, stop=stop)
    audit(done, range(1000))
    assert done.counts == {"read": 1000, "created": 10, "not_sent": 990}
    assert {outcome.reason for outcome in tell(done, Action.NOT_SENT)} == {"stopped"}


def test_a_stop_before_the_first_row() -> None:
    """A run that is stopped before it begins reads its export and sends nothing, not even a look-up."""
    org, stop = Org(), Event()
    stop.set()
    done = move(org, [scored(n, "00Q5g00000AbCdEEAV"[:15]) for n in range(3)], stop=stop)
    assert done.counts == {"read": 3, "not_sent": 1, "duplicate_keys": 2}
    assert org.calls == []


def test_a_limit_in_the_middle() -> None:
    """What was written before the limit counts; the rest waits for the next try, which sends just that."""
    org = Org(faults={3: "limit"})
    rows = [new_row(n) for n in range(50)]
    done = create(org, rows, batch_size=10, concurrency=1)
    assert done.counts == {"read": 50, "created": 20, "not_sent": 30}
    assert isinstance(done.run.delivery.halted, ApiLimitError)
    assert {outcome.reason for outcome in tell(done, Action.NOT_SENT)} == {"api_usage_limit"}
    org.faults, org.limited = {}, False
    again = create(org, rows, batch_size=10, earlier=EarlierTry(done.outcomes))
    assert again.counts == {"read": 50, "created": 50}
    assert len(again.outcomes) == 30
    assert len(org.calls) == 2 + 3


def test_a_look_up_that_fails() -> None:
    """Rows whose leads cannot be read are left with the reason, and nothing is written."""
    plan, seen = stage_plan()

    def send(_call: Call) -> Reply:
        raise ApiLimitError("used up")

    done = carry_out(plan, seen, send, [scored(1, "00Q5g00000AbCdE")])
    assert done.counts == {"read": 1, "not_sent": 1}
    assert done.outcomes[0].reason == "api_usage_limit"
    assert done.outcomes[0].salesforce_id == "00Q5g00000AbCdEEAV"


def test_an_error_that_cannot_be_looked_into() -> None:
    """A row whose error needs a look that fails is left to the next try; its neighbours count."""
    org = Org(wording="bare")
    org.add(External_Id__c="0", LastName="Old", Company="Old")
    plan, seen = create_plan()

    def send(call: Call) -> Reply:
        if not call.write:
            raise ApiLimitError("used up")
        return org.send(call)

    done = carry_out(plan, seen, send, [new_row(0), new_row(1)])
    assert done.counts == {"read": 2, "created": 1, "not_sent": 1}
    assert done.by_key()["0"].reason == "try_again"
    assert isinstance(done.run.delivery.halted, ApiLimitError)


def test_rows_go_out_while_others_are_read() -> None:
    """Pages are sent while the export is being read, and no more of them wait than threads can soon take."""
    org = Org()
    ahead: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(2000):
            ahead.append(number - len(org.leads))
            yield new_row(number)

    done = create(org, rows(), batch_size=10, concurrency=2)
    audit(done, range(2000))
    assert max(ahead) <= 10 * (2 * 4 + 2) + 200 + 10


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_try_goes_on_where_the_last_one_was_killed(data: st.DataObject) -> None:
    """A next try settles the rows that a killed one did not record, however many those are; none counts twice."""
    rows = [new_row(data.draw(keys), data.draw(names)) for _ in range(data.draw(st.integers(0, 20)))]
    org = Org()
    first = create(org, rows, batch_size=data.draw(batch_sizes))
    kept = first.outcomes[: data.draw(st.integers(0, len(rows)))]
    again = create(org, rows, earlier=EarlierTry(kept))
    audited = Counter(outcome.key for outcome in [*kept, *again.outcomes])
    assert audited == Counter(key_text(row["id"]) for row in rows)
    counts = again.tally.counts()
    assert counts.pop("read") == len(rows) == sum(counts.values())


def test_an_unreadable_row_and_a_good_one_with_its_key() -> None:
    """A good row that an earlier try left is sent by the next, though an unreadable row had the same key."""
    org = Org(faults={1: "limit"})
    broken = BadRow(values=new_row("L-1"), code="MALFORMED_ROW", message="line 2")
    rows: list[Row | BadRow] = [new_row("L-1"), broken]
    done = create(org, rows)
    assert done.counts == {"read": 2, "rejected": 1, "not_sent": 1}
    org.faults, org.limited = {}, False
    again = create(org, rows, earlier=EarlierTry(done.outcomes))
    assert again.counts == {"read": 2, "rejected": 1, "created": 1}


def test_an_export_in_another_order() -> None:
    """Two spellings of a key that come in another order on the second try are still two rows."""
    org = Org(faults={2: "limit"})
    rows = [new_row("a"), new_row("A"), new_row("b")]
    done = create(org, rows, batch_size=1, concurrency=1)
    assert done.counts == {"read": 3, "created": 1, "duplicate_keys": 1, "not_sent": 1}
    org.faults, org.limited = {}, False
    again = create(org, [rows[1], rows[0], rows[2]], earlier=EarlierTry(done.outcomes))
    assert again.counts["read"] == 3


def test_rows_that_never_left_have_no_api() -> None:
    """A row whose request was not sent, for the limit was reached before, has neither api nor batch."""
    done = create(Org(faults={1: "limit"}), [new_row(1)])
    assert (done.outcomes[0].api, done.outcomes[0].batch) == (None, None)
    assert done.tally.sent == 0


def test_a_stop_ends_repeats() -> None:
    """Locked records are not sent again and again after a stop."""
    org, stop = Org(locked=Counter({"1": 100})), Event()
    plan, seen = create_plan()

    def send(call: Call) -> Reply:
        reply = org.send(call)
        stop.set()
        return reply

    done = carry_out(plan, seen, send, [new_row(1)], stop=stop)
    audit(done, [1])
    assert org.writes == 1


def test_an_unknown_outcome_is_looked_up() -> None:
    """Where the key tells, a look settles at once what the lost page created; the page after it is not sent."""
    org = Org(faults={1: "lost_after"})
    done = create(org, [new_row("L-1"), new_row("L-2")], batch_size=1, concurrency=1)
    assert done.counts == {"read": 2, "created": 1, "not_sent": 1}
    assert isinstance(done.run.delivery.halted, OutcomeUnknownError)


def test_two_bad_rows_do_not_stop_a_run() -> None:
    """A small page whose rows are all bad costs the others nothing."""
    rows = [new_row(n, firm="poison" if n in (2, 3) else "Acme") for n in range(10)]
    done = create(Org(), rows, batch_size=2, concurrency=1)
    assert done.counts == {"read": 10, "created": 8, "rejected": 2}


@pytest.mark.xfail(
    strict=True, reason="rows that meet in their lead's id are recorded by key, and who is first differs"
)
def test_an_export_in_another_order_with_one_lead() -> None:
    """Two rows for one lead that come in another order on the second try are still two rows."""
    org = Org(faults={1: "limit"})
    there = org.add(LastName="Ray", Company="Acme", Lead_Stage__c="New")
    rows = [scored("a", there), scored("b", there)]
    done = move(org, rows)
    assert done.counts == {"read": 2, "duplicate_keys": 1, "not_sent": 1}
    org.faults, org.limited = {}, False
    assert move(org, rows[::-1], earlier=EarlierTry(done.outcomes)).counts["read"] == 2
