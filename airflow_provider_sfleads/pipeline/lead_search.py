"""Ask Salesforce what became of rows that were sent without an answer, before any of them is sent again.

Only inserts come here that cannot be repeated: Salesforce would not refuse them a second time. A lead that answers for
a row was made by the integration user in the time in which the row's request can have taken effect, and belongs to no
other row. Finding it is proof at any time; that it is absent is proven when that time is over, and no lead made in it,
and is nobody's, could be the row's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.core.same import made_of, may_become
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import Item
from airflow_provider_sfleads.pipeline.unclaimed_leads import (
    EMAIL,
    NAME,
    Claimed,
    Made,
    Search,
    Window,
    folded,
    person_of,
)
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Record

_FIRST_NAME = "FirstName"
_SYSTEM = ("CreatedDate", "CreatedById")
_TEXT = frozenset({"string", "textarea", "email", "phone", "url"})


class Presence(Enum):
    """What is known of a row that was sent without an answer."""

    THERE = "there"
    ABSENT = "absent"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What became of a row.

    :param standing: whether its lead is there, is surely absent, or neither can be said yet.
    :param lead_id: the lead, where it is there.
    :param why: why it is open, in words.
    :param known_from: from when on asking again can settle it; ``None`` where only a person can.
    """

    standing: Presence
    lead_id: str | None = None
    why: str | None = None
    known_from: datetime | None = None


_Row = tuple[Item, UnansweredSend]
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
        fates = {place: SearchResult(standing=Presence.THERE, lead_id=lead_id) for place, lead_id in there.items()}
        due = {n: row for n, row in enumerate(rows) if n not in there and asked_at >= row[1].last + self.late}
        if due:
            fates |= self._settled(due, search, there) if key is None else dict.fromkeys(due, _ABSENT)
        return [fates.get(n) or _young(doubt.last + self.late) for n, (_, doubt) in enumerate(rows)]

    def _matched(self, rows: Sequence[_Row], made: Made, find: _Find, there: dict[int, str]) -> dict[int, str]:
        found: dict[int, str] = {}
        for place, (item, doubt) in enumerate(rows):
            lead_id = None if place in there else find(item, Window.of([doubt], self.late), made)
            if lead_id is not None:
                found[place] = made.take(lead_id)
        return found

    def _with_key(self, item: Item, window: Window, made: Made) -> str | None:
        """A lead with the row's key, and the values that were sent: with others it is what somebody else made."""
        leads = made.like(item.record)
        return next((i for i, lead in leads if window.holds(lead) and made_of(self.lead, item.record, lead)), None)

    def _equal(self, item: Item, window: Window, made: Made) -> str | None:
        """A lead with the values that were sent, and no others."""
        leads = made.like(item.record)
        return next((i for i, lead in leads if window.holds(lead) and self._is_as_sent(lead, item.record)), None)

    def _is_as_sent(self, lead: LeadRecord, sent: Record) -> bool:
        """Whether a lead holds what was sent, and nothing where nothing was sent: that would be another row's lead."""
        return all(may_become(info, sent.get(info.name), lead.get(info.name)) for info in self.fields)

    def _by_address(self, sent: Sequence[Record]) -> _Find:
        """A lead with the row's name and address, though automation changed something else of it."""

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
        """The fates of rows whose time is over: by all leads that were made in it and are nobody's."""
        texts = [info.name for info in self.fields if info.type in _TEXT]
        fields = tuple(dict.fromkeys(("Id", *_SYSTEM, NAME, EMAIL, *texts)))
        window = Window.of([doubt for _, doubt in due.values()], self.late)
        made = search.of_nobody(window, texts, fields)
        if made is None:
            return dict.fromkeys(due, SearchResult(standing=Presence.OPEN, why=_TOO_MANY))
        for lead_id in made.records.keys() & set(there.values()):
            made.take(lead_id)
        fates: dict[int, SearchResult] = {}
        for place, (item, doubt) in due.items():
            changed = self._once_sent(item, doubt, made)
            if changed is not None:
                fates[place] = SearchResult(standing=Presence.THERE, lead_id=made.take(changed))
        for place, (item, doubt) in due.items():
            mine = Window.of([doubt], self.late)
            leads = made.like(item.record)
            like = [i for i, lead in leads if mine.holds(lead) and self._may_be(lead, item.record, texts)]
            fates.setdefault(place, _disguised(like) if like else _ABSENT)
        return fates

    def _once_sent(self, item: Item, doubt: UnansweredSend, made: Made) -> str | None:
        """The lead of a row that the export has changed since it was sent: who it spoke of then."""
        others = doubt.people - {person_of(self.lead, item.record)}
        if not others:
            return None
        window = Window.of([doubt], self.late)
        leads = made.records.items()
        return next((i for i, lead in leads if window.holds(lead) and person_of(self.lead, lead) in others), None)

    def _may_be(self, lead: LeadRecord, sent: Record, texts: Sequence[str]) -> bool:
        """Whether a lead may be a row's, though it differs: it has the name, the address, or half of what was sent."""
        said = [name for name in texts if sent.get(name) is not None]
        same = [name for name in said if self._agree(name, lead, sent)]
        return bool({NAME, EMAIL} & set(same)) or 2 * len(same) >= len(said)

    def _agree(self, name: str, one: Record, other: Record) -> bool:
        info = self.lead.find(name)
        return folded(info, one.get(name)) == folded(info, other.get(name))


_ABSENT = SearchResult(standing=Presence.ABSENT)
_TOO_MANY = "not found, and more leads were created in that time than can be gone through; look for it by hand"


def _young(known_from: datetime) -> SearchResult:
    why = f"not found; Salesforce may still create it until {known_from.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return SearchResult(standing=Presence.OPEN, why=why, known_from=known_from)


def _disguised(lead_ids: Sequence[str]) -> SearchResult:
    why = (
        f"may be lead {', '.join(lead_ids[:3])}, which differs from what was sent; compare them, and delete or correct "
        "the lead if it is not the row's"
    )
    return SearchResult(standing=Presence.OPEN, why=why)
