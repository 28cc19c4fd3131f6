"""An org in memory: just the calls that a sync makes, strict by itself, with faults on request.

It shares no code with the provider but the values that cross the wire (calls, replies, errors): it would agree with
the provider's mistakes otherwise. It stands where the transport does, so it also plays the transport's part: a
repeatable call whose answer is lost is sent again, another one ends in ``OutcomeUnknownError``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import Any

from airflow_provider_sfleads.exceptions import ApiLimitError, OutcomeUnknownError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce.wire import Call, Reply, in_url

USER = "005000000000001AAA"
NOW = "2026-11-24T00:10:00.000+0000"
LONG_AGO = "2020-01-01T00:00:00.000+0000"

_LENGTHS = {
    "External_Id__c": 36,
    "LastName": 80,
    "FirstName": 40,
    "Company": 255,
    "Email": 80,
    "Lead_Stage__c": 255,
    "Badge__c": 10,
}
_NUMBERS = {"Number_Id__c", "Score__c"}
_SYSTEM = {"Id", "IsConverted", "ConvertedContactId", "CreatedDate", "CreatedById", "IsDeleted"}
_FIELDS = {*_LENGTHS, *_NUMBERS, *_SYSTEM}
_UNIQUE = ("External_Id__c", "Number_Id__c", "Badge__c")
_MADE = r"CreatedDate >= (\S+?Z) AND CreatedDate <= (\S+?Z)(?: AND CreatedById IN \(([^)]+)\))?"
_SOQL = re.compile(rf"SELECT ([\w, ]+) FROM (\w+) WHERE (\w+) IN \((.+?)\)(?: AND \({_MADE}\))?", re.DOTALL)  # noqa: S608
_ALL_MADE = re.compile(rf"SELECT Id FROM Lead WHERE {_MADE} LIMIT (\d+)")  # noqa: S608
_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?[\d.]+)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@cache
def lead_id(number: int) -> str:
    """Return the 18-character id of the lead with that number."""
    head = f"00Q5g00000{number:05d}"
    bits = ["".join("1" if char.isupper() else "0" for char in reversed(head[at : at + 5])) for at in (0, 5, 10)]
    return head + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[int(group, 2)] for group in bits)


class Refused(Exception):  # noqa: N818 - what one record is refused for
    """One record is refused."""

    def __init__(self, code: str, message: str = "no", fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.error = {"statusCode": code, "message": message, "fields": list(fields)}


@dataclass(slots=True)
class Org:
    """The org.

    :param faults: number of a write (from 1, every sending counts) -> ``drop_before``, ``drop_after``, ``drop_locked``
        (committed, and still holding its locks when it is sent again), ``lost_before``, ``lost_after`` (the transport
        gives up, too), ``down``, ``limit``.
    :param locked: external ID, key or id of a lead -> how many times it is locked yet.
    :param missed: external ID -> how many upserts yet do not find its lead, as if it were committed during them.
    :param wording: how ``DUPLICATE_VALUE`` is said: ``plain``, ``local`` (another language), ``bare`` (no id),
        ``unknown`` (neither field nor id).
    """

    faults: Mapping[int, str] = field(default_factory=dict)
    locked: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wording: str = "plain"
    duplicate_rule: bool = False
    case_sensitive: bool = False
    leads: dict[str, dict[str, Any]] = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    moves: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    writes: int = 0
    limited: bool = False
    _index: dict[tuple[str, object], dict[str, None]] = field(default_factory=dict)
    _guard: Any = field(default_factory=Lock)

    def add(self, **values: Any) -> str:
        """Put a lead there, and return its id."""
        new = lead_id(len(self.leads) + 1)
        system = {"IsConverted": False, "ConvertedContactId": None, "CreatedDate": LONG_AGO, "CreatedById": USER}
        self.leads[new] = {"Id": new, "IsDeleted": False, **system, **values}
        self._note(new)
        return new

    def _note(self, lead: str) -> None:
        for name in _UNIQUE:
            self._index.setdefault((name, _folded(self.leads[lead].get(name))), {})[lead] = None

    def _holding(self, name: str, value: object) -> list[dict[str, Any]]:
        """Leads that hold a value of a unique field, in any letter case."""
        leads = [self.leads[lead] for lead in self._index.get((name, _folded(value)), ())]
        return [lead for lead in leads if not lead["IsDeleted"] and _folded(lead.get(name)) == _folded(value)]

    def live(self) -> list[dict[str, Any]]:
        """Leads that are not deleted."""
        return [lead for lead in self.leads.values() if not lead["IsDeleted"]]

    def by_key(self, key: str) -> list[dict[str, Any]]:
        """Leads with that external ID."""
        return [lead for lead in self.live() if (lead.get("External_Id__c") or "").lower() == key.lower()]

    def count(self, what: str) -> int:
        """Calls so far: ``reads`` or ``writes``."""
        return sum(call.write == (what == "writes") for call in self.calls)

    def send(self, call: Call) -> Reply:
        """Answer as the transport would."""
        with self._guard:
            if not call.write:
                self.calls.append(call)
                return self._read(call)
            reply, repeated = None, False
            while reply is None:
                reply = self._sending(call, repeated=repeated)
                repeated = True
            return reply

    def _sending(self, call: Call, *, repeated: bool) -> Reply | None:
        """One sending of a write; ``None`` where it is to be sent again."""
        self.writes += 1
        fault = "limit" if self.limited else self.faults.get(self.writes)
        if fault == "limit":
            self.limited = True
            raise ApiLimitError("used up")
        self.calls.append(call)
        if fault == "down":
            raise OutcomeUnknownError("sent, and then down") if repeated else ServiceUnavailableError("down")
        reply = None if fault in ("drop_before", "lost_before") else self._write(call, repeated=repeated)
        if fault is None:
            return reply
        if fault == "drop_locked":
            assert isinstance(call.body, dict)
            self.locked.update(str(record.get("External_Id__c")) for record in call.body["records"])
        if fault in ("lost_before", "lost_after") or not call.repeatable:
            raise OutcomeUnknownError("nobody knows")
        return None

    def _read(self, call: Call) -> Reply:
        if call.method == "POST":
            assert call.path == "composite/sobjects/Lead"
            return self._retrieve(call.body)
        assert call.method == "GET"
        assert call.path in ("query", "queryAll")
        assert call.params is not None
        soql = call.params["q"]
        assert len(in_url(soql)) < 14_000
        if made := _ALL_MADE.fullmatch(soql):
            ids = [lead["Id"] for lead in self.live() if _is_made(lead, *made.groups()[:3])][: int(made[4])]
            return Reply(status=200, body={"done": True, "records": [{"Id": each} for each in ids]})
        found = _SOQL.fullmatch(soql)
        assert found, soql
        names, sobject, name, text = found[1].split(", "), found[2], found[3], found[4]
        assert set(names) <= _FIELDS
        wanted = {_folded(value) for value in _literals(text, number=name in _NUMBERS)}
        deleted = call.path == "queryAll"
        table = self.contacts if sobject == "Contact" else self.leads
        records = [
            {"attributes": {"type": sobject}, **{key: _shown(record.get(key)) for key in names}}
            for record in table.values()
            if (deleted or not record.get("IsDeleted")) and _folded(record.get(name)) in wanted
            if not found[5] or _is_made(record, found[5], found[6], found[7])
        ]
        if self.case_sensitive and name == "External_Id__c":
            exact = set(_literals(text, number=False))
            records = [record for record in records if record[name] in exact]
        return Reply(status=200, body={"totalSize": len(records), "done": True, "records": records})

    def _retrieve(self, body: object) -> Reply:
        assert isinstance(body, dict)
        ids, names = body["ids"], body["fields"]
        assert 0 < len(ids) <= 2000
        assert set(names) <= _FIELDS
        found = [self.leads.get(each) for each in ids]
        return Reply(
            status=200,
            body=[
                {name: _shown(lead.get(name)) for name in names} if lead and not lead["IsDeleted"] else None
                for lead in found
            ],
        )

    def _write(self, call: Call, *, repeated: bool) -> Reply:
        assert isinstance(call.body, dict)
        assert call.body["allOrNone"] is False
        records: list[dict[str, Any]] = call.body["records"]
        assert 0 < len(records) <= 200
        if any(record.get("Company") == "poison" for record in records):
            return Reply(status=400, body=[{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize"}])
        key = call.path.removeprefix("composite/sobjects").removeprefix("/Lead/")
        operation = "upsert" if key else "insert" if call.method == "POST" else "update"
        marker = key or "id"
        marks = Counter(_folded(record.get(marker)) for record in records) if operation != "insert" else Counter()
        results = []
        for record in records:
            assert record["attributes"] == {"type": "Lead"}
            values = {name: value for name, value in record.items() if name != "attributes"}
            try:
                twice = marks[_folded(values.get(marker))] > 1
                results.append(self._save(values, operation, key, twice=twice))
            except Refused as refused:
                results.append({"success": False, "errors": [refused.error]})
        return Reply(status=200, body=results, repeated=repeated)

    def _save(self, values: dict[str, Any], operation: str, key: str, *, twice: bool) -> dict[str, Any]:
        if twice:
            raise Refused("DUPLICATE_VALUE", f"Duplicate external id specified: {values[key or 'id']}")
        current = self._target(values, operation, key)
        for name in (str(values.get("External_Id__c")), str(values.get("LastName")), current["Id"] if current else ""):
            if self.locked[name] > 0:
                self.locked[name] -= 1
                raise Refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        values = {name: self._checked(name, value) for name, value in values.items() if name != "id"}
        if current is not None and current["IsConverted"]:
            raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        whole = {**(current or {}), **values}
        lacking = [name for name in ("LastName", "Company") if not whole.get(name)]
        if lacking:
            raise Refused("REQUIRED_FIELD_MISSING", f"Required fields are missing: {lacking}", tuple(lacking))
        self._duplicates(values, current)
        self._unique(values, current)
        shown: dict[str, Any] = {"success": True, "errors": []}
        if current is None:
            shown["id"] = self.add(CreatedDate=NOW, **values)
        else:
            shown["id"] = current["Id"]
            if "Lead_Stage__c" in values:
                self.moves.append((current["Id"], current.get("Lead_Stage__c"), values["Lead_Stage__c"]))
            current.update(values)
            self._note(current["Id"])
        return shown | ({"created": current is None} if operation == "upsert" else {})

    def _target(self, values: dict[str, Any], operation: str, key: str) -> dict[str, Any] | None:
        if operation == "insert":
            assert "id" not in values
            return None
        if operation == "update":
            lead = self.leads.get(values["id"])
            if lead is None or lead["IsDeleted"]:
                raise Refused("ENTITY_IS_DELETED" if lead else "INVALID_CROSS_REFERENCE_KEY")
            return lead
        assert "id" not in values
        if not values.get(key):
            raise Refused("MISSING_ARGUMENT", f"{key} not specified")
        found = self._holding(key, values[key])
        if found and self.missed[str(values[key])]:
            self.missed[str(values[key])] -= 1
            return None
        if len(found) > 1:
            raise Refused("DUPLICATE_EXTERNAL_ID", "more than one record found")
        return found[0] if found else None

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        assert name in _FIELDS - _SYSTEM, name
        if value is None:
            return None
        if name in _NUMBERS:
            assert type(value) in (int, Decimal)
            return value
        assert type(value) is str, f"{name}: {value!r}"
        value = value.strip(" \t\r\n")
        if len(value) > _LENGTHS[name]:
            raise Refused("STRING_TOO_LONG", f"{name}: data value too large", (name,))
        return value or None

    def _duplicates(self, values: dict[str, Any], current: dict[str, Any] | None) -> None:
        email = values.get("Email")
        if self.duplicate_rule and email and current is None and any(x.get("Email") == email for x in self.live()):
            raise Refused("DUPLICATES_DETECTED", "Use one of these records?")

    def _unique(self, values: dict[str, Any], current: dict[str, Any] | None) -> None:
        for name in _UNIQUE:
            value = values.get(name)
            if value is None:
                continue
            holding = self._holding(name, value)
            other = next((x for x in holding if x is not current and self._same(name, x.get(name), value)), None)
            if other is None:
                continue
            text = {
                "plain": f"duplicate value found: {name} duplicates value on record with id: {other['Id'][:15]}",
                "local": f"doppelter Wert: {name} ist schon vergeben an {other['Id'][:15]}",
                "bare": f"duplicate value found: {name} duplicates value on record with id: <unknown>",
                "unknown": "duplicate value found: <unknown> duplicates value on record with id: <unknown>",
            }
            raise Refused("DUPLICATE_VALUE", text[self.wording])

    def _same(self, name: str, one: object, other: object) -> bool:
        if self.case_sensitive and name == "External_Id__c":
            return one == other
        return _folded(one) == _folded(other)


def _folded(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _is_made(record: Mapping[str, Any], since: str, until: str, by: str | None) -> bool:
    created, first, last = (datetime.fromisoformat(each) for each in (record["CreatedDate"], since, until))
    return first <= created <= last and (by is None or f"'{record['CreatedById']}'" in by)


def _shown(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def _literals(text: str, *, number: bool) -> Iterator[object]:
    at = 0
    while at < len(text):
        found = _LITERAL.match(text, at)
        assert found, text[at:]
        assert (found[2] is not None) == number, f"{text[at:]!r}: a number is bare, text is quoted"
        if number:
            yield Decimal(found[2])
        else:
            yield re.sub(r"\\(.)", lambda char: _ESCAPED.get(char[1], char[1]), found[1], flags=re.DOTALL)
        at = found.end()
        if at < len(text):
            assert text[at] == ",", text[at:]
            at += 1


def calls_of(calls: Iterable[Call], path: str) -> int:
    """How many of the calls go to that path."""
    return sum(call.path == path for call in calls)
