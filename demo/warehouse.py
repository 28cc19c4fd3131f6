"""The warehouse: a DuckDB file with sign-ups and lead scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

from demo.options import NIGHT, Options
from demo.people import Person, make_person

Record = dict[str, Any]

_DAY_SECONDS = 24 * 3600
_STILL_HOT = 5000  # leads that are scored again on later days
_CREATED_AT, _SCORED_AT = NIGHT - 1, NIGHT  # o'clock: each Dag's day begins when it runs

SIGNUPS = """CREATE TABLE signups (
    lead_key VARCHAR, signed_up_at TIMESTAMPTZ, first_name VARCHAR, last_name VARCHAR, company VARCHAR, email VARCHAR,
    phone VARCHAR, city VARCHAR, country VARCHAR, lead_source VARCHAR)"""
SCORES = "CREATE TABLE lead_scores (lead_key VARCHAR, scored_at TIMESTAMPTZ, score VARCHAR, stage VARCHAR)"


@dataclass(slots=True)
class Content:
    """The rows of the warehouse, and the leads that Salesforce had before them."""

    signups: list[Record] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    old_leads: list[Record] = field(default_factory=list)


def start_of(day: date, hour: int) -> datetime:
    """When a Dag's day begins."""
    return datetime.combine(day, time(hour), tzinfo=UTC)


def make_content(options: Options) -> Content:
    """Make up all rows; the same for the same options."""
    content = Content()
    maker = _Maker(Random(options.seed), prefix="WEB")
    content.old_leads = maker.old_leads(max(10, options.leads // 200))
    for day in options.nights:
        _add_day(content, maker, day, options)
    # Other people: scores of leads that nobody has created yet would be rejects.
    maker = _Maker(Random(options.seed + 1), prefix="FAIR")
    for day in options.spare_days:
        _add_day(content, maker, day, options)
    return content


def _add_day(content: Content, maker: _Maker, day: date, options: Options) -> None:
    content.signups += maker.signups(day, options.leads // options.days)
    content.scores += maker.scores(day, options.scores // options.days)


class _Maker:
    """Makes the rows of one day after the other, and remembers who signed up."""

    def __init__(self, rng: Random, *, prefix: str) -> None:
        self._rng = rng
        self._prefix = prefix
        self._number = 0
        self._people: dict[str, Person] = {}
        self._old: list[str] = []
        self._recent: list[str] = []
        self._hot: list[str] = []

    def _new_key(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number:06d}-{self._rng.randrange(16**4):04x}"

    def old_leads(self, count: int) -> list[Record]:
        """Leads that Sales typed in before the sync began; the warehouse will export them all the same."""
        leads: list[Record] = []
        for _ in range(count):
            key = self._new_key()
            person = Person(
                first_name="Olga",
                last_name=f"Oldtimer {self._number}",
                company="Long Known Ltd",
                email=f"olga{self._number}@example.com",
                phone=None,
                city="Bonn",
                country="Germany",
                lead_source="Other",
            )
            self._people[key] = person
            self._old.append(key)
            leads.append({"LastName": person.last_name, "Company": person.company, "External_Id__c": key})
        return leads

    def signups(self, day: date, count: int) -> list[Record]:
        """Return a day's sign-ups: new people, forms sent twice, and people who were here before."""
        self._recent = []
        rows: list[Record] = []
        start = start_of(day, _CREATED_AT)
        for _ in range(count):
            moment = start + timedelta(seconds=self._rng.randrange(_DAY_SECONDS))
            key, person = self._signup()
            rows.append({"lead_key": key, "signed_up_at": moment, **asdict(person)})
        return rows

    def _signup(self) -> tuple[str, Person]:
        roll = self._rng.random()
        if roll < 0.0015:
            return self._rng.choice(("", "   ")), make_person(self._rng, self._number)
        if roll < 0.018 and self._recent:
            key = self._rng.choice(self._recent)
            again = self._rng.choice((key, key.lower(), f" {key} "))
            return again, self._people[key]
        if roll < 0.028 and self._old:
            key = self._rng.choice(self._old)
            return key, self._people[key]
        key = self._new_key()
        self._people[key] = make_person(self._rng, self._number)
        self._recent.append(key)
        return key, self._people[key]

    def scores(self, day: date, count: int) -> list[Record]:
        """Return a day's scores.

        Of the day's new leads, of hot ones again, of old ones, and some that make no sense.
        """
        rows: list[Record] = []
        start = start_of(day, _SCORED_AT)
        hot: list[str] = []
        for key, score, stage in self._scored(count):
            moment = start + timedelta(seconds=self._rng.randrange(_DAY_SECONDS))
            if score > 70:
                hot.append(key)
            rows.append({"lead_key": key, "scored_at": moment, "score": self._text(score), "stage": stage})
        self._hot = list(dict.fromkeys(self._hot + hot))[-_STILL_HOT:]
        self._old += self._recent[::10]
        return rows

    def _scored(self, count: int) -> Iterator[tuple[str, float, str | None]]:
        """Key, score and the stage that the warehouse knows."""
        rng = self._rng
        for _ in range(count // 150):
            yield f"GONE-{rng.randrange(10**6):06d}", 71 + 29 * rng.random(), None
        hot = rng.sample(self._hot, min(len(self._hot), count // 6))
        for key in hot:
            # It often, but not always, knows by now that they were qualified.
            yield key, 60 + 40 * rng.random(), rng.choice(("MQL", "Lead", None))
        new = rng.sample(self._recent, min(len(self._recent), count * 2 // 3))
        for key in new:
            yield key, 100 * rng.betavariate(3, 3), rng.choice((None, None, "Lead", ""))
        left = count - count // 150 - len(hot) - len(new)
        others = list(set(self._recent + self._old).difference(new, hot))
        # Sorted, because a set has no order that is the same in each process.
        known = rng.sample(sorted(others), min(len(others), left - left // 10))
        for key in known:
            yield key, 100 * rng.betavariate(3, 3), "Lead"
        for _ in range(left - len(known)):
            key = rng.choice(new)
            yield rng.choice((key, key.lower())), 100 * rng.betavariate(3, 3), None

    def _text(self, score: float) -> str | None:
        roll = self._rng.random()
        if roll < 0.02:
            return None
        if roll < 0.026:
            return self._rng.choice(("n/a", "high", "85 %", "#REF!"))
        return f"{score:.2f}"


def fill(path: Path, content: Content) -> None:
    """Write the warehouse's file: as Arrow, since DuckDB takes a millisecond a row otherwise."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        _insert(connection, "signups", SIGNUPS, content.signups)
        _insert(connection, "lead_scores", SCORES, content.scores)


def _insert(connection: Any, table: str, definition: str, rows: Sequence[Record]) -> None:  # noqa: ANN401
    import pyarrow as pa

    connection.execute(definition)
    connection.register("new_rows", pa.Table.from_pylist(list(rows)))
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM new_rows")  # noqa: S608 - one of the two above
    connection.unregister("new_rows")


def ask(path: Path, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a query on the warehouse's file (or, with ``:memory:``, on none)."""
    import duckdb

    with duckdb.connect(str(path), read_only=str(path) != ":memory:") as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql, list(parameters)).fetchall()
    return found
