"""Make up the values of trial leads: people who do not exist, and odd values that should come back as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
COLLECTIONS, JOB = "through collections", "through a job"
_REMEDY = (
    "changed_only and existing='update' send such rows again and again, and a row whose answer was lost is not found "
    "by its values. Look for a trigger that changes this field; else clean the values in the export."
)


def word(seed: str) -> str:
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
    return {name: _MAKERS[info.type](info, word(seed + name)) for name, info in wanted.items() if info.type in _MAKERS}


def renamed(lead: SObjectInfo, seed: str) -> Record:
    """Return another last name: what an update of the check changes."""
    info = lead.find("LastName")
    return {"LastName": _words(info, word(seed)) if info else word(seed)}


def _words(info: FieldInfo, letters: str) -> FieldValue:
    return f"{letters} Trial"[: info.length or None]


def _number(info: FieldInfo, letters: str) -> FieldValue:
    room = min(info.digits or info.precision - info.scale or 1, _DIGITS)
    return int.from_bytes(letters.encode()) % 10**room if info.unique else 1


def _email(info: FieldInfo, letters: str) -> FieldValue:  # noqa: ARG001 - one of many makers
    return f"{letters.lower()}@example.invalid"


def _choice(info: FieldInfo, letters: str) -> FieldValue:  # noqa: ARG001
    return next(iter(info.picklist_values), None)


def _constant(value: FieldValue) -> Callable[[FieldInfo, str], FieldValue]:
    return lambda _info, _letters: value


_CHOICES = frozenset({"picklist", "multipicklist"})
_MAKERS: dict[str, Callable[[FieldInfo, str], FieldValue]] = {
    **dict.fromkeys(("string", "textarea", "encryptedstring", "combobox"), _words),
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _number),
    **dict.fromkeys(_CHOICES, _choice),
    "email": _email,
    "phone": _constant("5550100"),
    "url": _constant("https://example.invalid"),
    "date": _constant("2024-02-29"),
    "datetime": _constant("2024-02-29T12:00:00.000Z"),
    "time": _constant("12:00:00.000Z"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OddValue:
    """One kind of odd value.

    :param assumption: that it comes back.
    :param names: fields that can hold it, by preference.
    :param suits: which other fields can.
    :param value: as an export has it, for a field.
    :param ways: how it is sent.
    :param as_it_is: whether it is sent without the provider's own conversion, which would mend it.
    """

    assumption: Assumption
    names: tuple[str, ...]
    suits: Callable[[FieldInfo], bool]
    value: Callable[[FieldInfo], object]
    ways: tuple[str, ...] = (COLLECTIONS, JOB)
    as_it_is: bool = False


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


def _assumption(name: str, text: str, *, expected: str = "the same value") -> Assumption:
    return Assumption(
        name=f"values.{name}", text=f"{text} come back as a sync expects", expected=expected, remedy=_REMEDY
    )


def _is(*types: str, length: int = 0) -> Callable[[FieldInfo], bool]:
    return lambda info: info.type in types and info.length >= length and not info.restricted_picklist


def _text(value: str) -> Callable[[FieldInfo], object]:
    return lambda _info: value


def _fraction(info: FieldInfo) -> object:
    return Decimal("1.123456789012345678"[: info.scale + 2])


def _other_case(info: FieldInfo) -> object:
    return next((value.swapcase() for value in info.picklist_values if value.swapcase() != value), None)


#: Stands for all of them, should they not be judged.
VALUES = _assumption("all", "Odd values")
_LINE, _SHORT = 60, 30
# What the check needs itself, and what some orgs take only some values for.
_KEPT = (
    "LastName", "Email", "Longitude", "Status", "OwnerId", "State", "Country", "PostalCode", "Jigsaw", "CleanStatus",
    "CompanyDunsNumber", "GeocodeAccuracy",
)  # fmt: skip
ODD_VALUES = (
    OddValue(
        assumption=_assumption("line_breaks", "Line breaks", expected="LF for each of LF, CR and CRLF"),
        names=("Description",),
        suits=_is("textarea", length=_LINE),
        value=_text("first\nsecond\r\nthird\rfourth\n\nsixth"),
    ),
    OddValue(
        assumption=_assumption(
            "blanks", "Blanks, of which those around a value go,", expected="trimmed, no less and no more"
        ),
        names=("Title",),
        suits=_is("string", length=_LINE),
        value=_text("  two  blanks  between  "),
    ),
    OddValue(
        assumption=_assumption("tabs_and_nbsp", "Tabs and no-break spaces"),
        names=("Street",),
        suits=_is("textarea", "string", length=_LINE),
        value=_text("\u00a0no-break\u00a0space, a\ttab\u00a0"),
    ),
    OddValue(
        assumption=_assumption("not_available", "The letters #N/A in a request, which empty a field only in a job,"),
        names=("FirstName",),
        suits=_is("string"),
        value=_text(EMPTIED),
        ways=(COLLECTIONS,),
    ),
    OddValue(
        assumption=_assumption("quotes", "Quotes, commas and backslashes"),
        names=("Company",),
        suits=_is("string", length=_LINE),
        value=_text("""a "quoted", 'single' one; back\\slash, end\\"""),
    ),
    OddValue(
        assumption=_assumption("emoji", "Letters beyond the first 65,536, and accents of their own"),
        names=("City",),
        suits=_is("string", length=_SHORT),
        value=_text("\U0001f600 \U0001f468\u200d\U0001f680 e\u0301 \u00e9"),
    ),
    OddValue(
        assumption=_assumption("decimals", "All decimals of a number"),
        names=("Latitude",),
        suits=lambda info: info.type in NUMBERS and info.scale > 0,
        value=_fraction,
    ),
    OddValue(
        assumption=_assumption(
            "picklist_case", "Values of a picklist in other letter case", expected="the same but for case"
        ),
        names=("Industry", "LeadSource", "Rating"),
        suits=_is("picklist"),
        value=_other_case,
        as_it_is=True,
    ),
)


@dataclass(frozen=True, slots=True)
class OddFields:
    """Odd values in fields of this org.

    :param fields: the field of each, as far as there is one.
    """

    fields: Mapping[str, FieldInfo] = field(default_factory=dict)

    def record(self, way: str) -> dict[str, FieldValue]:
        """Return the odd values that are sent one way."""
        record: dict[str, FieldValue] = {}
        for odd in ODD_VALUES:
            info = self.fields.get(odd.assumption.name)
            if info is None or way not in odd.ways:
                continue
            raw = odd.value(info)
            value = raw if odd.as_it_is and isinstance(raw, str) else convert(info, raw)
            if value is not None and not isinstance(value, Refusal):
                record[info.name] = value
        if "Latitude" in record:
            # One coordinate alone may be refused.
            record["Longitude"] = record["Latitude"]
        return record

    def findings(self, trips: Mapping[str, RoundTrip]) -> Iterator[Finding]:
        """Judge each kind of value, whichever way it was sent."""
        for odd in ODD_VALUES:
            info = self.fields.get(odd.assumption.name)
            if info is None:
                yield odd.assumption.not_tried("the Run-As user may write no field that could hold it")
                continue
            yield _judged(odd, info, {way: trip for way, trip in trips.items() if way in odd.ways})


def _judged(odd: OddValue, info: FieldInfo, trips: Mapping[str, RoundTrip]) -> Finding:
    backs = {way: trip for way, trip in trips.items() if trip.back is not None and info.name in trip.sent}
    if not backs:
        reasons = "; ".join(trip.problem for trip in trips.values() if trip.problem) or "no trial lead could be made"
        return odd.assumption.not_tried(reasons)
    changed = [way for way, trip in backs.items() if not _came_back(info, trip)]
    seen = "; ".join(f"{way}: {'changed' if way in changed else 'as expected'}" for way in backs)
    return odd.assumption.judged(f"{info.name} {seen}", holds=not changed)


def _came_back(info: FieldInfo, trip: RoundTrip) -> bool:
    return same_value(info, trip.sent[info.name], (trip.back or {}).get(info.name))


def odd_fields(lead: SObjectInfo, *taken: str) -> OddFields:
    """Find a field of its own for each odd value.

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
                fields[odd.assumption.name] = info
                break
    return OddFields(fields)
