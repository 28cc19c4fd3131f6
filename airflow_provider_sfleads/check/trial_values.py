"""Make up the values of trial leads: people who do not exist, and odd values that should come back as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from airflow_provider_sfleads.check.probe import Assumption, Finding
from airflow_provider_sfleads.core.same import same_value
from airflow_provider_sfleads.core.values import NUMBERS, Refusal, convert
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import EMPTIED
from airflow_provider_sfleads.salesforce.wire import FieldValue, Record

# Fields that tell people apart; duplicate rules match by them.
_PERSON = ("FirstName", "LastName", "Company", "Email", "Title")
_DIGITS = 8
_LETTERS = str.maketrans("0123456789abcdef", "bcdfghklmnprstvz")
_CHOICES = frozenset({"picklist", "multipicklist"})
COLLECTIONS, JOB = "through collections", "through a job"


def _word(seed: str) -> str:
    """Return ten letters that are the same each time for a seed and unlike those of another: no rule matches them."""
    return hashlib.blake2b(seed.encode(), digest_size=5).hexdigest().translate(_LETTERS).capitalize()


def without_value(lead: SObjectInfo) -> tuple[str, ...]:
    """Return the required fields for which no value can be made up, such as a look-up of another object."""
    return tuple(
        f"{info.name} ({info.type})"
        for info in lead.required_on_create
        if info.type not in _MAKERS or (info.type in _CHOICES and not info.picklist_values)
    )


def person(lead: SObjectInfo, seed: str) -> dict[str, FieldValue]:
    """Return a lead's values: all required fields, and what else tells people apart where it may be written.

    E-mail addresses end in ``example.invalid``, a domain that no mail can reach (RFC 2606).
    """
    known = {name: info for name in _PERSON if (info := lead.find(name)) is not None and info.createable}
    wanted = known | {info.name: info for info in lead.required_on_create}
    return {name: _MAKERS[info.type](info, _word(seed + name)) for name, info in wanted.items() if info.type in _MAKERS}


def renamed(lead: SObjectInfo, seed: str) -> Record:
    """Return another last name: what an update of the check changes."""
    info = lead.find("LastName")
    return {"LastName": _words(info, _word(seed)) if info else _word(seed)}


def _words(info: FieldInfo, word: str) -> FieldValue:
    return f"{word} Trial"[: info.length or None]


def _number(info: FieldInfo, word: str) -> FieldValue:
    room = min(info.digits or info.precision - info.scale or 1, _DIGITS)
    return int.from_bytes(word.encode()) % 10**room if info.unique else 1


_MAKERS: dict[str, Callable[[FieldInfo, str], FieldValue]] = {
    **dict.fromkeys(("string", "textarea", "encryptedstring", "combobox"), _words),
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _number),
    **dict.fromkeys(_CHOICES, lambda info, _word: next(iter(info.picklist_values), None)),
    "email": lambda _info, word: f"{word.lower()}@example.invalid",
    "phone": lambda _info, _word: "5550100",
    "url": lambda _info, _word: "https://example.invalid",
    "date": lambda _info, _word: "2024-02-29",
    "datetime": lambda _info, _word: "2024-02-29T12:00:00.000Z",
    "time": lambda _info, _word: "12:00:00.000Z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OddValue:
    """One kind of odd value, and the assumption that it comes back.

    :param name: of the assumption, less ``values.``.
    :param text: what it is of.
    :param expected: what should come back.
    :param names: fields that can hold it, by preference.
    :param suits: which other fields can.
    :param value: as an export has it; a function where it depends on the field.
    :param ways: how it is sent.
    :param as_it_is: whether it is sent without the provider's own conversion, which would mend it.
    """

    name: str
    text: str
    expected: str = "the same value"
    names: tuple[str, ...]
    suits: Callable[[FieldInfo], bool]
    value: str | Callable[[FieldInfo], object]
    ways: tuple[str, ...] = (COLLECTIONS, JOB)
    as_it_is: bool = False

    @property
    def assumption(self) -> Assumption:
        """Say what should come back."""
        return Assumption(
            f"values.{self.name}",
            f"{self.text} come back as a sync expects",
            self.expected,
            "changed_only and existing='update' send such rows again and again, and a row whose answer was lost is not "
            "found by its values. Look for a trigger that changes this field; else clean the values in the export.",
        )

    def sent(self, info: FieldInfo) -> FieldValue:
        """Return it as it is sent in a field; ``None`` where the field cannot hold it."""
        raw = self.value(info) if callable(self.value) else self.value
        value = raw if self.as_it_is and isinstance(raw, str) else convert(info, raw)
        return None if isinstance(value, Refusal) else value


@dataclass(slots=True, kw_only=True)
class RoundTrip:
    """Odd values on their way.

    :param sent: what was sent, by field.
    :param back: what came back; ``None`` where no lead was made.
    :param problem: why not.
    """

    sent: Record
    back: Mapping[str, object] | None = None
    problem: str = ""


def _is(*types: str, length: int = 0) -> Callable[[FieldInfo], bool]:
    return lambda info: info.type in types and info.length >= length and not info.restricted_picklist


def _fraction(info: FieldInfo) -> object:
    return Decimal("1.123456789012345678"[: info.scale + 2])


def _other_case(info: FieldInfo) -> object:
    return next((value.swapcase() for value in info.picklist_values if value.swapcase() != value), None)


_LINE, _SHORT = 60, 30
# What the check needs itself, and what some orgs take only some values for.
_KEPT = (
    "LastName", "Email", "Longitude", "Status", "OwnerId", "State", "Country", "PostalCode", "Jigsaw", "CleanStatus",
    "CompanyDunsNumber", "GeocodeAccuracy",
)  # fmt: skip
ODD_VALUES = (
    OddValue(
        name="line_breaks",
        text="Line breaks",
        expected="LF for each of LF, CR and CRLF",
        names=("Description",),
        suits=_is("textarea", length=_LINE),
        value="first\nsecond\r\nthird\rfourth\n\nsixth",
    ),
    OddValue(
        name="blanks",
        text="Blanks, of which those around a value go,",
        expected="trimmed, no less and no more",
        names=("Title",),
        suits=_is("string", length=_LINE),
        value="  two  blanks  between  ",
    ),
    OddValue(
        name="tabs_and_nbsp",
        text="Tabs and no-break spaces",
        names=("Street",),
        suits=_is("textarea", "string", length=_LINE),
        value="\u00a0no-break\u00a0space, a\ttab\u00a0",
    ),
    OddValue(
        name="not_available",
        text="The letters #N/A in a request, which empty a field only in a job,",
        names=("FirstName",),
        suits=_is("string"),
        value=EMPTIED,
        ways=(COLLECTIONS,),
    ),
    OddValue(
        name="quotes",
        text="Quotes, commas and backslashes",
        names=("Company",),
        suits=_is("string", length=_LINE),
        value="""a "quoted", 'single' one; back\\slash, end\\""",
    ),
    OddValue(
        name="emoji",
        text="Letters beyond the first 65,536, and accents of their own",
        names=("City",),
        suits=_is("string", length=_SHORT),
        value="\U0001f600 \U0001f468\u200d\U0001f680 e\u0301 \u00e9",
    ),
    OddValue(
        name="decimals",
        text="All decimals of a number",
        names=("Latitude",),
        suits=lambda info: info.type in NUMBERS and info.scale > 0,
        value=_fraction,
    ),
    OddValue(
        name="picklist_case",
        text="Values of a picklist in other letter case",
        expected="the same but for case",
        names=("Industry", "LeadSource", "Rating"),
        suits=_is("picklist"),
        value=_other_case,
        as_it_is=True,
    ),
)


def odd_fields(lead: SObjectInfo, *taken: str) -> dict[str, FieldInfo]:
    """Find a field of its own for each odd value, by its name, as far as there is one.

    :param taken: fields that the check itself needs.
    """
    used = {name.lower() for name in (*taken, *_KEPT)}
    fields: dict[str, FieldInfo] = {}
    for odd in ODD_VALUES:
        named = [info for name in odd.names if (info := lead.find(name)) is not None]
        others = [info for info in lead.fields.values() if not info.external_id and not info.unique]
        for info in (*named, *others):
            if info.createable and odd.suits(info) and info.name.lower() not in used:
                used.add(info.name.lower())
                fields[odd.name] = info
                break
    return fields


def odd_record(fields: Mapping[str, FieldInfo], way: str) -> dict[str, FieldValue]:
    """Return the odd values that are sent one way.

    :param fields: as of :func:`odd_fields`.
    """
    odds = [(fields[odd.name], odd) for odd in ODD_VALUES if odd.name in fields and way in odd.ways]
    record: dict[str, FieldValue] = {info.name: value for info, odd in odds if (value := odd.sent(info)) is not None}
    if "Latitude" in record:
        # One coordinate alone may be refused.
        record["Longitude"] = record["Latitude"]
    return record


def odd_findings(fields: Mapping[str, FieldInfo], trips: Mapping[str, RoundTrip]) -> Iterator[Finding]:
    """Judge each kind of value, whichever way it was sent.

    :param fields: as of :func:`odd_fields`.
    :param trips: by the way.
    """
    for odd in ODD_VALUES:
        if odd.name in fields:
            yield _judged(odd, fields[odd.name], {way: trip for way, trip in trips.items() if way in odd.ways})
        else:
            yield odd.assumption.not_tried("the Run-As user may write no field that could hold it")


def _judged(odd: OddValue, info: FieldInfo, trips: Mapping[str, RoundTrip]) -> Finding:
    came_back = {
        way: same_value(info, trip.sent[info.name], trip.back.get(info.name))
        for way, trip in trips.items()
        if trip.back is not None and info.name in trip.sent
    }
    if not came_back:
        reasons = "; ".join(trip.problem for trip in trips.values() if trip.problem) or "no trial lead could be made"
        return odd.assumption.not_tried(reasons)
    seen = "; ".join(f"{way}: {'as expected' if same else 'changed'}" for way, same in came_back.items())
    return odd.assumption.judged(f"{info.name} {seen}", holds=all(came_back.values()))
