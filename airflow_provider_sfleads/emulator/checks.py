"""What Salesforce checks of a record before it saves it, in Salesforce's order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from airflow_provider_sfleads.emulator.drafts import Draft
from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema, key_of
from airflow_provider_sfleads.emulator.keys import NAME_AND_COMPANY, name_and_company
from airflow_provider_sfleads.emulator.permissions import Permissions
from airflow_provider_sfleads.emulator.settings import EmulatorSettings
from airflow_provider_sfleads.emulator.setup_data import INACTIVE_OWNERS, OWNERS
from airflow_provider_sfleads.emulator.store import Store
from airflow_provider_sfleads.emulator.wire import RowError

DUPLICATE_MESSAGE = "Use one of these records?"
_READ_ONLY = (
    "Unable to create/update fields: {}. Please check the security settings of this field and verify that "
    "it is read/write for your profile or permission set."
)
_DUPLICATE_TEXT = {
    "en": "duplicate value found: {field} duplicates value on record with id: {id}",
    "de": "doppelter Wert gefunden: {field} dupliziert Wert im Datensatz mit ID: {id}",
}


def check_access(drafts: Iterable[Draft], permissions: Permissions, *, deletes: bool) -> None:
    """Refuse what the run-as user may not do to leads at all."""
    for draft in drafts:
        if not draft.placed:
            continue
        if draft.current is None and not permissions.may("Create"):
            draft.lose("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Lead")
        elif draft.current is not None and not permissions.may("Delete" if deletes else "Edit"):
            draft.lose("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", status=403)


def check_fields(drafts: Iterable[Draft], schema: ObjectSchema, seen: ObjectSchema) -> None:
    """Read-only fields, converted leads, required fields, owners; `seen` is what the writer sees of the object."""
    for draft in drafts:
        _check_writable(draft, seen)
        if draft.current is not None and draft.current["IsConverted"]:
            draft.errors[:] = []
            draft.fail("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
            continue
        _check_required(draft, schema)
        _check_owner(draft)


def _check_writable(draft: Draft, schema: ObjectSchema) -> None:
    creates = draft.current is None
    blocked = [
        name
        for name in draft.values
        if not (schema.fields[name].createable if creates else schema.fields[name].updateable)
    ]
    if blocked == ["Id"]:
        draft.fail("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id")
    elif blocked:
        draft.fail("INVALID_FIELD_FOR_INSERT_UPDATE", _READ_ONLY.format(", ".join(blocked)), *blocked)


def _check_required(draft: Draft, schema: ObjectSchema) -> None:
    values = draft.values
    missing = [name for name in schema.not_null if name in values and values[name] is None]
    if draft.current is None:
        missing += [spec.name for spec in schema.required if spec.name not in values]
        # A value that was refused was at least given.
        refused = {name for error in draft.errors for name in error.fields}
        missing = [name for name in schema.fields if name in missing and name not in refused]
    if missing:
        message = f"Required fields are missing: [{', '.join(missing)}]"
        draft.fail("REQUIRED_FIELD_MISSING", message, *missing)


def _check_owner(draft: Draft) -> None:
    owner = draft.values.get("OwnerId")
    if owner in INACTIVE_OWNERS:
        message = f"operation performed with inactive user [{owner}] as owner of lead"
        draft.fail("INACTIVE_OWNER_OR_USER", message, "OwnerId")
    elif owner is not None and owner not in OWNERS:
        draft.fail("INVALID_CROSS_REFERENCE_KEY", "Owner ID: id value of incorrect type", "OwnerId")


def check_validation_rule(drafts: Iterable[Draft], settings: EmulatorSettings) -> None:
    """Apply the org's validation rule, by which a lead's stage goes forward only; it holds for people, too."""
    order = settings.forward_only
    for draft in drafts:
        if not order or draft.errors or draft.current is None or "Lead_Stage__c" not in draft.values:
            continue
        before, after = (
            order.index(stage) + 1 if stage in order else 0
            for stage in (draft.current["Lead_Stage__c"], draft.values["Lead_Stage__c"])
        )
        if before > after:
            draft.fail("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A lead's stage does not go back.", "Lead_Stage__c")


def check_locks(drafts: Iterable[Draft], locked: Callable[[Draft], bool]) -> None:
    """Refuse the records that a fault rule says somebody else holds."""
    for draft in drafts:
        if not draft.errors and locked(draft):
            tail = f" or 1 records: {draft.id}" if draft.id else ""
            draft.fail("UNABLE_TO_LOCK_ROW", f"unable to obtain exclusive access to this record{tail}")


def check_duplicate_rule(
    drafts: Sequence[Draft], store: Store, settings: EmulatorSettings, *, allow_save: bool
) -> None:
    """Apply the org's duplicate rule: the same e-mail address, or the same last name and company."""
    if settings.duplicate_rule == "off" or (settings.duplicate_rule == "alert" and allow_save):
        return
    for draft in drafts:
        if draft.errors:
            continue
        matches = [lead_id for lead_id in _matches(draft, store) if lead_id != draft.id]
        if matches:
            draft.errors.append(
                RowError(
                    code="DUPLICATES_DETECTED",
                    message=DUPLICATE_MESSAGE,
                    matches=tuple(sorted(matches)),
                    allow_save=settings.duplicate_rule == "alert",
                )
            )


def _matches(draft: Draft, store: Store) -> set[str]:
    values, current = draft.values, draft.current or {}
    found: set[str] = set()
    email = values.get("Email")
    if isinstance(email, str) and email != current.get("Email"):
        found.update(*store.find_keys("Email", [email.lower()]).values())
    if any(name in values and values[name] != current.get(name) for name in ("LastName", "Company")):
        key = name_and_company({**current, **values})
        found.update(*store.find_keys(NAME_AND_COMPANY, [key]).values())
    return found


def refuse_deletes(drafts: Iterable[Draft]) -> None:
    """Refuse deletes, as a trigger of the org does."""
    for draft in drafts:
        if not draft.errors:
            draft.fail("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "KeepLeads: execution of BeforeDelete caused by: no")


def check_unique(
    drafts: Sequence[Draft],
    schema: ObjectSchema,
    store: Store,
    settings: EmulatorSettings,
    *,
    forgiven: Collection[str],
) -> None:
    """Refuse a value twice in a unique field, against the store and against earlier records of the same request.

    :param forgiven: deviations: `existing_key` and `key_twice`.
    """
    for spec in schema.unique:
        keyed = {
            position: key_of(spec, value)
            for position, draft in enumerate(drafts)
            if not draft.errors and (value := draft.values.get(spec.name)) is not None
        }
        holders: dict[str, str | None] = {
            key: ids[0] for key, ids in store.find_keys(spec.name, set(keyed.values())).items()
        }
        stored = frozenset(holders)
        for position, key in keyed.items():
            draft = drafts[position]
            other = "existing_key" if key in stored else "key_twice"
            holder = holders.setdefault(key, draft.id)
            if holder != draft.id and other not in forgiven:
                _fail_unique(draft, spec, holder, settings)


def _fail_unique(draft: Draft, spec: FieldSpec, holder: str | None, settings: EmulatorSettings) -> None:
    is_named = settings.duplicate_value_wording == "named"
    field, record = (spec.name, holder) if is_named else ("<unknown>", "<unknown>")
    message = _DUPLICATE_TEXT[settings.language].format(field=field, id=record)
    draft.fail("DUPLICATE_VALUE", message, *((spec.name,) if settings.duplicate_value_fields else ()))
