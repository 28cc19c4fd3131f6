"""Leads that may have come of rows without an answer: made in a window of time, and not those of recorded rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.core.text import text_of
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ids import to_18
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


def folded(info: FieldInfo | None, value: object) -> str:
    """A value as it is compared."""
    return compared_by(info)(key_text(value))


def person_of(lead: SObjectInfo, values: Mapping[str, object]) -> str:
    """A digest of who a row, or a lead, speaks of."""
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
        """The window of some rows.

        :param late: how long after it was sent a call may still take effect.
        """
        users = frozenset(user for doubt in doubts for user in doubt.user_ids)
        return cls(
            since=min(doubt.since for doubt in doubts) - _SLACK,
            until=max(doubt.last for doubt in doubts) + late + _SLACK,
            users=users if all(doubt.user_ids for doubt in doubts) else frozenset(),
        )

    def holds(self, lead: LeadRecord) -> bool:
        """Whether a lead was made in it."""
        return self.since <= datetime.fromisoformat(str(lead["CreatedDate"])) <= self.until

    def is_of(self, lead: LeadRecord) -> bool:
        """Whether a lead was made in it, and by one of its users."""
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
        """Those that share a value of one of the fields."""
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
                found |= {to_18(each["Id"]) or str(each["Id"]): each for group in groups.values() for each in group}
        taken = self.claimed(found, window.since) if found else ()
        return Made({lead_id: lead for lead_id, lead in found.items() if lead_id not in taken}, self.lead, names)

    def of_nobody(self, window: Window, names: Sequence[str], fields: Sequence[str]) -> Made | None:
        """All leads of the window that no recorded row created; ``None`` where they are too many to go through.

        :param names: the fields by which they are to be found.
        """
        ids = self.lookup.ids_where(window.condition, most=MOST_MADE)
        free = None if ids is None else set(ids) - set(self.claimed(ids, window.since) if ids else ())
        if free is None or len(free) > MOST_FREE:
            return None
        return Made(dict(self.lookup.by_id(sorted(free), fields)) if free else {}, self.lead, names)
