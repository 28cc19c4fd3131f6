"""Ask Salesforce what became of rows that were sent without an answer, before any of them is sent again.

Only inserts come here that cannot be repeated: Salesforce would not refuse them a second time. A lead that answers for
a row was made by the integration user in the time in which the row's request can have taken effect, and belongs to no
other row. Finding it is proof at any time; that it is absent is proven when that time is over, and no lead made in it,
and is nobody's, could be the row's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from hashlib import blake2b

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.core.same import made_of, may_become
from airflow_provider_sfleads.core.text import text_of
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import Item
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ids import full_id, to_18
from airflow_provider_sfleads.salesforce.soql import quote
from airflow_provider_sfleads.salesforce.wire import Record

Claimed = Callable[[Collection[str], datetime], Collection[str]]
"""Those of some leads, made since a moment, that recorded rows created."""
Claim = Callable[[Collection[str], datetime], Collection[str]]
"""Takes leads that were made since a moment for rows of this run; answers which of them are another row's."""
NAME, EMAIL = "LastName", "Email"
# Clocks differ, and Salesforce stamps whole seconds.
_SLACK = timedelta(seconds=60)
#: Leads that can be gone through, and how many of them may be nobody's.
MOST_MADE, MOST_FREE = 200_000, 20_000

_FIRST_NAME = "FirstName"
_SYSTEM = ("CreatedDate", "CreatedById")
_TEXT = frozenset({"string", "textarea", "email", "phone", "url"})
_Row = tuple[Item, UnansweredSend]
_TOO_MANY = "not found, and more leads were created in that time than can be gone through; look for it by hand"


def folded(info: FieldInfo | None, value: object) -> str:
    """Return a value as it is compared."""
    return compared_by(info)(key_text(value))


def person_of(lead: SObjectInfo, values: Mapping[str, object]) -> str:
    """Return a digest of who a row, or a lead, speaks of."""
    return people_of(lead, [values])[0]


def people_of(lead: SObjectInfo, records: Iterable[Mapping[str, object]]) -> list[str]:
    """Digests of who rows, or leads, speak of."""
    name_form, email_form = (compared_by(lead.find(name)) for name in (NAME, EMAIL))
    texts = (
        f"{name_form(key_text(values.get(NAME)))}\0{email_form(key_text(values.get(EMAIL)))}" for values in records
    )
    return [blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When, and by whom, leads were made that may have come of rows in doubt.

    :param users: none where it may have been anybody.
    """

    since: datetime
    until: datetime
    users: frozenset[str]

    @classmethod
    def of(cls, doubts: Collection[UnansweredSend], late: timedelta) -> Window:
        """Return the window of some rows.

        :param late: how long after it was sent a call may still take effect.
        """
        users = frozenset(user for doubt in doubts for user in doubt.user_ids)
        return cls(
            since=min(doubt.since for doubt in doubts) - _SLACK,
            until=max(doubt.last for doubt in doubts) + late + _SLACK,
            users=users if all(doubt.user_ids for doubt in doubts) else frozenset(),
        )

    def holds(self, lead: LeadRecord) -> bool:
        """Return whether a lead was made in it."""
        return self.since <= datetime.fromisoformat(str(lead["CreatedDate"])) <= self.until

    def is_of(self, lead: LeadRecord) -> bool:
        """Return whether a lead was made in it, and by one of its users."""
        by = to_18(str(lead["CreatedById"]))
        return self.holds(lead) and (not self.users or by in {to_18(user) for user in self.users})

    @property
    def condition(self) -> str:
        """It in SOQL."""
        since, until = (f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for at in (self.since, self.until))
        made = f"CreatedDate >= {since} AND CreatedDate <= {until}"
        users = ",".join(map(quote, sorted(self.users)))
        return f"{made} AND CreatedById IN ({users})" if users else made


@dataclass(slots=True)
class Made:
    """Leads, oldest first; each answers for one row.

    :param names: the fields by which they are found.
    """

    records: dict[str, LeadRecord]
    lead: SObjectInfo
    names: Sequence[str]
    _index: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Index them."""
        self.records = dict(sorted(self.records.items(), key=lambda each: str(each[1]["CreatedDate"])))
        for lead_id, record in self.records.items():
            for key in self._keys(record):
                self._index[key].append(lead_id)

    def _keys(self, record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        for name in self.names:
            if value := folded(self.lead.find(name), record.get(name)):
                yield name, value

    def like(self, record: Record) -> Iterator[tuple[str, LeadRecord]]:
        """Yield those that share a value of one of the fields."""
        found = dict.fromkeys(lead_id for key in self._keys(record) for lead_id in self._index.get(key, ()))
        return ((lead_id, self.records[lead_id]) for lead_id in found if lead_id in self.records)

    def take(self, lead_id: str) -> str:
        """Let a lead answer for a row."""
        del self.records[lead_id]
        return lead_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Looks for leads.

    :param lookup: reads them.
    :param lead: the org's Lead.
    :param claimed: those of some leads that recorded rows created.
    """

    lookup: LeadLookup
    lead: SObjectInfo
    claimed: Claimed

    def by_name(self, window: Window, names: Sequence[str], sent: Sequence[Record], fields: Sequence[str]) -> Made:
        """Leads of the window with values that were sent; also those that Sales has deleted since: they were created.

        :param names: the fields in which they have them.
        """
        found: dict[str, LeadRecord] = {}
        for name in names:
            info = self.lead.find(name)
            # Which blanks Salesforce cuts off is not known for sure.
            texts = [text_of(record[name]) for record in sent if record.get(name)]
            values = dict.fromkeys(form for text in texts for form in (text.strip(" "), key_text(text)) if form)
            if info is not None and info.filterable and values:
                groups = self.lookup.by_field(info, list(values), fields, where=window.condition, deleted=True)
                found |= {full_id(str(each["Id"])): each for group in groups.values() for each in group}
        taken = self.claimed(found, window.since) if found else ()
        return Made({lead_id: lead for lead_id, lead in found.items() if lead_id not in taken}, self.lead, names)

    def of_nobody(self, window: Window, names: Sequence[str], fields: Sequence[str]) -> Made | None:
        """Return all leads of the window that no recorded row created; ``None`` where they are too many to go through.

        :param names: the fields by which they are to be found.
        """
        ids = self.lookup.ids_where(window.condition, most=MOST_MADE)
        free = None if ids is None else set(ids) - set(self.claimed(ids, window.since) if ids else ())
        if free is None or len(free) > MOST_FREE:
            return None
        return Made(dict(self.lookup.by_id(sorted(free), fields)) if free else {}, self.lead, names)


class Presence(Enum):
    """What is known of a row that was sent without an answer."""

    THERE = "there"
    ABSENT = "absent"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What became of a row.

    :param presence: whether its lead is there, is surely absent, or neither can be said yet.
    :param lead_id: the lead, where it is there.
    :param why: why it is open, in words.
    :param known_from: from when on asking again can settle it; ``None`` where only a person can.
    """

    presence: Presence
    lead_id: str | None = None
    why: str | None = None
    known_from: datetime | None = None


_Find = Callable[[Item, Window, Made], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadSearch:
    """Asks.

    :param lead: the org's Lead.
    :param fields: the Lead fields that a row may be sent with.
    :param late: how long after it was sent a call may still take effect.
    :param claimed: those of some leads that rows already recorded created.
    :param now: Salesforce's clock.
    """

    lead: SObjectInfo
    fields: Sequence[FieldInfo]
    late: timedelta
    claimed: Claimed
    now: Callable[[], datetime]

    def ask(self, rows: Sequence[_Row], lookup: LeadLookup, *, are_all: bool = True) -> list[SearchResult]:
        """Say what became of each row; of equal rows, each lead answers for one.

        :param are_all: whether no other row is in doubt, whose lead might be taken for one of theirs.
        :raises SalesforceLeadsError: where Salesforce cannot be asked.
        """
        asked_at = self.now()
        key = next((item.kind.external_id_field for item, _ in rows), None)
        names = (key,) if key is not None else (NAME, EMAIL)
        window = Window.of([doubt for _, doubt in rows], self.late)
        fields = (*_SYSTEM, *(info.name for info in self.fields))
        sent = [item.record for item, _ in rows]
        search = Search(lookup=lookup, lead=self.lead, claimed=self.claimed)
        made = search.by_name(window, names, sent, fields)
        there = self._matched(rows, made, self._with_key if key is not None else self._equal, {})
        if key is None and are_all:
            there |= self._matched(rows, made, self._by_address(sent), there)
        found = {place: SearchResult(presence=Presence.THERE, lead_id=lead_id) for place, lead_id in there.items()}
        due = {n: row for n, row in enumerate(rows) if n not in there and asked_at >= row[1].last + self.late}
        if due:
            found |= self._settled(due, search, there) if key is None else dict.fromkeys(due, _ABSENT)
        return [found.get(n) or _young(doubt.last + self.late) for n, (_, doubt) in enumerate(rows)]

    def _matched(self, rows: Sequence[_Row], made: Made, find: _Find, there: dict[int, str]) -> dict[int, str]:
        found: dict[int, str] = {}
        for place, (item, doubt) in enumerate(rows):
            lead_id = None if place in there else find(item, Window.of([doubt], self.late), made)
            if lead_id is not None:
                found[place] = made.take(lead_id)
        return found

    def _with_key(self, item: Item, window: Window, made: Made) -> str | None:
        """Return a lead with the row's key, and the values that were sent.

        With others it is what somebody else made.
        """
        leads = made.like(item.record)
        return next((i for i, lead in leads if window.holds(lead) and made_of(self.lead, item.record, lead)), None)

    def _equal(self, item: Item, window: Window, made: Made) -> str | None:
        """Return a lead with the values that were sent, and no others."""
        leads = made.like(item.record)
        return next((i for i, lead in leads if window.holds(lead) and self._is_as_sent(lead, item.record)), None)

    def _is_as_sent(self, lead: LeadRecord, sent: Record) -> bool:
        """Return whether a lead holds what was sent, and nothing where nothing was sent.

        That would be another row's lead.
        """
        return all(may_become(info, sent.get(info.name), lead.get(info.name)) for info in self.fields)

    def _by_address(self, sent: Sequence[Record]) -> _Find:
        """Return a lead with the row's name and address, though automation changed something else of it."""

        def find(item: Item, window: Window, made: Made) -> str | None:
            mine = item.record
            if not (mine.get(EMAIL) and mine.get(NAME)) or sum(self._agree(EMAIL, mine, other) for other in sent) > 1:
                return None
            names = (NAME, EMAIL, *((_FIRST_NAME,) if mine.get(_FIRST_NAME) else ()))
            leads = made.like(mine)
            found = [i for i, lead in leads if window.holds(lead) and all(self._agree(n, mine, lead) for n in names)]
            return found[0] if len(found) == 1 else None

        return find

    def _settled(self, due: dict[int, _Row], search: Search, there: dict[int, str]) -> dict[int, SearchResult]:
        """Return what became of rows whose time is over: by all leads that were made in it and are nobody's."""
        texts = [info.name for info in self.fields if info.type in _TEXT]
        fields = tuple(dict.fromkeys(("Id", *_SYSTEM, NAME, EMAIL, *texts)))
        window = Window.of([doubt for _, doubt in due.values()], self.late)
        made = search.of_nobody(window, texts, fields)
        if made is None:
            return dict.fromkeys(due, SearchResult(presence=Presence.OPEN, why=_TOO_MANY))
        for lead_id in made.records.keys() & set(there.values()):
            made.take(lead_id)
        found: dict[int, SearchResult] = {}
        for place, (item, doubt) in due.items():
            changed = self._once_sent(item, doubt, made)
            if changed is not None:
                found[place] = SearchResult(presence=Presence.THERE, lead_id=made.take(changed))
        for place, (item, doubt) in due.items():
            mine = Window.of([doubt], self.late)
            leads = made.like(item.record)
            like = [i for i, lead in leads if mine.holds(lead) and self._may_be(lead, item.record, texts)]
            found.setdefault(place, _disguised(like) if like else _ABSENT)
        return found

    def _once_sent(self, item: Item, doubt: UnansweredSend, made: Made) -> str | None:
        """Return the lead of a row that the export has changed since it was sent: who it spoke of then."""
        others = doubt.people - {person_of(self.lead, item.record)}
        if not others:
            return None
        window = Window.of([doubt], self.late)
        leads = made.records.items()
        return next((i for i, lead in leads if window.holds(lead) and person_of(self.lead, lead) in others), None)

    def _may_be(self, lead: LeadRecord, sent: Record, texts: Sequence[str]) -> bool:
        """Return whether a lead may be a row's, though it differs.

        It has the name, the address, or half of what was sent.
        """
        said = [name for name in texts if sent.get(name) is not None]
        same = [name for name in said if self._agree(name, lead, sent)]
        return bool({NAME, EMAIL} & set(same)) or 2 * len(same) >= len(said)

    def _agree(self, name: str, one: Record, other: Record) -> bool:
        info = self.lead.find(name)
        return folded(info, one.get(name)) == folded(info, other.get(name))


_ABSENT = SearchResult(presence=Presence.ABSENT)


def _young(known_from: datetime) -> SearchResult:
    why = f"not found; Salesforce may still create it until {known_from.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return SearchResult(presence=Presence.OPEN, why=why, known_from=known_from)


def _disguised(lead_ids: Sequence[str]) -> SearchResult:
    why = (
        f"may be lead {', '.join(lead_ids[:3])}, which differs from what was sent; compare them, and delete or correct "
        "the lead if it is not the row's"
    )
    return SearchResult(presence=Presence.OPEN, why=why)
