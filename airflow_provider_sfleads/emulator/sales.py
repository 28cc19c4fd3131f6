"""What people do to leads behind the API's back: seed, edit, convert, delete, look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_sfleads.emulator import ids
from airflow_provider_sfleads.emulator.dml import Write, computed, execute
from airflow_provider_sfleads.emulator.drafts import Draft, Reader, RowResult
from airflow_provider_sfleads.emulator.history import Change
from airflow_provider_sfleads.emulator.lead_fields import STATUSES
from airflow_provider_sfleads.emulator.render import record
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import ApiError, not_found

_CONVERTED_STATUS = STATUSES[2]


def list_leads(emulator: Emulator, *, include_deleted: bool = False) -> list[dict[str, Any]]:
    """Return all leads with all fields, oldest first."""
    with emulator.store.transaction():
        rows = emulator.store.read('SELECT * FROM Lead WHERE ? OR NOT IsDeleted ORDER BY "Id"', [include_deleted])
    specs = list(emulator.full_schema.fields.values())
    return [record(dict(row), specs) for row in rows]


def _found(emulator: Emulator, lead_id: str) -> dict[str, Any]:
    found = emulator.store.by_ids([ids.to_18(lead_id) or lead_id])
    if not found:
        raise not_found()
    return next(iter(found.values()))


def get_lead(emulator: Emulator, lead_id: str) -> dict[str, Any]:
    """Return one lead with all fields, deleted or not."""
    with emulator.store.transaction():
        return record(_found(emulator, lead_id), emulator.full_schema.fields.values())


def history(emulator: Emulator, lead_id: str | None) -> list[dict[str, Any]]:
    """Return each change of each field of a lead, or of all leads."""
    with emulator.store.transaction():
        steps = emulator.store.history(ids.to_18(lead_id) or lead_id if lead_id else None)
    for step in steps:
        spec = emulator.full_schema.fields.get(step["field"])
        if spec is not None and spec.type == "boolean":
            step["old"], step["new"] = (None if v is None else bool(v) for v in (step["old"], step["new"]))
    return steps


def seed(emulator: Emulator, leads: Sequence[Mapping[str, Any]]) -> list[str]:
    """Create leads without assignment and duplicate rules; all or none, else ApiError."""
    write = Write(
        operation="create",
        request=0,
        all_or_none=True,
        auto_assign="FALSE",
        allow_save=True,
        actor=ids.SALES_USER_ID,
    )
    results = execute(emulator, leads, write)
    _raise_first(results)
    return [result.id or "" for result in results]


def _raise_first(results: Sequence[RowResult]) -> None:
    for position, result in enumerate(results):
        for error in result.errors:
            if error.code != "ALL_OR_NONE_OPERATION_ROLLED_BACK":
                raise ApiError(error.code, f"record {position}: {error.message}", fields=error.fields)


def edit(emulator: Emulator, lead_id: str, values: Mapping[str, Any]) -> None:
    """Change a lead by hand."""
    write = Write(operation="update", request=0, auto_assign="FALSE", allow_save=True, actor=ids.SALES_USER_ID)
    _raise_first(execute(emulator, [{**values, "Id": lead_id}], write))


def delete(emulator: Emulator, lead_id: str) -> None:
    """Put a lead into the recycle bin."""
    write = Write(operation="delete", request=0, actor=ids.SALES_USER_ID)
    _raise_first(execute(emulator, [{"Id": lead_id}], write))


def convert(emulator: Emulator, lead_id: str) -> str:
    """Make a contact of a lead; the lead can then no longer be changed."""
    store, now = emulator.store, emulator.now_text()
    change = Change(at=now, actor=ids.SALES_USER_ID, request=0)
    with store.transaction():
        lead = _found(emulator, lead_id)
        if lead["IsConverted"] or lead["IsDeleted"]:
            raise ApiError("CANNOT_UPDATE_CONVERTED_LEAD", "the lead is converted or deleted already")
        known = {name: lead[name] for name in ("LastName", "FirstName", "Email", "External_Id__c")}
        (contact_id,) = _insert_contacts(emulator, [known], change)
        account_id = ids.make_id(ids.ACCOUNT_PREFIX, ids.number_of(contact_id))
        converted = {
            "IsConverted": 1,
            "ConvertedDate": now[:10],
            "ConvertedContactId": contact_id,
            "ConvertedAccountId": account_id,
            "Status": _CONVERTED_STATUS,
            "LastModifiedDate": now,
            "LastModifiedById": change.actor,
            "SystemModstamp": now,
        }
        store.update([(lead, converted)], emulator.full_schema, change)
    return contact_id


def seed_contacts(emulator: Emulator, contacts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Create contacts; all or none, else ApiError."""
    drafts: list[Draft] = []
    for contact in contacts:
        draft = Reader(emulator.store.contacts, per_row=False).read(contact)
        if draft.errors:
            raise ApiError(draft.errors[0].code, draft.errors[0].message)
        drafts.append(draft)
    change = Change(at=emulator.now_text(), actor=ids.SALES_USER_ID, request=0)
    with emulator.store.transaction():
        return _insert_contacts(emulator, [draft.values for draft in drafts], change)


def _insert_contacts(emulator: Emulator, contacts: Sequence[Mapping[str, Any]], change: Change) -> list[str]:
    stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), change.at)
    actors = dict.fromkeys(("CreatedById", "LastModifiedById"), change.actor)
    new = emulator.store.new_ids(len(contacts), table="Contact", prefix=ids.CONTACT_PREFIX)
    rows = [
        {**contact, **computed(contact, None), **stamps, **actors, "IsDeleted": 0, "Id": contact_id}
        for contact, contact_id in zip(contacts, new, strict=True)
    ]
    emulator.store.insert(rows, emulator.store.contacts, change)
    return new
