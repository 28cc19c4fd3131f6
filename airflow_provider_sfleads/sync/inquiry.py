"""Ask Salesforce what became of rows that were sent without an answer, before any of them is sent again.

Only inserts come here that cannot be repeated: Salesforce would not refuse them a second time. A lead that answers for
a row was made by the integration user since the row was first sent, and belongs to no other row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial

from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.core.doubt import Doubt
from airflow_provider_sfleads.core.ids import to_18
from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.core.same import same_value
from airflow_provider_sfleads.core.soql import quote
from airflow_provider_sfleads.sync.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.sync.plan import Item

# Clocks differ, and Salesforce stamps whole seconds.
_SLACK = timedelta(seconds=60)
_SYSTEM = ("CreatedDate", "CreatedById")
# Assignment rules give a new lead its owner, whatever was sent.
_ROUTED = "OwnerId"
# Salesforce puts in a value of its own where none is sent.
_FILLED = frozenset({"boolean", "picklist", "multipicklist", "reference"})
_NAME, _EMAIL, _FIRST_NAME = "LastName", "Email", "FirstName"


class Standing(Enum):
    """What is known of a row that was sent without an answer."""

    THERE = "there"
    ABSENT = "absent"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a row.

    :param standing: whether its lead is there, is surely absent, or neither can be said yet.
    :param lead_id: the lead, where it is there.
    :param why: why it is open, in words.
    :param known_from: from when on asking again can settle it; ``None`` where only a person can.
    """

    standing: Standing
    lead_id: str | None = None
    why: str | None = None
    known_from: datetime | None = None


@dataclass(slots=True)
class _Leads:
    """Leads that may answer for a row, oldest first; each answers for one row."""

    records: dict[str, LeadRecord]
    lead: SObjectInfo
    names: Sequence[str]
    _index: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Find them by the values that rows are looked for by."""
        for lead_id, record in self.records.items():
            for key in self._keys(record, self.names):
                self._index[key].append(lead_id)

    def _keys(self, record: Mapping[str, object], names: Sequence[str]) -> Iterator[tuple[str, str]]:
        for name in names:
            if record.get(name) is not None:
                yield name, _folded(self.lead.find(name), key_text(record[name]))

    def like(self, record: Record, names: Sequence[str] = ()) -> list[str]:
        """Those that share a value of one of the fields, all of them unless some are named."""
        keys = self._keys(record, names or self.names)
        found = dict.fromkeys(lead_id for key in keys for lead_id in self._index.get(key, ()))
        return [lead_id for lead_id in found if lead_id in self.records]

    def take(self, lead_id: str) -> str:
        """Let a lead answer for a row."""
        del self.records[lead_id]
        return lead_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Asks.

    :param lead: the org's Lead.
    :param fields: the Lead fields that a row may be sent with.
    :param late: how long after it was sent a call may still take effect; only then is not finding a lead proof.
    :param claimed: those of some leads that rows already recorded speak of.
    :param now: Salesforce's clock.
    """

    lead: SObjectInfo
    fields: Sequence[FieldInfo]
    late: timedelta
    claimed: Callable[[Collection[str]], Collection[str]]
    now: Callable[[], datetime]

    def ask(self, doubtful: Sequence[tuple[Item, Doubt]], lookup: LeadLookup, *, are_all: bool = True) -> list[Fate]:
        """Say what became of each row; of equal rows, each lead answers for one.

        :param are_all: whether no other row is in doubt, whose lead might be taken for one of theirs.
        :raises SalesforceLeadsError: where Salesforce cannot be asked.
        """
        asked_at = self.now()
        names = self._searched(doubtful)
        leads = _Leads(self._made_since(doubtful, names, lookup), self.lead, names)
        there: dict[int, str] = {}
        ways: list[Callable[[Item, Doubt, _Leads], str | None]] = [self._equal]
        if are_all:
            ways.append(partial(self._one_person, doubtful=doubtful))
        for find in ways:
            for place in sorted(set(range(len(doubtful))) - set(there)):
                lead_id = find(*doubtful[place], leads)
                if lead_id is not None:
                    there[place] = leads.take(lead_id)
        return [
            Fate(standing=Standing.THERE, lead_id=there[place])
            if place in there
            else self._missing(item, doubt, leads, asked_at)
            for place, (item, doubt) in enumerate(doubtful)
        ]

    def _searched(self, doubtful: Sequence[tuple[Item, Doubt]]) -> tuple[str, ...]:
        """The fields that leads are looked for by: the key where it is sent, else who the person is."""
        external = next((item.kind.external_id_field for item, _ in doubtful), None)
        if external is not None:
            return (external,)
        sent = {name for item, _ in doubtful for name in item.record}
        return tuple(name for name in (_NAME, _EMAIL) if name in sent)

    def _made_since(
        self, doubtful: Sequence[tuple[Item, Doubt]], names: Sequence[str], lookup: LeadLookup
    ) -> dict[str, LeadRecord]:
        since = min(doubt.since for _, doubt in doubtful) - _SLACK
        users = sorted({user for _, doubt in doubtful for user in doubt.user_ids})
        where = f"CreatedDate >= {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if all(doubt.user_ids for _, doubt in doubtful):
            where += f" AND CreatedById IN ({','.join(map(quote, users))})"
        fields = (*_SYSTEM, *(info.name for info in self.fields))
        found: dict[str, LeadRecord] = {}
        for name in names:
            info = self.lead.find(name)
            values = dict.fromkeys(key_text(item.record[name]) for item, _ in doubtful if item.record.get(name))
            if info is not None and values:
                # A lead that Sales has deleted since was created all the same.
                records = lookup.by_field(info, list(values), fields, where=where, deleted=True)
                found |= {to_18(each["Id"]) or each["Id"]: each for group in records.values() for each in group}
        taken = self.claimed(found) if found else ()
        free = [lead_id for lead_id in found if lead_id not in taken]
        return {lead_id: found[lead_id] for lead_id in sorted(free, key=lambda each: found[each]["CreatedDate"])}

    def _equal(self, item: Item, doubt: Doubt, leads: _Leads) -> str | None:
        """A lead with the values that were sent, and no others; or with the key."""
        by_key = item.kind.external_id_field is not None
        for lead_id in leads.like(item.record):
            record = leads.records[lead_id]
            if _is_since(record, doubt) and (by_key or self._is_as_sent(record, item.record)):
                return lead_id
        return None

    def _is_as_sent(self, record: LeadRecord, sent: Record) -> bool:
        """Whether a lead holds what was sent, and nothing where nothing was sent: that would be another row's lead."""
        return all(
            info.name == _ROUTED
            or (sent.get(info.name) is None and (info.type in _FILLED or info.defaulted_on_create))
            or same_value(info.type, sent.get(info.name), record.get(info.name), scale=info.scale)
            for info in self.fields
        )

    def _one_person(
        self, item: Item, doubt: Doubt, leads: _Leads, doubtful: Sequence[tuple[Item, Doubt]]
    ) -> str | None:
        """A lead with the row's name and address, though automation changed something else of it."""
        if not (item.record.get(_EMAIL) and item.record.get(_NAME)):
            return None
        found = [
            lead_id
            for lead_id in leads.like(item.record, (_EMAIL,))
            if _is_since(leads.records[lead_id], doubt) and self._agree(_NAME, leads.records[lead_id], item.record)
        ]
        namesakes = [other for other, _ in doubtful if self._agree(_EMAIL, other.record, item.record)]
        return found[0] if len(found) == 1 and len(namesakes) == 1 else None

    def _missing(self, item: Item, doubt: Doubt, leads: _Leads, asked_at: datetime) -> Fate:
        """Nothing answers for the row: it is absent, may still come, or is there in disguise."""
        disguised = [
            lead_id
            for lead_id in leads.like(item.record)
            if _is_since(leads.records[lead_id], doubt) and self._may_be(leads.records[lead_id], item.record)
        ]
        if disguised:
            why = f"may be lead {', '.join(disguised[:3])}, which differs from what was sent; compare them by hand"
            return Fate(standing=Standing.OPEN, why=why)
        if not any(item.record.get(name) for name in leads.names):
            return Fate(standing=Standing.OPEN, why="has neither a last name nor an e-mail address to look for")
        known_from = doubt.last + self.late
        if asked_at >= known_from:
            return Fate(standing=Standing.ABSENT)
        why = f"not found; Salesforce may still create it until {known_from.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return Fate(standing=Standing.OPEN, why=why, known_from=known_from)

    def _may_be(self, record: LeadRecord, sent: Record) -> bool:
        """Whether a lead that differs may be the row's: one of another address or first name is another person's."""
        both = [name for name in (_EMAIL, _FIRST_NAME) if sent.get(name) and record.get(name)]
        return all(self._agree(name, record, sent) for name in both)

    def _agree(self, name: str, one: Mapping[str, object], other: Mapping[str, object]) -> bool:
        info = self.lead.find(name)
        return _folded(info, key_text(one.get(name))) == _folded(info, key_text(other.get(name)))


def _is_since(record: LeadRecord, doubt: Doubt) -> bool:
    return datetime.fromisoformat(str(record["CreatedDate"])) >= doubt.since - _SLACK


def _folded(info: FieldInfo | None, value: str) -> str:
    return compared_by(info)(value)
