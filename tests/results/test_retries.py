"""Several tries of one execution with workers that are killed at any moment, and executions after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.outcome import Action, BadRow, Row
from tests.pipeline.org import Org
from tests.pipeline.runs import LADDER, LATE, create_plan, new_row, scored, stage_plan
from tests.results.tries import Life, Task, states

EXPORT = ("a", "b", "c", "d", "e", "f", "A", "b", "", "g", "h")
LEADS = 8  # different keys of the export
BROKEN = BadRow(values=new_row("c"), code="MALFORMED_ROW", message="line 12")
SEEDS = 5
FAULTS = ("drop_after", "drop_before", "lost_after", "lost_before", "down", "limit")


def export_of(chance: Random) -> list[Row | BadRow]:
    """Rows with repetitions, an empty key and an unreadable row; the lead's name says which it is."""
    rows: list[Row | BadRow] = [new_row(key, f"name-{key.lower()}") for key in EXPORT]
    rows.insert(chance.randrange(len(rows)), BROKEN)
    return rows


def plain_export(_chance: Random) -> list[Row | BadRow]:
    """Rows of different keys, and one without."""
    return [new_row(key, f"name-{key}") for key in "abcdef gh"]


def audit(task: Task, *, whole: bool = True) -> None:
    """Every row of the export is recorded once; a try that was killed may have left rows out, and no more."""
    wanted = Counter(key_text(row.values["id"] if isinstance(row, BadRow) else row["id"]).lower() for row in task.rows)
    found = Counter(outcome.key.lower() for outcome in task.recorded())
    assert found == wanted if whole else found <= wanted


def no_lead_twice(org: Org) -> None:
    """No two leads were made of one row."""
    assert max(Counter(lead["LastName"] for lead in org.live()).values(), default=0) <= 1


def tried_until_done(task: Task, chance: Random, *, kills: int) -> None:
    """Kill some workers, let others meet faults, and let the last ones live."""
    for _ in range(kills):
        at, task.org.limited = task.org.writes, False
        task.org.locked.update({f"name-{chance.choice('abcdefgh')}": chance.randint(0, 9)})
        task.org.faults = {at + chance.randint(1, 4): chance.choice(FAULTS)} if chance.random() < 0.5 else {}
        ended = task.attempt(Life(chance.randrange(40)))
        audit(task, whole=ended is not None)
        no_lead_twice(task.org)
        if ended is not None and not ended.actions[Action.NOT_SENT]:
            return
    task.org.faults, task.org.limited = {}, False
    task.org.locked.clear()
    ended = task.attempt()
    assert ended is not None
    assert ended.read == len(task.rows)
    audit(task)
    no_lead_twice(task.org)


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_no_lead_twice_with_a_key(tmp_path: Path, existing: str) -> None:
    """With a unique external ID every lead is there at the end, once, and every row has said so once."""
    for seed in range(SEEDS):
        chance = Random(seed)
        org = Org(wording=chance.choice(["plain", "local", "bare"]))
        org.add(External_Id__c="d", LastName="name-d", Company="Acme")
        task = Task(
            base=tmp_path / str(seed),
            org=org,
            rows=export_of(chance),
            make=lambda _resumed: create_plan(existing=existing),
            batch_size=chance.randint(1, 4),
            part_rows=chance.randint(1, 5),
        )
        tried_until_done(task, chance, kills=chance.randint(1, 4))
        outcomes = task.recorded()
        assert len(org.live()) == LEADS, seed
        assert not states(outcomes, Action.NOT_SENT), seed
        made = {lead["External_Id__c"].lower() for lead in org.live()} - {"d"}
        assert {key.lower() for key in states(outcomes, Action.CREATED)} == made, seed


@pytest.mark.parametrize("export", [plain_export, export_of])
def test_no_lead_twice_without_a_key(tmp_path: Path, export: Callable[[Random], list[Row | BadRow]]) -> None:
    """Without one, no lead is made twice in tries and executions; what got no answer waits until it can be told."""
    for seed in range(SEEDS):
        chance = Random(seed)
        org = Org()
        task = Task(
            base=tmp_path / str(seed),
            org=org,
            rows=export(chance),
            make=lambda _resumed: create_plan(external_id_field=None),
            batch_size=chance.randint(1, 4),
            part_rows=chance.randint(1, 5),
        )
        tried_until_done(task, chance, kills=chance.randint(1, 4))
        outcomes = task.recorded()
        unknown = states(outcomes, Action.NOT_SENT)
        assert unknown <= task.doubtful, seed
        assert len(states(outcomes, Action.CREATED)) == len(org.live()) == LEADS - len(unknown), seed
        if chance.random() < 0.5:
            task.clear()
        task.now += LATE
        assert task.attempt() is not None
        assert len(org.live()) == LEADS, seed
        no_lead_twice(org)
        outcomes = task.recorded()
        told = states(outcomes, Action.CREATED) | states(outcomes, Action.UNCHANGED)
        assert {key.lower() for key in told} == set("abcdefgh"), seed
        audit(task)


def test_nothing_is_pulled_back(tmp_path: Path) -> None:
    """Leads that Sales moves on between tries, and while they are locked, stay where Sales put them."""
    for seed in range(SEEDS):
        chance = Random(seed)
        org = Org()
        ids = [
            org.add(LastName=key, Company="Acme", Lead_Stage__c=chance.choice([None, "New", "MQL", "SQL"]))
            for key in "abcdefgh"
        ]
        rows = [scored(key, lead) for key, lead in zip("abcdefgh", ids, strict=True)]
        task = Task(
            base=tmp_path / str(seed),
            org=org,
            rows=[*rows, scored("again", ids[0]), scored("A", None)],
            make=lambda _resumed: stage_plan(),
            batch_size=chance.randint(1, 4),
            part_rows=chance.randint(1, 5),
        )
        for _ in range(chance.randint(1, 4)):
            org.locked.update({chance.choice(ids): chance.randint(1, 9)})
            task.attempt(Life(chance.randrange(30)))
            audit(task, whole=False)
            org.leads[chance.choice(ids)]["Lead_Stage__c"] = chance.choice(["SQL", "Won"])
        org.locked.clear()
        ended = task.attempt()
        assert ended is not None
        assert ended.read == len(task.rows), seed
        assert not ended.actions[Action.NOT_SENT], seed
        audit(task)
        rungs = (None, *LADDER)
        assert all(rungs.index(old) <= rungs.index("MQL") for _, old, _ in org.moves), seed
        assert all(lead["Lead_Stage__c"] in ("MQL", "SQL", "Won") for lead in org.live()), seed
