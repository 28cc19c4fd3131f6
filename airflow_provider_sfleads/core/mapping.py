"""From a row of the export to the fields of a Lead, checked against describe before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.outcome import Row
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.wire import FieldValue, Record

_OWNER = "ownerid"

# A field without access looks just like one that does not exist.
_GIVE = "(field-level security: give it in a permission set)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """What the user asks for.

    :param columns: export column -> Lead field.
    :param constants: Lead field -> value.
    :param nulls: ``ignore`` leaves a field alone where the export has nothing, ``clear`` empties it.
    :param truncate: cut over-long text instead of rejecting the row.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)
    nulls: str = "ignore"
    truncate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What the fields are used for: an insert needs ``createable``, an update ``updateable`` ones."""

    creates: bool
    updates: bool

    def within(self, lead: SObjectInfo) -> Purpose:
        """Return as much of it as the Run-As user may do to leads at all: for the rest no field is to blame."""
        return Purpose(creates=self.creates and lead.createable, updates=self.updates and lead.updateable)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundMapping:
    """A :class:`FieldMap` that fits the org: every name is canonical, every constant converted."""

    columns: tuple[tuple[str, FieldInfo], ...]
    constants: Mapping[str, FieldValue]
    nulls: str
    truncate: bool
    required: tuple[str, ...]

    @property
    def field_names(self) -> tuple[str, ...]:
        """Canonical names of all Lead fields written."""
        return (*(info.name for _, info in self.columns), *self.constants)

    def record(self, row: Row, *, need_required: bool = True) -> dict[str, FieldValue] | Refusal:
        """Return the fields of one row, or why it cannot be sent; one refusal speaks for all its fields.

        :param need_required: whether the record is to be created, so that required fields need a value.
        """
        record: dict[str, FieldValue] = dict(self.constants)
        refusals: list[Refusal] = []
        for column, info in self.columns:
            value = convert(info, row[column], truncate=self.truncate)
            if value is None:
                if self.nulls != "clear":
                    continue
                value = cleared(info)
            if isinstance(value, Refusal):
                refusals.append(value)
            else:
                record[info.name] = value
        if need_required:
            lacking = self.lacking(record, refused=[name for refusal in refusals for name in refusal.fields])
            refusals[:0] = [lacking] if lacking else []
        return _joined(refusals) if refusals else record

    def lacking(self, record: Record, *, refused: Sequence[str] = ()) -> Refusal | None:
        """Return why a record cannot be created: the required fields that it has no value for.

        :param refused: fields that have a value, but not one that can be sent.
        """
        names = [name for name in self.required if record.get(name) is None and name not in refused]
        return _missing(names) if names else None


def cleared(info: FieldInfo) -> FieldValue | Refusal:
    """Return what is sent to empty a field, or why it takes no blank. A checkbox has no null.

    Cleared, it is unchecked.
    """
    if info.type == "boolean":
        return False
    return None if info.nillable else _missing([info.name])


def _missing(names: list[str]) -> Refusal:
    return Refusal(
        code="REQUIRED_FIELD_MISSING",
        message=f"Required fields are missing: [{', '.join(names)}]",
        fields=tuple(names),
    )


def _joined(refusals: list[Refusal]) -> Refusal:
    if len(refusals) == 1:
        return refusals[0]
    return Refusal(
        code=refusals[0].code,
        message="; ".join(refusal.message for refusal in refusals),
        fields=tuple(dict.fromkeys(name for refusal in refusals for name in refusal.fields)),
    )


def bind(
    field_map: FieldMap, lead: SObjectInfo, purpose: Purpose, *, reserved: Iterable[str] = ()
) -> BoundMapping | tuple[str, ...]:
    """Check a mapping against describe.

    :param field_map: what the user asks for.
    :param lead: the org's Lead.
    :param purpose: what the fields will be used for.
    :param reserved: Lead fields that the sync writes itself (external ID, stage).
    :return: the bound mapping, or every problem as a sentence.
    """
    problems: list[str] = []
    columns: list[tuple[str, FieldInfo]] = []
    constants: dict[str, FieldValue] = {}
    taken = {name.lower(): "the sync itself writes it" for name in reserved}
    for column, name in field_map.columns.items():
        info = _take(lead, name, f"column {column!r}", purpose, taken, problems)
        if info is not None:
            columns.append((column, info))
    for name, raw in field_map.constants.items():
        info = _take(lead, name, "constant", purpose, taken, problems)
        if info is None:
            continue
        value = convert(info, raw, truncate=field_map.truncate)
        if isinstance(value, Refusal):
            problems.append(f"constant -> {info.name}: {value.code}: {value.message}")
            continue
        value = cleared(info) if value is None else value
        if isinstance(value, Refusal):
            problems.append(f"constant -> {info.name}: it is blank, and the field takes no blank")
        else:
            constants[info.name] = value
    required = tuple(info.name for info in lead.required_on_create) if purpose.creates else ()
    written = {info.name.lower() for _, info in columns} | {name.lower() for name in (*constants, *reserved)}
    problems += [
        f"{name}: Salesforce requires it on create, and no column or constant is mapped to it"
        for name in required
        if name.lower() not in written
    ]
    if problems:
        return tuple(problems)
    return BoundMapping(
        columns=tuple(columns),
        constants=constants,
        nulls=field_map.nulls,
        truncate=field_map.truncate,
        required=tuple(name for name in required if name not in reserved),
    )


def _take(
    lead: SObjectInfo, name: str, source: str, purpose: Purpose, taken: dict[str, str], problems: list[str]
) -> FieldInfo | None:
    """Take the field of that name for a column or a constant; ``None`` where it cannot be had."""
    info = lead.find(name)
    problem = _unwritable(info, purpose.within(lead)) or taken.get(name.lower())
    if info is None or problem:
        problems.append(f"{source} -> {info.name if info else name}: {problem}")
        return None
    taken[name.lower()] = f"{source} is mapped to it too"
    return info


def _unwritable(info: FieldInfo | None, purpose: Purpose) -> str | None:
    """Return what keeps a field from being written, as half a sentence."""
    if info is None:
        return f"Lead has no such field, or the Run-As user has no Read access to it {_GIVE}"
    on_create = purpose.creates and not info.createable
    on_update = purpose.updates and not info.updateable
    if not (on_create or on_update):
        return None
    refused = " and ".join(["create"] * on_create + ["update"] * on_update)
    return (
        f"the field is read-only on {refused}, by its kind, or since the Run-As user has no Edit access to it {_GIVE}"
    )


def check_external_id(lead: SObjectInfo, name: str, purpose: Purpose, *, unique: bool) -> FieldInfo | str:
    """Return the external-ID field of that name, or what is wrong with it.

    :param purpose: whether it is written on create; an update finds leads by it and does not write it.
    :param unique: whether the sync relies on Salesforce refusing a second lead with the same value.
    """
    info = lead.find(name)
    if info is None:
        return f"external_id_field {name}: {_unwritable(None, purpose)}"
    if not (info.external_id or info.id_lookup):
        return f'external_id_field {info.name}: it is not an external ID; tick "External ID" on the field'
    if not info.filterable:
        return (
            f"external_id_field {info.name}: Salesforce finds no leads by it, as it is encrypted (Shield Platform "
            f"Encryption): have it encrypted deterministically, or take another field"
        )
    if purpose.within(lead).creates and not info.createable:
        return (
            f"external_id_field {info.name}: the field is read-only, so the key cannot be written to it: by its kind, "
            f"or since the Run-As user has no Edit access to it {_GIVE}"
        )
    if unique and not info.unique:
        return (
            f"external_id_field {info.name}: it is not unique, so Salesforce would create a lead twice; "
            f'tick "Unique" on the field'
        )
    return info


def overruled_owner(field_map: FieldMap, auto_assign: str) -> tuple[str, ...]:
    """Return a sentence where a mapped owner would be lost to an assignment rule.

    A rule that runs on a write decides who owns the lead, whatever ``OwnerId`` was sent with it (REST API Developer
    Guide, "Assignment Rule Header").

    :param auto_assign: ``TRUE``, ``FALSE`` or an assignment rule's id.
    """
    sources = [f"column {column!r}" for column, name in field_map.columns.items() if name.lower() == _OWNER]
    sources += ["constant" for name in field_map.constants if name.lower() == _OWNER]
    if auto_assign == "FALSE" or not sources:
        return ()
    given, rule = ("'default'", "the org's active rule") if auto_assign == "TRUE" else (f"{auto_assign!r}", "that rule")
    sentence = (
        f"{' and '.join(sources)} -> OwnerId: assignment_rule={given} has {rule} choose the owner of each lead that it "
        "runs on, so the mapped one would be lost; take assignment_rule=None to keep the mapped owner, or leave "
        "OwnerId out to have the rule route the leads"
    )
    return (sentence,)


def missing_columns(wanted: Mapping[str, str], columns: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence on the columns that the export does not have.

    :param wanted: column -> what it is used for.
    :param columns: the export's columns; none at all where an export without a header has no rows.
    """
    there = tuple(columns)
    lacking = [f"{column!r} ({use})" for column, use in wanted.items() if column not in there]
    if not there or not lacking:
        return ()
    plural = "s" if len(lacking) > 1 else ""
    return (f"the export has no column{plural} {', '.join(lacking)}; it has: {', '.join(map(repr, there))}",)
