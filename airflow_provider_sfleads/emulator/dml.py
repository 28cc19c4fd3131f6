"""Create, update, upsert and delete: read, find, check, assign, write, all in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_sfleads.emulator import checks, targets
from airflow_provider_sfleads.emulator.drafts import Draft, Reader, RowResult
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.history import Change
from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID, RUN_AS_USER_ID, to_18
from airflow_provider_sfleads.emulator.setup_data import QUEUE_OF_RULE
from airflow_provider_sfleads.emulator.wire import RowError

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

_ROLLED_BACK = RowError(
    code="ALL_OR_NONE_OPERATION_ROLLED_BACK",
    message="Record rolled back because not all records were valid and the request was using AllOrNone header",
)
_ADDRESS_PARTS = {
    "Street": "street",
    "City": "city",
    "State": "state",
    "PostalCode": "postalCode",
    "Country": "country",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "GeocodeAccuracy": "geocodeAccuracy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that changes leads.

    `key` is the field of an upsert. `auto_assign` is the header as sent, None where it was not.
    `update_only` refuses to create.
    """

    operation: Literal["create", "update", "upsert", "delete"]
    request: int
    key: FieldSpec | None = None
    all_or_none: bool = False
    auto_assign: str | None = None
    allow_save: bool = False
    update_only: bool = False
    actor: str = RUN_AS_USER_ID
    by_job: bool = False

    @property
    def limited(self) -> bool:
        """Whether it is the run-as user's, whose permissions count; Sales may do everything."""
        return self.actor == RUN_AS_USER_ID


def execute(
    emulator: Emulator, records: Sequence[Mapping[str, Any]], write: Write, reader: Reader | None = None
) -> list[RowResult]:
    """Do it, and say per record and in the order of the records what became of it.

    `reader` reads the records in place of the org's own, which may refuse all of them for one.
    """
    read = (reader or (emulator.reader if write.limited else emulator.full_reader)).read
    drafts = [read(record) for record in records]
    store = emulator.store
    with store.transaction():
        if write.operation in {"update", "delete"}:
            targets.find_by_id(drafts, store, takes_deleted="deleted_update" in emulator.settings.broken)
        elif write.key is not None:
            faults, language = emulator.faults, emulator.settings.language
            twice = _has(emulator, write, "key_twice")
            targets.find_by_key(
                drafts, write.key, store, overtaken=faults.overtaken, language=language, takes_twice=twice
            )
        _check(emulator, drafts, write)
        done = [draft for draft in drafts if not draft.errors]
        if write.all_or_none and len(done) < len(drafts):
            return [_rolled_back(draft, write) for draft in drafts]
        if write.operation != "update" or not _has(emulator, write, "update"):
            _save(emulator, done, write)
    return [_result(draft, write) for draft in drafts]


def _has(emulator: Emulator, write: Write, deviation: str) -> bool:
    """Return whether a deviation, of which jobs have one of their own, is switched on for a write through the API."""
    return write.limited and f"{deviation}{'_in_job' if write.by_job else ''}" in emulator.settings.broken


def _check(emulator: Emulator, drafts: Sequence[Draft], write: Write) -> None:
    settings, store, schema = emulator.settings, emulator.store, emulator.full_schema
    if write.limited:
        checks.check_access(drafts, emulator.permissions, deletes=write.operation == "delete")
    checks.check_locks(drafts, emulator.faults.locked)
    if write.operation == "delete":
        if write.limited and "undeletable" in settings.broken:
            checks.refuse_deletes(drafts)
        return
    seen = emulator.schema if write.limited else schema
    checks.check_fields([draft for draft in drafts if draft.placed], schema, seen)
    if write.update_only:
        for draft in drafts:
            if draft.current is None and not draft.errors:
                draft.fail("NOT_FOUND", "The requested resource does not exist", status=404)
    checks.check_validation_rule(drafts, settings)
    checks.check_duplicate_rule(drafts, store, settings, allow_save=write.allow_save)
    new = [draft for draft in drafts if draft.current is None and not draft.errors]
    for draft, lead_id in zip(new, store.new_ids(len(new)), strict=True):
        draft.id = lead_id
    forgiven = {name for name in ("key_twice", "existing_key") if _has(emulator, write, name)}
    checks.check_unique(drafts, schema, store, settings, forgiven=forgiven)
    _assign(emulator, drafts, write)


def _assign(emulator: Emulator, drafts: Sequence[Draft], write: Write) -> None:
    wish = (write.auto_assign or "TRUE").strip()
    if wish.upper() == "FALSE":
        return
    rule: str | None
    if wish.upper() == "TRUE":
        rule = ACTIVE_RULE_ID if emulator.settings.assignment_rule_active else None
    else:
        rule = to_18(wish) or wish
    for draft in drafts:
        if draft.errors or rule is None:
            continue
        if rule in QUEUE_OF_RULE:
            draft.values["OwnerId"] = QUEUE_OF_RULE[rule]
        else:
            draft.fail("INVALID_ASSIGNMENT_RULE", f"invalid assignment rule id: {wish}")


def _save(emulator: Emulator, drafts: Sequence[Draft], write: Write) -> None:
    change = Change(at=emulator.now_text(), actor=write.actor, request=write.request)
    schema = emulator.full_schema
    if write.operation == "delete":
        for draft in drafts:
            draft.values = {"IsDeleted": 1}
    stamps = {"LastModifiedDate": change.at, "LastModifiedById": change.actor, "SystemModstamp": change.at}
    created = {**emulator.defaults, **stamps, "CreatedDate": change.at, "CreatedById": change.actor}
    rows = [
        {**created, **draft.values, **computed(draft.values, None), "Id": draft.id}
        for draft in drafts
        if draft.current is None
    ]
    emulator.store.insert(rows, schema, change)
    updates = [
        (draft.current, {**draft.values, **computed(draft.values, draft.current), **stamps})
        for draft in drafts
        if draft.current is not None
    ]
    emulator.store.update(updates, schema, change)


def computed(values: Mapping[str, Any], current: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the compound fields that follow from these new values."""
    new: dict[str, Any] = {}
    whole = {**current, **values} if current else values
    if "LastName" in values or "FirstName" in values:
        parts = (whole.get("FirstName"), whole.get("LastName"))
        new["Name"] = " ".join(part for part in parts if part)
    if not _ADDRESS_PARTS.keys().isdisjoint(values):
        address = {said: whole.get(name) for name, said in _ADDRESS_PARTS.items()}
        filled = any(value is not None for value in address.values())
        new["Address"] = json.dumps(address) if filled else None
    return new


def _result(draft: Draft, write: Write) -> RowResult:
    upserts = write.operation == "upsert"
    if draft.errors:
        return RowResult(
            id=None,
            success=False,
            created=False if upserts else None,
            errors=tuple(draft.errors),
            known_id=draft.id if draft.current is not None or write.operation in {"update", "delete"} else None,
        )
    return RowResult(id=draft.id, success=True, created=(draft.current is None) if upserts else None)


def _rolled_back(draft: Draft, write: Write) -> RowResult:
    # As on the wire: a record that would have been fine still shows an id, with success false.
    return RowResult(
        id=draft.id if not draft.errors else None,
        success=False,
        created=False if write.operation == "upsert" else None,
        errors=tuple(draft.errors) or (_ROLLED_BACK,),
    )
